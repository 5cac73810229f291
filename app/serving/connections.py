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
RESERVE = 64 + 4 * BACKLOG  # file descriptors for all else: uploads, tables, weights, connections that are just being refused

GRACE = 10.0  # seconds that a request, or an open connection without one, may take beyond what its bytes take at `SLOWEST`
SLOWEST = 20_000  # bytes per second
ROOM_AFTER = 2.0  # seconds of `GRACE` that are enough where others need the place
LOOK = 1.0  # seconds between two looks for those that are too slow

FULL = "This server has as many connections as it can hold: please try again in a minute."
TOO_SLOW = "This request came too slowly: please send it again."


def budget(files: int | None = None) -> tuple[int, int]:
    """How many connections may be open, and how many more for those that may always come in (see `Connections`).

    files: the file descriptors that this process may have; None asks the system, and raises the limit to `MOST_FILES` where it may.

    >>> budget(1024), budget(10**6)
    ((653, 32), (1500, 32))
    """
    used = 0
    if files is None:
        files = _limit()
        with contextlib.suppress(OSError):
            used = len(os.listdir("/dev/fd"))
    left = files - used - max(RESERVE, files // 3)
    spare = max(4, min(32, left // 8))
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

    Where all places are taken, a connection that has sent no whole request for `ROOM_AFTER` makes room. Where there is none, `spare` more
    come in marked as such: `RequestFilter` answers these for /healthz and open pages, and refuses the others. All beyond get 503.
    """

    def __init__(self, most: int, spare: int, clock: Callable[[], float] = time.monotonic):
        self.most, self.spare, self._clock = most, spare, clock
        self.open: set[Guarded] = set()
        self._none_before = 0.0  # no connection can make room before
        self._looking = False

    def admit(self, new: "Guarded") -> bool | None:
        """Whether `new` has a place of its own; None: it has one of the spare places, False: none."""
        place: bool | None = len(self.open) < self.most or self._make_room()
        if not place:
            place = None if len(self.open) < self.most + self.spare else False
        if place is not False:
            self.open.add(new)
            new.since = self._clock()
            self._look_later()
        return place

    def late(self, connection: "Guarded") -> float:
        """Seconds that a connection has let us wait beyond what its bytes take at `SLOWEST`."""
        if connection.since is None:
            return 0.0
        if connection.held:  # we are the ones who don't read
            connection.since, connection.received = self._clock(), 0
        return self._clock() - connection.since - connection.received / SLOWEST

    def waits(self, connection: "Guarded", waits: bool) -> None:
        """Whether we wait for this connection's next request, or for the rest of one; else it waits for us."""
        if waits and connection.since is None:
            connection.since, connection.received = self._clock(), 0
        elif not waits:
            connection.since = None

    def _make_room(self) -> bool:
        if self._clock() < self._none_before:
            return False
        slowest = max(self.open, key=self.late, default=None)
        if slowest is None or self.late(slowest) < ROOM_AFTER:
            self._none_before = self._clock() + 0.1
            return False
        self.open.discard(slowest)
        slowest.end(503, FULL)
        return True

    def sweep(self) -> None:
        """End the connections that are too slow."""
        for connection in [each for each in self.open if self.late(each) > GRACE]:
            connection.end(408, TOO_SLOW)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        self._looking = False
        self.sweep()
        if self.open:
            self._look_later()


class Guarded(H11Protocol):
    """One connection of uvicorn's, with a place among `Connections`."""

    connections_of_server: Connections  # of the subclass that `guarded` makes
    since: float | None = None  # since when we wait for this client; None: it waits for us
    received = 0  # bytes since then
    place: bool | None = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.place = self.connections_of_server.admit(self)
        if self.place is False:
            self.end(503, FULL)
        elif self.place is None:
            self.app_state = {**self.app_state, "spare": True}

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.received += len(data)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections_of_server.open.discard(self)
        super().connection_lost(exc)

    @property
    def held(self) -> bool:
        """Whether we have stopped reading, because what came is not used up."""
        return self.flow.read_paused

    def _look(self) -> None:
        self.connections_of_server.waits(self, self.conn.their_state in (h11.IDLE, h11.SEND_BODY))

    def end(self, status: int, sentence: str) -> None:
        """Close the connection, with this answer where a request has begun to come and no other answer has."""
        if self.transport.is_closing():
            return
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        idle = self.received == 0 and self.place is not False
        if not begun and not idle:
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
    own = type("Own", (Guarded,), {"connections_of_server": connections})
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
