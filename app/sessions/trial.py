"""The state of Try it: the input, what is muted, and the answers that are known."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from core.scoring.trying import Tried
from core.ticket import Ticket

MOST_KNOWN = 300  # answers


@dataclass
class Trial:
    """Try it on the Train page.

    text: the input. task: the slug of the task that it was taken for. run: the name of the run whose vectors are muted and scaled.
    muted: virtual tokens that are left out. strength: the factor of the whole prompt. drawn: rows drawn so far. asked: counts what was
    asked for, so that the newest wins. ticket: the newest job. known: answers, by all that they depend on. newest: the key and the step
    of the newest answer of a run that trains. rested: when the newest job of a run that trains ended, and how long it took, in seconds.
    """

    text: str = ""
    task: str | None = None
    run: str | None = None
    muted: frozenset[int] = frozenset()
    strength: float = 1.0
    drawn: int = 0
    asked: int = 0
    ticket: Ticket | None = None
    known: OrderedDict[tuple[Any, ...], Tried] = field(default_factory=OrderedDict)
    newest: tuple[tuple[Any, ...], int] | None = None
    rested: tuple[float, float] = (0.0, 0.0)

    def forget(self) -> None:
        """Drop the answers, which can be had again; what was typed and chosen stays."""
        self.known, self.newest = OrderedDict(), None

    def keep(self, key: tuple[Any, ...], tried: Tried) -> None:
        """Remember an answer; the oldest goes where there are too many."""
        self.known[key] = tried
        while len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
