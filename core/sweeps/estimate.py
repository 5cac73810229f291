"""What a sweep will cost: trained parameters and memory of each cell, and the time from measured steps."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import LabError
from core.events import Event
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.contest import baselines
from core.scoring.contender import bare
from core.scoring.score import score_steps
from core.sweeps.grid import Cell, Grid, Plan
from core.sweeps.models import Models, model_of
from core.sweeps.result import RunResult
from core.sweeps.sweep import VALIDATIONS
from core.sweeps.variants import task_of
from core.tasks.task import Task
from core.training.keep import CHECKS
from core.training.memory import check
from core.training.training import Training

MOST_LENGTHS = 4  # numbers of virtual tokens that are measured for each way to train; between them time grows evenly


@dataclass(frozen=True)
class CellCost:
    """What one cell takes. seconds: of one of its runs, its scoring included; NaN where it is not known. problem: why it can't be
    run, or ""."""

    cell: Cell
    parameters: int
    seconds: float
    problem: str = ""


@dataclass(frozen=True)
class Estimated(Event):
    """What the whole grid takes. runs, seconds: of the runs that are still to be made, NaN seconds where nothing could be measured."""

    cells: tuple[CellCost, ...]
    seconds: float
    runs: int


def parameters(lm: LanguageModel, recipe: Recipe) -> int:
    """How many parameters a recipe trains on this model."""
    return METHODS[recipe.method].parameter_count(lm.shape, recipe.virtual_tokens, recipe.mlp, recipe.train)


def estimate_steps(
    lm: LanguageModel, task: Task, grid: Grid, done: Mapping[str, RunResult] | None = None, models: Models | None = None
) -> Iterator[Estimated | None]:
    """Measure a training step of every way to train (at most four numbers of virtual tokens of each) and one scored batch of
    validation rows, then yield `Estimated`. done: runs that are known, by `Plan.key`; they take no time. models: as for `sweep_steps`.

    Raises LabError where the grid does not fit the task. A cell that can't be trained is named in its cost. Held-out rows are not
    looked at, except for their number and for whether they fit the model's window.
    """
    grid.check(task)
    plans = grid.runs()
    waiting = [plan for plan in plans if plan.key not in (done or {})]
    first = {plan.cell: plan for plan in reversed(plans)}
    lms = {cell: model_of(plan, lm, models) for cell, plan in first.items()}
    problems: dict[Cell, str] = {}
    for cell, plan in first.items():
        try:
            training = _training(lms[cell], task, plan)
            if lm.device_process is None:
                check(training)
        except LabError as error:
            problems[cell] = str(error)
        yield None
    able = [cell for cell in grid.cells() if cell not in problems]
    each = dict.fromkeys(grid.cells(), math.nan)
    row = {one: math.nan for one in lms.values()}
    if able and lm.device_process is None:  # a lent device is not asked for this
        lengths: dict[tuple[Any, ...], dict[int, Plan]] = {}
        for cell in able:
            lengths.setdefault(_way(first[cell]), {})[first[cell].recipe.virtual_tokens] = first[cell]
        measured: dict[tuple[Any, ...], dict[int, float]] = {}
        for way, by_length in lengths.items():
            for length in _some(sorted(by_length)):
                measured.setdefault(way, {})[length] = _step_seconds(_training(lms[by_length[length].cell], task, by_length[length]))
                yield None
        for one in row:
            row[one] = _row_seconds(one, task)
            yield None
        for cell in able:
            recipe, known = first[cell].recipe, measured[_way(first[cell])]
            step = float(np.interp(recipe.virtual_tokens, list(known), list(known.values())))
            validations = CHECKS if recipe.keep == "best" else VALIDATIONS
            each[cell] = step * recipe.steps + row[lms[cell]] * (validations * len(task.validation) + len(task.held_out))
    once = len(baselines(task)) * sum(row.values()) * (len(task.validation) + len(task.held_out))  # what is not trained, for each model
    runs = [plan for plan in waiting if plan.cell not in problems]
    total = sum((each[plan.cell] for plan in runs), once) if runs else 0.0
    costs = tuple(CellCost(cell, parameters(lms[cell], first[cell].recipe), each[cell], problems.get(cell, "")) for cell in grid.cells())
    yield Estimated(costs, total, len(waiting))


def estimate(
    lm: LanguageModel, task: Task, grid: Grid, done: Mapping[str, RunResult] | None = None, models: Models | None = None
) -> Estimated:
    """The estimate of `estimate_steps`, at once."""
    return next(found for found in estimate_steps(lm, task, grid, done, models) if found is not None)


def _some(lengths: list[int]) -> list[int]:
    """At most `MOST_LENGTHS` of sorted numbers, the ends included."""
    if len(lengths) <= MOST_LENGTHS:
        return lengths
    return [lengths[place] for place in np.linspace(0, len(lengths) - 1, MOST_LENGTHS).round().astype(int)]


def _way(plan: Plan) -> tuple[Any, ...]:
    """What the time of a step depends on besides the number of virtual tokens."""
    recipe = plan.recipe
    loss = recipe.loss, recipe.template, recipe.end, bool(recipe.pull), recipe.frames
    return plan.model, recipe.method, recipe.mlp, recipe.batch_size, *loss, plan.rows


def _training(lm: LanguageModel, task: Task, plan: Plan) -> Training:
    return Training(lm, task_of(task, plan), replace(plan.recipe, steps=max(2, plan.recipe.steps)))


def _step_seconds(training: Training) -> float:
    """Seconds of the second step: the first one also warms up."""
    _, state = training.advance(training.start())
    before = time.perf_counter()
    training.advance(state)
    return time.perf_counter() - before


def _row_seconds(lm: LanguageModel, task: Task) -> float:
    """Seconds of scoring a row, from one batch without a prompt."""
    before = time.perf_counter()
    part = next(score_steps(lm, bare(task), task.validation or task.train, task.labels))
    return (time.perf_counter() - before) / part.n
