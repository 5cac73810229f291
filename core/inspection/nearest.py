"""Nearest vocabulary tokens of a vector, by cosine and by Euclidean distance.

Used on soft prompts by Lester et al. 2021 (section 7) and Khashabi et al. 2021, who show how little it may say.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Nearest:
    """For each vector its k nearest tokens by cosine, nearest first, and its first choice by distance.

    ids, cosine, l2: (vectors, k), l2 being the distance to the same token. by_l2: the id at the smallest distance, which
    is `distance`. norm: each vector's own length.
    """

    ids: Int[Tensor, "vectors k"]
    cosine: Float[Tensor, "vectors k"]
    l2: Float[Tensor, "vectors k"]
    by_l2: Int[Tensor, " vectors"]
    distance: Float[Tensor, " vectors"]
    norm: Float[Tensor, " vectors"]


def nearest(vectors: Float[Tensor, "vectors d_model"], vocabulary: Float[Tensor, "vocab d_model"], k: int = 5) -> Nearest:
    """The k tokens of `vocabulary` nearest to each vector.

    cosine = v.w / (|v| |w|), l2 = |v - w|. A vector or token of length 0 has cosine 0 with everything.

    >>> words = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> nearest(torch.tensor([[0.0, 1.0]]), words, k=1).ids.tolist()
    [[1]]
    """
    norms = torch.linalg.vector_norm(vectors, dim=1)  # (vectors,)
    lengths = torch.linalg.vector_norm(vocabulary, dim=1)  # (vocab,)
    dots = vectors @ vocabulary.T  # (vectors, vocab)
    cosine = dots / (norms[:, None] * lengths).clamp_min(1e-12)
    best = cosine.topk(min(k, len(vocabulary)), dim=1)
    chosen = vocabulary[best.indices]  # (vectors, k, d_model)
    l2 = torch.linalg.vector_norm(vectors[:, None] - chosen, dim=2)
    squared = lengths**2 - 2 * dots  # |v - w|^2 without |v|^2, which is the same for all tokens
    closest = squared.argmin(dim=1)
    distance = torch.linalg.vector_norm(vectors - vocabulary[closest], dim=1)
    return Nearest(best.indices, best.values, l2, closest, distance, norms)


def neighbour_cosines(vocabulary: Float[Tensor, "vocab d_model"], sample: int = 2000, seed: int = 0) -> Float[Tensor, " sample"]:
    """How near the vocabulary's own tokens are to each other: for sampled tokens, the cosine of their nearest other token.

    Sorted. It is what a vector's own nearest cosine is to be read against.
    """
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randperm(len(vocabulary), generator=generator)[:sample].to(vocabulary.device)
    unit = torch.nn.functional.normalize(vocabulary, dim=1)
    found = []
    for part in picks.split(256):  # 256 x vocab numbers at a time
        cosine = unit[part] @ unit.T
        cosine[torch.arange(len(part)), part] = -1.0  # not itself
        found.append(cosine.max(dim=1).values)
    return torch.cat(found).sort().values
