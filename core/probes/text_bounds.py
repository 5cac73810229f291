"""The bounds of a search for a text, checked before anything slow is imported or run."""

from core.errors import LabError

BOUNDS = {"rounds": 1000, "candidates": 512, "rows": 64}  # rows: training rows that the search looks at


def check_numbers(**numbers: int) -> None:
    """LabError for a number of `rounds`, `candidates` or `rows` that is too small or too large, or a seed that is no seed.

    >>> check_numbers(rounds=0)
    Traceback (most recent call last):
    core.errors.LabError: 0 rounds were asked for: choose a whole number from 1 to 1,000.
    """
    for name, value in numbers.items():
        if name == "seed":
            if not 0 <= value < 2**31:
                raise LabError(f"The seed is {value}: choose a whole number from 0 to {2**31 - 1:,}.")
        elif not 1 <= value <= BOUNDS[name]:
            raise LabError(f"{value} {name} were asked for: choose a whole number from 1 to {BOUNDS[name]:,}.")
