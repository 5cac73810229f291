"""Following a ticket: a job's new events and its status as they change, for a page or a program that waits for them."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.ticket import Ticket

HEARTBEAT = 2.0  # seconds at most between two items: Gradio notices that a client has left when something is sent


@dataclass(frozen=True)
class News:
    """What has changed since the last item. status: the ticket's when the events were read.

    settled: no more events will come unless the job is resumed: it is over, or it is paused and its last piece is done.
    """

    events: list[Any]
    status: str
    over: bool
    settled: bool


@contextlib.contextmanager
def following(
    ticket: Ticket,
    on_leave: Callable[[Ticket], None] | None = None,
    wanted: Callable[[], bool] = lambda: True,
    gap: float = 0.0,
    heartbeat: float = HEARTBEAT,
) -> Iterator[AsyncIterator[News]]:
    """An async iterator over the news of a ticket: the state at once, every change, and the last state when the job is over.

    It yields at least every `heartbeat` seconds, and waits at least `gap` seconds between two items unless the job has settled.
    wanted: where it returns False, the iterator ends, since a newer follower has taken over; `ticket.tell()` makes it look at once.
    on_leave: called with the ticket where the block ends while the job still works and is wanted: the client has gone away.

        with following(ticket, on_leave=engine.cancel) as news:
            async for item in news:
                paint(item.events)
    """
    try:
        yield _news(ticket, wanted, gap, heartbeat)
    finally:
        if on_leave and not ticket.over and ticket.status != "paused" and wanted():
            on_leave(ticket)


async def _news(ticket: Ticket, wanted: Callable[[], bool], gap: float, heartbeat: float) -> AsyncIterator[News]:
    read, told, since = 0, ("", False), -math.inf
    while wanted():
        changes = ticket.changes  # read first: a change after this ends the wait below
        settled, over, status = _settled(ticket), ticket.over, ticket.status  # before the events: of an ended job, these are all
        events = ticket.events[read:]
        if events or (status, settled) != told or time.monotonic() - since >= heartbeat:
            read, told, since = read + len(events), (status, settled), time.monotonic()
            yield News(events, status, over, settled)
            if over:
                return
        await ticket.changed(changes, heartbeat - (time.monotonic() - since))
        if not _settled(ticket):
            await asyncio.sleep(gap - (time.monotonic() - since))


def _settled(ticket: Ticket) -> bool:
    return ticket.over or (ticket.status == "paused" and not ticket.working)
