"""Which vectors a run ends with: those of its last step, or those of the step with the best score on validation rows."""

import math

from core.errors import LabError
from core.recipe import Recipe
from core.scoring.score import Score
from core.tasks.task import Task
from core.training.training import State

CHECKS = 10  # scores on validation rows along a run that keeps the best step, the last step's included


def check_every(recipe: Recipe) -> int:
    """After how many steps such a run is scored, whatever that costs, so that no clock decides what it keeps; 0: it keeps the last step.

    >>> check_every(Recipe()), check_every(Recipe(keep="best", steps=60)), check_every(Recipe(keep="best", steps=5))
    (0, 6, 1)
    """
    return -(-recipe.steps // CHECKS) if recipe.keep == "best" else 0


class Keeper:
    """Remembers the state with the best validation score of those that it is offered; of equals, the lower loss, then the earlier."""

    def __init__(self, task: Task, recipe: Recipe):
        """LabError for a recipe that keeps the best step of a task without validation rows."""
        self.every = check_every(recipe)
        if self.every and not task.validation:
            raise LabError(f"The task {task.name!r} has no validation rows to choose a step by: keep the last step, or give it more rows.")
        self._best: tuple[State, Score] | None = None

    def offer(self, state: State, score: Score) -> None:
        """A score on all validation rows of the vectors that `state` shows."""
        if self.every and (self._best is None or _rank(score) > _rank(self._best[1])):
            self._best = (state, score)

    def chosen(self, last: State) -> State:
        """The state whose vectors the run ends with."""
        return self._best[0] if self._best else last


def _rank(score: Score) -> tuple[float, float]:
    known = score.loss is not None and math.isfinite(score.loss)
    return score.accuracy, -score.loss if known and score.loss is not None else -math.inf
