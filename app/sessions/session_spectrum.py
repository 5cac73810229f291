"""The comparison of methods, from soft prompts to full fine-tuning, that one session measures on the engine."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.sessions.lab import Lab
from app.sessions.session import Session
from core import LabError, Recipe, Task
from core.events import Event, Progress
from core.finetuning.catalogue import ADAPTATIONS
from core.finetuning.result import SpectrumResult
from core.finetuning.runs import Stepped
from core.finetuning.spectrum import Compared, Measured, RateTried, Refused, spectrum_steps
from core.models.language_model import LanguageModel
from core.ticket import Ticket

SEEDS = 2
BUSY = "Another session is measuring the methods, which needs memory for a whole model: try again when it has ended."


@dataclass
class SessionSpectrum:
    """What is known so far. done, total: steps and scored methods. now: what is trained, in words."""

    task: Task
    recipe: Recipe
    model: str
    ticket: Ticket | None = None
    result: SpectrumResult | None = None
    done: int = 0
    total: int = 0
    now: str = ""

    @property
    def busy(self) -> bool:
        return self.ticket is not None and not self.ticket.over

    def words(self, ahead: int) -> str:
        """Where it is. ahead: sessions that are served before this one."""
        if self.ticket and self.ticket.status == "waiting":
            return f"Waiting for the device: {ahead} before you." if ahead else "Starting …"
        if self.busy:
            return f"{self.done} of {self.total} steps; {self.now}." if self.now else "Measuring the model before any training …"
        if self.ticket and self.ticket.status == "cancelled":
            return "Stopped: what is measured stays, and “Measure” continues with the other methods."
        return "All methods are measured."

    def take(self, event: Event | None) -> None:
        """Keep what the job reports."""
        if isinstance(event, Progress):
            self.total = event.total
        elif isinstance(event, Measured):
            self.result = event.so_far
        elif isinstance(event, Compared):
            self.result, self.now = event.result, ""
        if isinstance(event, Stepped):
            self.now = f"{ADAPTATIONS[event.method].label}, rate {event.rate:g}, loss {event.loss:.2f}"
        if isinstance(event, Stepped | RateTried | Measured | Refused):
            self.done += 1


def start(lab: Lab, session: Session, recipe: Recipe) -> SessionSpectrum:
    """Queue the comparison on the session's task: methods that were measured before are not measured again.

    LabError where another session's is running, or the session or the server has too many jobs.
    """
    running = lab.spectrum
    if running is not None and not running.over:
        raise LabError(BUSY)
    known = session.experiments.spectrum
    same = known is not None and (known.task, known.recipe, known.model) == (session.task, recipe, session.model)
    done = known.result if same and known else None
    if done and not done.refused and len(done.methods) == len(ADAPTATIONS):
        done = None  # all of it again
    found = SessionSpectrum(session.task, recipe, session.model, result=done)

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        measured = {one.name: one for one in done.methods} if done else {}
        for event in spectrum_steps(lm, found.task, recipe, lab.book, SEEDS, known=measured):
            found.take(event)
            yield event

    found.ticket = lab.spectrum = lab.submit(session, job, model=session.model)
    session.experiments.spectrum = found
    return found
