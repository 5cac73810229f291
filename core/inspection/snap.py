"""Snap (discretise): replace each vector by its nearest vocabulary token, and measure how much of the gain remains."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.inspection.nearest import nearest


def snap(
    vectors: Float[Tensor, "vectors d_model"], vocabulary: Float[Tensor, "vocab d_model"]
) -> tuple[Int[Tensor, " vectors"], Float[Tensor, "vectors d_model"]]:
    """Each vector's nearest token by cosine: its id, and its embedding.

    >>> import torch
    >>> words = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> snap(torch.tensor([[0.3, 0.9]]), words)
    (tensor([1]), tensor([[0., 2.]]))
    """
    ids = nearest(vectors, vocabulary, k=1).ids[:, 0]
    return ids, vocabulary[ids]


@dataclass(frozen=True)
class Retention:
    """The share of a soft prompt's gain that its snapped tokens keep: 1 all, 0 none, below 0 a loss, above 1 a larger gain.

    gain: the soft prompt's accuracy minus that of no prompt. Intervals: 95 %. value and interval are None (not defined) if
    gain_interval contains 0, because the share of a gain of 0 is not defined.
    """

    value: float | None
    interval: tuple[float, float] | None
    gain: float
    gain_interval: tuple[float, float]

    @property
    def words(self) -> str:
        """As one sentence of plain text."""
        if self.value is None or self.interval is None:
            low, high = (f"{100 * bound:+.0f}" for bound in self.gain_interval)
            return f"Not defined: a gain of {100 * self.gain:+.0f} points ({low} to {high}) may be none at all."
        low, high = (f"{bound:.0%}" for bound in self.interval)
        return f"Keeps {self.value:.0%} of the {'gain' if self.gain > 0 else 'loss'} ({low} to {high})."


def retention(none: Bool[np.ndarray, " _"], snapped: Bool[np.ndarray, " _"], soft: Bool[np.ndarray, " _"], seed: int = 0) -> Retention:
    """(mean(snapped) - mean(none)) / (mean(soft) - mean(none)), of the accuracies of no prompt, snapped tokens and soft prompt.

    All (rows,): whether each row was right, in the same order. Intervals: percentiles of 2000 paired bootstrap resamples of rows
    (Efron 1979). A resample whose gain is 0 or has the other sign is left out of `interval`, because its share is not defined;
    where the value is defined, that is at most about one resample in forty. One row can't be resampled, so the interval of its
    gain is everything from -1 to 1. Raises ValueError if there are no rows or their numbers differ.

    >>> no_row, half, every_row = np.zeros(8, bool), np.arange(8) < 4, np.ones(8, bool)
    >>> found = retention(no_row, half, every_row)
    >>> found.value, found.gain, found.gain_interval
    (0.5, 1.0, (1.0, 1.0))
    >>> retention(no_row, half, no_row).value is None
    True
    """
    from scipy import stats

    rows = len(none)
    if not rows == len(snapped) == len(soft):
        raise ValueError(f"{rows}, {len(snapped)} and {len(soft)} rows don't go together: score all three on the same rows.")
    if not rows:
        raise ValueError("There are no rows to measure retention on: score some first.")
    kept, gains = snapped.astype(float) - none, soft.astype(float) - none  # (rows,)
    gain = float(gains.mean())
    if rows == 1:
        return Retention(None, None, gain, (-1.0, 1.0))
    drawn = stats.bootstrap(
        (kept, gains),
        lambda x, y, axis: np.stack([x.mean(axis=axis), y.mean(axis=axis)]),
        n_resamples=2000,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    kept_drawn, gains_drawn = drawn.bootstrap_distribution  # (2000,) each
    gain_interval = float(drawn.confidence_interval.low[1]), float(drawn.confidence_interval.high[1])
    if gain_interval[0] <= 0 <= gain_interval[1]:
        return Retention(None, None, gain, gain_interval)
    usable = gains_drawn * gain > 0
    low, high = np.quantile(kept_drawn[usable] / gains_drawn[usable], [0.025, 0.975])
    return Retention(float(kept.mean()) / gain, (float(low), float(high)), gain, gain_interval)
