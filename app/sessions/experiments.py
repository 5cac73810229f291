"""Experiments on the engine: a sweep or a comparison of methods as a job of a session, and a finished run on the other pages."""

from collections.abc import Iterator

from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.sessions.session_spectrum import SessionSpectrum
from app.sessions.session_sweep import SessionSweep
from core import LabError, Recipe
from core.events import Event
from core.finetuning.catalogue import ADAPTATIONS
from core.finetuning.spectrum import spectrum_steps
from core.models.language_model import LanguageModel
from core.sweeps.result import head_of
from core.sweeps.sweep import sweep_steps
from core.ticket import Ticket

SPECTRUM_SEEDS = 2
BUSY = "Another session is measuring the methods, which needs memory for a whole model: try again when it has ended."


def start(lab: Lab, session: Session, sweep: SessionSweep) -> None:
    """Queue the runs that are not done yet. LabError where the session or the server has too many jobs."""

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        models = lab.loaded()
        sweep.head = head_of(lm, sweep.task, sweep.grid, models)
        stopping = ticket.stopping.is_set
        for event in sweep_steps(lm, sweep.task, sweep.grid, lab.book, sweep.done, stopping, models=models, vocabulary=lab.vocabulary):
            sweep.take(event)
            yield event

    sweep.failed, sweep.now = (), None
    sweep.ticket = lab.submit(session, job, model=sweep.model)


def open_run(lab: Lab, session: Session, sweep: SessionSweep, key: str) -> None:
    """Show a finished run on all pages, with the task as the run saw it."""
    event = sweep.opened[key]
    assert event.record and event.task
    known = next((run for run in session.runs if run.record is event.record), None)
    if known:
        session.show(known)
    else:
        name = f"{event.plan.words}: {event.task.name}"
        model = sweep.model if event.plan.model is None else lab.offered(event.plan.model)
        session.add(SessionRun(name, event.record, event.task, event.plan.recipe, model=model))
    session.task = event.task


def start_spectrum(lab: Lab, session: Session, recipe: Recipe) -> SessionSpectrum:
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
        for event in spectrum_steps(lm, found.task, recipe, lab.book, SPECTRUM_SEEDS, known=measured):
            found.take(event)
            yield event

    found.ticket = lab.spectrum = lab.submit(session, job, model=session.model)
    session.experiments.spectrum = found
    return found
