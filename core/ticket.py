"""A job that was submitted to the engine, what the engine must know of a job and of a model, and what is said where a job fails."""

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from core.events import Event

log = logging.getLogger("soft_prompt_lab")

MOST_SECONDS = 30 * 60.0  # of the device, for one job
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # as CUDA and the CPU's allocators say it
UNEXPECTED = "Something went wrong on the server, and this job was ended; nothing else was touched: please try again."
ENDED = "The server's worker has failed, so this server ends now: please come back in a minute."
OVER_BUDGET = (
    f"This has used the device for {MOST_SECONDS / 60:.0f} minutes, the most that one job may, so it was ended; what it has found "
    "stays. Use fewer steps, fewer rows or a smaller batch."
)


@runtime_checkable
class Device(Protocol):
    """Where a model computes: "cpu", "cuda" ..."""

    @property
    def type(self) -> str: ...


@runtime_checkable
class LoadedModel(Protocol):
    """What the engine asks of a model. device_name: in words."""

    @property
    def device(self) -> Device: ...

    @property
    def device_name(self) -> str: ...


Model = TypeVar("Model", bound=LoadedModel)


class Ticket:
    """A job that was submitted. status: waiting, running, paused, done, failed or cancelled.

    message: why it failed, or was ended while it was paused. events: what the job has yielded so far, without the Nones, each
    as `Event.summary` gives it; the list only grows.
    """

    def __init__(self, session: str, job: "Job[Any]", steps: int | None, idle: bool, model: str = "", number: int = 0):
        """model: the one that the job is for. number: of two tickets, the one submitted earlier has the lower."""
        self.session = session
        self.model, self.number = model, number
        self._status = "waiting"
        self.message = ""
        self.events: list[Event] = []
        self.seconds = 0.0  # on the device so far
        self.stopping = threading.Event()
        self.working = False  # a piece is being done now; a paused job may still finish one
        self._job = job
        self._pieces: Iterator[Event | None] | None = None
        # Its pieces see the context variables of the last request for it: some servers (ZeroGPU) find the client's quota there.
        self._context = contextvars.Context() if idle else contextvars.copy_context()
        self.idle = idle  # idle priority: only done while no other job wants the device
        self._steps = steps  # training steps left before it pauses by itself; None: no limit
        self._paused_at = 0.0
        self.changes = 0  # grows with every event and every new status
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._lock = threading.Lock()

    @property
    def status(self) -> str:
        return self._status

    @status.setter
    def status(self, status: str) -> None:
        self._status = status
        self.tell()

    @property
    def begun(self) -> bool:
        """Whether the job has its model: its pieces hold it until they end."""
        return self._pieces is not None

    @property
    def over(self) -> bool:
        return self.status in ("done", "failed", "cancelled")

    async def changed(self, seen: int, seconds: float) -> None:
        """Wait until `changes` is no longer `seen`, at most so many seconds. Blocks no thread, polls nothing."""
        happened = asyncio.Event()
        with self._lock:
            if self.changes != seen:
                return
            self._waiting.append((asyncio.get_running_loop(), happened))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(happened.wait(), seconds)
        finally:
            with self._lock:
                self._waiting = [(loop, event) for loop, event in self._waiting if event is not happened]

    def next_event(self, lm: Any) -> Event | None:
        """Do the next piece, in the context of the last request for the job. Raises what the job raises, StopIteration at its end."""
        return self._context.run(self._next_piece, lm)

    def _next_piece(self, lm: Any) -> Event | None:
        if self._pieces is None:
            self._pieces = iter(self._job(lm, self))
        return next(self._pieces)

    def close(self) -> None:
        """End the job's iterator. Only the worker that runs its pieces may call this."""
        pieces, self._pieces = self._pieces, None
        self._job = _ended  # what it closes over is let go with it: a session keeps its ended tickets
        self._context = contextvars.Context()  # it holds the client's request
        close = getattr(pieces, "close", None)
        if close:
            try:
                close()
            except BaseException:  # a job that calls exit ends itself, not the worker
                log.exception("a job failed while it was being ended")

    def tell(self) -> None:
        """Wake the coroutines that wait in `changed`. From any thread."""
        with self._lock:
            self.changes += 1
            woken, self._waiting = self._waiting, []
        for loop, happened in woken:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(happened.set)


Job = Callable[[Model, Ticket], Iterator[Event | None]]


def _ended(lm: Any, ticket: Ticket) -> Iterator[Event | None]:
    """The job of a ticket that is over."""
    return iter(())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device has no memory left."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)


def in_words(error: BaseException) -> str:
    """A sentence for an unexpected error."""
    return "The device is out of memory: use fewer virtual tokens or a smaller batch." if out_of_memory(error) else UNEXPECTED
