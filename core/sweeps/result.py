"""What one run of a sweep gave, as plain data that a line of JSON holds."""

import functools
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from core.errors import LabError, reason
from core.recipe import Recipe
from core.sweeps.grid import MODEL, Cell, Grid, Plan
from core.sweeps.models import Models, named
from core.tasks.task import Task, marked

if TYPE_CHECKING:  # results are read and questions are named before anything slow is imported
    from core.models.language_model import LanguageModel
    from core.runs.record import RunRecord
    from core.scoring.score import Score

Made = TypeVar("Made")
Value = str | int | float


@dataclass(frozen=True)
class Part:
    """A score on one part of the rows. loss: mean nats per answer; exact: for free answers, the share that is right and then stops.

    right: row by row, in the order of the rows that count, and rows: a hash of their inputs, so that scores of the same rows can be
    compared in pairs.
    """

    accuracy: float
    loss: float | None
    n: int
    exact: float | None = None
    right: tuple[bool, ...] = ()
    rows: str = ""


@dataclass(frozen=True)
class Baseline:
    """What was not trained, on the same held-out rows: no prompt, a handcrafted prompt, or always the most common answer.

    examples: how many worked examples it shows.
    """

    name: str
    kind: str
    held_out: Part
    examples: int = 0


@dataclass(frozen=True)
class RunResult:
    """One finished run. settings: the varied ones. steps: that were made; stopped: why it ended early, or "".

    seconds: of training alone; the only field that a second run of the same plan may change. validation: of the kept vectors, None for a
    task without such rows. curve: (step, accuracy, loss) on validation rows. losses: nats per answer token of every step's batch, None
    where it was no number. seen: the score on (at most 100 of) the rows that it was trained on, where rows or steps vary.
    train_rows: how many rows it was trained on.
    """

    key: str
    settings: dict[str, Value]
    seed: int
    steps: int
    parameters: int
    seconds: float = field(compare=False)
    stopped: str
    held_out: Part
    validation: Part | None = None
    seen: Part | None = None
    train_rows: int = 0
    curve: tuple[tuple[int, float, float | None], ...] = ()
    losses: tuple[float | None, ...] = ()
    baselines: tuple[Baseline, ...] = ()

    @property
    def cell(self) -> Cell:
        """The cell that it belongs to."""
        return Cell(tuple(self.settings.items()))

    def to_json(self) -> str:
        """One line of JSON."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "RunResult":
        """The result that `to_json` wrote. LabError for any other text."""
        return from_json(cls, text, "a finished run of a sweep")


@dataclass(frozen=True)
class Failure:
    """A run that could not be made, and why."""

    settings: dict[str, Value]
    seed: int
    reason: str


@dataclass(frozen=True)
class Head:
    """What a sweep is of: its grid, its task and its model. Two sweeps with equal heads have equal runs (on equal devices)."""

    base: dict[str, Any]
    vary: dict[str, tuple[Value, ...]]
    seeds: int
    only: tuple[tuple[Value, ...], ...]
    task: str
    task_name: str
    rows: str
    train_rows: int
    labelled: bool
    model: str
    weights: str
    device: str
    dtype: str

    @functools.cached_property  # a grid checks all its cells, and a page asks for it at every paint
    def grid(self) -> Grid:
        """The grid itself."""
        return Grid(Recipe.from_dict(self.base), self.vary, self.seeds, self.only)


def head_of(lm: "LanguageModel", task: Task, grid: Grid, models: Models | None = None) -> Head:
    """The head of a sweep over `grid` on `task` and `lm`, or on those of `models` that the grid names where the model varies."""
    names = grid.vary.get(MODEL)
    used = [named(models or {}, name) for name in names] if names else [lm]
    return Head(
        base=grid.base.to_dict(),
        vary=dict(grid.vary),
        seeds=grid.seeds,
        only=grid.only,
        task=task.slug,
        task_name=task.name,
        rows=marked("", task).slug,
        train_rows=len(task.train),
        labelled=task.labels is not None,
        model=", ".join(one.name for one in used),
        weights=" ".join(one.weights_hash for one in used),
        device=lm.device.type,
        dtype=lm.dtype_name,
    )


def result_of(plan: Plan, task: Task, record: "RunRecord", seen: "Score | None") -> RunResult:
    """What is kept of a finished run. task: as the run saw it."""
    scores = {score.name: score for score in record.scores if score.final}
    validation = record.newest_scores[0] if record.validation else None
    return RunResult(
        key=plan.key,
        settings=plan.cell.values,
        seed=plan.seed,
        steps=record.step,
        parameters=record.parameters,
        seconds=record.seconds,
        stopped=record.stopped,
        held_out=part_of(next(score for score in scores.values() if score.learned)),
        validation=part_of(validation) if validation else None,
        seen=part_of(seen) if seen else None,
        train_rows=len(task.train),
        curve=tuple((step, score.accuracy, finite(score.loss)) for step, score in sorted(record.validation.items())),
        losses=tuple(finite(loss) for loss in record.losses),
        baselines=tuple(Baseline(score.name, score.kind, part_of(score), score.examples) for score in scores.values() if not score.learned),
    )


def part_of(score: "Score") -> Part:
    """What is kept of a score."""
    inputs = hashlib.sha256(json.dumps([row.input for row in score.results]).encode()).hexdigest()[:16]
    return Part(score.accuracy, finite(score.loss), score.n, score.exact, tuple(row.correct for row in score.results), inputs)


def finite(value: float | None) -> float | None:
    """A number that JSON has, or None."""
    return value if value is not None and math.isfinite(value) else None


_adapters: dict[type, TypeAdapter] = {}


def _adapter(kind: type) -> TypeAdapter:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_json(value: Any) -> str:
    """A dataclass of this module, or one made of these, as compact JSON."""
    return _adapter(type(value)).dump_json(value).decode()


def from_json(kind: type[Made], text: str | bytes, what: str) -> Made:
    """What `to_json` wrote, checked. LabError where the text is not that."""
    try:
        return _adapter(kind).validate_json(text)
    except (ValidationError, LabError, ValueError) as error:
        raise LabError(f"This is not {what} ({reason(error)}): take a file that this program has written.") from error
