"""Score any contender by the same code on the same rows: accuracy, loss, intervals, per-row results."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import LabError
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.scoring.calibration import comparison
from core.scoring.contender import Contender
from core.scoring.measures import bootstrap_difference, mcnemar, wilson
from core.scoring.prepared import prepare
from core.scoring.row_results import RowResult, results
from core.tasks.task import Example, Task


@dataclass(frozen=True)
class Score:
    """A contender's results on a set of rows. interval: Wilson, 95 %. loss: mean nats per answer.

    exact: for answers, the share of rows that are right and then stop. agreement: mean over rows. examples, seconds, group:
    the contender's. members: the contenders whose mean this is. final: False while batches of rows are still to come.
    label_score: by what labels were compared (in earlier versions always by the sum).
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
    members: tuple[str, ...] = ()
    final: bool = True
    label_score: str = "sum"

    @property
    def learned(self) -> bool:
        """Whether the contender was trained, by any method."""
        return self.kind in METHODS

    def __repr__(self) -> str:
        low, high = (100 * end for end in self.interval)
        loss = "" if self.loss is None else f", loss {self.loss:.3f}"
        return f"Score({self.name!r}, {self.kind}: {100 * self.accuracy:.0f} % of {self.n} right ({low:.0f}–{high:.0f}){loss})"

    def to_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready, without the results of single rows."""
        left_out = ("results", "members", "final")
        return {name: value for name, value in vars(self).items() if name not in left_out} | {"interval": list(self.interval)}


def summarise(contender: Contender, scored: Sequence[RowResult], positions: int, final: bool = True) -> Score:
    """Accuracy with its interval, and mean losses, of row results. LabError where there are none."""
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
        final=final,
        label_score=contender.label_score,
    )


def score_steps(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Iterator[Score]:
    """Score `contender` batch by batch: yields the score so far after every batch; the last one is the whole, in row order."""
    counted = contender.counted(examples)
    if not counted:
        raise LabError(f"No rows are left to score {contender.name!r} on: all are in its prompt or its training rows.")
    prepared = prepare(lm.for_scoring, contender, counted, labels)
    rule, offsets = comparison(lm, contender, prepared.rows, labels or ())
    done: dict[int, RowResult] = {}
    for scored in results(lm, prepared, rule, offsets):
        done.update(scored)
        yield summarise(contender, [done[i] for i in sorted(done)], prepared.positions, len(done) == len(counted))


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


def learned_score(scores: Iterable[Score]) -> Score | None:
    """The first score of a learned prompt, or None."""
    return next((score for score in scores if score.learned), None)


def best_handcrafted(scores: Iterable[Score]) -> Score | None:
    """The handcrafted prompt with the highest accuracy (picked after seeing the scores, which flatters it), or None."""
    return max((score for score in scores if score.kind == "handcrafted"), key=lambda score: score.accuracy, default=None)


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
