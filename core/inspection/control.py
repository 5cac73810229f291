"""The main control: the start of a run, with each vector moved by its learned distance in a random direction.

It has learned nothing and is as far from the start, so an effect that it shows as well is no effect of learning.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def moved_at_random(start: Float[Tensor, "*vectors d"], learned: Float[Tensor, "*vectors d"], seed: int = 0) -> Float[Tensor, "*vectors d"]:
    """`start` with each vector (last axis) moved by |learned - start| in a direction drawn evenly from the sphere.

    >>> a, b = torch.zeros(2, 3), torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    >>> torch.linalg.vector_norm(moved_at_random(a, b), dim=1).round(decimals=4).tolist()
    [5.0, 0.0]
    """
    # Above every recipe's seed, because the same seed would draw the numbers of a random start again and move along it.
    generator = torch.Generator().manual_seed(2**31 + seed)
    directions = torch.randn(start.shape, generator=generator).to(start.device)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    lengths = torch.linalg.vector_norm(learned - start, dim=-1, keepdim=True)
    return start + lengths * directions


def of_equal_norm(values: Float[np.ndarray, "*vectors d"], seed: int = 0) -> Float[np.ndarray, "*vectors d"]:
    """Vectors as long as those of `values` (last axis), each in a direction drawn evenly from the sphere.

    >>> np.linalg.norm(of_equal_norm(np.array([[3.0, 4.0], [0.0, 0.0]])), axis=1).round(6).tolist()
    [5.0, 0.0]
    """
    return array_moved_at_random(np.zeros_like(values), values, seed)


def array_moved_at_random(start: Float[np.ndarray, "*vectors d"], learned: Float[np.ndarray, "*vectors d"], seed: int = 0) -> np.ndarray:
    """`moved_at_random` of arrays, with equal results."""
    start, learned = np.ascontiguousarray(start), np.ascontiguousarray(learned)
    return moved_at_random(torch.from_numpy(start), torch.from_numpy(learned), seed).numpy()
