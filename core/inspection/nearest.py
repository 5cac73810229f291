"""Nearest vocabulary tokens of a vector, by cosine and by Euclidean distance.

Used on soft prompts by Lester et al. 2021 (section 7) and Khashabi et al. 2021, who show how little it may say.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

LIKELY = 64  # tokens that are looked at again, for each vector and each measure
ROUGH = 2.0**-7


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
    """The k tokens of `vocabulary` nearest to each vector. lengths: of its tokens, where they are known already.

    cosine = v.w / (|v| |w|), l2 = |v - w|. A vector or token of length 0 has cosine 0 with everything.
    rough: the vocabulary in bfloat16, for a CPU that multiplies that faster: the same answer in a third of the time.

    >>> words = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> nearest(torch.tensor([[0.0, 1.0]]), words, k=1).ids.tolist()
    [[1]]
    """
    norms = torch.linalg.vector_norm(vectors, dim=1)  # (vectors,)
    lengths = torch.linalg.vector_norm(vocabulary, dim=1) if lengths is None else lengths  # (vocab,)
    found = None if rough is None else _among_likely(vectors, vocabulary, k, lengths, norms, rough)
    if found:
        return found
    dots = (vocabulary @ vectors.T).T.contiguous()  # (vectors, vocab); this way round takes a CPU two thirds of the time
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
    """`nearest` among the few tokens that rough products leave possible, or None where those are not certain to be all.

    A product of bfloat16 vectors is off by less than ROUGH |v| |w|: each factor is rounded by at most 2^-9 of itself, and so is
    the sum (Cauchy-Schwarz). So a token's rough score plus that is more than its score, and whatever is below the k-th exact
    one even so can't be among the nearest.
    """
    if len(vocabulary) <= LIKELY:
        return None
    products = norms[:, None] * lengths  # (vectors, vocab)
    dots = (vectors.to(rough.dtype) @ rough.T).float() + ROUGH * products  # more than the true ones
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
    """How near a vocabulary's own tokens are to each other, and how long they are: what one vector's numbers are read against.

    cosine, l2: (sample,), of sampled tokens, to the nearest other token by cosine and by distance, which need not be the same
    one. norms: (vocab,), all tokens' lengths. Each sorted ascending by itself, float32: place i is not one token's.
    """

    cosine: Float[np.ndarray, " sample"]
    l2: Float[np.ndarray, " sample"]
    norms: Float[np.ndarray, " vocab"]


def neighbours(vocabulary: Float[Tensor, "vocab d_model"], sample: int = 2000, seed: int = 0) -> Neighbours:
    """For `sample` tokens drawn by `seed` (at most all), their nearest other token: its cosine, and the least distance.

    A token that another one equals has a distance of 0. `vocabulary` has two tokens or more.

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
        l2.append(torch.linalg.vector_norm(own - closest, dim=1))  # of the difference: the dots would round 0 to something
        alike = dots.div_(lengths.clamp_min(1e-12))
        alike[rows, part] = -torch.inf
        cosine.append(alike.max(dim=1).values / lengths[part].clamp_min(1e-12))
    return Neighbours(*(values.sort().values.cpu().numpy() for values in (torch.cat(cosine), torch.cat(l2), lengths)))


def share_farther(own: Float[np.ndarray, " n"], usual: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """For each distance of a vector to its nearest token: the share of `usual` ones (sorted: `Neighbours.l2`) that are larger.

    1: nearer than any word is to its neighbour; 0: as far as the loneliest word, or farther. Equal ones are not larger.

    >>> share_farther(np.array([0.5, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return 1 - np.searchsorted(usual, own, side="right") / len(usual)


def share_less_alike(own: Float[np.ndarray, " n"], usual: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """For each cosine of a vector to its nearest token: the share of `usual` ones (sorted: `Neighbours.cosine`) that are smaller.

    1: more like its token than any word is like its neighbour; 0: no more alike than the loneliest word. Equal ones are not
    smaller.

    >>> share_less_alike(np.array([0.9, 0.5, 0.1]), np.array([0.2, 0.5, 0.6, 0.7])).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.searchsorted(usual, own, side="left") / len(usual)


def share_shorter(own: Float[np.ndarray, " n"], usual: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """For each vector's length: the share of the vocabulary's tokens (sorted: `Neighbours.norms`) that are shorter.

    1: longer than every token; 0: no longer than the shortest. Equal ones are not shorter.

    >>> share_shorter(np.array([5.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.searchsorted(usual, own, side="left") / len(usual)
