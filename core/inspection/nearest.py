"""Nearest vocabulary tokens of a vector, by cosine and by Euclidean distance.

Used on soft prompts by Lester et al. 2021 (section 7), and by Khashabi et al. 2021, who show how misleading it can be.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

LIKELY = 64  # candidates that are compared exactly, for each vector and each measure
ROUGH = 2.0**-7  # bound on the relative error of a product in bfloat16: see `_among_likely`


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


def nearest(
    vectors: Float[Tensor, "vectors d_model"],
    vocabulary: Float[Tensor, "vocab d_model"],
    k: int = 5,
    lengths: Float[Tensor, " vocab"] | None = None,
    rough: Shaped[Tensor, "vocab d_model"] | None = None,
) -> Nearest:
    """The k tokens of `vocabulary` nearest to each vector. lengths: of its tokens, if already computed.

    cosine = v.w / (|v| |w|), l2 = |v - w|. A vector or token of length 0 has cosine 0 with all others.
    rough: the vocabulary in bfloat16, for a CPU that multiplies it faster: the same result in a third of the time.

    >>> words = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> nearest(torch.tensor([[0.0, 1.0]]), words, k=1).ids.tolist()
    [[1]]
    """
    norms = torch.linalg.vector_norm(vectors, dim=1)  # (vectors,)
    lengths = torch.linalg.vector_norm(vocabulary, dim=1) if lengths is None else lengths  # (vocab,)
    found = None if rough is None else _among_likely(vectors, vocabulary, k, lengths, norms, rough)
    if found:
        return found
    dots = (vocabulary @ vectors.T).T.contiguous()  # (vectors, vocab); in this order a CPU needs two thirds of the time
    cosine = dots / (norms[:, None] * lengths).clamp_min(1e-12)
    best = cosine.topk(min(k, len(vocabulary)), dim=1)
    chosen = vocabulary[best.indices]  # (vectors, k, d_model)
    l2 = torch.linalg.vector_norm(vectors[:, None] - chosen, dim=2)
    squared = lengths**2 - 2 * dots  # |v - w|^2 without |v|^2, which is the same for all tokens
    closest = squared.argmin(dim=1)
    distance = torch.linalg.vector_norm(vectors - vocabulary[closest], dim=1)
    return Nearest(best.indices, best.values, l2, closest, distance, norms)


def _among_likely(
    vectors: Float[Tensor, "vectors d_model"],
    vocabulary: Float[Tensor, "vocab d_model"],
    k: int,
    lengths: Float[Tensor, " vocab"],
    norms: Float[Tensor, " vectors"],
    rough: Shaped[Tensor, "vocab d_model"],
) -> Nearest | None:
    """`nearest` among candidates chosen by rough products, or None if a token that is no candidate might be nearer.

    The error of a product of bfloat16 vectors is below ROUGH |v| |w|: each factor is rounded by at most 2^-9 of itself, and so is
    the sum (Cauchy-Schwarz). So a rough score plus that bound is an upper bound of the exact score, and a token whose upper
    bound is below the k-th exact score is not among the nearest.
    """
    if len(vocabulary) <= LIKELY:
        return None
    products = norms[:, None] * lengths  # (vectors, vocab)
    dots = (vectors.to(rough.dtype) @ rough.T).float() + ROUGH * products  # upper bounds of the exact ones
    by_cosine = (dots / products.clamp_min(1e-12)).topk(LIKELY, dim=1)
    by_nearness = dots.sub_(lengths**2 / 2).topk(LIKELY, dim=1)  # v.w - |w|^2/2 is largest where |v - w| is smallest
    ids = torch.cat([by_cosine.indices, by_nearness.indices]).unique()  # sorted, so that equals stay in their order
    found = nearest(vectors, vocabulary[ids], k, lengths[ids])
    nearness = (norms**2 - found.distance**2) / 2
    certain = (found.cosine[:, -1] > by_cosine.values[:, -1]) & (nearness > by_nearness.values[:, -1])
    if not certain.all():
        return None
    return replace(found, ids=ids[found.ids], by_l2=ids[found.by_l2])


@dataclass(frozen=True)
class Neighbours:
    """The control for one vector's values: how near tokens of the vocabulary are to each other, and how long they are.

    cosine, l2: (sample,), from sampled tokens to their nearest other token by cosine and by distance, which may be two tokens.
    norms: (vocab,), lengths of all tokens. Each array is sorted ascending, so index i is another token in each. float32.
    """

    cosine: Float[np.ndarray, " sample"]
    l2: Float[np.ndarray, " sample"]
    norms: Float[np.ndarray, " vocab"]


def neighbours(vocabulary: Float[Tensor, "vocab d_model"], sample: int = 2000, seed: int = 0) -> Neighbours:
    """For up to `sample` tokens drawn by `seed`: the largest cosine with another token, and the smallest distance to one.

    Equal tokens have the distance 0. `vocabulary` has two tokens or more.

    >>> found = neighbours(torch.tensor([[3.0, 0.0], [3.0, 0.0], [0.0, 4.0]]))
    >>> found.cosine.tolist(), found.l2.tolist(), found.norms.tolist()
    ([0.0, 1.0, 1.0], [0.0, 0.0, 5.0], [3.0, 3.0, 4.0])
    """
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randperm(len(vocabulary), generator=generator)[:sample].to(vocabulary.device)
    lengths = torch.linalg.vector_norm(vocabulary, dim=1)  # (vocab,)
    half_squares = lengths**2 / 2
    cosine, l2 = [], []
    for part in picks.split(256):  # 256 x vocab numbers at a time
        own, rows = vocabulary[part], torch.arange(len(part), device=part.device)
        dots = own @ vocabulary.T
        nearness = dots - half_squares  # v.w - |w|^2/2 is largest where |v - w| is smallest
        nearness[rows, part] = -torch.inf  # not itself
        closest = vocabulary[nearness.max(dim=1).indices]
        l2.append(torch.linalg.vector_norm(own - closest, dim=1))  # the dot products would not give 0 for equal tokens
        alike = dots.div_(lengths.clamp_min(1e-12))
        alike[rows, part] = -torch.inf
        cosine.append(alike.max(dim=1).values / lengths[part].clamp_min(1e-12))
    return Neighbours(*(values.sort().values.cpu().numpy() for values in (torch.cat(cosine), torch.cat(l2), lengths)))


def share_larger(own: Float[np.ndarray, " n"], usual: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """For each value: the share of `usual`, which is sorted, that is larger. Of distances: 1 is nearer than any word to another.

    >>> share_larger(np.array([0.5, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return 1 - np.searchsorted(usual, own, side="right") / len(usual)


def share_smaller(own: Float[np.ndarray, " n"], usual: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """For each value: the share of `usual`, which is sorted, that is smaller. Of cosines: 1 is more alike than any two words.

    >>> share_smaller(np.array([0.9, 0.5, 0.1]), np.array([0.2, 0.5, 0.6, 0.7])).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.searchsorted(usual, own, side="left") / len(usual)
