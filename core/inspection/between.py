"""Comparison of two prompts: interpolation, patches of one with vectors of the other, and cosines of their vectors."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def interpolate(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."], shares: Sequence[float]) -> list[Float[np.ndarray, "..."]]:
    """(1 - t) a + t b for each t of `shares`; 0 is a and 1 is b, exactly. ValueError for arrays of different shapes.

    >>> [point.tolist() for point in interpolate(np.float32([[0, 2]]), np.float32([[4, 2]]), [0.0, 0.25, 1.0])]
    [[[0.0, 2.0]], [[1.0, 2.0]], [[4.0, 2.0]]]
    """
    _check_shapes(a, b)
    return [np.float32(1 - t) * a + np.float32(t) * b for t in shares]


def patch(
    into: Float[np.ndarray, "..."], source: Float[np.ndarray, "..."], which: Sequence[int], axis: int = 0
) -> Float[np.ndarray, "..."]:
    """`into` with the virtual tokens at the indices `which` taken from `source`.

    Both are vectors (P, d_model), or both keys and values (layers, 2, P, kv_heads, head_dim), where axis is 2. ValueError for different
    shapes, or a number that isn't from 0 to P - 1.

    >>> patch(np.float32([[1], [2], [3]]), np.float32([[7], [8], [9]]), [0, 2]).tolist()
    [[7.0], [2.0], [9.0]]
    """
    _check_shapes(into, source)
    count = into.shape[axis]
    if not all(0 <= i < count for i in which):
        raise ValueError(f"There are {count} vectors: number them from 0 to {count - 1}.")
    patched = into.copy()
    np.moveaxis(patched, axis, 0)[list(which)] = np.moveaxis(source, axis, 0)[list(which)]
    return patched


def cosines(
    groups: Sequence[Float[np.ndarray, "_ d"]], mean: Float[np.ndarray, " d"] | None = None
) -> Float[np.ndarray, "vectors vectors"]:
    """The cosines of all pairs of vectors of all groups, in order: (N, N), from -1 to 1.

    groups: of (P_i, d), where N is the sum of all P_i. mean: subtracted from every vector first, because embeddings share a
    common direction that makes any two of them similar (Mu & Viswanath 2018). A vector of length 0 has cosine 0 with all
    vectors. ValueError for groups of different widths, or none.

    >>> cosines([np.float32([[2, 0]]), np.float32([[0, 1], [-1, 0]])]).round(6).tolist()[0]
    [1.0, 0.0, -1.0]
    """
    if len({group.shape[1] for group in groups}) != 1:
        raise ValueError("The groups have vectors of different widths, or there are none: give vectors of one model.")
    vectors = np.concatenate(groups).astype(np.float32)  # (N, d)
    if mean is not None:
        vectors = vectors - mean
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
    found: np.ndarray = (unit @ unit.T).clip(-1, 1)
    return found


def barrier(losses: Sequence[float]) -> float:
    """How far the loss on a line rises above the straight line between its ends' losses: the loss barrier, in their unit.

    max over t of loss(t) - ((1 - t) loss(0) + t loss(1)), for losses at evenly spaced t from 0 to 1, both ends included. It is
    0 if the loss nowhere exceeds that line, and never negative. Frankle et al. 2020 (ICML, "Linear mode connectivity and the
    lottery ticket hypothesis"), in the form of Entezari et al. 2022 for ends of unequal loss. ValueError for fewer than 2.

    >>> barrier([1.0, 4.0, 3.0]), barrier([1.0, 1.5, 3.0])
    (2.0, 0.0)
    """
    if len(losses) < 2:
        raise ValueError("A line has two ends: give two losses or more.")
    t = np.linspace(0, 1, len(losses))
    straight = (1 - t) * losses[0] + t * losses[-1]
    return float((np.array(losses) - straight).max())


def _check_shapes(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ValueError(f"Prompts of the shapes {a.shape} and {b.shape} don't go together: give two of one kind and length.")
