"""Variants of a learned prompt with one change each: the change of the scores shows the effect of each vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

KINDS = ("leave out", "mean", "start", "random token", "snap", "only", "scale", "swap")
AMOUNTS = tuple(quarter / 4 for quarter in range(9))  # factors of the whole prompt
MOST_PAIRS_OF = 6  # of more vectors than this, not every pair is swapped


@dataclass(frozen=True, eq=False)
class Variant:
    """A changed prompt. what: one of KINDS. vectors: the virtual tokens that were changed, left out or kept, counted from 0.

    amount: the factor of the whole prompt, 1 for other changes. values: (P', d_model) or (layers, 2, P', kv_heads, head_dim),
    where P' is 0 for a prompt whose only vector was left out.
    """

    what: str
    vectors: tuple[int, ...]
    amount: float
    values: Float[np.ndarray, "..."]


def available(values: Float[np.ndarray, "..."], start: Float[np.ndarray, "..."] | None = None, axis: int = 0) -> tuple[str, ...]:
    """The KINDS that can be made of this prompt. axis: of the virtual tokens, 0 for vectors, 2 for keys and values.

    Keys and values are not embeddings, so neither a random token nor the nearest one can replace them.

    >>> available(np.zeros((2, 4), dtype=np.float32))
    ('leave out', 'mean', 'random token', 'snap', 'only', 'scale', 'swap')
    """
    missing = {
        "start": start is None,
        "random token": axis > 0,
        "snap": axis > 0,
        "swap": values.shape[axis] < 2,
    }
    return tuple(kind for kind in KINDS if not missing.get(kind))


def variants(
    values: Float[np.ndarray, "..."],
    what: str,
    *,
    start: Float[np.ndarray, "..."] | None = None,
    mean: Float[np.ndarray, " d_model"] | None = None,
    words: Float[np.ndarray, "vectors d_model"] | None = None,
    chosen: int | None = None,
    axis: int = 0,
) -> list[Variant]:
    """Every changed prompt of one kind. values: (P, d_model), or (layers, 2, P, kv_heads, head_dim) where axis is 2.

    leave out: without vector i; later vectors move one position forward. The keys of a K/V prefix keep their rotation.
    mean: vector i replaced by `mean`, the vocabulary's mean embedding; in a K/V prefix by the mean over its own virtual
    tokens, of each layer and head (keys are averaged as stored, that is after rotation).
    start: vector i replaced by its row of `start`, the vectors before training.
    random token, snap: vector i replaced by row i of `words`, the embeddings of random tokens or of each vector's nearest.
    only: vector i alone.
    scale: the whole prompt times 0, 0.25, … 2. Keys and values of 0 still draw attention, so that is not "no prompt".
    swap: two vectors change places: `chosen` with each other one; without it all pairs of up to 6 vectors, else vector 0's.
    Attention ignores the order of keys and a K/V prefix keeps its rotations, so there a swap changes nothing but rounding, except in
    layers with a sliding window.

    ValueError for a kind that this prompt doesn't have (see `available`), or without the arrays that it needs.

    >>> [variant.values.tolist() for variant in variants(np.array([[1.0], [2.0]], dtype=np.float32), "leave out")]
    [[[2.0]], [[1.0]]]
    """
    count = values.shape[axis]
    if what not in KINDS:
        raise ValueError(f"{what!r} is no kind of change: choose one of {', '.join(KINDS)}.")
    if what in ("random token", "snap") and axis:
        raise ValueError(f"A K/V prefix has no token embeddings, so {what!r} can't be done to it: choose another change.")
    if what == "scale":
        return [Variant(what, tuple(range(count)), amount, values * np.float32(amount)) for amount in AMOUNTS]
    if what == "swap":
        return [Variant(what, pair, 1.0, _swapped(values, axis, pair)) for pair in _pairs(count, chosen)]
    if what == "leave out":
        return [Variant(what, (i,), 1.0, np.delete(values, i, axis)) for i in range(count)]
    if what == "only":
        return [Variant(what, (i,), 1.0, values.take([i], axis)) for i in range(count)]
    instead = _instead(values, axis, what, start, mean, words)
    made = []
    for i in range(count):
        changed = values.copy()
        np.moveaxis(changed, axis, 0)[i] = np.moveaxis(instead, axis, 0)[i]  # views with the virtual tokens first
        made.append(Variant(what, (i,), 1.0, changed))
    return made


def _instead(
    values: np.ndarray, axis: int, what: str, start: np.ndarray | None, mean: np.ndarray | None, words: np.ndarray | None
) -> np.ndarray:
    """A replacement for each vector, in the shape of `values`."""
    if what == "mean" and axis:
        return np.broadcast_to(values.mean(axis=axis, keepdims=True), values.shape)
    name, given = {"start": ("start", start), "mean": ("mean", mean)}.get(what, ("words", words))
    if given is None:
        raise ValueError(f"{what!r} needs something to put in each vector's place: give {name}.")
    if given.shape[-1] != values.shape[-1] or (what != "mean" and given.shape != values.shape):
        raise ValueError(f"An array of shape {given.shape} can't stand in for vectors of shape {values.shape}: give one row for each.")
    return np.broadcast_to(given, values.shape)


def _swapped(values: np.ndarray, axis: int, pair: Sequence[int]) -> np.ndarray:
    order = np.arange(values.shape[axis])
    order[list(pair)] = order[list(pair)[::-1]]
    return values.take(order, axis)


def _pairs(count: int, chosen: int | None) -> list[tuple[int, int]]:
    if chosen is None and count <= MOST_PAIRS_OF:
        return list(combinations(range(count), 2))
    chosen = chosen or 0
    if not 0 <= chosen < count:
        raise ValueError(f"There is no vector {chosen} among {count}: choose one from 0 to {count - 1}.")
    return [(chosen, other) for other in range(count) if other != chosen]
