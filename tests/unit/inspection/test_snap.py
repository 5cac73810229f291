"""Snapping to the nearest tokens, and the share of the gain that this keeps."""

import numpy as np
import pytest
import torch

from core.inspection.snap import retention, snap

WORDS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-1.0, 0.0]])


def test_snap_takes_the_nearest_direction_in_its_own_length():
    ids, embeddings = snap(torch.tensor([[0.6, 0.6], [0.1, 5.0]]), WORDS)
    assert ids.tolist() == [2, 1] and embeddings.tolist() == [[3.0, 3.0], [0.0, 2.0]]


def rows(*counts):
    """(none, snapped, soft) of rows: counts[i] of the pattern whose bits are i, in this order."""
    patterns = np.repeat(np.arange(8), counts)
    return tuple((patterns & bit) > 0 for bit in (4, 2, 1))


def test_retention_is_the_share_of_the_gain_that_is_kept():
    none, snapped, soft = rows(20, 20, 0, 40, 0, 0, 0, 20)  # 20 right of 100 alone, 60 snapped, 80 soft
    found = retention(none, snapped, soft)
    assert found.value == pytest.approx(40 / 60) and found.gain == pytest.approx(0.6)
    assert found.gain_interval[0] == pytest.approx(0.5, abs=0.02) and found.gain_interval[1] == pytest.approx(0.69, abs=0.02)
    # The rows gained are 60 on average, and of each 2/3 are kept: a share's standard error is (2/3 * 1/3 / 60) ** 0.5 = 0.061.
    assert found.interval[0] == pytest.approx(2 / 3 - 0.12, abs=0.02) and found.interval[1] == pytest.approx(2 / 3 + 0.12, abs=0.02)
    assert found.words.startswith("Keeps 67% of the gain (5")
    assert found == retention(none, snapped, soft) != retention(none, snapped, soft, seed=1)
    # Rows are paired: drawn apart they would differ.
    none = np.arange(100) < 50
    soft = ~none & (np.arange(100) < 80) | none  # 30 rows gained
    found = retention(none, soft, soft)
    assert found.value == 1 and found.interval == (1, 1)


def test_retention_may_be_below_none_and_of_a_loss():
    harm = retention(*rows(0, 50, 0, 0, 0, 50, 0, 0))  # none has what the tokens lose, and the soft prompt the rest too
    assert harm.value == -1 and harm.gain == 0.5 and harm.interval[1] < 0
    loss = retention(*rows(0, 0, 0, 0, 30, 0, 30, 40))
    assert loss.gain == pytest.approx(-0.6) and loss.value == pytest.approx(0.5) and "of the loss" in loss.words


@pytest.mark.parametrize(
    "counts",
    [
        (30, 4, 0, 1, 3, 0, 0, 30),  # a gain of 2 rows in 68
        (10, 0, 10, 0, 0, 0, 0, 10),  # none at all, though snapping gains
        (10, 0, 0, 0, 0, 0, 0, 0),
        (0, 1, 0, 0, 0, 0, 0, 0),  # one row says nothing
    ],
)
def test_retention_is_not_defined_where_the_gain_may_be_nothing(counts):
    found = retention(*rows(*counts))
    assert found.value is None and found.interval is None
    assert found.gain_interval[0] <= 0 <= found.gain_interval[1] and found.words.startswith("Not defined")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(3))
def test_resamples_without_gain_leave_finite_bounds(seed):
    none, snapped, soft = rows(100, 5, 2, 2, 1, 0, 0, 30)  # a gain of 6: some resamples have none, a few a loss
    draws = np.random.default_rng(seed).integers(len(none), size=(2000, len(none)))
    gains = soft[draws].mean(axis=1) - none[draws].mean(axis=1)
    assert 0 < (gains <= 0).sum() < 50
    found = retention(none, snapped, soft, seed=seed)
    assert found.value == pytest.approx(0.5) and np.isfinite(found.interval).all() and found.gain_interval[0] > 0
    assert found.interval[0] < found.value < found.interval[1]


def test_retention_of_no_rows_or_of_others_is_an_error():
    some, no_rows = np.ones(3, dtype=bool), np.zeros(0, dtype=bool)
    for rows_of, sentence in (((some, some, no_rows), "3, 3 and 0 rows don't go together"), ((no_rows,) * 3, "no rows")):
        with pytest.raises(ValueError, match=sentence):
            retention(*rows_of)
