"""A text that does what a learned prompt does: tokens are swapped, one at a time, while the model's predictions come nearer to its own.

The loss is KL(learned prompt || text) of the next-token distributions along the learned prompt's own answers to training rows. Swaps are
chosen by the gradient with respect to the one-hot tokens and tried exactly (GCG, Zou et al. 2023; HotFlip, Ebrahimi et al. 2018). It
starts at the words nearest to the vectors, as PEZ (Wen et al. 2023) projects to them at each step, and as control at random tokens.
"""

import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import LabError, shown
from core.events import Event
from core.inspection.snap import snap
from core.inspection.swaps import predicted_changes, swaps
from core.models.language_model import LanguageModel
from core.models.past import expand, pick
from core.scoring.contender import Contender
from core.scoring.imitation import MOST_LOGITS, answer_logs, batches, divergence, imitation_loss, own_answers
from core.scoring.likelihood import MOST_KEYS
from core.scoring.prepared import prepare
from core.scoring.rows import Row, collate
from core.tasks.prompt_text import gap, join
from core.tasks.task import Example
from core.training.teacher import with_answers

MOST_TOKENS = 64  # of a text
MOST_ANSWER = 8  # tokens of an answer along which predictions are compared
TOP = 64  # tokens that are promising at a position
ENOUGH = 1e-4  # nats; a text this near to the prompt is the prompt
TRIES = 2000  # draws of one random token until the text reads back
FURTHER = 8  # times as many swaps are looked at as there are candidates, for those whose text reads back

Start = Literal["words", "random"]


@dataclass(frozen=True)
class Round(Event):
    """One search after `number` rounds, 0: its start. All that the next round depends on, so a search continues from it.

    start: the words nearest to the vectors, or random tokens. ids, text: the best text so far; kl: its mean KL(learned prompt || text)
    on the search's rows, in nats per token, never above that of the round before. tried: texts that were run in this round. since: the
    round that found the text; looked: swaps of it that were looked at up to now. over: no further round can change it.
    """

    start: Start
    number: int
    ids: tuple[int, ...]
    text: str
    kl: float
    tried: int = 0
    since: int = 0
    looked: int = 0
    over: bool = False
    known: bool = False


@dataclass(frozen=True, eq=False)
class Target:
    """What a text is to imitate. rows: prompts without the text, with the learned prompt's answers; texts: the same prompts as text.

    logs: its natural-log distributions there. template: what the text is put before.
    """

    template: str
    texts: tuple[str, ...]
    rows: tuple[Row, ...]
    logs: Float[Tensor, "answers vocab"]


def check(contender: Contender, train: Sequence[Example]) -> None:
    """LabError, before anything is run, for a prompt that no text can be searched for."""
    count = contender.prefix.virtual_tokens
    if not count:
        raise LabError("There is no learned prompt to imitate: train a soft prompt or a K/V prefix first.")
    if count > MOST_TOKENS:
        raise LabError(f"The prompt has {count} virtual tokens, more than {MOST_TOKENS}: search for the text of a shorter one.")
    if not train:
        raise LabError("The task has no training rows to search on: choose one that has.")


def listen(lm: LanguageModel, contender: Contender, train: Sequence[Example], rows: int, seed: int) -> Generator[None, None, Target]:
    """What `contender` says and predicts on up to `rows` of the training rows, drawn by `seed`; in pieces of a batch each. float32."""
    chosen = random.Random(seed).sample(list(train), min(rows, len(train)))
    prepared = prepare(lm, contender, chosen, None)
    answers: dict[Example, tuple[int, ...]] = {}
    for said in own_answers(lm, prepared, MOST_ANSWER):
        answers |= {prepared.rows[number].example: ids for number, ids in said}
        yield None
    prepared = with_answers(prepared, answers)
    longest = max(map(len, answers.values()))
    logs = []
    with torch.no_grad():
        cache = prepared.fill(lm)
    for numbers in batches(lm, prepared, longest, read=longest):
        with torch.no_grad():
            logs.append(answer_logs(lm, cache, [prepared.rows[number] for number in numbers]))
        yield None
    texts = tuple(join(contender.template, row.input)[0] for row in chosen)
    after = [replace(row, prompt=tuple(lm.continued(text))) for row, text in zip(prepared.rows, texts, strict=True)]
    return Target(contender.template, texts, tuple(after), torch.cat(logs))


def readable(lm: LanguageModel, target: Target, texts: Sequence[Sequence[int]]) -> list[bool]:
    """Which of `texts` are what they seem: decoded and put before every row, they are these tokens again, then the row's.

    A text that would change where the template's place for the input is, or how answers begin after it, is not.
    """
    rests = ["", *target.texts]
    written = [lm.decode(ids) for ids in texts]
    made = iter(lm.tokenise_all([text + rest for text in written for rest in rests]))
    found = []
    for ids, text in zip(texts, written, strict=True):
        wholes = [next(made) for _ in rests]
        same = wholes[0] == list(ids) and all(whole == [*ids, *row.prompt] for whole, row in zip(wholes[1:], target.rows, strict=True))
        found.append(same and "{input}" not in text and gap(text + target.template) == gap(target.template))
    return found


def words_of(lm: LanguageModel, contender: Contender, target: Target) -> list[int]:
    """The start: each vector's nearest ordinary token by cosine.

    Where these are other tokens when they are read as a text before an input: the text's own tokens, with a line break after them if
    needed, or without the tokens that don't stay what they are. LabError where nothing is left.
    """
    ordinary = lm.ordinary_tokens.to(lm.device)
    ids, _ = snap(contender.prefix.array().detach().to(lm.device), lm.vocabulary[ordinary])
    nearest: list[int] = ordinary[ids].tolist()
    stable: list[int] = []
    for token in nearest:
        if lm.tokenise(lm.decode([*stable, token])) == [*stable, token]:
            stable.append(token)
    text, rest = lm.decode(nearest), lm.decode(stable).strip()
    tries = [nearest, *map(lm.tokenise, (text, f"{text}\n", f"{text.strip()}\n", f"{rest}\n", f"{rest}.\n"))]
    allowed = set(ordinary.tolist())
    for made in tries:
        if made and allowed.issuperset(made) and readable(lm, target, [made])[0]:
            return made
    raise LabError(f"The nearest words {shown(text)} are no text that stays the same before an input: choose another prompt.")


def random_generator(seed: int) -> torch.Generator:
    """For random tokens. Above every recipe's seed: the same seed would draw the tokens that a run started from, which its vectors keep as
    their nearest words."""
    return torch.Generator().manual_seed(2**31 + seed)


def random_text(lm: LanguageModel, target: Target, count: int, seed: int) -> list[int]:
    """`count` ordinary tokens, drawn one after another, each again until the text so far is these tokens again when it is read."""
    generator = random_generator(seed)
    ids: list[int] = []
    for place in range(count):
        for _ in range(TRIES):
            made = [*ids, *lm.sample_tokens(1, generator)]
            if readable(lm, target, [made])[0] if place == count - 1 else lm.tokenise(lm.decode(made)) == made:
                ids = made
                break
        else:
            raise LabError(f"No random text of {count} tokens stays the same before an input: choose another seed.")
    return ids


def divergences(lm: LanguageModel, target: Target, texts: Sequence[Sequence[int]]) -> list[float]:
    """Mean KL(learned prompt || text) on the target's rows, in nats per token, of texts of one length."""
    ids = torch.tensor([[*lm.lead, *text] for text in texts], device=lm.device)  # (texts, tokens)
    nowhere = torch.empty(0, dtype=torch.long, device=lm.device)
    batch = collate([(row.prompt, row.answer) for row in target.rows] * len(texts), lm.device)
    with torch.inference_mode():
        past = expand(lm.nothing(), len(texts))
        lm.logits_at(past, ids, nowhere, nowhere)
        every = torch.arange(len(texts), device=lm.device).repeat_interleave(len(target.rows))
        logits = lm.logits_at(pick(past, every), batch.ids, batch.rows, batch.columns)
        apart = divergence(target.logs.repeat(len(texts), 1), torch.log_softmax(logits, dim=-1))
        found: list[float] = apart.view(len(texts), -1).mean(dim=1).tolist()
    return found


def at_a_time(lm: LanguageModel, target: Target, tokens: int) -> int:
    """How many texts of so many tokens are run together, so that keys, values and logits stay small."""
    longest = max(len(row.prompt) + len(row.answer) for row in target.rows)
    keys = len(target.rows) * (len(lm.lead) + tokens + longest)
    return max(1, min(MOST_KEYS // keys, MOST_LOGITS // target.logs.numel()))


def gradient(lm: LanguageModel, target: Target, ids: Sequence[int]) -> Float[Tensor, "tokens d_model"]:
    """The gradient of the loss with respect to the text's embeddings."""
    vectors = lm.embed_ids(ids).detach().requires_grad_()
    loss = imitation_loss(lm, lm.prefill(lm.lead, vectors), target.rows, target.logs)
    return torch.autograd.grad(loss, vectors)[0]


def begin(lm: LanguageModel, target: Target, start: Start, ids: Sequence[int]) -> Round:
    """The search at its start."""
    (kl,) = divergences(lm, target, [ids])
    return Round(start, 0, tuple(ids), lm.decode(ids), kl, over=kl < ENOUGH)


def next_round(lm: LanguageModel, target: Target, before: Round, candidates: int, seed: int) -> Generator[None, None, Round]:
    """One round: up to `candidates` swaps are run, and the best replaces the text if it is better. In pieces, a few texts each.

    The same for the same `before` and seed, whatever was done in between. Swaps of one text are drawn once, without repeats.
    """
    ids = torch.tensor(before.ids, device=lm.device)
    changes = predicted_changes(gradient(lm, target, before.ids), ids, lm.vocabulary)
    yield None
    number = 2 * before.since + (before.start == "random")
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    drawn = swaps(changes, ids, lm.ordinary_tokens.to(lm.device), TOP, generator).tolist()[before.looked :]
    chosen: list[list[int]] = []
    looked = 0
    while drawn[looked:] and len(chosen) < candidates and looked < FURTHER * candidates:
        some = drawn[looked : looked + candidates - len(chosen)]
        looked += len(some)
        made = [[*before.ids[:place], token, *before.ids[place + 1 :]] for place, token in some]
        chosen += [text for text, good in zip(made, readable(lm, target, made), strict=True) if good]
    size, found = at_a_time(lm, target, len(ids)), list[float]()
    for first in range(0, len(chosen), size):
        found += divergences(lm, target, chosen[first : first + size])
        yield None
    after = replace(before, number=before.number + 1, tried=len(chosen), known=False)
    if found and min(found) < before.kl:
        best = chosen[found.index(min(found))]
        kl = min(found)
        return replace(after, ids=tuple(best), text=lm.decode(best), kl=kl, since=after.number, looked=0, over=kl < ENOUGH)
    return replace(after, looked=before.looked + looked, over=looked == len(drawn))


def search(
    lm: LanguageModel,
    target: Target,
    starts: Mapping[Start, Sequence[int]],
    rounds: int,
    candidates: int,
    seed: int,
    done: Sequence[Round] = (),
) -> Iterator[Round | None]:
    """Every search of `starts`, a round of each in turn: yields its `Round`s, and None between pieces. done: rounds of an earlier, stopped
    search with the same arguments, from which it continues (they are yielded again, as known)."""
    latest: dict[Start, Round] = {}
    for one in done:
        if one.start in starts:
            latest[one.start] = one
            yield replace(one, known=True)
    for start, ids in starts.items():
        if start not in latest:
            latest[start] = begin(lm, target, start, ids)
            yield latest[start]
    for number in range(1, rounds + 1):
        for start in starts:
            if latest[start].number < number and not latest[start].over:
                latest[start] = yield from next_round(lm, target, latest[start], candidates, seed)
                yield latest[start]
