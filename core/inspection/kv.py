"""Lengths of a K/V prefix's keys and values in each layer, compared with those of real tokens."""

import numpy as np
from jaxtyping import Float


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
