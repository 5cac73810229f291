"""What a sweep will cost: trained parameters and memory of each cell, and the time from one measured step."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import LabError
from core.events import Event
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.sweeps.grid import Cell, Grid, Plan
from core.sweeps.variants import task_of
from core.tasks.task import Task
from core.training.memory import check
from core.training.training import Training

SCORING = 0.3  # passes forward without gradient, as a share of a training step of the same rows


@dataclass(frozen=True)
class CellCost:
    """What one cell takes. seconds: of one of its runs, its scoring included. problem: why it can't be run, or ""."""

    cell: Cell
    parameters: int
    seconds: float
    problem: str = ""


@dataclass(frozen=True)
class Estimated(Event):
    """What the whole grid takes. seconds: of all runs, all seeds. An estimate: one step of each cell is measured."""

    cells: tuple[CellCost, ...]
    seconds: float


def parameters(lm: LanguageModel, recipe: Recipe) -> int:
    """How many parameters a recipe trains on this model."""
    return METHODS[recipe.method].parameter_count(lm.shape, recipe.virtual_tokens, recipe.mlp)


def estimate_steps(lm: LanguageModel, task: Task, grid: Grid) -> Iterator[Event | None]:
    """Measure one training step of every cell, then yield `Estimated`. Held-out rows are not looked at.

    Raises LabError where the grid does not fit the task. A cell that can't be trained is named in its cost.
    """
    grid.check(task)
    costs: list[CellCost] = []
    known: dict[tuple, tuple[float, str]] = {}
    for cell in grid.cells():
        recipe = grid.recipe_of(cell)
        key = (recipe.method, recipe.virtual_tokens, recipe.batch_size, recipe.loss, recipe.template, recipe.mlp, cell.values.get("rows"))
        if key not in known:
            known[key] = _measured(lm, task, Plan(0, cell, recipe.seed, recipe))
            yield None
        step, problem = known[key]
        runs = math.nan if problem else step * recipe.steps + step * SCORING * _scored(task) / recipe.batch_size
        costs.append(CellCost(cell, parameters(lm, recipe), runs, problem))
    total = grid.seeds * sum((cost.seconds for cost in costs if not cost.problem), 0.0)
    yield Estimated(tuple(costs), total)


def _measured(lm: LanguageModel, task: Task, plan: Plan) -> tuple[float, str]:
    """Seconds of one step, and why there is none."""
    try:
        training = Training(lm, task_of(task, plan), plan.recipe)
        if lm.device_process is None:
            check(training)
        began = time.perf_counter()
        training.advance(training.start())
        return time.perf_counter() - began, ""
    except LabError as error:
        return math.nan, str(error)


def _scored(task: Task) -> int:
    """Sequences that are scored in a run: validation rows some times, held-out rows once."""
    return (4 * len(task.validation) + len(task.held_out)) * len(task.labels or "-")
