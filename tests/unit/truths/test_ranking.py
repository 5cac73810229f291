"""Where the truth stands among candidates: ties, chance, means over truths, and when a reading is said to find it."""

import itertools

import pytest

from core.errors import LabError
from core.truths.ranking import Place, chance_reciprocal, difference, place_of, standing
from core.truths.result import Board, Head, PromptRead, Setting, lines

HEAD = Head("tiny", "weights", "cpu", "float32", "truths", 2, 8)


def board(places):
    """places: {truth: {source: {reading: place}}}, one prompt each."""
    prompts = [PromptRead(truth, Setting(2, "vocab", 0), (1.0, 0.5), of, {}, (1.0, 1.0)) for truth, of in places.items()]
    return Board(HEAD, dict.fromkeys(places, "task"), dict.fromkeys(places, "Do it."), tuple(prompts))


def test_ties_count_as_if_broken_at_random():
    """Each measure of a tied place is its mean over all orders of the tied candidates."""
    scores = [0.5, 0.9, 0.5, 0.5, 0.1]
    place = place_of(scores, 0)
    orders = [place_of([value + 1e-3 * order[i] for i, value in enumerate(scores)], 0) for order in itertools.permutations(range(5))]
    for measure in ("beaten", "reciprocal", "first"):
        assert getattr(place, measure) == pytest.approx(sum(getattr(one, measure) for one in orders) / len(orders))


def test_a_reading_that_tells_nothing_apart_is_exactly_at_chance():
    place = place_of([3.0] * 14, 5)
    assert (place.beaten, place.first) == pytest.approx((0.5, 1 / 14)) and place.reciprocal == pytest.approx(chance_reciprocal(14))
    found = standing({"a": [place], "b": [place]})
    assert found.beaten == 0.5 and found.beaten_interval == (0.5, 0.5) and found.reciprocal == pytest.approx(found.chance)


def test_each_truth_counts_once_however_many_prompts_it_has():
    first, last = Place(0, 0, 5), Place(4, 0, 5)
    found = standing({"a": [first, first, first], "b": [last]})
    assert found.beaten == 0.5 and (found.truths, found.prompts) == (2, 4)


def test_what_can_not_be_ranked_is_refused():
    with pytest.raises(LabError, match="two or more truths"):
        place_of([1.0], 0)
    with pytest.raises(LabError, match="run the scoreboard"):
        standing({})


def test_a_difference_is_paired_by_truth():
    own, control = {"a": [Place(0, 0, 3)], "b": [Place(1, 0, 3)]}, {"a": [Place(1, 0, 3)], "b": [Place(2, 0, 3)], "c": [Place(0, 0, 3)]}
    assert difference(own, control) == (0.5, (0.5, 0.5))


def truths_at(learned, moved, text=0):
    """Ten truths whose reading "r" puts them at these places of 11."""
    made = {
        f"t{i}": {source: {"r": Place(better, 0, 11)} for source, better in (("learned", learned(i)), ("moved", moved(i)), ("text", text))}
        for i in range(10)
    }
    (line,) = lines(board(made))
    return line


def test_a_reading_finds_the_truth_only_above_chance_and_above_its_control():
    assert truths_at(lambda i: i % 2, lambda i: 4 + i % 3).verdict == "finds"
    assert truths_at(lambda i: i % 2, lambda i: i % 2).verdict == "nothing"  # the control ranks it as high
    assert truths_at(lambda i: i, lambda i: 9 - i).verdict == "nothing"
    assert truths_at(lambda i: 9 + i % 2, lambda i: 5).verdict == "misled"
    assert truths_at(lambda i: 0, lambda i: 5).works and not truths_at(lambda i: 0, lambda i: 5, text=5).works
