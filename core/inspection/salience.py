"""Input salience: how much each position counts for a score, by its gradient and by leaving it out.

Gradient x input (Shrikumar et al. 2017, "Learning important features through propagating activation differences"; Denil et al. 2014) is
what a linear model would lose without a position: one backward pass, and wrong where the model is not linear. Leave-one-out (Li et
al. 2016, "Understanding neural networks through representation erasure") is what the model does lose: one pass for each position,
and blind to what two positions say alike, since either may be left out.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def gradient_x_input(
    gradient: Float[np.ndarray, "positions ..."], values: Float[np.ndarray, "positions ..."]
) -> Float[np.ndarray, " positions"]:
    """The dot product of each position's gradient with its value. ValueError where the shapes differ.

    >>> gradient_x_input(np.array([[1.0, 2.0], [0.0, 5.0]]), np.array([[3.0, 1.0], [7.0, 0.0]])).tolist()
    [5.0, 0.0]
    """
    if gradient.shape != values.shape:
        raise ValueError(f"A gradient of shape {gradient.shape} is not that of values of shape {values.shape}.")
    products: np.ndarray = (gradient * values).reshape(len(values), -1).sum(axis=1)
    return products


def left_out(whole: float, without: Float[np.ndarray, " positions"]) -> Float[np.ndarray, " positions"]:
    """What the score loses without each position: above 0 where the position helps. without: the score without it.

    >>> left_out(-1.0, np.array([-3.0, -1.0, -0.5])).tolist()
    [2.0, 0.0, -0.5]
    """
    return np.float64(whole) - without


def shares_of(effects: Float[np.ndarray, " positions"], kinds: Sequence[str]) -> dict[str, float]:
    """The share of each kind of position in the sum of all absolute effects, in the order in which kinds first come; 0 where all are 0.

    >>> shares_of(np.array([1.0, -2.0, 1.0]), ["prompt", "prompt", "input"])
    {'prompt': 0.75, 'input': 0.25}
    """
    sizes = np.abs(effects)
    total = float(sizes.sum())
    named = np.array(list(kinds))
    return {kind: float(sizes[named == kind].sum()) / total if total else 0.0 for kind in dict.fromkeys(kinds)}


def agreement(a: Float[np.ndarray, " positions"], b: Float[np.ndarray, " positions"]) -> float:
    """Spearman's rank correlation of two readings of the same positions; NaN where one is the same everywhere.

    >>> agreement(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 21.0]))
    1.0
    """
    from scipy import stats

    if len(a) < 2 or any(np.ptp(values) == 0 for values in (a, b)):
        return float("nan")
    return float(stats.spearmanr(a, b).statistic)
