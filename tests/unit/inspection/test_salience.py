"""Salience of positions: a linear score is explained exactly by both readings, and what is ignored counts for nothing."""

import math

import numpy as np
import pytest

from core.inspection.control import of_equal_norm
from core.inspection.salience import agreement, gradient_x_input, left_out, shares_of


def test_both_readings_agree_on_a_linear_score():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    weights[2] = 0  # ignored
    whole = float((values * weights).sum())
    without = np.array([whole - (values[place] * weights[place]).sum() for place in range(5)])
    by_gradient, by_hiding = gradient_x_input(weights, values), left_out(whole, without)
    assert np.allclose(by_gradient, by_hiding) and by_gradient[2] == by_hiding[2] == 0
    assert agreement(by_gradient, by_hiding) == pytest.approx(1) and agreement(by_gradient, -by_hiding) == pytest.approx(-1)


def test_keys_and_values_are_summed_over_all_but_their_position():
    gradient, values = np.ones((2, 3, 4)), np.arange(24.0).reshape(2, 3, 4)
    assert gradient_x_input(gradient, values).tolist() == [values[0].sum(), values[1].sum()]
    with pytest.raises(ValueError, match="is not that of values"):
        gradient_x_input(gradient, values[..., :2])


def test_shares_and_agreement_of_nothing():
    assert shares_of(np.zeros(2), ["a", "b"]) == {"a": 0, "b": 0}
    assert math.isnan(agreement(np.zeros(3), np.arange(3.0))) and math.isnan(agreement(np.ones(1), np.ones(1)))


def test_vectors_of_equal_norm_are_others():
    values = np.random.default_rng(1).normal(size=(2, 4, 8)).astype(np.float32)
    made = of_equal_norm(values, 3)
    assert made.dtype == np.float32 and np.allclose(np.linalg.norm(made, axis=-1), np.linalg.norm(values, axis=-1), rtol=1e-5)
    cosines = (made * values).sum(-1) / np.linalg.norm(values, axis=-1) ** 2
    assert np.abs(cosines).max() < 0.99 and not np.array_equal(made, of_equal_norm(values, 4))
    assert np.array_equal(made, of_equal_norm(values, 3))
