"""Groups of texts that share most of their runs of characters."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import block_diag, csr_array, vstack
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from core.tasks.task import Example, worded

# Cosines above which two texts nearly repeat each other. Tuned in test_split.py: pairs with one word or comma changed have 0.81
# or more if they are 60 characters long; questions that differ in one word are shorter and have up to 0.89.
LONG = 60
NEAR_SHORT = 0.9
NEAR_LONG = 0.78
FEW = 1000  # rows of a block that are all compared exactly
DIMENSIONS = 1024  # of a sketch, whose cosines are off by 1 / sqrt(1024), about 0.03, one time in three
UNSURE = 0.12  # four times that: so near to the bound, a pair is looked at exactly
MOST_LOOKED_AT = 200_000  # pairs of 500 rows with all others; where more are near the bound, the sketch has the last word


def groups(blocks: Sequence[Sequence[Example]]) -> dict[str, int]:
    """Rows that nearly repeat another one of their block: from their key to the number of their group."""
    rows = [example for block in blocks for example in block]
    texts = [worded(example.input) for example in rows]
    vectors = _vectors(texts)  # (rows, features), each of length 1
    needed = np.array([NEAR_LONG if len(text) >= LONG else NEAR_SHORT for text in texts], dtype=np.float32)
    links, start = [], 0
    for block in blocks:
        links.append(_links(vectors[start : start + len(block)], needed[start : start + len(block)]))
        start += len(block)
    _, numbers = connected_components(block_diag(links, format="csr"), directed=False)
    sizes = np.bincount(numbers)
    return {example.key: int(number) for example, number in zip(rows, numbers, strict=True) if sizes[number] > 1}


def _vectors(texts: Sequence[str]) -> csr_array:
    try:
        weights = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), dtype=np.float32).fit_transform(texts)
    except ValueError:  # nothing but spaces in all of them
        return csr_array((len(texts), 1), dtype=np.float32)
    shared = np.bincount(weights.indices, minlength=weights.shape[1]) > 1  # a feature of one row only adds to no cosine
    return csr_array(weights[:, shared])


def _links(vectors: csr_array, needed: np.ndarray) -> csr_array:
    """A 1 for each pair of rows (above the diagonal) whose cosine is at least what both need.

    More than `FEW` rows are compared in a sketch first, which adds each feature to, or subtracts it from, one of `DIMENSIONS`
    numbers drawn at random (Charikar, Chen & Farach-Colton 2002). Its time does not depend on what the texts contain.
    """
    quick = _sketch(vectors) if len(needed) > FEW else None
    parts = []
    for start in range(0, len(needed), 500):  # 500 rows at a time, so that memory stays small
        some = slice(start, start + 500)
        bound = np.maximum(needed[some, None], needed)  # (500, rows)
        if quick is None:
            near = (vectors[some] @ vectors.T).toarray() >= bound
        else:
            alike = quick[some] @ quick.T
            near = alike >= bound
            one, other = np.nonzero(np.triu(np.abs(alike - bound) < UNSURE, start + 1))
            if len(one) <= MOST_LOOKED_AT:
                near[one, other] = _cosines(vectors, start + one, other) >= bound[one, other]
        parts.append(csr_array(np.triu(near, start + 1)))
    return vstack(parts, format="csr")


def _sketch(vectors: csr_array) -> np.ndarray:
    draw, features = np.random.default_rng(0), vectors.shape[1]
    signs = draw.choice(np.array([-1, 1], dtype=np.float32), features)
    places = csr_array((signs, (np.arange(features), draw.integers(DIMENSIONS, size=features))), shape=(features, DIMENSIONS))
    return (vectors @ places).toarray()  # (rows, DIMENSIONS)


def _cosines(vectors: csr_array, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    parts = [slice(start, start + 5000) for start in range(0, len(one), 5000)]
    return np.concatenate([np.asarray((vectors[one[p]] * vectors[other[p]]).sum(axis=1)).ravel() for p in parts] or [np.zeros(0)])
