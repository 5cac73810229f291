"""Play: a finished run's steps one after another, as its training went."""

import asyncio
from collections.abc import AsyncIterator

from app.sessions.session import Session
from app.sessions.session_run import SessionRun

FRAME = 0.15  # seconds a step
MOST_FRAMES = 60


async def play(session: Session, run: SessionRun | None) -> AsyncIterator[int]:
    """Move the session through the steps of `run`: yields each. It ends where another handler starts to paint the run."""
    if run is None or run.busy:
        return
    with session.streams.begin() as mine:
        for step in [*range(0, run.last, max(1, run.last // MOST_FRAMES)), run.last]:
            if session.streams.newest != mine:
                return
            session.go_to(step, run)
            yield step
            await asyncio.sleep(FRAME)
