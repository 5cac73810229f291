"""Changed prompts, each against what it must be by hand."""

import numpy as np
import pytest

from core.inspection.variants import AMOUNTS, KINDS
from core.inspection.variants import available as available_on
from core.inspection.variants import variants as variants_on

SOFT = np.arange(12, dtype=np.float32).reshape(3, 4) + 1  # (P, d_model)
KV = np.random.default_rng(0).normal(size=(2, 2, 3, 2, 4)).astype(np.float32)
AXIS = {2: 0, 5: 2}  # of the virtual tokens, by the number of dimensions
BOTH = pytest.mark.parametrize("values", [SOFT, KV], ids=["prompt", "kv"])


def available(values, *more):
    return available_on(values, *more, axis=AXIS[values.ndim])


def variants(values, kind, **more):
    return variants_on(values, kind, axis=AXIS[values.ndim], **more)


def rows(values):
    """Virtual tokens first, each flat."""
    moved = np.moveaxis(values, AXIS[values.ndim], 0)
    return moved.reshape(len(moved), -1)


def stand_ins(values):
    return {"start": -values, "mean": np.full(4, 9, np.float32), "words": 10 * values if values.ndim == 2 else None}


@BOTH
def test_every_kind_that_is_available_can_be_made_and_no_other(values):
    before = values.copy()
    for kind in KINDS:
        if kind in available(values, -values):
            assert all(made.what == kind and made.values.dtype == np.float32 for made in variants(values, kind, **stand_ins(values)))
        else:
            with pytest.raises(ValueError, match="no token embeddings"):
                variants(values, kind, **stand_ins(values))
    assert np.array_equal(values, before)  # a change is made to a copy


def test_what_is_available_depends_on_the_prompt():
    assert available(SOFT, SOFT) == KINDS
    assert set(KINDS) - set(available(SOFT)) == {"start"}
    assert set(KINDS) - set(available(KV, KV)) == {"random token", "snap"}
    assert set(KINDS) - set(available(SOFT[:1], SOFT[:1])) == {"swap"}


@BOTH
def test_leaving_out_and_keeping_only(values):
    left = variants(values, "leave out")
    assert [made.vectors for made in left] == [(0,), (1,), (2,)]
    for i, made in enumerate(left):
        assert np.array_equal(rows(made.values), rows(values)[[j for j in range(3) if j != i]])
    for i, made in enumerate(variants(values, "only")):
        assert made.vectors == (i,) and np.array_equal(rows(made.values), rows(values)[[i]])


def test_leaving_out_the_only_vector_leaves_none():
    [made] = variants(SOFT[:1], "leave out")
    assert made.values.shape == (0, 4)
    [made] = variants(KV[:, :, :1], "leave out")
    assert made.values.shape == (2, 2, 0, 2, 4)


@pytest.mark.parametrize(
    "values, kind", [(SOFT, "mean"), (SOFT, "start"), (SOFT, "snap"), (SOFT, "random token"), (KV, "start"), (KV, "mean")]
)
def test_one_vector_is_replaced_and_the_others_stay(values, kind):
    by_kind = {"mean": np.full((3, 4), 9) if values.ndim == 2 else np.tile(rows(KV).mean(axis=0), (3, 1)), "start": -rows(values)}
    instead = by_kind.get(kind, 10 * rows(values))
    for i, made in enumerate(variants(values, kind, **stand_ins(values))):
        wanted = rows(values).copy()
        wanted[i] = instead[i]
        assert made.vectors == (i,)
        np.testing.assert_allclose(rows(made.values), wanted, rtol=1e-6)


@BOTH
def test_scaling_takes_the_whole_prompt_from_nothing_to_twice(values):
    made = variants(values, "scale")
    assert tuple(one.amount for one in made) == AMOUNTS == (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2)
    assert all(np.array_equal(one.values, values * np.float32(one.amount)) and one.vectors == (0, 1, 2) for one in made)


@BOTH
def test_two_vectors_change_places(values):
    made = {one.vectors: rows(one.values) for one in variants(values, "swap")}
    orders = {(0, 1): [1, 0, 2], (0, 2): [2, 1, 0], (1, 2): [0, 2, 1]}
    assert made.keys() == orders.keys()
    assert all(np.array_equal(made[pair], rows(values)[order]) for pair, order in orders.items())


def test_many_vectors_are_swapped_with_one_of_them_and_one_with_none():
    assert variants(SOFT[:1], "swap") == []
    many = np.zeros((7, 4), np.float32)
    assert [one.vectors for one in variants(many, "swap")] == [(0, i) for i in range(1, 7)]
    assert [one.vectors for one in variants(many, "swap", chosen=2)] == [(2, i) for i in (0, 1, 3, 4, 5, 6)]
    assert [one.vectors for one in variants(SOFT, "swap", chosen=0)] == [(0, 1), (0, 2)]
    with pytest.raises(ValueError, match="from 0 to 6"):
        variants(many, "swap", chosen=7)


def test_what_cannot_be_made_says_why():
    with pytest.raises(ValueError, match="no kind of change"):
        variants(SOFT, "shuffle")
    with pytest.raises(ValueError, match="give start"):
        variants(SOFT, "start")
    with pytest.raises(ValueError, match="one row for each"):
        variants(SOFT, "start", start=SOFT[:2])
