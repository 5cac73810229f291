"""How much fits in one vector? A few vectors are trained to make the frozen model say a sentence, word for word.

The idea and its bounds: Kuratov et al. 2025, "Cramming 1568 tokens into a single vector and back again". As many random tokens are
learned in the same passes, as control: what is easy to predict takes less of a vector than noise does.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import LabError
from core.events import Event, Progress
from core.models.along import logits_along
from core.models.language_model import LanguageModel

MOST_TOKENS = 80  # of the sentence
MOST_VECTORS = 8
MOST_STEPS = 2000
RATE = 0.1  # Adam's; a sentence has one row, so the gradient has no noise
WARMUP = 5
SETTLED = 3  # steps in a row with every token right, after which there is nothing left to learn
SPOKEN = 30  # times the model is let speak, at most
WRONG = 6  # tokens that are shown after the first wrong one
FLOAT_BITS = 32


@dataclass(frozen=True)
class Aim(Event):
    """What is to be said, the event that comes first. texts, control: of the tokens of the sentence, and of the random ones."""

    texts: tuple[str, ...]
    control: tuple[str, ...]
    vectors: int
    d_model: int
    vocabulary: int

    @property
    def bits(self) -> float:
        """The most that so many tokens can hold: tokens x log2(vocabulary). Random tokens hold as much."""
        return len(self.texts) * math.log2(self.vocabulary)

    @property
    def room(self) -> int:
        """The most that the vectors can hold: vectors x d_model x 32 bits. What is learned is far below it."""
        return self.vectors * self.d_model * FLOAT_BITS


@dataclass(frozen=True)
class Said:
    """How much of a target comes back. recovered: tokens that the model says by itself, greedily, before its first wrong one.

    right: how many are its first choice where the right ones are before them; hits: which. bits: the target's, given the vectors: its
    negative log-likelihood over ln 2. text: what it says by itself up to the first wrong token, `wrong`: what follows; None between.
    """

    recovered: int
    right: int
    bits: float
    text: str | None = None
    wrong: str = ""
    hits: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Fit(Event):
    """Both targets after `step` steps, 0: untrained."""

    step: int
    sentence: Said
    control: Said


def fit(lm: LanguageModel, sentence: str, vectors: int = 1, steps: int = 200, seed: int = 0) -> Iterator[Progress | Aim | Fit]:
    """Train `vectors` vectors to make the model say `sentence`, and as many to make it say random tokens.

    Both start at the same sampled vocabulary (seed), have nothing before them, and take the same steps of Adam; neither changes the
    other. float32. Yields the number of events, an `Aim`, and a `Fit` for the start and after every step; it comes to its end early
    where all is learned. The model's end token is no part of a target.
    Raises LabError, before anything is trained, for a sentence without tokens or of more than 80, or numbers out of bounds.
    """
    lm = lm.for_scoring
    ids = check(lm, sentence, vectors, steps)
    generator = torch.Generator().manual_seed(seed)
    start = lm.embed_ids(lm.sample_tokens(vectors, generator)).detach()
    noise = lm.sample_tokens(len(ids), generator)
    targets = torch.tensor([ids, noise], device=lm.device)  # (2, tokens)
    yield Progress(steps + 2)
    yield Aim(tuple(map(lm.token_text, ids)), tuple(map(lm.token_text, noise)), vectors, lm.d_model, lm.vocab_size)
    learned = torch.nn.Parameter(torch.stack([start, start]))  # (2, vectors, d_model)
    optimiser = torch.optim.Adam([learned])
    settled, every = 0, max(1, steps // SPOKEN)
    for step in range(steps + 1):
        logits, losses = losses_of(lm, learned, targets)
        found = [look(logits[row], targets[row], losses[row].item()) for row in range(2)]
        settled = settled + 1 if all(one.recovered == len(ids) for one in found) else 0
        over = step == steps or settled == SETTLED or not all(math.isfinite(one.bits) for one in found)
        if over or step % every == 0:
            found = [speak(lm, learned[row].detach(), logits[row].detach(), targets[row].tolist(), found[row]) for row in range(2)]
        yield Fit(step, *found)
        if over:
            return
        optimiser.zero_grad()
        (losses.sum() / len(ids)).backward()
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
        optimiser.step()


def check(lm: LanguageModel, sentence: str, vectors: int, steps: int) -> list[int]:
    """The sentence's tokens. Raises what `fit` raises."""
    if not 1 <= vectors <= MOST_VECTORS:
        raise LabError(f"{vectors} vectors were asked for: choose 1 to {MOST_VECTORS}.")
    if not 1 <= steps <= MOST_STEPS:
        raise LabError(f"{steps} steps were asked for: choose 1 to {MOST_STEPS:,}.")
    ids = lm.tokenise(sentence.strip())
    if not ids:
        raise LabError("There is no sentence to be said: write one.")
    most = min(MOST_TOKENS, lm.window - vectors)
    if len(ids) > most:
        raise LabError(f"The sentence has {len(ids)} tokens, more than {most}: write a shorter one.")
    return ids


def losses_of(
    lm: LanguageModel, vectors: Float[Tensor, "targets vectors d_model"], targets: Int[Tensor, "targets tokens"]
) -> tuple[Float[Tensor, "targets tokens vocab"], Float[Tensor, " targets"]]:
    """The logits where each token is to come, and each target's negative log-likelihood, summed over its tokens, in nats."""
    logits = logits_along(lm, vectors, targets[:, :-1])
    shares = torch.log_softmax(logits, dim=-1)
    return logits, -shares.gather(2, targets[..., None])[..., 0].sum(dim=1)


def look(logits: Float[Tensor, "tokens vocab"], target: Int[Tensor, " tokens"], loss: float) -> Said:
    """What `logits`, each after the right tokens before it, say of a target. loss: its own, in nats."""
    hits = (logits.argmax(dim=-1) == target).tolist()
    return Said([*hits, False].index(False), sum(hits), loss / math.log(2), hits=tuple(hits))


def speak(
    lm: LanguageModel, vectors: Float[Tensor, "vectors d_model"], logits: Float[Tensor, "tokens vocab"], target: Sequence[int], found: Said
) -> Said:
    """`found` with what the model says greedily after `vectors`; up to the first wrong token that is known from `logits`."""
    said, wrong = list(target[: found.recovered]), list[int]()
    if found.recovered < len(target) and (first := int(logits[found.recovered].argmax())) not in lm.stop_tokens:
        with torch.inference_mode():
            past = lm.prefill(vectors, said)
        wrong = [first, *lm.generate(past, torch.tensor([first]), min(WRONG, len(target) - len(said)) - 1)]
    right, whole = lm.decode(said), lm.decode([*said, *wrong])
    return replace(found, text=right, wrong=whole[len(right) :] if whole.startswith(right) else lm.decode(wrong))
