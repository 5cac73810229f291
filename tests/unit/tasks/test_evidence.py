"""What a number of rows can tell, against the test that scores are compared with."""

import pytest

from core.scoring.measures import mcnemar
from core.tasks.evidence import in_words, smallest_difference


@pytest.mark.parametrize("rows", [6, 12, 27, 49, 54, 74, 100, 116, 400])
def test_the_smallest_difference_is_where_the_exact_test_begins_to_tell(rows):
    gap = round(smallest_difference(rows) * rows)
    disagreeing = max(round(rows / 4), gap)
    wins = (disagreeing + gap) // 2
    assert mcnemar(wins, disagreeing - wins) < 0.05 <= mcnemar(wins - 1, disagreeing - wins + 1)


def test_more_rows_tell_smaller_differences_and_few_rows_none():
    found = [smallest_difference(rows) for rows in (10, 40, 160, 640, 2560)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.03
    assert smallest_difference(5) is None and smallest_difference(0) is None and "too few" in in_words(5)
