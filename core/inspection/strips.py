"""A prompt's vectors as short strips of numbers, for a picture: the mean of each stretch of dimensions."""

import numpy as np
from jaxtyping import Float

BINS = 24


def strips(
    vectors: Float[np.ndarray, "virtual_tokens d"], usual: Float[np.ndarray, "virtual_tokens d"] | None = None, bins: int = BINS
) -> Float[np.ndarray, "virtual_tokens bins"]:
    """Each vector as at most `bins` means of neighbouring dimensions, in units of 2.5 standard deviations of those of `usual`, cut to
    -1 … 1. usual: the start of training, so that colours of all steps can be compared; None: the vectors themselves.

    >>> strips(np.array([[1.0, 1.0, -1.0, -1.0]]), bins=2).round(2).tolist()
    [[0.4, -0.4]]
    """
    mine = _means(vectors, bins)
    spread = float(np.std(_means(vectors if usual is None else usual, bins)))
    if not np.isfinite(spread) or spread == 0:
        spread = 1.0
    return np.nan_to_num(np.clip(mine / (2.5 * spread), -1, 1))


def _means(vectors: np.ndarray, bins: int) -> np.ndarray:
    parts = np.array_split(np.asarray(vectors, np.float64), min(bins, vectors.shape[1]), axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)
