"""A run as a session holds it: its record with the job that writes it, or a recording that all sessions read."""

from dataclasses import dataclass
from functools import cache, cached_property

from core import Recipe, Task, load_task
from core.runs.contest import baselines
from core.runs.record import RunRecord
from core.runs.recordings import RecordedRun, recorded, recordings
from core.runs.saved_adapter import Learned
from core.scoring.contender import Contender
from core.ticket import Ticket


@dataclass
class SessionRun:
    """A run that a session shows: its `RunRecord`, its job, and what it was made from."""

    name: str
    record: RunRecord
    task: Task
    recipe: Recipe
    ticket: Ticket | None = None
    learned: Learned | None = None  # for a prompt that came from a file
    model: str = ""  # the engine's name of the model that it belongs to
    previous: "SessionRun | None" = None  # the run shown before; shown again where this one can't begin

    @property
    def status(self) -> str:
        return self.ticket.status if self.ticket else "recorded"

    @property
    def busy(self) -> bool:
        return self.ticket is not None and not self.ticket.over

    @cached_property
    def baselines(self) -> list[Contender]:
        """No prompt, and the task's written prompts: made once, since rows that a prompt shows are looked for in its text."""
        return baselines(self.task, self.recipe.template)

    @property
    def last(self) -> int:
        """The newest step that has a reading."""
        return max(len(self.record.readings) - 1, 0)


@cache
def recorded_run(slug: str = "") -> SessionRun | None:
    """The recorded run of a task ("": the first one, shown until the model is loaded), or None where there is none.

    It is read once and shared by all sessions, which never write into it.
    """
    found = next((recording for recording in recordings() if slug in ("", recording.slug)), None)
    return SessionRun(recording_name(found), recorded(found.slug), load_task(found.recipe.task), found.recipe) if found else None


def recording_name(recording: RecordedRun) -> str:
    """The name of a recorded run among a session's own runs."""
    return f"recording: {recording.title}"


def recording_named(name: str) -> SessionRun | None:
    """The recorded run of this name, or None."""
    return next((recorded_run(recording.slug) for recording in recordings() if recording_name(recording) == name), None)
