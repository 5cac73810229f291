"""Partners of two prompts' vectors, on vectors whose partners are known."""

from itertools import permutations

import numpy as np
import pytest

from core.inspection.meet import match


def drawn(seed, vectors=8, d=64):
    return np.random.default_rng(seed).standard_normal((vectors, d)).astype(np.float32)


def test_vectors_in_another_order_and_of_other_lengths_are_found():
    a, order = drawn(0), np.array([3, 0, 7, 1, 6, 2, 4, 5])
    b = np.empty_like(a)
    b[order] = a * np.arange(1, 9, dtype=np.float32)[:, None]  # partner of a[i]: b[order[i]]
    found = match(a, b)
    assert found.order.tolist() == order.tolist()
    np.testing.assert_allclose(found.cosine, 1, atol=1e-6)
    assert np.abs(found.same_place).max() < 0.5


def test_the_sum_is_the_largest_of_all_pairings_each_partner_once():
    a, b = drawn(0, 5, 4), drawn(1, 5, 4)
    found = match(a, b)
    cosine = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    sums = [cosine[np.arange(5), list(order)].sum() for order in permutations(range(5))]
    assert found.cosine.sum() == pytest.approx(max(sums), abs=1e-5)
    assert sorted(found.order) == list(range(5))  # each partner once
    np.testing.assert_allclose(found.cosine, cosine[np.arange(5), found.order], atol=1e-6)
    np.testing.assert_allclose(found.same_place, cosine.diagonal(), atol=1e-6)
    a, b = np.array([[1.0, 0.0], [1.0, 0.1]]), np.array([[1.0, 0.0], [0.0, 1.0]])  # both of a are nearest to b's first
    assert match(a, b).order.tolist() == [0, 1]


def test_a_common_direction_makes_strangers_alike_until_it_is_taken_off():
    common = np.full(64, 10, dtype=np.float32)
    a, b = drawn(0) + common, drawn(1) + common
    assert match(a, b).same_place.min() > 0.9
    apart = match(a, b, mean=common)
    assert np.abs(apart.same_place).max() < 0.5
    bare = match(drawn(0), drawn(1))
    assert np.array_equal(apart.order, bare.order)
    np.testing.assert_allclose(apart.cosine, bare.cosine, atol=1e-4)


def test_unrelated_zero_and_missing_vectors():
    assert match(drawn(0, 50), drawn(1, 50)).cosine.mean() > 0.15  # chosen: without a choice the mean is 0
    a = drawn(0, 3)
    a[1] = 0
    found = match(a, a)
    assert found.order.tolist() == [0, 1, 2] and found.cosine[1] == found.same_place[1] == 0
    with pytest.raises(ValueError, match="3 vectors can't be matched one to one with 2"):
        match(drawn(0, 3), drawn(1, 2))
