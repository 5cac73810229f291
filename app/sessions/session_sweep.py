"""What an experiment of one session has found so far, and its runs that can be opened."""

from dataclasses import dataclass, field
from typing import Any

from app.sessions.session_spectrum import SessionSpectrum
from app.sessions.streams import Streams
from core import Task
from core.events import Event
from core.sweeps.grid import Grid
from core.sweeps.outcome import SweepResult
from core.sweeps.result import Failure, Head, RunResult
from core.sweeps.sweep import RunBegan, RunDone, RunFailed, RunStep, SweepDone, collected
from core.ticket import Ticket

MOST_OPENED = 60  # runs of one experiment that are kept with all their steps


@dataclass
class SessionSweep:
    """A sweep that a session runs. question: its slug, "" for one of the session's own. done, opened: by `Plan.key`.

    opened: finished runs with all their steps. now: the present run in words, its step and its steps.
    """

    task: Task
    grid: Grid
    question: str
    model: str
    ticket: Ticket | None = None
    head: Head | None = None
    done: dict[str, RunResult] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()
    opened: dict[str, RunDone] = field(default_factory=dict)
    now: tuple[str, int, int] | None = None

    @property
    def status(self) -> str:
        return self.ticket.status if self.ticket else ""

    @property
    def busy(self) -> bool:
        return self.ticket is not None and not self.ticket.over

    @property
    def runs(self) -> int:
        return len(self.grid.runs())

    @property
    def finished(self) -> int:
        """Runs that are done, or can't be made."""
        return len(self.done) + len(self.failed)

    @property
    def complete(self) -> bool:
        return self.finished >= self.runs

    @property
    def share(self) -> float:
        """Of the present run, how much is done."""
        return self.now[1] / max(self.now[2], 1) if self.now else 0.0

    def result(self) -> SweepResult | None:
        """What is known so far; None before the model has been there."""
        return collected(self.head, list(self.done.values()), self.failed) if self.head else None

    def words(self, ahead: int) -> str:
        """Where it is. ahead: other sessions that are served before it, or that share the device with it."""
        done = f"{self.finished} of {self.runs} runs done"
        if self.status == "waiting":
            return f"Waiting for the device: {ahead} before you." if ahead else "Starting …"
        if self.busy and self.now:
            name, step, steps = self.now
            pause = "paused" if self.status == "paused" else f"step {step} of {steps}"
            return f"{done}; {name}: {pause}."
        if self.busy:
            return f"{done}."
        return f"{done}." if self.complete else f"{done}. Stopped: “Continue” trains the others."

    def take(self, event: Event | None) -> None:
        """Keep what the job reports."""
        # New collections in one go: a page may be reading the old ones.
        if isinstance(event, RunBegan):
            self.now = (event.plan.words, 0, event.plan.recipe.steps)
        elif isinstance(event, RunStep):
            self.now = (event.plan.words, event.step, event.steps)
        elif isinstance(event, RunFailed):
            self.failed = (*self.failed, Failure(event.plan.cell.values, event.plan.seed, event.reason))
        elif isinstance(event, RunDone):
            if event.record and len(self.opened) < MOST_OPENED:
                self.opened = {**self.opened, event.plan.key: event}
            self.done = {**self.done, event.plan.key: event.result}
        elif isinstance(event, SweepDone):
            self.now = None


@dataclass
class ExperimentsState:
    """The Experiments page. question: the chosen one's slug, "" for an experiment of the session's own. sweeps: the newest of each.

    fields: what the page's fields held last, so that a page that is opened again shows them. streams: of the handlers that paint a
    sweep; planning: of those that say what one costs; planned: the newest of these as the page was
    painted; measuring: their job. spectrum: the comparison of methods."""

    question: str = "virtual-tokens"
    sweeps: dict[str, SessionSweep] = field(default_factory=dict)
    fields: tuple[Any, ...] = ()
    streams: Streams = field(default_factory=Streams)
    planning: Streams = field(default_factory=Streams)
    planned: int = 0
    measuring: Ticket | None = None
    spectrum: SessionSpectrum | None = None
