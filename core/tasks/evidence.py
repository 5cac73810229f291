"""What a number of held-out rows can tell: the smallest difference of two prompts that is unlikely to be chance."""

from math import comb

DISAGREEMENT = 0.25  # the share of rows that only one of two prompts gets right; usual for prompts that both work
LEVEL = 20  # one in so many, the level of the test: p < 0.05


def smallest_difference(rows: int) -> float | None:
    """The smallest difference of two prompts' accuracies on `rows` rows that the exact McNemar test calls unlikely to be chance.

    In shares, at p < 0.05, if the prompts disagree on a quarter of the rows (on more, where that many would never be enough).
    None where no difference is enough.

    >>> smallest_difference(100), smallest_difference(12), smallest_difference(5)
    (0.11, 0.5, None)
    """
    for disagreeing in range(max(1, round(DISAGREEMENT * rows)), rows + 1):
        losses = _most_losses(disagreeing)
        if losses is not None:
            return (disagreeing - 2 * losses) / rows
    return None


def _most_losses(disagreeing: int) -> int | None:
    """With this many rows that only one of two prompts gets right: the most that the better one may lose, at `LEVEL`, two-sided."""
    tail, most = 0, None
    for losses in range(disagreeing // 2):
        tail += comb(disagreeing, losses)
        if 2 * tail * LEVEL >= 2**disagreeing:  # whole numbers, which have no largest one
            break
        most = losses
    return most


def in_words(rows: int) -> str:
    """What `rows` held-out rows can tell, as one sentence.

    >>> in_words(49)
    '49 held-out rows can tell two prompts apart that differ by about 16 points.'
    """
    difference = smallest_difference(rows)
    if difference is None:
        return f"{rows} held-out rows are too few to tell two prompts apart: add rows."
    return f"{rows:,} held-out rows can tell two prompts apart that differ by about {100 * difference:.0f} points."


def as_dict(rows: int) -> dict[str, float | int | str | None]:
    """The same for a program: the smallest difference in shares, and how it is computed."""
    return {
        "held_out": rows,
        "smallest_difference": smallest_difference(rows),
        "computed": f"exact McNemar test, p < {1 / LEVEL}, if {DISAGREEMENT:.0%} of the rows are right for only one of two prompts",
        "text": in_words(rows),
    }
