"""All that a sweep found: tables, the best cell, and the data of its plots."""

import functools
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from core.display import html_table, text_table
from core.errors import LabError, shown
from core.sweeps.grid import ALL_ROWS, MODEL, VARIABLES, Cell, nearest, word_of
from core.sweeps.result import Baseline, Failure, Head, Part, RunResult, from_json, to_json

if TYPE_CHECKING:
    import pandas

MEASURES = ("validation_accuracy", "validation_loss", "held_out_accuracy", "held_out_loss", "held_out_exact", "seen_accuracy", "seen_loss")

FELT_BY_BASELINES = ("answers", "template", "label_score", "model")  # settings that change the score of what is not trained


@dataclass(frozen=True)
class Spread:
    """A measure over the seeds of a cell. sd: with n - 1; low, high: 95 % by Student's t, as wide as so few seeds make it.

    sd, low and high are NaN for one seed, all but n for none.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class CellSummary:
    """The runs of one cell. runs: how many are finished; complete: all seeds are. measures: by the names in `MEASURES`."""

    cell: Cell
    runs: int
    complete: bool
    parameters: int
    seconds: float
    measures: dict[str, Spread]


@dataclass(frozen=True, eq=False)
class Curve:
    """One measure over the values of one setting. name: the value of the other setting, or "". x: numbers, or places of words."""

    name: str
    values: tuple[Any, ...]
    x: Float[np.ndarray, " values"]
    mean: Float[np.ndarray, " values"]
    sd: Float[np.ndarray, " values"]
    low: Float[np.ndarray, " values"]
    high: Float[np.ndarray, " values"]
    n: Int[np.ndarray, " values"]


@dataclass(frozen=True, eq=False)
class Heat:
    """One measure over two settings. mean, sd: NaN where nothing was run; n: seeds."""

    x: tuple[Any, ...]
    y: tuple[Any, ...]
    mean: Float[np.ndarray, "y x"]
    sd: Float[np.ndarray, "y x"]
    n: Int[np.ndarray, "y x"]


@dataclass(frozen=True)
class SweepResult:
    """A sweep that has ended, or as far as it came. stopped: why it ended early, or ""."""

    head: Head
    runs: tuple[RunResult, ...] = ()
    failed: tuple[Failure, ...] = ()
    stopped: str = ""

    @property
    def planned(self) -> int:
        """How many runs the grid has."""
        return len(self.head.grid.runs())

    @functools.cached_property
    def _by_cell(self) -> dict[Cell, list[RunResult]]:
        """The finished runs of each cell, by seed."""
        found: dict[Cell, list[RunResult]] = {}
        for run in sorted(self.runs, key=lambda run: run.seed):
            found.setdefault(run.cell, []).append(run)
        return found

    def of_cell(self, cell: Cell) -> list[RunResult]:
        """The finished runs of a cell, by seed."""
        return self._by_cell.get(cell, [])

    @functools.cached_property
    def _summaries(self) -> dict[Cell, CellSummary]:
        """Every cell of the grid that has a finished run, in the grid's order."""
        return {cell: self._summarised(cell) for cell in self.head.grid.cells() if self.of_cell(cell)}

    def cells(self) -> list[CellSummary]:
        """Every cell of the grid that has a finished run."""
        return list(self._summaries.values())

    def summary_of(self, cell: Cell) -> CellSummary | None:
        """One cell, or None where it has no finished run."""
        return self._summaries.get(cell)

    def _summarised(self, cell: Cell) -> CellSummary:
        runs = self.of_cell(cell)
        measures = {name: spread([value for run in runs if (value := measure(run, name)) is not None], name) for name in MEASURES}
        seconds = float(np.mean([run.seconds for run in runs]))
        return CellSummary(cell, len(runs), len(runs) == self.head.seeds, runs[0].parameters, seconds, measures)

    @property
    def best(self) -> Cell | None:
        """The cell with the highest mean accuracy on *validation* rows, of those whose seeds are all done; None without one.

        Of equal ones, the one with fewer trained parameters, then the lower validation loss. Held-out rows have no say in it, so its
        score on these is not flattered by the choice.
        """
        able = [one for one in self.cells() if one.complete and one.measures["validation_accuracy"].n]

        def order(one: CellSummary) -> tuple[float, int, float]:
            loss = one.measures["validation_loss"]
            return -round(one.measures["validation_accuracy"].mean, 9), one.parameters, loss.mean if loss.n else np.inf

        return min(able, key=order).cell if able else None

    @property
    def baselines(self) -> dict[str, Baseline]:
        """What was not trained, on the same held-out rows, by name. Where a varied setting changes its score, the name says the setting."""
        found: dict[str, Baseline] = {}
        for run in self.runs:
            felt = Cell(tuple(pair for pair in run.settings.items() if pair[0] in FELT_BY_BASELINES))
            for one in run.baselines:
                full = f"{one.name} ({felt.words})" if felt.settings else one.name
                if MODEL in run.settings or found.setdefault(one.name, one) != one:
                    found.setdefault(full, one)
        return found

    def table(self) -> "pandas.DataFrame":
        """A row for each finished run."""
        import pandas

        rows = [
            {
                **run.settings,
                "seed": run.seed,
                "steps": run.steps,
                "train_rows": run.train_rows,
                "parameters": run.parameters,
                "seconds": run.seconds,
                **{name: measure(run, name) for name in MEASURES},
                "held_out_n": run.held_out.n,
                "stopped": run.stopped,
            }
            for run in self.runs
        ]
        return pandas.DataFrame(rows)

    def summary(self) -> "pandas.DataFrame":
        """A row for each cell: means over seeds with their standard deviation and 95 % interval, NaN where there are none."""
        import pandas

        rows = []
        for one in self.cells():
            row = {**one.cell.values, "runs": one.runs, "parameters": one.parameters, "seconds": one.seconds}
            for name, found in one.measures.items():
                if found.n:
                    row |= {name: found.mean, f"{name}_sd": found.sd, f"{name}_low": found.low, f"{name}_high": found.high}
            rows.append(row)
        return pandas.DataFrame(rows)

    def curve(self, setting: str, what: str = "held_out_accuracy") -> list[Curve]:
        """`what` over the values of a varied setting: one curve, or one for each value of the other setting.

        Raises LabError for a setting that is not varied, or an unknown measure.
        """
        self._check(setting, what)
        others = [name for name in self.head.vary if name != setting]
        made = []
        for other in self.head.vary[others[0]] if others else (None,):
            found = []
            for value in self.head.vary[setting]:
                wanted = {setting: value} | ({others[0]: other} if others else {})
                summary = self.summary_of(Cell(tuple((name, wanted[name]) for name in self.head.vary)))
                if summary and summary.measures[what].n:
                    found.append((value, summary.measures[what]))
            if found:
                made.append(self._curve(setting, word_of(others[0], other) if others else "", found))
        return made

    def _curve(self, setting: str, name: str, found: Sequence[tuple[Any, Spread]]) -> Curve:
        values = tuple(value for value, _ in found)
        numbers = [self.head.train_rows if value == ALL_ROWS else value for value in values]
        if any(isinstance(value, str) for value in numbers):
            numbers = [self.head.vary[setting].index(value) for value in values]
        spreads = [one for _, one in found]
        mean, sd, low, high = (np.array([getattr(one, part) for one in spreads], float) for part in ("mean", "sd", "low", "high"))
        return Curve(name, values, np.array(numbers, float), mean, sd, low, high, np.array([one.n for one in spreads]))

    def grid(self, x: str, y: str, what: str = "held_out_accuracy") -> Heat:
        """`what` over both varied settings, for a heat map. LabError unless `x` and `y` are these two."""
        for name in (x, y):
            self._check(name, what)
        if x == y:
            raise LabError(f"Both sides of the map are {x}: name two settings.")
        across, down = self.head.vary[x], self.head.vary[y]
        mean, sd = np.full((len(down), len(across)), np.nan), np.full((len(down), len(across)), np.nan)
        n = np.zeros((len(down), len(across)), int)
        for i, at_y in enumerate(down):
            for j, at_x in enumerate(across):
                wanted = {x: at_x, y: at_y}
                summary = self.summary_of(Cell(tuple((name, wanted[name]) for name in self.head.vary)))
                if summary:
                    found = summary.measures[what]
                    mean[i, j], sd[i, j], n[i, j] = found.mean, found.sd, found.n
        return Heat(across, down, mean, sd, n)

    def _check(self, setting: str, what: str) -> None:
        if setting not in self.head.vary:
            raise LabError(f"{shown(setting)} was not varied: choose {' or '.join(self.head.vary)}.")
        if what not in MEASURES:
            raise LabError(f"There is no measure {shown(what)}: {nearest(what, MEASURES)}.")

    def to_json(self) -> str:
        """All of it as JSON."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "SweepResult":
        """The result that `to_json` wrote. LabError for any other text."""
        return from_json(cls, text, "the result of a sweep")

    def _rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        heads = (*(VARIABLES[name].label for name in self.head.vary), "seeds", "validation", "held out", "95 %", "loss", "parameters")
        best = self.best
        rows = []
        for one in self.cells():
            held_out, loss = one.measures["held_out_accuracy"], one.measures["held_out_loss"]
            span = f"{held_out.low:.1%}–{held_out.high:.1%}" if held_out.n > 1 else "–"
            checked = one.measures["validation_accuracy"]
            row = (
                *(word_of(name, value) for name, value in one.cell.settings),
                f"{one.runs}",
                (f"{checked.mean:.1%}" if checked.n else "–") + (" *" if one.cell == best else ""),
                f"{held_out.mean:.1%}",
                span,
                f"{loss.mean:.3f}" if loss.n else "–",
                f"{one.parameters:,}",
            )
            rows.append(row)
        return heads, rows

    @property
    def words(self) -> str:
        """What was done, in a sentence or two."""
        made = f"{self.head.task_name}: {len(self.runs)} of {self.planned} runs on {self.head.model}"
        made += f"; {len(self.failed)} could not be made" if self.failed else ""
        made += f"; {self.stopped}" if self.stopped else ""
        best = self.best
        return f"{made}. * best on validation rows: {best.words}." if best else f"{made}."

    def __repr__(self) -> str:
        heads, rows = self._rows()
        lines = [text_table(heads, rows)] if rows else []
        known = [f"{name}: {one.held_out.accuracy:.1%}" for name, one in self.baselines.items()]
        return "\n".join([*lines, *(["held out, not trained: " + "; ".join(known)] if known else []), self.words])

    def _repr_html_(self) -> str:
        heads, rows = self._rows()
        return f"{html_table(heads, rows) if rows else ''}<p>{html.escape(self.words)}</p>"


def measure(run: RunResult, name: str) -> float | None:
    """A measure of `MEASURES` of a run, or None where it has none."""
    part_name, _, what = name.rpartition("_")
    part: Part | None = getattr(run, part_name)
    return None if part is None else getattr(part, what)


def spread(values: Sequence[float], name: str = "") -> Spread:
    """The mean with its spread over seeds. Of an accuracy, the interval ends at 0 and 1.

    >>> found = spread([0.5, 0.7, 0.6])
    >>> round(found.mean, 3), round(found.sd, 3), round(found.low, 3), round(found.high, 3)
    (0.6, 0.1, 0.352, 0.848)
    """
    n = len(values)
    nan = float("nan")
    mean = float(np.mean(values)) if n else nan
    if n < 2:
        return Spread(mean, nan, nan, nan, n)
    sd = float(np.std(values, ddof=1))
    half = _t(n - 1) * sd / n**0.5
    low, high = mean - half, mean + half
    return Spread(mean, sd, *((max(0.0, low), min(1.0, high)) if not name.endswith("loss") else (low, high)), n)


@functools.cache
def _t(degrees: int) -> float:
    from scipy.special import stdtrit  # scipy.stats takes five times as long to import, and the page shows a recorded sweep at once

    return float(stdtrit(degrees, 0.975))
