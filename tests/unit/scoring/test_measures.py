"""Measures: worked by hand, and against scikit-learn, scipy and the plainest possible loops."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix

from core.errors import LabError
from core.scoring.measures import (
    Pair,
    bootstrap_difference,
    bootstrap_mean,
    confusion,
    expected_calibration_error,
    holm,
    in_words,
    mcnemar,
    pairs,
    reliability,
    spread,
    wilson,
)

SHARES = st.floats(0, 1)
ROUND = st.integers(0, 20).map(lambda n: n / 20)  # often on a bin's edge
ROWS = st.lists(st.tuples(SHARES | ROUND, st.booleans()), min_size=1, max_size=40)
P_VALUES = st.lists(SHARES | ROUND, min_size=1, max_size=8)


def drawn(seed, n=400):
    """Confidences, and rows that are right a bit less often than they say."""
    random = np.random.default_rng(seed)
    confidence = random.random(n)
    return confidence.tolist(), (random.random(n) < confidence**1.5).tolist()


def test_a_calibration_error_worked_by_hand():
    confidence, correct = [0.05, 0.62, 0.68, 0.91, 0.99, 1.0], [False, True, False, True, True, False]
    by_hand = 1 / 6 * abs(0 - 0.05) + 2 / 6 * abs(1 / 2 - 0.65) + 3 / 6 * abs(2 / 3 - 2.9 / 3)
    assert expected_calibration_error(confidence, correct) == pytest.approx(by_hand)
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(abs(3 / 6 - 4.25 / 6))
    assert expected_calibration_error([1.0] * 4, [False] * 4) == 1


def brute_force_error(confidence, correct, bins):
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [i for i, c in enumerate(confidence) if low <= c < high or (number == bins - 1 and c == 1.0)]
        if inside:
            accuracy = sum(correct[i] for i in inside) / len(inside)
            sure = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - sure)
    return total


@given(ROWS, st.integers(1, 25))
def test_the_calibration_error_is_that_of_the_plainest_loop(rows, bins):
    confidence, correct = [row[0] for row in rows], [row[1] for row in rows]
    found = expected_calibration_error(confidence, correct, bins)
    assert found == pytest.approx(brute_force_error(confidence, correct, bins), abs=1e-12)
    assert 0 <= found <= 1
    turned = expected_calibration_error(confidence[::-1], correct[::-1], bins)
    assert turned == pytest.approx(found, abs=1e-12)  # the order of the rows means nothing


@given(ROWS, st.integers(1, 25))
def test_every_row_is_in_the_bin_of_its_confidence(rows, bins):
    found = reliability([row[0] for row in rows], [row[1] for row in rows], bins)
    for bin in found:
        inside = [row for row in rows if bin.low <= row[0] < bin.high or row[0] == bin.high == 1.0]
        assert bin.n == len(inside) > 0
        assert bin.accuracy == sum(row[1] for row in inside) / bin.n
        assert bin.confidence == pytest.approx(np.mean([row[0] for row in inside]))
        assert bin.interval == wilson(sum(row[1] for row in inside), bin.n)
    assert sum(bin.n for bin in found) == len(rows)
    assert [bin.low for bin in found] == sorted({bin.low for bin in found})


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
@pytest.mark.parametrize("seed", range(3))
def test_bins_are_scikit_learns(seed, bins):
    confidence, correct = drawn(seed)
    accuracies, confidences = calibration_curve(correct, confidence, n_bins=bins, strategy="uniform")
    found = reliability(confidence, correct, bins)
    assert [bin.accuracy for bin in found] == pytest.approx(accuracies.tolist())
    assert [bin.confidence for bin in found] == pytest.approx(confidences.tolist())


def test_a_bin_begins_at_its_lower_edge_and_the_last_ends_at_one():
    edges = [n / 10 for n in range(11)]
    found = reliability(edges, [True] * 11)
    assert [(bin.low, bin.high) for bin in found] == [(n / 10, (n + 1) / 10) for n in range(10)]
    assert [bin.n for bin in found] == [1] * 9 + [2]
    assert [bin.high for bin in reliability([1 + 1e-9, -1e-9], [True, True])] == [0.1, 1.0]  # off by rounding


@pytest.mark.parametrize("measure", [expected_calibration_error, reliability])
@pytest.mark.parametrize(
    "confidence, correct, bins, message",
    [
        ([], [], 10, "no rows"),
        ([0.5], [True, False], 10, "1 values don't go with 2"),
        ([0.5], [], 10, "1 values don't go with 0"),
        ([0.5, 1.1], [True, True], 10, "between 0 and 1"),
        ([-0.1], [True], 10, "between 0 and 1"),
        ([math.nan], [True], 10, "between 0 and 1"),
        ([0.5], [True], 0, "bins"),
    ],
)
def test_what_is_no_calibration_is_refused(measure, confidence, correct, bins, message):
    with pytest.raises(LabError, match=message):
        measure(confidence, correct, bins)


def test_a_confusion_worked_by_hand():
    truth, said = ["a", "a", "a", "b", "c", "c"], ["a", "b", "b", "b", "a", "c"]
    assert confusion(truth, said, ["a", "b", "c"]).tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 1]]
    assert confusion(truth, said, ["c", "b", "a"]).tolist() == [[1, 0, 1], [0, 1, 0], [0, 2, 1]]
    assert confusion(["b"], ["b"], ["a", "b"]).tolist() == [[0, 0], [0, 1]]  # a label may have no row
    assert confusion([], [], ["a", "b"]).tolist() == [[0, 0], [0, 0]]
    for truth, said, message in (
        (["a"], [], "1 right labels don't go with 0"),
        (["a"], ["x"], "'x' is none"),
        (["y"], ["a"], "'y' is none"),
    ):
        with pytest.raises(LabError, match=message):
            confusion(truth, said, ["a", "b"])


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=50))
def test_confusions_are_scikit_learns_and_add_up(rows):
    labels, truth, said = ["d", "a", "c", "b"], [row[0] for row in rows], [row[1] for row in rows]
    found = confusion(truth, said, labels)
    assert found.tolist() == confusion_matrix(truth, said, labels=labels).tolist()
    assert np.trace(found) / len(rows) == pytest.approx(accuracy_score(truth, said))


@pytest.mark.parametrize(
    "wins, losses, p",
    [(0, 0, 1.0), (1, 0, 1.0), (0, 1, 1.0), (3, 3, 1.0), (4, 1, 2 * (1 + 5) / 2**5), (1, 4, 12 / 32), (10, 0, 2 / 1024)],
)
def test_mcnemars_test_worked_by_hand(wins, losses, p):
    assert mcnemar(wins, losses) == pytest.approx(p)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_test_is_scipys_binomial_test(wins, losses):
    assert mcnemar(wins, losses) == mcnemar(losses, wins)
    if wins + losses:
        assert mcnemar(wins, losses) == pytest.approx(binomtest(wins, wins + losses, 0.5).pvalue)


def test_holms_adjustment_worked_by_hand():
    # sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 (below the one before, so that one)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, 0.4]) == [1.0, 1.0, 1.0]
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06, 0.06, 0.06])
    assert holm([]) == []


@given(P_VALUES)
def test_holm_is_the_closure_of_bonferroni(p):
    """By definition: one hypothesis falls when Bonferroni's test rejects every set of hypotheses that it is in.

    That makes adjusted values as large as the values at least, at most 1, and in the same order.
    """
    found = holm(p)
    assert len(found) == len(p) and holm(p[::-1]) == found[::-1]
    for i in range(len(p)):
        sets = [s for size in range(1, len(p) + 1) for s in combinations(range(len(p)), size) if i in s]
        assert found[i] == pytest.approx(max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets))


def rows_right(text, start=0):
    """'1101' as {row 0: True, ...}, numbered from start."""
    return {f"row {start + i}": letter == "1" for i, letter in enumerate(text)}


def test_pairs_worked_by_hand():
    right = {
        "bare": rows_right("0000000000"),
        "learned": rows_right("1111111100"),
        "elsewhere": rows_right("111", start=100),
        "late": rows_right("0111", start=6),
    }
    bare, late = pairs("learned", right)
    assert (bare.name, bare.other, bare.wins, bare.losses, bare.n, bare.difference) == ("learned", "bare", 8, 0, 10, 0.8)
    assert (late.name, late.other, late.wins, late.losses, late.n, late.difference) == ("learned", "late", 1, 2, 4, -0.25)
    assert (bare.p, late.p) == pytest.approx((2 / 256, 1.0))
    assert (bare.adjusted, late.adjusted) == pytest.approx((4 / 256, 1.0))  # two tests: the one without a common row is none
    assert pairs("a", {"a": rows_right("101")}) == pairs("a", {"a": {}, "b": rows_right("1")}) == []
    with pytest.raises(LabError, match="'x' was not scored"):
        pairs("x", {"a": rows_right("101")})


@given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.booleans()), min_size=1, max_size=5))
def test_pairs_count_what_a_plain_loop_counts(tables):
    right = {f"contender {i}": table for i, table in enumerate(tables)}
    own, found = tables[0], pairs("contender 0", right)
    assert [pair.other for pair in found] == [name for name, table in right.items() if table is not own and set(table) & set(own)]
    for pair in found:
        theirs = right[pair.other]
        both = set(own) & set(theirs)
        assert pair.n == len(both)
        assert pair.wins == len([row for row in both if (own[row], theirs[row]) == (True, False)])
        assert pair.losses == len([row for row in both if (own[row], theirs[row]) == (False, True)])
        assert pair.difference == pytest.approx(np.mean([own[row] for row in both]) - np.mean([theirs[row] for row in both]))
        assert pair.p == mcnemar(pair.wins, pair.losses)
    assert [pair.adjusted for pair in found] == holm([pair.p for pair in found])


def pair(wins, losses, adjusted, n=103):
    return Pair("learned", "bare", wins, losses, n, (wins - losses) / n, mcnemar(wins, losses), adjusted)


@pytest.mark.parametrize(
    "found, sentence",
    [
        (pair(21, 4, 0.001), "21 wins, 4 losses on 103 rows: clearly better, p = 0.001."),
        (pair(21, 4, 0.00099), "21 wins, 4 losses on 103 rows: clearly better, p < 0.001."),
        (pair(4, 21, 0.001), "4 wins, 21 losses on 103 rows: clearly worse, p = 0.001."),
        (pair(0, 21, 1e-6), "0 wins, 21 losses on 103 rows: clearly worse, p < 0.001."),
        (pair(9, 1, 0.0428), "9 wins, 1 loss on 103 rows: clearly better, p = 0.043."),
        (pair(4, 1, 0.375), "4 wins, 1 loss on 103 rows: too close to call, p = 0.38."),
        (pair(1, 4, 0.375), "1 win, 4 losses on 103 rows: too close to call, p = 0.38."),
        (pair(0, 1, 1.0), "0 wins, 1 loss on 103 rows: too close to call, p = 1.00."),
        (pair(9, 1, 0.05), "9 wins, 1 loss on 103 rows: too close to call, p = 0.050."),
        (pair(0, 0, 1.0), "No difference on 103 rows."),
        (pair(0, 0, 1.0, n=1), "No difference on 1 row."),
    ],
)
def test_a_pair_in_words(found, sentence):
    assert in_words(found) == sentence
    found = Pair("learned", "bare", 8, 1, 20, 0.35, 0.039, 0.078)  # the verdict is by the adjusted value and the level asked for
    assert "too close to call" in in_words(found) and "p = 0.078" in in_words(found)
    assert "clearly better" in in_words(found, level=0.1)


def test_a_spread_worked_by_hand():
    assert spread([0.5, 0.25, 0.75, 1.0]) == (0.625, 0.25, 1.0)
    assert spread([0.3]) == (0.3, 0.3, 0.3)
    assert spread([0.1] * 3) == (0.1, 0.1, 0.1)  # numpy's mean is 0.10000000000000002
    with pytest.raises(LabError, match="no values"):
        spread([])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_mean_lies_between_the_ends(values):
    mean, low, high = spread(values)
    assert min(values) == low <= mean <= high == max(values)
    assert mean == pytest.approx(math.fsum(values) / len(values), abs=1e-6)


@pytest.mark.parametrize("right, n", [(5, 20), (30, 60), (100, 103)])
def test_resampled_means_are_binomial(right, n):
    """Against one that is always wrong, the resampled means are Binomial(n, right / n) / n: its percentiles are known."""
    low, high = bootstrap_difference([True] * right + [False] * (n - right), [False] * n)
    assert (low, high) == pytest.approx([binom.ppf(share, n, right / n) / n for share in (0.025, 0.975)], abs=1.01 / n)


def test_the_resampling_is_paired():
    a = ([True, False] * 50) + [True]
    low, high = bootstrap_difference(a, [*a[:-1], False])  # they differ on one row of 101
    assert low == 0 and high <= 4 / 101  # apart from each other, a and b would give ±0.14
    assert bootstrap_difference([*a[:-1], False], a) == pytest.approx((-high, 0), abs=1.01 / 101)


def test_the_seed_is_all_that_chance_depends_on():
    a, b = drawn(0)[1], drawn(1)[1]
    assert bootstrap_difference(a, b) == bootstrap_difference(a, b, seed=0)
    assert len({bootstrap_difference(a, b, seed=seed) for seed in range(5)}) > 1


def test_differences_that_are_all_alike_are_an_interval_of_one_point_and_unpaired_ones_are_refused():
    for a, b, gap in (("11", "00", 1.0), ("00", "11", -1.0), ("1010", "1010", 0.0), ("1", "0", 1.0)):
        assert bootstrap_difference([x == "1" for x in a], [x == "1" for x in b]) == (gap, gap)
    for one, other in (([], []), ([True], []), ([True], [True, False])):
        with pytest.raises(LabError):
            bootstrap_difference(one, other)


def test_a_means_interval_is_nearly_normal_with_many_rows():
    values = np.random.default_rng(0).exponential(2.0, 400)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert bootstrap_mean(values.tolist()) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert bootstrap_mean([-0.25] * 9) == (-0.25, -0.25)
    with pytest.raises(LabError, match="no rows"):
        bootstrap_mean([])
