"""The rule by which defaults are taken from the recorded results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.recipe import SETTINGS
from core.sweeps.atlas import CHOICES, METHODS, SIZES, Atlas
from core.sweeps.outcome import Spread, SweepResult, spread

COSTLY = ("virtual_tokens", "steps")  # more of these takes a visitor's time
WORTH = 0.05  # of the validation rows: what more of these has to gain on average


@dataclass(frozen=True)
class Choice:
    """A setting of a method. means: accuracy on validation rows by value, the mean over tasks, of each the mean over seeds.

    gains: by value, what it gains over the present default, with a 95 % interval over tasks. found: the value that the rule gives.
    """

    method: str
    setting: str
    present: Any
    means: dict[Any, float]
    gains: dict[Any, Spread]
    found: Any
    tasks: int

    @property
    def stays(self) -> bool:
        """Whether the present default stays."""
        return self.found == self.present


def choices(atlas: Atlas) -> list[Choice]:
    """Every setting that was recorded, with what the rule says.

    The present default stays unless another value gains clearly: the 95 % interval of its gain, paired over tasks, lies above zero
    (Student's t over tasks, on validation rows alone), and where it costs a visitor more time, the gain is at least `WORTH`. Of
    several such values the best on average takes its place.
    """
    settings = [(method, name) for method in METHODS for name in ("virtual_tokens", *CHOICES[method])]
    return [_choice(method, name, table) for method, name in settings if (table := _table(atlas, method, name))]


def _choice(method: str, setting: str, table: dict[Any, np.ndarray]) -> Choice:
    present = SETTINGS[setting].default_for(method)
    gains = {value: spread((accuracies - table[present]).tolist(), "loss") for value, accuracies in table.items()}  # a gain has no bounds

    def better(value: Any) -> bool:
        worth = WORTH if setting in COSTLY and value > present else 0.0
        return gains[value].low > 0 and gains[value].mean >= worth

    able = [value for value in table if value != present and better(value)]
    found = max(able, key=lambda value: gains[value].mean, default=present)
    return Choice(method, setting, present, {value: float(one.mean()) for value, one in table.items()}, gains, found, len(table[present]))


def _table(atlas: Atlas, method: str, setting: str) -> dict[Any, np.ndarray]:
    """Mean accuracy over seeds by value, (tasks,) each; empty unless every task has every value."""
    by_task = [found for sweeps in _sweeps(atlas, setting) if (found := _means(sweeps, method, setting))]
    values = list(by_task[0]) if by_task else []
    return {value: np.array([one[value] for one in by_task]) for value in values if all(value in one for one in by_task)}


def _sweeps(atlas: Atlas, setting: str) -> Iterator[tuple[SweepResult, ...]]:
    """Of each task, the sweeps in which the setting may have been varied."""
    if setting in SIZES:
        yield from ((one,) for one in atlas.tasks.values())
    else:
        yield from atlas.choices.values()


def _means(sweeps: tuple[SweepResult, ...], method: str, setting: str) -> dict[Any, float]:
    """Mean accuracy over seeds on validation rows, by value of the setting; of steps, along the runs."""
    found: dict[Any, list[float]] = {}
    for sweep in sweeps:
        if setting not in sweep.head.vary:
            continue
        for run in sweep.runs:
            if run.settings.get("method", sweep.head.base["method"]) != method or run.validation is None:
                continue
            if setting == "steps":
                for step, accuracy, _ in run.curve:
                    found.setdefault(step, []).append(accuracy)
            else:
                found.setdefault(run.settings[setting], []).append(run.validation.accuracy)
    return {value: float(np.mean(accuracies)) for value, accuracies in found.items()}
