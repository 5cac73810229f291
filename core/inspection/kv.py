"""Keys and values of K/V prefixes: exchanged between two, and their lengths compared with those of real tokens."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float

KEYS, VALUES = 0, 1  # places in the array


def with_part(
    into: Float[np.ndarray, "layers 2 P heads head_dim"],
    source: Float[np.ndarray, "..."],
    part: int,
    layers: Collection[int] | None = None,
) -> Float[np.ndarray, "layers 2 P heads head_dim"]:
    """`into` with the keys (part 0) or the values (part 1) of `source`, in these layers; by default in all.

    Keys are stored after rotation, so they keep their positions. ValueError for different shapes, or a layer or part that isn't there.

    >>> mine, other = np.zeros((2, 2, 1, 1, 1), np.float32), np.ones((2, 2, 1, 1, 1), np.float32)
    >>> with_part(mine, other, VALUES, [1]).ravel().tolist()  # keys and values of layer 0, then of layer 1
    [0.0, 0.0, 0.0, 1.0]
    """
    if into.shape != source.shape:
        raise ValueError(f"Prefixes of the shapes {into.shape} and {source.shape} don't go together: give two of one shape.")
    chosen = list(range(len(into)) if layers is None else layers)
    if part not in (KEYS, VALUES) or not all(0 <= layer < len(into) for layer in chosen):
        raise ValueError(f"A prefix has the parts 0 and 1 in the layers 0 to {len(into) - 1}: name these.")
    made = into.copy()
    made[chosen, part] = source[chosen, part]
    return made


def norms(values: Float[np.ndarray, "layers 2 P heads head_dim"]) -> Float[np.ndarray, "layers 2 heads"]:
    """The mean length over tokens of each head's keys (index 0) and values (index 1).

    >>> norms(np.float32([[[[[3, 4]], [[0, 1]]], [[[0, 2]], [[2, 0]]]]])).tolist()  # one layer, two tokens, one head
    [[[3.0], [2.0]]]
    """
    lengths: np.ndarray = np.linalg.norm(values, axis=-1).mean(axis=2)
    return lengths


def against(
    values: Float[np.ndarray, "layers 2 P heads head_dim"], real: Float[np.ndarray, "layers 2 tokens heads head_dim"]
) -> Float[np.ndarray, "layers 2 heads"]:
    """`norms` of a prefix divided by those of any number of `real` tokens of its model: 1 where they are as long.

    A model's first position often has unusual keys and values, so `real` should have more than that one.

    >>> real = np.ones((1, 2, 3, 1, 4), dtype=np.float32)
    >>> against(2 * real[:, :, :1], real).tolist()
    [[[2.0], [2.0]]]
    """
    ratio: np.ndarray = norms(values) / norms(real).clip(min=1e-12)
    return ratio
