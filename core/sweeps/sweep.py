"""A sweep as an iterator of events, in pieces as small as a training step; and as one call from Python."""

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from core.device_lock import DeviceLock
from core.errors import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.recipe import Recipe, default_of
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord, new_record
from core.runs.scorebook import Scorebook
from core.runs.trained_run import TrainedRun
from core.runs.training_job import training_job
from core.scoring.score import Score, finish
from core.sweeps.grid import Cell, Grid, Plan
from core.sweeps.journal import Journal
from core.sweeps.models import Models, model_of
from core.sweeps.outcome import SweepResult
from core.sweeps.result import Failure, Head, RunResult, head_of, result_of
from core.sweeps.together import together
from core.sweeps.variants import task_of
from core.tasks.task import Task
from core.ticket import in_words, out_of_memory
from core.training.training import StepEvent

VALIDATIONS = 4  # scores on validation rows along a run, the last step's included
MOST_SEEN = 100  # training rows that a run is scored on, too, where rows or steps vary


@dataclass(frozen=True)
class Planned(Event):
    """What the sweep will do."""

    runs: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class RunBegan(Event):
    """A run begins."""

    plan: Plan


@dataclass(frozen=True)
class RunStep(Event):
    """A training step of a run. step: from 1. loss: nats per answer token, before the step's change."""

    plan: Plan
    step: int
    steps: int
    loss: float

    is_step: ClassVar[bool] = True

    @property
    def words(self) -> str:
        """Where the run is, for a progress bar."""
        return f"{self.plan.words}, step {self.step}, loss {self.loss:.3f}"


@dataclass(frozen=True, eq=False)
class RunDone(Event):
    """A finished run. record: all of it, to be opened like any other run; None where its result was known before.

    task: as the run saw it, with fewer rows or swapped labels.
    """

    plan: Plan
    result: RunResult
    record: RunRecord | None = None
    task: Task | None = None
    known: bool = False

    def summary(self) -> "RunDone":
        """Without the record: a ticket keeps its events for as long as it is known."""
        return replace(self, record=None, task=None)


@dataclass(frozen=True)
class RunFailed(Event):
    """A run that could not be made; the others are unaffected."""

    plan: Plan
    reason: str


@dataclass(frozen=True, eq=False)
class SweepDone(Event):
    """The end of a sweep, or where it was stopped."""

    result: SweepResult


SweepEvent = Planned | RunBegan | RunStep | RunDone | RunFailed | SweepDone


def sweep_steps(
    lm: LanguageModel,
    task: Task,
    grid: Grid,
    book: Scorebook | None = None,
    done: Mapping[str, RunResult] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    *,
    models: Models | None = None,
    vocabulary: Callable[[LanguageModel], Vocabulary] | None = None,
    workers: int = 1,
    device: DeviceLock | None = None,
) -> Iterator[SweepEvent | None]:
    """Train every run of `grid` that is not in `done` (by `Plan.key`), one after another, each by `training_job`.

    Yields after every step and every scored batch (None: nothing to show). stopping: asked between pieces; True ends the sweep
    there, and the run amid which it comes is not kept. models: by name, where the grid varies the model. vocabulary: gives a model's,
    where they were read before. workers: how many runs are made at the same time, where a cluster does the work; `device` is the lock
    that its waiting threads let go. Raises LabError, before anything is trained, where the grid does not fit the task; a run that can't
    be made is told and left out.
    """
    grid.check(task)
    book, vocabulary = book or Scorebook(), vocabulary or cache(Vocabulary)
    known = dict(done or {})
    plans = grid.runs()
    head = head_of(lm, task, grid, models)
    results: list[RunResult] = []
    failures: list[Failure] = []
    yield Planned(len(plans), tuple(grid.cells()))
    stopped = ""
    waiting = []
    for plan in plans:  # what is known already comes at once
        if plan.key in known:
            results.append(_under(plan, known[plan.key]))
            yield RunDone(plan, results[-1], known=True)
        else:
            waiting.append(plan)
    jobs = []
    for plan in waiting:
        own = model_of(plan, lm, models)
        jobs.append((plan, run_steps(own, task, plan, book, vocabulary(own), _scores_seen(grid))))
    news = together(jobs, workers, device or DeviceLock())
    try:
        for plan, event in news:
            if isinstance(event, Exception):
                if not isinstance(event, LabError) and not out_of_memory(event):
                    raise event
                failures.append(Failure(plan.cell.values, plan.seed, str(event) if isinstance(event, LabError) else in_words(event)))
                yield RunFailed(plan, failures[-1].reason)
            else:
                if isinstance(event, RunDone):
                    results.append(event.result)
                yield event
            if stopping():
                stopped = f"stopped by hand after {len(results)} of {len(plans)} runs"
                break
    finally:
        news.close()
    yield SweepDone(collected(head, results, failures, stopped))


def run_steps(
    lm: LanguageModel, task: Task, plan: Plan, book: Scorebook, vocabulary: Vocabulary, scores_seen: bool = False
) -> Generator[RunBegan | RunStep | RunDone | None, None, None]:
    """One run of a sweep. Depends on nothing but its arguments. scores_seen: also score it on rows that it was trained on."""
    own = task_of(task, plan)
    recipe = plan.recipe if plan.recipe.task != default_of("task") else plan.recipe.but(task=task.slug)
    record = new_record(own, recipe)
    yield RunBegan(plan)
    for event in training_job(
        lm, own, recipe, vocabulary, book, record, lambda: False, validate_every=max(1, -(-recipe.steps // VALIDATIONS))
    ):
        yield RunStep(plan, event.step, recipe.steps, event.loss) if isinstance(event, StepEvent) else None
    record.vectors = {step: record.vectors[step] for step in (0, -1) if step in record.vectors}  # many runs are kept at a time
    seen: Score | None = None
    if scores_seen:
        learned = replace(TrainedRun(lm, own, recipe, record).learned, excluded=frozenset())
        seen = yield from finish(book.score(lm, learned, own.train[:MOST_SEEN], own.labels))
    yield RunDone(plan, result_of(plan, own, record, seen), record, own)


def collected(head: Head, results: Sequence[RunResult], failures: Sequence[Failure], stopped: str = "") -> SweepResult:
    """A sweep's result, with its runs in the grid's order."""
    places = {plan.key: plan.index for plan in head.grid.runs()}
    return SweepResult(head, tuple(sorted(results, key=lambda run: places[run.key])), tuple(failures), stopped)


def _under(plan: Plan, result: RunResult) -> RunResult:
    """A known result of the same run, in the cell of this grid."""
    return replace(result, settings=plan.cell.values)


def _scores_seen(grid: Grid) -> bool:
    return bool({"rows", "steps"} & set(grid.vary))


def sweep(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe | None = None,
    *,
    vary: Mapping[str, Sequence[Any]],
    seeds: int = 3,
    progress: bool | Callable[[Event | None], None] = True,
    out: str | Path | None = None,
    models: Models | None = None,
) -> SweepResult:
    """Train `recipe` once for each combination of `vary`'s values and each seed, and compare the cells.

    recipe: None for the task's own. vary: one or two settings (`core.sweeps.grid.VARIABLES`) with the values to try. progress: a bar
    on standard error, nothing, or a function that is told every event. out: a folder that keeps every finished run, so that the
    same call goes on where it was interrupted. models: loaded ones by name, which `vary={"model": [...]}` compares. Ctrl-C ends the
    sweep; the finished runs are returned. Raises LabError for a grid that can't be run.

    >>> import core
    >>> core.sweep(core.load_model(), core.load_task("plural"), vary={"virtual_tokens": [1, 5, 20]})  # doctest: +SKIP
    """
    made = Grid(recipe or Recipe.from_settings(task.recipe), vary, seeds)
    return sweep_grid(lm, task, made, progress=progress, out=out, models=models)


def sweep_grid(
    lm: LanguageModel,
    task: Task,
    grid: Grid,
    *,
    progress: bool | Callable[[Event | None], None] = True,
    out: str | Path | None = None,
    book: Scorebook | None = None,
    models: Models | None = None,
    workers: int = 1,
    device: DeviceLock | None = None,
) -> SweepResult:
    """The same for a grid that is made already. book: scores that are known, shared by several sweeps of one model.

    models, workers, device: as for `sweep_steps`.
    """
    grid.check(task)
    head = head_of(lm, task, grid, models)
    journal = Journal(out, head) if out is not None else None
    results: list[RunResult] = []
    failures: list[Failure] = []
    with _Bar(len(grid.runs()), progress is True) as bar:
        tell = bar.tell if isinstance(progress, bool) else progress
        try:
            known = dict(journal.done) if journal else None
            for event in sweep_steps(lm, task, grid, book, known, models=models, workers=workers, device=device):
                if isinstance(event, RunDone):
                    if journal and not event.known:
                        journal.add(event.result)
                    results.append(event.result)
                elif isinstance(event, RunFailed):
                    failures.append(Failure(event.plan.cell.values, event.plan.seed, event.reason))
                tell(event)
        except KeyboardInterrupt:
            if not results:
                raise
            return collected(head, results, failures, f"interrupted after {len(results)} of {len(grid.runs())} runs")
    return collected(head, results, failures)


class _Bar:
    """A bar for runs, with the steps of the present one beside it."""

    def __init__(self, runs: int, shown: bool):
        self._bar = tqdm(total=runs, desc="sweep", unit="run", file=sys.stderr, disable=None if shown else True)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, event: Event | None) -> None:
        if isinstance(event, RunStep):
            self._bar.set_postfix_str(event.words)
        elif isinstance(event, RunDone | RunFailed):
            self._bar.update(1)
