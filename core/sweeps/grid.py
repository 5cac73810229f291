"""What a sweep varies: one or two settings, the values of each, and how many seeds. Needs no model."""

import difflib
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from core.errors import LabError, shown
from core.methods import METHODS
from core.recipe import SETTINGS, Recipe, Setting
from core.tasks.task import Task

FEWEST_ROWS = 4
MOST_ROWS = 1_000_000  # what a number of rows may be at all; a task with fewer has its own limit
MOST_RUNS = 500
MOST_SEEDS = 20
ALL_ROWS = "all"

# Of a recipe, what can't be compared on one task: what names the task, or repeats a run.
NEVER = ("task", "dtype", "seed", "order_seed", "init_from")
MODEL = "model"  # varied where several are loaded
ROWS = Setting("rows", ALL_ROWS, "how many training rows are used: the first of a shuffled order; all: every one", "training rows", int)
ANSWERS = Setting(
    "answers",
    "right",
    "the task's own labels, or each label's place taken by the next one, in training, validation and held-out rows alike",
    "answers",
    str,
    choices=("right", "swapped"),
    words={"right": "the right labels", "swapped": "swapped labels"},
)
VARIABLES: dict[str, Setting] = {
    **{name: setting for name, setting in SETTINGS.items() if name not in (*NEVER, MODEL)},
    **{setting.name: setting for setting in (ROWS, ANSWERS, SETTINGS[MODEL])},
}


@dataclass(frozen=True)
class Cell:
    """One choice of the varied settings. settings: (name, value) pairs, in the order of the grid."""

    settings: tuple[tuple[str, Any], ...]

    @property
    def values(self) -> dict[str, Any]:
        """The settings by name."""
        return dict(self.settings)

    @property
    def words(self) -> str:
        """The settings for people, as in "virtual tokens 10, method K/V prefix"."""
        return ", ".join(f"{VARIABLES[name].label} {word_of(name, value)}" for name, value in self.settings)


@dataclass(frozen=True)
class Plan:
    """One run of a sweep: its number from 0, its cell, its seed and the recipe that is trained."""

    index: int
    cell: Cell
    seed: int
    recipe: Recipe

    @property
    def words(self) -> str:
        """Its cell and seed for people."""
        return f"{self.cell.words}, seed {self.seed}"

    @property
    def model(self) -> str | None:
        """The name of its model where that varies, else None."""
        return self.cell.values.get(MODEL)

    @property
    def rows(self) -> int | str:
        """How many training rows it has, or "all"."""
        return self.cell.values.get("rows", ALL_ROWS)

    @property
    def answers(self) -> str:
        """ "right" or "swapped"."""
        return self.cell.values.get("answers", ANSWERS.default)

    @property
    def key(self) -> str:
        """A hash of all that the run depends on besides the task's rows and the model: equal keys are equal runs."""
        made = json.dumps([self.recipe.to_dict(), self.rows, self.answers], sort_keys=True)
        return hashlib.sha256(made.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Grid:
    """A sweep: the recipe that all runs share, one or two settings with the values to try, and the number of seeds.

    only: of all combinations of the two settings, those that are run; empty: all of them. Seeds count up from the recipe's.
    Raises LabError for a grid that can't be run, naming the setting.

    >>> grid = Grid(Recipe(), {"virtual_tokens": (1, 5)}, seeds=2)
    >>> [(plan.cell.words, plan.seed) for plan in grid.runs()]
    [('virtual tokens 1', 0), ('virtual tokens 1', 1), ('virtual tokens 5', 0), ('virtual tokens 5', 1)]
    """

    base: Recipe
    vary: Mapping[Any, Any]  # checked here, in words: name -> tuple of values
    seeds: Any = 3  # a whole number, checked here
    only: tuple[tuple[Any, ...], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.seeds, bool) or not isinstance(self.seeds, int) or not 1 <= self.seeds <= MOST_SEEDS:
            raise LabError(f"seeds is {shown(self.seeds)[1:-1]}: choose a whole number from 1 to {MOST_SEEDS}.")
        if not self.vary:
            raise LabError(f"The grid is empty: name one or two settings to vary, such as {', '.join(list(VARIABLES)[1:4])}.")
        if len(self.vary) > 2:
            raise LabError(f"The grid varies {len(self.vary)} settings, {', '.join(map(str, self.vary))}: keep one or two of them.")
        object.__setattr__(self, "vary", {variable(name).name: _values(name, values) for name, values in self.vary.items()})
        object.__setattr__(self, "only", tuple(tuple(values) for values in self.only))
        allowed = set(itertools.product(*self.vary.values()))
        if any(values not in allowed for values in self.only):
            raise LabError("The grid names a combination whose values it does not vary: give these values, too.")
        runs = (len(self.only) or len(allowed)) * self.seeds
        if runs > MOST_RUNS:
            raise LabError(f"The grid has {runs:,} runs, and {MOST_RUNS} are the most: give fewer values, or fewer seeds.")
        for cell in self.cells():
            self.recipe_of(cell)
        for name in self.vary:
            self._check_use(name)

    def _check_use(self, name: str) -> None:
        """LabError for a setting that no cell has a use for."""
        if name not in SETTINGS:
            return
        recipes = [self.recipe_of(cell) for cell in self.cells()]
        if name == "method" or any(SETTINGS[name].applies(recipe.to_dict()) for recipe in recipes):
            return
        needed = SETTINGS[name].only_with
        if needed and getattr(recipes[0], needed[0]) != needed[1]:
            raise LabError(f"{name} matters only where {needed[0]} is {shown(needed[1])}: set that, or vary another setting.")
        label = METHODS[recipes[0].method].label
        raise LabError(f"{name} makes no difference to a {label}: vary another setting, or choose another method.")

    def cells(self) -> list[Cell]:
        """All cells, the last setting changing fastest."""
        combinations: Iterable[Sequence[Any]] = self.only or itertools.product(*self.vary.values())
        return [Cell(tuple(zip(self.vary, values, strict=True))) for values in combinations]

    def recipe_of(self, cell: Cell, seed: int | None = None) -> Recipe:
        """The recipe of a cell. Where the method varies, its own defaults take the place of those that the base recipe has unchanged."""
        changes = {name: value for name, value in cell.settings if name in SETTINGS}
        made = self.base.but(method=changes["method"]) if "method" in changes else self.base
        return made.but(**changes, **({} if seed is None else {"seed": seed}))

    def runs(self) -> list[Plan]:
        """All runs: the seeds of a cell one after another."""
        seeds = range(self.base.seed, self.base.seed + self.seeds)
        plans = [(cell, seed) for cell in self.cells() for seed in seeds]
        return [Plan(index, cell, seed, self.recipe_of(cell, seed)) for index, (cell, seed) in enumerate(plans)]

    def check(self, task: Task) -> None:
        """LabError where `task` has not what the grid varies: labels, or as many rows."""
        if "answers" in self.vary and not task.labels:
            raise LabError(f"Answers can be swapped among labels only, and {shown(task.name)} has free answers: choose a task with labels.")
        for name in ("loss", "label_score"):
            without_labels = task.labels or set(self.vary.get(name, ())) <= {"vocabulary", "imitate"}
            if not without_labels:
                raise LabError(f"{name} makes no difference to free answers, as in {shown(task.name)}: choose a task with labels.")
        most = max((value for value in self.vary.get("rows", ()) if value != ALL_ROWS), default=0)
        if most > len(task.train):
            raise LabError(f"{shown(task.name)} has {len(task.train):,} training rows, fewer than {most:,}: give no more, or all.")


def variable(name: str) -> Setting:
    """The setting that can be varied under this name. LabError, with the nearest names, for any other."""
    found = VARIABLES.get(name)
    if found is None:
        if name in SETTINGS:
            raise LabError(f"{name} can't be varied: set it once for the whole sweep, or vary one of {', '.join(list(VARIABLES)[:4])}.")
        raise LabError(f"There is no setting {shown(name)}: {nearest(str(name), VARIABLES)}.")
    return found


def nearest(name: str, known: Iterable[str]) -> str:
    """What to choose in place of an unknown name: those that are written alike, or all."""
    names = list(known)
    near = difflib.get_close_matches(name.casefold().replace("-", "_"), names, 3, 0.6)
    return f"did you mean {' or '.join(near)}" if near else f"choose one of {', '.join(names)}"


def word_of(name: str, value: Any) -> str:
    """A value of a setting, for people."""
    if isinstance(value, float):
        return f"{value:g}"
    if name == MODEL:  # a folder of any system, or a Hub id: its last part
        return shown(PureWindowsPath(value).name)[1:-1] or "the default one"
    return VARIABLES[name].word(value) if isinstance(value, str) and value else shown(value)[1:-1] or "none"


def _values(name: str, given: Any) -> tuple[Any, ...]:
    """The values to try, checked, each once."""
    setting = variable(name)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise LabError(f"{name} is {shown(given)}: give a list of values to try, as in [1, 5, 20].")
    values = [_value(setting, value) for value in given]
    if not values:
        raise LabError(f"The list of values for {name} is empty: give at least one.")
    return tuple(dict.fromkeys(values))


def _value(setting: Setting, value: Any) -> Any:
    if hasattr(value, "item"):  # of a numpy array
        value = value.item()
    if setting is ROWS:
        if value == ALL_ROWS:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not FEWEST_ROWS <= value <= MOST_ROWS:
            raise LabError(f"training rows is {shown(value)[1:-1]}: choose a whole number of {FEWEST_ROWS} or more, or all.")
        return value
    setting.check(value)
    return float(value) if setting.kind is float else value
