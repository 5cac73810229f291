"""The comparison of methods, from soft prompts to full fine-tuning, of one session: what is known of it so far."""

from dataclasses import dataclass

from core import Recipe, Task
from core.events import Event, Progress
from core.finetuning.catalogue import ADAPTATIONS
from core.finetuning.result import SpectrumResult
from core.finetuning.runs import Stepped
from core.finetuning.spectrum import Compared, Measured, RateTried, Refused
from core.ticket import Ticket


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
