"""Snap (discretise): put the nearest vocabulary token in place of each vector, and see what is left of the behaviour."""

from jaxtyping import Float, Int
from torch import Tensor

from .nearest import nearest


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
