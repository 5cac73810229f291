"""How far results can be trusted: calibration, confusion of labels, and which differences are unlikely to be chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import LabError, shown

RESAMPLES = 2000
ROUNDING = 1e-6  # a probability may be this far outside [0, 1]

CHANCE = 0.05  # with a paired p of this or more, a difference is too close to call


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval for a share of `correct` in `n` rows.

    >>> [round(float(x), 3) for x in wilson(9, 10)]
    [0.596, 0.982]
    """
    from scipy import stats

    interval = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


# --- calibration -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bin:
    """The n rows whose confidence is in [low, high), in the last bin [low, high]: their mean confidence, and the share right.

    interval: of the accuracy, Wilson, 95 %.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


def reliability(confidence: Sequence[float], correct: Sequence[bool], bins: int = 10) -> list[Bin]:
    """The points of a reliability diagram: `bins` bins of equal width on [0, 1], from low to high, empty ones left out.

    confidence, correct: (rows,). LabError where there are no rows, one has no partner, or a confidence is no probability.

    >>> [(bin.low, bin.n, bin.confidence, bin.accuracy) for bin in reliability([0.25, 0.75, 1.0], [False, True, False], bins=2)]
    [(0.0, 1, 0.25, 0.0), (0.5, 2, 0.875, 0.5)]
    """
    _check_pairs(len(confidence), len(correct))
    if bins < 1:
        raise LabError(f"{bins} bins can hold nothing: ask for one or more.")
    sure, right = np.array(confidence, dtype=float), np.array(correct, dtype=bool)
    if not (np.abs(sure - 0.5) <= 0.5 + ROUNDING).all():  # not-a-number fails too
        raise LabError("A confidence is not between 0 and 1: give probabilities.")
    edges = np.arange(bins + 1) / bins  # 3 / 10 is the float 0.3, which linspace misses
    place = np.digitize(sure, edges[1:-1])  # (rows,)
    made = []
    for number in np.unique(place).tolist():
        inside = place == number
        n, hits = int(inside.sum()), int(right[inside].sum())
        low, high = float(edges[number]), float(edges[number + 1])
        made.append(Bin(low, high, n, float(sure[inside].mean()), hits / n, wilson(hits, n)))
    return made


def expected_calibration_error(confidence: Sequence[float], correct: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: the sum over bins of n_bin / n * |accuracy_bin - confidence_bin|, from 0 (best) to 1.

    Naeini et al. 2015 (AAAI, "Obtaining well calibrated probabilities using Bayesian binning"); for the confidence in what
    was said, of any number of labels, Guo et al. 2017 (ICML, "On calibration of modern neural networks"). Bins and errors are
    those of `reliability`. With few rows it is too large: even a perfectly calibrated contender's is not 0.

    >>> expected_calibration_error([0.25, 0.75, 1.0], [False, True, False], bins=2)  # 1/3 * 0.25 + 2/3 * 0.375
    0.3333333333333333
    """
    return sum(bin.n * abs(bin.accuracy - bin.confidence) for bin in reliability(confidence, correct, bins)) / len(correct)


def _check_pairs(one: int, other: int) -> None:
    if one != other:
        raise LabError(f"{one} values don't go with {other}: give one of each for every row.")
    if not one:
        raise LabError("There are no rows to measure: score some first.")


# --- labels ----------------------------------------------------------------------------------------------------------------


def confusion(truth: Sequence[str], said: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """How many rows of each right label were said to be which: (labels, labels) of int. Rows: right; columns: said.

    truth, said: (rows,). LabError where one has no partner, or is none of the labels (it would be left out of the counts).

    >>> confusion(["up", "up", "down"], ["up", "down", "down"], ["up", "down"]).tolist()
    [[1, 1], [0, 1]]
    """
    if len(truth) != len(said):
        raise LabError(f"{len(truth)} right labels don't go with {len(said)} said: give one of each for every row.")
    strange = sorted({*truth, *said} - set(labels))
    if strange:
        raise LabError(f"{shown(strange[0])} is none of the labels: give all labels that occur.")
    if not truth:
        return np.zeros((len(labels), len(labels)), dtype=int)
    from sklearn.metrics import confusion_matrix  # here: it takes a second that the page's start hasn't

    counts: np.ndarray = confusion_matrix(truth, said, labels=labels)
    return counts


# --- differences -----------------------------------------------------------------------------------------------------------


def mcnemar(wins: int, losses: int) -> float:
    """McNemar's test, exact and two-sided: the p value of so uneven a share of the rows on which two contenders differ.

    P(|X - n/2| >= |wins - n/2|) where X is Binomial(n, 1/2) and n = wins + losses (McNemar 1947). 1.0 where n is 0.

    >>> mcnemar(4, 0), mcnemar(0, 0)
    (0.125, 1.0)
    """
    from scipy import stats

    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted for how many there are, in the given order: below a level, they are so with all tests together.

    (m,) -> (m,). Sorted from small to large, the i-th is the largest of (m - j + 1) * p_j over j <= i, at most 1 (Holm 1979,
    "A simple sequentially rejective multiple test procedure"). Holds whatever the tests have to do with each other.

    >>> holm([0.0625, 0.25, 0.03125])
    [0.125, 0.25, 0.09375]
    """
    values = np.array(p, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Pair:
    """`name` against `other` on the n rows that both were scored on. wins: rows that only `name` got right; losses: only `other`.

    difference: of their accuracies, (wins - losses) / n. p: exact McNemar. adjusted: p by Holm over all pairs made together.
    """

    name: str
    other: str
    wins: int
    losses: int
    n: int
    difference: float
    p: float
    adjusted: float


def pairs(reference: str, right: Mapping[str, Mapping[str, bool]]) -> list[Pair]:
    """The reference contender against each other one, in the order of `right`: {contender: {input: was it right}}.

    Each pair counts the inputs that both have; where there are none, there is no pair. The p values are adjusted by Holm
    over exactly these pairs. LabError where `right` lacks the reference.

    >>> [pair] = pairs("a", {"a": {"sea": True, "sun": True, "sky": True}, "b": {"sea": False, "sun": True}})
    >>> pair.other, pair.wins, pair.losses, pair.n, pair.difference
    ('b', 1, 0, 2, 0.5)
    """
    if reference not in right:
        raise LabError(f"{shown(reference)} was not scored: choose one that was.")
    own = right[reference]
    counted = []
    for other, theirs in right.items():
        common = [(own[row], theirs[row]) for row in own if row in theirs]
        if other != reference and common:
            wins, losses = sum(x and not y for x, y in common), sum(y and not x for x, y in common)
            counted.append((other, wins, losses, len(common)))
    found = [mcnemar(wins, losses) for _, wins, losses, _ in counted]
    return [
        Pair(reference, other, wins, losses, n, (wins - losses) / n, p, adjusted)
        for (other, wins, losses, n), p, adjusted in zip(counted, found, holm(found), strict=True)
    ]


def in_words(pair: Pair, level: float = CHANCE) -> str:
    """The result of a pair for its reference contender, as one sentence of plain text, by the adjusted p value.

    >>> in_words(Pair("learned", "no prompt", 21, 4, 103, 17 / 103, 0.0009, 0.0012))
    '21 wins, 4 losses on 103 rows: clearly better, p = 0.001.'
    """
    rows = "1 row" if pair.n == 1 else f"{pair.n} rows"
    if not pair.wins + pair.losses:
        return f"No difference on {rows}."
    p = "p < 0.001" if pair.adjusted < 0.001 else f"p = {pair.adjusted:.{3 if pair.adjusted < 0.1 else 2}f}"
    verdict = "too close to call" if pair.adjusted >= level else "clearly better" if pair.wins > pair.losses else "clearly worse"
    wins, losses = ("1 win" if pair.wins == 1 else f"{pair.wins} wins"), ("1 loss" if pair.losses == 1 else f"{pair.losses} losses")
    return f"{wins}, {losses} on {rows}: {verdict}, {p}."


# --- repeats ---------------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, smallest and largest of (n,) values, of one recipe's seeds, say. LabError where there are none.

    >>> spread([0.5, 1.0, 0.75])
    (0.75, 0.5, 1.0)
    """
    if not values:
        raise LabError("There are no values to take a mean of: score some first.")
    low, high = float(min(values)), float(max(values))
    return min(max(float(np.mean(values)), low), high), low, high  # rounding could put the mean of equal values beside them


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of (rows,) values, by resampling rows: percentiles of 2000 bootstrap means (Efron 1979).

    Of a row's change it makes a paired interval. Where all values are alike there is nothing to resample: that value twice.
    LabError where there are none.

    >>> bootstrap_mean([0.5, 0.5, 0.5])
    (0.5, 0.5)
    """
    from scipy import stats

    if not len(values):
        raise LabError("There are no rows to measure: score some first.")
    rows = np.array(values, dtype=float)
    if (rows == rows[0]).all():
        return float(rows[0]), float(rows[0])
    drawn = stats.bootstrap((rows,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed))
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def bootstrap_difference(a: Sequence[bool], b: Sequence[bool], seed: int = 0) -> tuple[float, float]:
    """95 % interval of mean(a - b), by resampling rows, so paired: see `bootstrap_mean`.

    a, b: (rows,), whether each row was right, in the same order. LabError where there are no rows or one has no partner.

    >>> bootstrap_difference([True, True], [False, False])
    (1.0, 1.0)
    """
    _check_pairs(len(a), len(b))
    return bootstrap_mean([float(x) - float(y) for x, y in zip(a, b, strict=True)], seed)
