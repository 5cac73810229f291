"""Where the true candidate stands among the others, and how far many such places are from chance. No model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from core.errors import LabError
from core.scoring.measures import bootstrap_mean

SAME = 1e-6  # scores nearer than this are tied


@dataclass(frozen=True)
class Place:
    """Where the true candidate stands: `better` candidates have a higher score, `tied` others the same, of `of` candidates in all.

    Ties count as if broken at random: a reading that gives all candidates the same score is exactly at chance in every measure.
    """

    better: int
    tied: int
    of: int

    @property
    def rank(self) -> float:
        """From 1; the mean of the tied candidates' ranks."""
        return self.better + 1 + self.tied / 2

    @property
    def beaten(self) -> float:
        """The share of the other candidates that rank below: 1 where it is first, 0 where it is last, by chance 0.5."""
        return 1 - (self.better + self.tied / 2) / (self.of - 1)

    @property
    def reciprocal(self) -> float:
        """The expected 1 / rank."""
        return sum(1 / (self.better + 1 + i) for i in range(self.tied + 1)) / (self.tied + 1)

    @property
    def first(self) -> float:
        """The chance that it is ranked first."""
        return 0.0 if self.better else 1 / (self.tied + 1)


def place_of(scores: Sequence[float], true: int) -> Place:
    """The place of the candidate numbered `true` by (candidates,) `scores`, higher being better. LabError for fewer than two.

    >>> place_of([0.1, 0.7, 0.7, 0.9], 1)
    Place(better=1, tied=1, of=4)
    >>> place_of([0.0, 0.0, 0.0], 2).beaten
    0.5
    """
    if len(scores) < 2:
        raise LabError("One candidate has nothing to be told from: give two or more truths.")
    own = scores[true]
    better = sum(score > own + SAME for score in scores)
    tied = sum(abs(score - own) <= SAME for score in scores) - 1
    return Place(better, tied, len(scores))


def chance_reciprocal(of: int) -> float:
    """The mean of 1 / rank where the order is drawn at random: the harmonic number of `of`, divided by it.

    >>> chance_reciprocal(2)
    0.75
    """
    return sum(1 / rank for rank in range(1, of + 1)) / of


@dataclass(frozen=True)
class Standing:
    """How one reading did on `truths` truths, over `prompts` prompts. Each truth counts once, with the mean over its prompts.

    beaten, reciprocal, first: see `Place`, means; of `beaten` with its 95 % interval (bootstrap over truths). chance: of `reciprocal`;
    that of `beaten` is 0.5.
    """

    beaten: float
    beaten_interval: tuple[float, float]
    reciprocal: float
    first: float
    chance: float
    truths: int
    prompts: int


def standing(places: Mapping[str, Sequence[Place]]) -> Standing:
    """The standing of a reading from its places, {truth: one for each prompt}. LabError where there are none.

    >>> found = standing({"a": [Place(0, 0, 3)], "b": [Place(0, 0, 3), Place(2, 0, 3)]})
    >>> found.beaten, found.first, found.truths, found.prompts
    (0.75, 0.75, 2, 3)
    """

    def means(measure: str) -> list[float]:
        return [sum(getattr(one, measure) for one in found) / len(found) for found in places.values() if found]

    beaten, reciprocal, first = means("beaten"), means("reciprocal"), means("first")
    if not beaten:
        raise LabError("No prompt was read yet: run the scoreboard first.")
    every = [one for found in places.values() for one in found]
    return Standing(
        fmean(beaten),
        bootstrap_mean(beaten),
        fmean(reciprocal),
        fmean(first),
        fmean([chance_reciprocal(one.of) for one in every]),
        len(beaten),
        len(every),
    )


def difference(places: Mapping[str, Sequence[Place]], control: Mapping[str, Sequence[Place]]) -> tuple[float, tuple[float, float]]:
    """By how much `beaten` is higher than with the control: the mean over the truths that both have, and its paired 95 % interval.

    >>> difference({"a": [Place(0, 0, 3)]}, {"a": [Place(1, 0, 3)]})
    (0.5, (0.5, 0.5))
    """
    apart = [
        fmean([one.beaten for one in places[truth]]) - fmean([one.beaten for one in control[truth]])
        for truth in places
        if places[truth] and control.get(truth)
    ]
    return fmean(apart), bootstrap_mean(apart)
