"""Whether two prompts hold the same vectors in any order: each vector of one is paired with one vector of the other."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Matched:
    """order: for each vector of a, the index of its partner in b, each partner used once. cosine: of the partners.

    same_place: for each index, the cosine of a's vector and b's at that index.
    """

    order: Int[np.ndarray, " vectors"]
    cosine: Float[np.ndarray, " vectors"]
    same_place: Float[np.ndarray, " vectors"]


def match(a: Float[np.ndarray, "vectors d"], b: Float[np.ndarray, "others d"], mean: Float[np.ndarray, " d"] | None = None) -> Matched:
    """The pairing of the vectors of a and b, one to one, whose cosines have the largest sum (Hungarian method, Kuhn 1955).

    mean: subtracted from all vectors first. Embeddings share a large common direction, which makes all of them similar (Mu &
    Viswanath 2018, "All-but-the-top"): pass the vocabulary's mean to compare how vectors differ from it. A vector of length 0
    has cosine 0 with all vectors. Partners are chosen for their cosines, so even unrelated vectors get cosines above 0: match
    a control in the same way. Raises ValueError where a and b differ in their number of vectors.

    >>> a, b = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 3.0], [2.0, 0.0]])
    >>> found = match(a, b)
    >>> found.order.tolist(), found.cosine.tolist(), found.same_place.tolist()
    ([1, 0], [1.0, 1.0], [0.0, 0.0])
    """
    from scipy.optimize import linear_sum_assignment

    if len(a) != len(b):
        raise ValueError(f"{len(a)} vectors can't be matched one to one with {len(b)}: compare prompts of one length.")
    cosine = _unit(a, mean) @ _unit(b, mean).T  # (vectors, vectors)
    places, order = linear_sum_assignment(cosine, maximize=True)
    return Matched(order, cosine[places, order], cosine.diagonal().copy())


def _unit(vectors: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    centred = vectors if mean is None else vectors - mean
    return centred / np.linalg.norm(centred, axis=1, keepdims=True).clip(min=1e-12)
