"""What a job may yield. None stands for a piece of work with nothing to report, such as a batch of a score."""

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

Value = TypeVar("Value")


class Event:
    """Something that a job reports. Classes of events say what the engine must know of them.

    is_step: it is a training step; the engine counts these, to pause after some of them.
    known: it was computed earlier and took no time on the device, so it costs the session nothing.
    """

    is_step: ClassVar[bool] = False
    known: bool = False

    def summary(self) -> "Event":
        """What a ticket keeps of it: the event itself, or a smaller one without its arrays."""
        return self


@dataclass(frozen=True)
class Progress(Event):
    """How many findings and steps a job will yield in all. Its first event, where it is known."""

    total: int


@dataclass(frozen=True)
class Step(Event):
    """A training step was done. number: from 1."""

    is_step: ClassVar[bool] = True
    number: int


@dataclass(frozen=True)
class Done(Event):
    """One of the pieces that `Progress` announced is done, and has nothing to show."""


@dataclass(frozen=True, eq=False)
class Finding(Event, Generic[Value]):
    """A result that is no event by itself, such as a score, a text or a file's bytes."""

    value: Value
