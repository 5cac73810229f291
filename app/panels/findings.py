"""What an experiment has found so far, and a cache of what complete experiments found."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.events import Done, Event, Finding, Progress
from core.runs.contest import Scored
from core.training.training import StepEvent

MOST_KEPT = 300  # experiments, of all sessions


@dataclass
class Findings:
    """What an experiment found so far.

    done: its pieces (findings, and steps of training) so far. total: how many pieces there will be, 0 while that is not known.
    complete: it came to its end. running: a session still follows it.
    """

    total: int = 0
    done: int = 0
    items: list[Any] = field(default_factory=list)
    complete: bool = False
    running: bool = True
    began: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Keep what the experiment has yielded."""
        if isinstance(event, Progress):
            self.total = self.total or event.total
            return
        self.done += 1
        if not isinstance(event, Done):
            self.items.append(event.value if isinstance(event, Finding) else event)

    def words(self) -> str:
        """Where it is, with the time left at the pace so far."""
        if self.complete:
            return ""
        known = 0 < self.done < self.total
        if not self.running:
            return f"Stopped after {self.done} of {self.total}." if known else "Stopped before its end."
        if not known:
            return "Working …"
        left = (time.monotonic() - self.began) / self.done * (self.total - self.done)
        return f"{self.done} of {self.total}" + (f", about {left:.0f} s left" if left >= 1 else "")


def by_steps(events: Iterable[Event | None], steps: int) -> Iterator[Event | None]:
    """An experiment that trains runs of `steps` steps, as findings: `Done` for each step, whole scores only.

    `events` begin with the number of runs.
    """
    for event in events:
        if isinstance(event, Progress):
            yield Progress(event.total * (steps + 1))  # each run ends with a finding
        elif isinstance(event, StepEvent):
            yield Done()  # without the vectors: findings are kept
        else:
            yield None if isinstance(event, Scored) and not event.final else event


class Shelf:
    """An LRU cache of complete experiments, shared by all sessions."""

    def __init__(self, most: int = MOST_KEPT):
        self._kept: OrderedDict[tuple, Findings] = OrderedDict()
        self._most = most

    def get(self, key: tuple) -> Findings | None:
        found = self._kept.get(key)
        if found:
            self._kept.move_to_end(key)
        return found

    def put(self, key: tuple, findings: Findings) -> None:
        self._kept[key] = findings
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
