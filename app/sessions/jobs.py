"""Small jobs of a session (scoring, answering, reading), run by the engine and followed by a page."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, NamedTuple, TypeVar

from app.sessions.following import following
from app.sessions.lab import Lab
from app.sessions.session import Session
from core import LabError
from core.events import Event, Progress
from core.models.language_model import LanguageModel
from core.runs.contest import Scored, Skipped
from core.ticket import Job, Ticket

SETTLE = 0.3  # seconds from a job's end to a paint of what it left
LOOK = 0.02  # seconds between two looks at whether the session's job is over
PATIENCE = 5.0  # seconds that a new job waits for the session's older one before it is refused

Taken = TypeVar("Taken")
Paint = Callable[[Session], AsyncIterator[dict[Any, Any]]]  # a handler that paints; its items are changes of components


class JobNews(NamedTuple, Generic[Taken]):
    """How far a small job is. taken: of the last event. problem: a sentence, or "". ticket: None where the engine refused the job."""

    taken: Taken | None
    problem: str
    ticket: Ticket | None

    @property
    def status(self) -> str:
        return self.ticket.status if self.ticket else "refused"


async def side_job(
    lab: Lab, session: Session, job: Job[LanguageModel], take: Callable[[Any], Taken], model: str | None = None
) -> AsyncIterator[JobNews[Taken]]:
    """Run a small job of this session, which ends where the page goes away. take: is called with each event. model: None for the
    session's."""
    try:
        await turn(session, "Something else is being scored: wait for it, or stop it.")
        ticket = session.side_job = lab.submit(session, job, model=model)
    except LabError as error:
        yield JobNews(None, str(error), None)
        return
    yield JobNews(None, "" if lab.lm(session) else "The model is still loading; this continues as soon as it is loaded.", ticket)
    with following(ticket, on_leave=lab.engine.cancel) as news:
        async for item in news:
            last: Taken | None = None
            for event in item.events:
                last = take(event)
            if item.events or item.over:
                yield JobNews(last, ticket.message, ticket)


async def turn(session: Session, refusal: str) -> None:
    """Wait until the session's job is over. LabError(refusal) where that takes long.

    A page enables its buttons when it has heard of a job's last event, which comes before the job's end: what is pressed then waits.
    """
    for _ in range(round(PATIENCE / LOOK)):
        if not session.busy:
            return
        await asyncio.sleep(LOOK)
    raise LabError(refusal)


def lasting(paint: Callable[[Session], dict[Any, Any]]) -> Paint:
    """A handler that paints, and paints again once the session's job is over if one was running: what it painted first may arrive
    after the job's own last paint, and would leave buttons disabled."""

    async def painted(session: Session) -> AsyncIterator[dict[Any, Any]]:
        busy = session.busy
        yield paint(session)
        if not busy:
            return
        while session.busy and session.side_job:
            with following(session.side_job) as news:
                async for _ in news:
                    pass
            await asyncio.sleep(SETTLE)  # the job's own page does something with what it found
        yield paint(session)

    return painted


class ContestProgress:
    """Where a contest is, in words: contenders done, and the time left at the pace so far."""

    def __init__(self, rows: int):
        self.rows, self.began = rows, time.monotonic()
        self.contenders = self.done = self.part = 0

    def take(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.contenders = event.total
        elif isinstance(event, Skipped) or (isinstance(event, Scored) and event.final):
            self.done, self.part = self.done + 1, 0
        elif isinstance(event, Scored):
            self.part = event.score.n

    def words(self) -> str:
        share = (self.done + self.part / max(self.rows, 1)) / max(self.contenders, 1)
        left = f", about {(time.monotonic() - self.began) * (1 / share - 1):.0f} s left" if 0 < share < 1 else ""
        return f"{self.done} of {self.contenders or '…'} contenders scored{left}"
