"""Experiments on the engine: a sweep as a job of a session, its cost, and a finished run on the other pages."""

from collections.abc import Iterator

from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.sessions.session_sweep import SessionSweep
from core.events import Event
from core.models.language_model import LanguageModel
from core.sweeps.result import head_of
from core.sweeps.sweep import sweep_steps
from core.ticket import Ticket


def start(lab: Lab, session: Session, sweep: SessionSweep) -> None:
    """Queue the runs that are not done yet. LabError where the session or the server has too many jobs."""

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        sweep.head = head_of(lm, sweep.task, sweep.grid)
        stopping = ticket.stopping.is_set
        for event in sweep_steps(lm, sweep.task, sweep.grid, lab.book, sweep.done, stopping, vocabulary=lab.vocabulary(lm)):
            sweep.take(event)
            yield event

    sweep.failed, sweep.now = (), None
    sweep.ticket = lab.submit(session, job, model=sweep.model)


def open_run(session: Session, sweep: SessionSweep, key: str) -> None:
    """Show a finished run on all pages, with the task as the run saw it."""
    event = sweep.opened[key]
    assert event.record and event.task
    known = next((run for run in session.runs if run.record is event.record), None)
    if known:
        session.show(known)
    else:
        name = f"{event.plan.words}: {event.task.name}"
        session.add(SessionRun(name, event.record, event.task, event.plan.recipe, model=sweep.model))
    session.task = event.task
