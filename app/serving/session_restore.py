"""Returning visitors: the session of a closed page is kept for half an hour, and a browser with its token gets it back.

The browser keeps the token in the tab's own storage, so that a reload continues where it was, and in the storage that outlives the
tab, so that a page opened later can offer the session. Gradio's own session hash changes with every load.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.sessions.lab import Lab
from app.sessions.session import Session

KEPT_SECONDS = 1800.0
MOST_KEPT = 60  # sessions without a page; the oldest are removed first


@dataclass
class _Known:
    session: Session
    left: float | None = None  # when its page went away; None: it is here


class Visitors:
    """Sessions by the token that their browsers hold. Called from the server's event loop only, so it needs no lock."""

    def __init__(
        self,
        lab: Lab,
        forget: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[str], Session | None] = lambda token: None,
    ):
        """forget: told the id of a session that is gone for good. read: the session that an earlier process kept under a token."""
        self._lab, self._forget, self._clock, self._read = lab, forget, clock, read
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._here: dict[str, str] = {}  # Gradio's session hash -> token

    async def look_up(self, token: str) -> None:
        """Before `arrive` and `waiting`: what an earlier process kept under a token is read in a thread, since it may be large."""
        kept = await asyncio.to_thread(self._read, token) if token and token not in self._known else None
        if kept is not None and token not in self._known:
            self._known[token] = _Known(kept, left=self._clock())

    def arrive(self, fresh: Session, page: str, token: str) -> Session:
        """A page was opened: the session that `token` belongs to, or `fresh`. page: Gradio's hash of it."""
        self._sweep()
        known = self._known.get(token)
        if known is None:
            session = (self._read(token) if token else None) or fresh
            known = self._known[session.token] = _Known(session)
        elif known.left is None:
            self._rest(known.session)  # its old page is gone, though its connection has not ended yet
        known.left = None
        self._here[page] = known.session.token
        return known.session

    def waiting(self, token: str) -> Session | None:
        """The session of `token`, if its page is gone and it has something to come back to."""
        self._sweep()
        kept = self._read(token) if token and token not in self._known else None
        if kept is not None:
            self._known[token] = _Known(kept, left=self._clock())
        known = self._known.get(token)
        return known.session if known and known.left is not None and known.session.has_work else None

    def sessions(self) -> list[Session]:
        """All that are in memory. From any thread."""
        return [known.session for known in list(self._known.values())]

    def leave(self, page: str) -> None:
        """A page is gone: its training waits, its other work ends."""
        token = self._here.pop(page, None)
        known = self._known.get(token) if token else None
        if known is None or token in self._here.values():
            return
        session = known.session
        self._rest(session)
        if not session.has_work:
            self._drop(session.token)
            return
        known.left = self._clock()
        self._known.move_to_end(session.token)
        self._sweep()

    def _rest(self, session: Session) -> None:
        """No page shows this session: its training pauses, its other work ends, and files that only its page offered are deleted."""
        session.streams.end()
        session.inspect.offered = None
        if session.shown is None:  # the next page opens as it was built
            session.step = session.chosen = None
        spectrum = session.experiments.spectrum
        for ticket in (session.side_job, spectrum.ticket if spectrum else None, session.trial.ticket):
            if ticket:
                self._lab.engine.cancel(ticket)
        session.trial.forget()
        for ticket in [*(run.ticket for run in session.runs), *(sweep.ticket for sweep in session.experiments.sweeps.values())]:
            if ticket and not ticket.over:
                self._lab.engine.pause(ticket)

    def _sweep(self) -> None:
        gone = [token for token, known in self._known.items() if known.left is not None]
        late = [token for token in gone if self._clock() - (self._known[token].left or 0) > KEPT_SECONDS]
        for token in {*late, *gone[: max(0, len(gone) - MOST_KEPT)]}:
            self._drop(token)

    def _drop(self, token: str) -> None:
        known = self._known.pop(token)
        self._lab.engine.leave(known.session.id)
        self._forget(known.session.id)
