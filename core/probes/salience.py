"""Which tokens of an input and of the prompt before it drive an answer: gradient x input, and leave-one-out by hiding a position."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import LabError, shown
from core.events import Event, Progress
from core.inspection.control import of_equal_norm
from core.inspection.salience import gradient_x_input, left_out
from core.models.along import can_hide, logits_along
from core.models.language_model import LanguageModel
from core.models.past import expand
from core.scoring.answering import answer, label_probabilities
from core.scoring.contender import Contender
from core.scoring.rows import Row, check_window, encode
from core.tasks.task import Example

MOST_AT_ONCE = 2048  # positions of all variants that are run together
MOST_POSITIONS = 400  # of prompt and input: each is left out once
OTHERS = ("x", "0 1")  # inputs whose common beginning and end are the template


@dataclass(frozen=True, eq=False)
class Salience(Event):
    """What drives one answer of one prompt.

    names: of the positions, a number from 1 for a learned vector, else a token's text. kinds: of each "vector", "words" (of the prompt),
    "input" or "lead" (the model's own first token). answer: whose log-probability (nats, in sum over its tokens) is explained, the same
    for the control. gradient, without: gradient x input, and what that log-probability loses where no other position sees this one.
    control: the prompt is a random one of equal norm.
    """

    contender: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    answer: str
    log_probability: float
    gradient: Float[np.ndarray, " positions"]
    without: Float[np.ndarray, " positions"]
    control: bool = False


@dataclass(frozen=True, eq=False)
class Positions:
    """All that the answer comes after. array: of a K/V prefix, which fills the cache; else None. vectors: of all other positions."""

    array: Tensor | None
    vectors: Float[Tensor, "positions d_model"]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    target: Int[Tensor, " answer"]


def salience(
    lm: LanguageModel, contender: Contender, text: str, right: str = "", labels: Sequence[str] | None = None, seed: int = 0
) -> Iterator[Progress | Salience | None]:
    """What drives `contender`'s own answer to `text`, and the same answer after a random prompt of equal norm (seed). float32.

    right: an answer to explain in place of its own one. Without any prompt there is no control. Yields how many findings there will
    be, then them, and None between pieces. Raises LabError for an empty or too long text, a prompt that answers nothing here, or a
    model whose positions can't be hidden.
    """
    lm = lm.for_scoring
    if not can_hide(lm):
        raise LabError(f"A position of {shown(lm.name)} can't be hidden from the others: choose another model for this.")
    said = right or own_answer(lm, contender, text, labels)
    places = positions(lm, contender, text, said, labels)
    if len(places.names) > MOST_POSITIONS:
        raise LabError(f"The prompt and its input have {len(places.names)} positions, more than {MOST_POSITIONS}: choose shorter ones.")
    random = at_random(places, seed)
    yield Progress(1 + (random is not None))
    for one in (places, random):
        if one is not None:
            found = yield from explain(lm, one)
            yield replace(found, contender=contender.name, answer=said, control=one is random)


def own_answer(lm: LanguageModel, contender: Contender, text: str, labels: Sequence[str] | None) -> str:
    """What the contender answers: its likeliest label, or its greedy continuation. LabError where that is nothing."""
    if not text.strip():
        raise LabError("There is no input: type one.")
    if labels:
        shares = label_probabilities(lm, contender, text, labels)
        return labels[int(np.argmax(shares))]
    said = [*answer(lm, contender, text), ""][-2:][0]
    if not said.strip():
        raise LabError(
            f"The prompt {shown(contender.name)} answers nothing to this input: explain the right answer, or choose another input."
        )
    return said


def positions(lm: LanguageModel, contender: Contender, text: str, said: str, labels: Sequence[str] | None = None) -> Positions:
    """Everything before the answer `said`, in the order in which it runs. LabError for a text that can't be used."""
    (row,) = encode(lm, contender.template, [Example(text, said)], labels)
    check_window(lm, [row], contender.prefix.virtual_tokens)
    begin, end = _input_of(lm, contender.template, row)
    words = [lm.token_text(token) for token in row.prompt]
    lead = len(lm.lead)
    kinds = ["lead" if place < lead else "input" if begin <= place < end else "words" for place in range(len(words))]
    vectors = lm.embed_ids(row.prompt).detach()
    array = contender.prefix.array().detach().to(lm.device) if contender.prefix.virtual_tokens else None
    numbers = [str(place + 1) for place in range(contender.prefix.virtual_tokens)]
    before = lead if contender.placement == "after" else 0
    if array is not None and contender.prefix.method.in_embedding_space:
        vectors, array = torch.cat([vectors[:before], array, vectors[before:]]), None
    names = (*words[:before], *numbers, *words[before:])
    kinds = [*kinds[:before], *["vector"] * len(numbers), *kinds[before:]]
    return Positions(array, vectors, names, tuple(kinds), torch.tensor(row.answer, device=lm.device))


def _input_of(lm: LanguageModel, template: str, row: Row) -> tuple[int, int]:
    """Where the input's tokens begin and end in a row's prompt: what rows with other inputs have alike is the template's."""
    others = [one.prompt for one in encode(lm, template, [Example(text, row.example.output) for text in OTHERS], None)]
    begin = min(_alike(row.prompt, other) for other in others)
    end = min(_alike(row.prompt[::-1], other[::-1]) for other in others)
    return begin, max(begin, len(row.prompt) - end)


def _alike(a: Sequence[int], b: Sequence[int]) -> int:
    return next((place for place, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def at_random(places: Positions, seed: int = 0) -> Positions | None:
    """The same with the learned vectors, or else the prompt's words, of equal norm in random directions; None without a prompt."""
    if places.array is not None:
        made = torch.from_numpy(of_equal_norm(places.array.cpu().numpy(), seed)).to(places.array)
        return replace(places, array=made)
    kind = "vector" if "vector" in places.kinds else "words"
    own = torch.tensor([one == kind for one in places.kinds], device=places.vectors.device)
    if not own.any():
        return None
    changed = places.vectors.clone()
    changed[own] = torch.from_numpy(of_equal_norm(changed[own].cpu().numpy(), seed)).to(changed)
    return replace(places, vectors=changed)


def explain(lm: LanguageModel, places: Positions) -> Generator[None, None, Salience]:
    """Both readings of every position; yields None between pieces. The contender's name and answer are left empty."""
    parts = [places.vectors] if places.array is None else [places.array, places.vectors]
    leaves = [part.clone().requires_grad_() for part in parts]
    whole = log_probability(lm, replace(places, array=leaves[0] if len(leaves) > 1 else None, vectors=leaves[-1]))
    gradients = torch.autograd.grad(whole.sum(), leaves)
    by_position = [
        (part.movedim(2, 0) if part is places.array else part, gradient.movedim(2, 0) if part is places.array else gradient)
        for part, gradient in zip(parts, gradients, strict=True)
    ]
    found = [gradient_x_input(gradient.double().cpu().numpy(), part.double().cpu().numpy()) for part, gradient in by_position]
    yield None
    count = len(places.names)
    size = max(1, MOST_AT_ONCE // (count + len(places.target)))
    without: list[float] = []
    for start in range(0, count, size):
        hidden = torch.arange(start, min(start + size, count), device=lm.device)
        with torch.inference_mode():
            without += log_probability(lm, places, hidden).tolist()
        yield None
    return Salience("", places.names, places.kinds, "", whole.item(), np.concatenate(found), left_out(whole.item(), np.array(without)))


def log_probability(lm: LanguageModel, places: Positions, hidden: Int[Tensor, " variants"] | None = None) -> Float[Tensor, " variants"]:
    """The answer's, in nats, summed over its tokens, for each position of `hidden` that no other one sees; None: all are seen, once."""
    variants = 1 if hidden is None else len(hidden)
    past = lm.nothing() if places.array is None else expand(lm.cache_of(places.array), variants)
    vectors = places.vectors.expand(variants, -1, -1)
    target = places.target.expand(variants, -1)
    shares = torch.log_softmax(logits_along(lm, vectors, target[:, :-1], past, hidden), dim=-1)
    return shares.gather(2, target[..., None])[..., 0].sum(dim=1)
