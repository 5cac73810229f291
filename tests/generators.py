"""Running a generator to its end."""

from collections.abc import Generator
from typing import Any, TypeVar

Returned = TypeVar("Returned")


def returned(pieces: Generator[Any, Any, Returned]) -> Returned:
    """What a generator returns at its end; what it yields is dropped."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
