"""Score any contender by the same code on the same rows: accuracy, loss, intervals, per-example results."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from core.errors import LabError
from core.models.language_model import LanguageModel, expand, pick
from core.prefix import Prefix, no_prefix
from core.scoring.measures import bootstrap_difference, mcnemar, wilson
from core.scoring.rows import Row, check_window, collate, encode, share_start
from core.tasks.task import Example, Handcrafted, Task, template_of

BATCH = 32  # rows in a batch, fewer where they are long or have many labels
MOST_TOKENS = 16384  # in a batch


@dataclass(frozen=True, eq=False)
class Contender:
    """A prefix with its template. kind: none, majority, handcrafted, soft or prefix.

    excluded: keys of rows that don't count for it, because they are in its prompt or its training rows. offsets: for a calibrated one, the
    natural log of each label's share where there is nothing to go by; they are taken off. examples, seconds: what it cost:
    training examples that it shows or was trained on, and seconds of training. group: contenders of one group (orders, seeds) are
    shown as their mean and range.
    """

    name: str
    kind: str
    template: str
    prefix: Prefix
    placement: str = "before"
    excluded: frozenset[str] = frozenset()
    offsets: tuple[float, ...] = ()
    examples: int = 0
    seconds: float = 0.0
    group: str = ""


@dataclass(frozen=True)
class RowResult:
    """The result for one row.

    correct: for answers, every answer token was the model's first choice; for labels, the most likely label was right.
    first_choice: the right answer's tokens were each the first choice of the whole vocabulary.
    loss: nats for the whole answer. tokens: how many tokens it has. said: the label chosen; or the model's own
    beginning of an answer, up to its first token that is not the right one (ends in …). confidence: the probability that
    the model gives to what it said (of a label: among the label words, whose shares are `shares`). agreement: the share of
    the right answer's tokens that were the first choice, each after the right ones before it. stops: an answer was right,
    and then the model's first choice was to end it or to begin a new line.
    """

    input: str
    output: str
    correct: bool
    first_choice: bool
    loss: float
    tokens: int
    said: str
    confidence: float = 0.0
    agreement: float = 0.0
    stops: bool = False
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Score:
    """A contender's results on a set of rows. interval: Wilson, 95 %. loss: mean nats per answer.

    exact: for answers, the share of rows that are right and then stop. agreement: mean over rows. examples, seconds, group:
    the contender's.
    """

    name: str
    kind: str
    accuracy: float
    interval: tuple[float, float]
    loss: float | None
    n: int
    first_choice: float | None
    token_loss: float | None
    positions: int
    parameters: int
    results: tuple[RowResult, ...] = ()
    exact: float | None = None
    agreement: float | None = None
    examples: int = 0
    seconds: float = 0.0
    group: str = ""

    def __repr__(self) -> str:
        low, high = (100 * end for end in self.interval)
        loss = "" if self.loss is None else f", loss {self.loss:.3f}"
        return f"Score({self.name!r}, {self.kind}: {100 * self.accuracy:.0f} % of {self.n} right ({low:.0f}–{high:.0f}){loss})"

    def to_dict(self) -> dict[str, Any]:
        """All but the single results, JSON-ready."""
        return {**asdict(replace(self, results=())), "interval": list(self.interval)} | {"results": None}


def bare(task: Task, template: str = "") -> Contender:
    """No prompt: the bare template and nothing before it."""
    return Contender("no prompt", "none", template_of(task, template), no_prefix())


def handcrafted(name: str, template: str, examples: Sequence[Example] = ()) -> Contender:
    """A handcrafted prompt. Rows of `examples` that it shows as worked examples don't count for it."""
    text = " ".join(template.split()).casefold()
    inside = [e for e in examples if _stands_in(e.input, text) and _stands_in(e.output, text)]
    return Contender(name, "handcrafted", template, no_prefix(), excluded=frozenset(example.key for example in inside))


def written(task: Task, prompt: Handcrafted) -> Contender:
    """A handcrafted prompt on `task`: rows that it shows don't count for it; their number is its cost in examples."""
    made = handcrafted(prompt.name, prompt.template, (*task.validation, *task.held_out))
    shown = handcrafted(prompt.name, prompt.template, task.train).excluded
    return replace(made, examples=len(made.excluded) + len(shown))


def _stands_in(words: str, text: str) -> bool:
    words = " ".join(words.split()).casefold()
    start = text.find(words)
    while start >= 0:
        end = start + len(words)
        if not text[max(start - 1, 0) : start].isalnum() and not text[end : end + 1].isalnum():
            return True
        start = text.find(words, start + 1)
    return False


def prepare(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> "Prepared":
    """Tokenise `examples` for `contender`. LabError where a row can't be used."""
    rows = encode(lm, contender.template, examples, labels)
    check_window(lm, rows, contender.prefix.virtual_tokens)
    shared, rest = share_start(rows)
    return Prepared(contender.prefix, contender.placement, shared, tuple(rest), len(lm.lead))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prefix with tokenised rows: `shared` is the start that they all have, run once after (or around) the prefix."""

    prefix: Prefix
    placement: str
    shared: tuple[int, ...]
    rows: tuple[Row, ...]
    lead: int

    def fill(self, lm: LanguageModel) -> DynamicCache:
        """The cache of batch 1 that every row runs after."""
        if self.placement == "after":
            if len(self.shared) < self.lead:  # a one-token row keeps its BOS, so there is nothing to stand behind
                raise LabError("The rows are too short to place vectors after the model's BOS token: place them before it.")
            return self.prefix.fill(lm, self.shared[: self.lead], self.shared[self.lead :])
        return self.prefix.fill(lm, (), self.shared)

    @property
    def positions(self) -> int:
        """Tokens before every row: virtual ones and shared words."""
        return self.prefix.virtual_tokens + len(self.shared)


def answer_loss(lm: LanguageModel, cache: DynamicCache, rows: Sequence[Row]) -> Float[Tensor, ""]:
    """Mean negative log-probability of the answer tokens of `rows`, over the whole vocabulary, in nats per token."""
    batch = collate([(row.prompt, row.answer) for row in rows], lm.device)
    logits = lm.logits_at(expand(cache, len(rows)), batch.ids, batch.rows, batch.columns)  # (answers, vocab)
    return torch.nn.functional.cross_entropy(logits, batch.targets)


def label_loss(lm: LanguageModel, cache: DynamicCache, rows: Sequence[Row]) -> Float[Tensor, ""]:
    """Mean negative log-probability of the right label among the label words only, in nats."""
    scores = candidate_scores(lm, cache, rows)[0]
    return torch.nn.functional.cross_entropy(scores, torch.tensor([row.label for row in rows], device=lm.device))


def candidate_scores(
    lm: LanguageModel, cache: DynamicCache, rows: Sequence[Row]
) -> tuple[Float[Tensor, "rows labels"], Float[Tensor, "rows labels"]]:
    """For every row and label: its natural-log probability, and 1 where each of its tokens is the first choice of all.

    Labels of one token all come from one pass. Longer ones go on from their prompt's cache, which is run once.
    """
    single = all(len(ids) == 1 for row in rows for ids in row.candidates)
    batches: dict[int, list[int]] = {}  # prompts of one length need no padding, so what follows them needs no mask
    for number, row in enumerate(rows):
        batches.setdefault(0 if single else len(row.prompt), []).append(number)
    parts = [_batch_scores(lm, cache, [rows[number] for number in numbers]) for numbers in batches.values()]
    places = torch.tensor([number for numbers in batches.values() for number in numbers], device=lm.device).argsort()
    return torch.cat([part[0] for part in parts])[places], torch.cat([part[1] for part in parts])[places]


def _batch_scores(
    lm: LanguageModel, cache: DynamicCache, rows: Sequence[Row]
) -> tuple[Float[Tensor, "rows labels"], Float[Tensor, "rows labels"]]:
    """As `candidate_scores`, for rows whose prompts have one length, or whose labels have one token each."""
    labels = len(rows[0].candidates)
    prompts = collate([(row.prompt, row.candidates[0][:1]) for row in rows], lm.device)
    wide = expand(cache, len(rows))
    first = lm.logits_at(wide, prompts.ids, prompts.rows, prompts.columns)  # (rows, vocab)
    starts = torch.tensor([[ids[0] for ids in row.candidates] for row in rows], device=lm.device)  # (rows, labels)
    totals = torch.log_softmax(first, dim=-1).gather(1, starts).flatten()  # (rows * labels,)
    misses = (first.argmax(dim=-1)[:, None] != starts).float().flatten()
    longer = [(i * labels + j, i, ids) for i, row in enumerate(rows) for j, ids in enumerate(row.candidates) if len(ids) > 1]
    if longer:
        rest = collate([(ids[:1], ids[1:]) for _, _, ids in longer], lm.device)
        after = pick(wide, torch.tensor([row for _, row, _ in longer], device=lm.device))
        logits = lm.logits_at(after, rest.ids, rest.rows, rest.columns)  # (tokens, vocab)
        chosen = torch.log_softmax(logits, dim=-1).gather(1, rest.targets[:, None])[:, 0]  # (tokens,)
        places = torch.tensor([place for place, _, _ in longer], device=lm.device)[rest.rows]
        totals = totals.index_add(0, places, chosen)
        misses = misses.index_add(0, places, (logits.argmax(dim=-1) != rest.targets).float())
    return totals.view(len(rows), labels), (misses.view(len(rows), labels) == 0).float()


def results(lm: LanguageModel, prepared: Prepared, offsets: Sequence[float] = ()) -> Iterator[list[tuple[int, RowResult]]]:
    """Score row by row, in batches of similar length: yields lists of (row number, RowResult). float32. offsets: see Contender."""
    lm = lm.float32
    order = sorted(range(len(prepared.rows)), key=lambda i: len(prepared.rows[i].prompt) + len(prepared.rows[i].answer))
    with torch.inference_mode():
        cache = prepared.fill(lm)
    while order:
        longest = len(prepared.rows[order[-1]].prompt) + 8
        labels = max(1, len(prepared.rows[0].candidates))
        size = min(BATCH, max(1, MOST_TOKENS // (longest * labels)))
        numbers, order = order[:size], order[size:]
        rows = [prepared.rows[i] for i in numbers]
        with torch.inference_mode():  # never across a yield: it would affect the next job in this thread
            scored = _label_results(lm, cache, rows, offsets) if rows[0].candidates else _answer_results(lm, cache, rows)
        yield list(zip(numbers, scored, strict=True))


def _answer_results(lm: LanguageModel, cache: DynamicCache, rows: Sequence[Row]) -> list[RowResult]:
    # The last answer token is run too (the target after it counts for nothing): what the model would do then is `stops`.
    batch = collate([(row.prompt, (*row.answer, row.answer[-1])) for row in rows], lm.device)
    logits = lm.logits_at(expand(cache, len(rows)), batch.ids, batch.rows, batch.columns)
    losses = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none").cpu()
    best = logits.argmax(dim=-1)
    surest = torch.log_softmax(logits, dim=-1).gather(1, best[:, None])[:, 0].cpu()  # (answers + rows,)
    best_ids: list[int] = best.tolist()
    made, start = [], 0
    for row in rows:
        size = len(row.answer)
        said = best_ids[start : start + size]
        agreeing = [token == right for token, right in zip(said, row.answer, strict=True)]
        right = agreeing.index(False) if False in agreeing else size
        # Up to its first wrong token, what the model says under teacher forcing is what it would say alone.
        text = lm.tokenizer.decode(said[: right + 1], clean_up_tokenization_spaces=False)
        text = text.strip() or text.replace("\n", "⏎").replace(" ", "␣")
        correct = right == size
        made.append(
            RowResult(
                input=row.example.input,
                output=row.example.output,
                correct=correct,
                first_choice=correct,
                loss=float(losses[start : start + size].double().sum()),
                tokens=size,
                said=text if correct else text + "…",
                confidence=float(surest[start : start + min(right + 1, size)].double().sum().exp()),
                agreement=sum(agreeing) / size,
                stops=correct and ends_answer(lm, best_ids[start + size]),
            )
        )
        start += size + 1
    return made


def ends_answer(lm: LanguageModel, token: int) -> bool:
    """Whether this token ends an answer: a stop token, or one that begins a new line."""
    return token in lm.stop_tokens or lm.token_text(token).lstrip(" ").startswith("\n")


def _label_results(lm: LanguageModel, cache: DynamicCache, rows: Sequence[Row], offsets: Sequence[float]) -> list[RowResult]:
    scores, firsts = (values.cpu() for values in candidate_scores(lm, cache, rows))
    if offsets:
        scores = torch.log_softmax(scores - torch.tensor(offsets), dim=1)
    made = []
    for row, score, first in zip(rows, scores, firsts, strict=True):
        choice = int(score.argmax())
        shares = torch.softmax(score.double(), dim=0)
        made.append(
            RowResult(
                input=row.example.input,
                output=row.example.output,
                correct=choice == row.label,
                first_choice=bool(first[row.label]),
                loss=-float(score[row.label]),
                tokens=len(row.answer),
                said=lm.tokenizer.decode(list(row.candidates[choice]), clean_up_tokenization_spaces=False).strip(),
                confidence=float(shares[choice]),
                agreement=float(choice == row.label),
                shares=tuple(shares.tolist()),
            )
        )
    return made


def summarise(contender: Contender, scored: Sequence[RowResult], positions: int) -> Score:
    """Accuracy with its interval, and mean losses, of single results. LabError where there are none."""
    if not scored:
        raise LabError(f"No rows are left to score {contender.name!r} on: all are in its prompt or its training rows.")
    right = sum(result.correct for result in scored)
    labelled = bool(scored[0].shares)
    # A calibrated contender's probabilities are of label words only: its loss is not comparable.
    loss = None if contender.offsets else float(np.mean([result.loss for result in scored]))
    return Score(
        name=contender.name,
        kind=contender.kind,
        accuracy=right / len(scored),
        interval=wilson(right, len(scored)),
        loss=loss,
        n=len(scored),
        first_choice=sum(result.first_choice for result in scored) / len(scored),
        token_loss=None if loss is None else sum(result.loss for result in scored) / sum(result.tokens for result in scored),
        positions=positions,
        parameters=contender.prefix.parameter_count(),
        results=tuple(scored),
        exact=None if labelled else sum(result.stops for result in scored) / len(scored),
        agreement=None if labelled else float(np.mean([result.agreement for result in scored])),
        examples=contender.examples,
        seconds=contender.seconds,
        group=contender.group,
    )


def score_steps(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Iterator[Score]:
    """Score `contender` batch by batch: yields the score so far after every batch; the last one is the whole, in row order."""
    counted = [example for example in examples if example.key not in contender.excluded]
    if not counted:
        raise LabError(f"No rows are left to score {contender.name!r} on: all are in its prompt or its training rows.")
    prepared = prepare(lm.float32, contender, counted, labels)
    done: dict[int, RowResult] = {}
    for scored in results(lm, prepared, contender.offsets):
        done.update(scored)
        yield summarise(contender, [done[i] for i in sorted(done)], prepared.positions)


def finish(scores: Iterator[Score]) -> Generator[None, None, Score]:
    """Go through growing scores, yielding None between batches: `whole = yield from finish(book.score(...))`."""
    latest = next(scores)
    for score in scores:
        yield None
        latest = score
    return latest


def score(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None = None) -> Score:
    """Score `contender` on `examples`, in float32. labels: the label words, or None for free answers."""
    for latest in score_steps(lm, contender, examples, labels):
        whole = latest
    return whole


def majority(task: Task, examples: Sequence[Example]) -> Score:
    """Always the most common answer of the training rows: what a contender must beat to have learned anything."""
    answer = task.majority
    scored = [RowResult(e.input, e.output, e.output == answer, False, 0.0, 0, answer) for e in examples]
    right = sum(result.correct for result in scored)
    return Score(
        f"always {answer!r}",
        "majority",
        right / len(scored),
        wilson(right, len(scored)),
        None,
        len(scored),
        None,
        None,
        0,
        0,
        tuple(scored),
    )


@dataclass(frozen=True)
class Difference:
    """A minus B on the rows that both were scored on, in shares: interval by bootstrap over rows (95 %), exact McNemar p."""

    difference: float
    interval: tuple[float, float]
    wins: int
    losses: int
    p: float
    n: int


def compare(a: Score, b: Score) -> Difference:
    """The paired difference of two scores on their common rows. LabError where they have none."""
    other = {result.input: result for result in b.results}
    pairs = [(result.correct, other[result.input].correct) for result in a.results if result.input in other]
    if not pairs:
        raise LabError(f"{a.name!r} and {b.name!r} were scored on no common row: score both on the same rows.")
    a_right, b_right = [x for x, _ in pairs], [y for _, y in pairs]
    wins, losses = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    interval = bootstrap_difference(a_right, b_right)
    return Difference((wins - losses) / len(pairs), interval, wins, losses, mcnemar(wins, losses), len(pairs))
