"""Two cells of a sweep compared on the same held-out rows: how far apart are they, and could it be chance?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.sweeps.grid import Cell
from core.sweeps.outcome import SweepResult, spread
from core.sweeps.result import RunResult


@dataclass(frozen=True)
class Apart:
    """Mean accuracy of A less that of B. interval: 95 %, the wider of two: over rows (paired), and over seeds.

    n: rows. seeds: the smaller number of the two.
    """

    difference: float
    interval: tuple[float, float]
    n: int
    seeds: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        low, high = self.interval
        return low > 0 or high < 0

    @property
    def words(self) -> str:
        """As in "+5 points (−3 to +13): too close to call on 103 rows"."""
        low, high = self.interval
        points = f"{100 * self.difference:+.0f} points ({100 * low:+.0f} to {100 * high:+.0f})"
        if not self.clear:
            return f"{points}: too close to call on {self.n} rows and {self.seeds} seeds"
        return f"{points}: clearly {'better' if self.difference > 0 else 'worse'}"


def compare(result: SweepResult, a: Cell, b: Cell) -> Apart | None:
    """A compared with B, or None where either has no finished run, or the rows are not the same."""
    first, second = result.of_cell(a), result.of_cell(b)
    if not first or not second:
        return None
    parts = [run.held_out for run in (*first, *second)]
    if len({part.rows for part in parts}) > 1 or not all(part.right for part in parts):
        return None
    rows = _by_row(first) - _by_row(second)
    over_rows = spread(rows.tolist(), "loss")  # as a loss: a difference has no bounds
    pairs = [x.held_out.accuracy - y.held_out.accuracy for x, y in zip(first, second, strict=False) if x.seed == y.seed]
    over_seeds = spread(pairs, "loss")
    found = [one for one in (over_rows, over_seeds) if one.n > 1]
    half = max((one.high - one.low for one in found), default=float("nan")) / 2
    mean = over_rows.mean
    interval = (max(-1.0, mean - half), min(1.0, mean + half))  # no shares are further apart; NaN becomes all that is possible
    return Apart(mean, interval, len(rows), min(len(first), len(second)))


def _by_row(runs: Sequence[RunResult]) -> np.ndarray:
    """The share of seeds that get each row right, (rows,)."""
    return np.mean([run.held_out.right for run in runs], axis=0)


def alike(result: SweepResult, best: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """Those of `cells` that are not clearly worse than `best`."""
    return [
        cell for cell in cells if cell == best or ((apart := compare(result, cell, best)) and not (apart.clear and apart.difference < 0))
    ]
