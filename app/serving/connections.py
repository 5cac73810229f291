"""The server's connections: how many there may be, who makes room when there are too many, and how slow a sender may be.

Without this, a thousand idle sockets take the last file descriptors: no page opens any more, and nothing else in the process can open
a file. docs/server.md gives the limits.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio.http_server
import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_FILES = 4096  # file descriptors that we ask the system for, where it allows more than it gives
MOST_CONNECTIONS = 1500
BACKLOG = 16  # connections that asyncio takes in one turn, before any of them is looked at
QUEUE = 1024  # connections that wait in the kernel
ROOM = 4 * BACKLOG  # places, at least, for connections that have sent no whole request: what comes in one turn finds room, and is read
RESERVE = 64 + 4 * BACKLOG  # file descriptors for all else: uploads, tables, weights, connections that are just being refused

GRACE = 10.0  # seconds that a request, or an open connection without one, may take beyond what its bytes take at `SLOWEST`
SLOWEST = 20_000  # bytes per second
PATIENCE = 10.0  # times longer than one without any request, a connection that a browser keeps for its next request may wait
LOOK = 1.0  # seconds between two looks for those that are too slow

FULL = "This server has as many connections as it can hold: please try again in a minute."
TOO_SLOW = "This request came too slowly: please send it again."


def budget(files: int | None = None) -> tuple[int, int]:
    """How many connections may be worked for, and how many more for those that may always come in (see `Connections`).

    files: the file descriptors that this process may have; None asks the system, and raises the limit to `MOST_FILES` where it may.

    >>> budget(256), budget(1024), budget(10**6)
    ((52, 12), (587, 32), (1500, 32))
    """
    used = 0
    if files is None:
        files = _limit()
        with contextlib.suppress(OSError):
            used = len(os.listdir("/dev/fd"))
    left = files - used - max(RESERVE, files // 3) - ROOM
    spare = max(4, min(32, left // 5))
    return max(8, min(MOST_CONNECTIONS, left - spare)), spare


def _limit() -> int:
    """The file descriptors that this process may have."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


class Connections:
    """All open connections. Called from the server's event loop only, so it needs no lock.

    A connection works for us to answer, or we wait for its next request or the rest of one. Those that we wait for hold no place of
    their own: where there are more than `room`, and places are needed, the slowest of them goes. At most `most` connections are worked
    for; requests on up to `spare` more are marked as such, and `RequestFilter` answers these for /healthz and open pages only.
    """

    def __init__(self, most: int, spare: int, clock: Callable[[], float] = time.monotonic, room: int = ROOM):
        self.most, self.spare, self.room, self._clock = most, spare, room, clock
        self.open: set[Guarded] = set()
        # Those that we wait for, in the order in which that began: those that have never sent a whole request, and those that have.
        self._new: dict[Guarded, None] = {}
        self._kept: dict[Guarded, None] = {}
        self._looking = False

    @property
    def full(self) -> bool:
        """Whether a request that comes now is one of the spare ones."""
        return len(self.open) - len(self._new) - len(self._kept) >= self.most

    def admit(self, new: "Guarded") -> bool:
        """Whether there is a place for a new connection."""
        if len(self.open) >= self.most + self.spare + self.room and not self._make_room():
            return False
        self.open.add(new)
        self.waits(new, True)
        if not self._looking:
            self._look_later()
        return True

    def leave(self, connection: "Guarded") -> None:
        self.open.discard(connection)
        self.waits(connection, False)

    def waits(self, connection: "Guarded", waits: bool) -> None:
        """Whether we wait for this connection; else it waits for us."""
        if not waits:
            self._new.pop(connection, None)
            self._kept.pop(connection, None)
        elif connection in self.open and connection not in self._new and connection not in self._kept:
            (self._kept if connection.asked else self._new)[connection] = None
            connection.since, connection.received = self._clock(), 0

    def late(self, connection: "Guarded") -> float:
        """Seconds that a connection has let us wait beyond what its bytes take at `SLOWEST`."""
        if connection.held:  # we are the ones who don't read
            connection.since, connection.received = self._clock(), 0
        return self._clock() - connection.since - connection.received / SLOWEST

    def _make_room(self) -> bool:
        new, kept = (next((each for each in waiting if self.late(each) > 0), None) for waiting in (self._new, self._kept))
        slow = new if new and (not kept or PATIENCE * self.late(new) > self.late(kept)) else kept
        if slow is None:
            return False
        self.leave(slow)
        slow.end(503, FULL)
        return True

    def sweep(self) -> None:
        """End the connections that are too slow."""
        for connection in [each for each in (*self._new, *self._kept) if self.late(each) > GRACE]:
            connection.end(408, TOO_SLOW)

    def _look_later(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        self._looking = False
        self.sweep()
        if self.open:
            self._look_later()


class Guarded(H11Protocol):
    """One connection of uvicorn's, with a place among `Connections`."""

    places: Connections  # of the subclass that `options` makes
    since = 0.0  # when we began to wait for this client
    received = 0  # bytes since then
    asked = False  # whether it has ever sent a whole request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = dict(self.app_state)
        if not self.places.admit(self):
            transport.write(answer(503, FULL))
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.received += len(data)
        super().data_received(data)
        self._look()

    def handle_events(self) -> None:
        self.app_state["spare"] = self.places.full
        super().handle_events()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.leave(self)
        super().connection_lost(exc)

    @property
    def held(self) -> bool:
        """Whether we have stopped reading, because what came is not used up."""
        return self.flow.read_paused

    def _look(self) -> None:
        waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        self.asked = self.asked or not waits
        self.places.waits(self, waits)

    def end(self, status: int, sentence: str) -> None:
        """Close the connection, with this answer where a request has begun to come and no other answer has."""
        if self.transport.is_closing():
            return
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.received and not begun:
            self.transport.write(answer(status, sentence))
        self.transport.close()
        if self.transport.get_write_buffer_size():  # a client that reads nothing must not keep its place either
            self.transport.abort()


def answer(status: int, sentence: str) -> bytes:
    """A whole answer, after which the connection is closed."""
    body = json.dumps({"detail": sentence, "error": sentence}).encode()
    phrase = {408: "Request Timeout", 503: "Service Unavailable"}[status]
    head = [f"HTTP/1.1 {status} {phrase}", "content-type: application/json", f"content-length: {len(body)}", "cache-control: no-store"]
    head += ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "connection: close", "retry-after: 5"]
    return "\r\n".join([*head, "", ""]).encode() + body


def options(connections: Connections) -> dict[str, Any]:
    """What uvicorn needs to know for this. Web sockets, which the page does not use, would leave these limits."""
    own = type("Own", (Guarded,), {"places": connections})
    return {"http": own, "ws": "none", "backlog": BACKLOG}


@contextlib.contextmanager
def guarded(connections: Connections) -> Iterator[None]:
    """A server that Gradio starts meanwhile keeps to these limits. It gives uvicorn no options, so they are put under its call."""

    class Uvicorn:
        def __getattr__(self, name: str) -> Any:
            return getattr(uvicorn, name)

        def Config(self, **given: Any) -> uvicorn.Config:
            return uvicorn.Config(**given, **options(connections))

    before = gradio.http_server.uvicorn
    gradio.http_server.uvicorn = Uvicorn()
    try:
        yield
    finally:
        gradio.http_server.uvicorn = before


def lengthen_queue(listening: Any) -> None:
    """Let more connections wait in the kernel than asyncio takes in one turn: it uses one number for both."""
    with contextlib.suppress(OSError, AttributeError), socket.socket(fileno=os.dup(listening.fileno())) as line:
        line.listen(QUEUE)
