"""One worker owns the model; every job is an iterator of small pieces, and sessions take turns piece by piece.

So thirty sessions share one device fairly, and nothing else needs a lock: whoever wants the model submits a job.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from .errors import LabError
from .model import LanguageModel
from .training import StepEvent

log = logging.getLogger("soft_prompt_lab")

Job = Callable[[LanguageModel, "Ticket"], Iterator[Any]]
MOST_IN_ALL = 60
MOST_PER_SESSION = 3
UNEXPECTED = "Something went wrong on the server, and this job was ended; nothing else was touched: please try again."


class Ticket:
    """A job, seen from outside. status: waiting, running, paused, done, failed or cancelled. message: why it failed.

    events: what the job has yielded so far (Nones left out); it only grows.
    """

    def __init__(self, session: str, job: Job, steps: int | None, idle: bool):
        self.session = session
        self._status = "waiting"
        self.message = ""
        self.events: list[Any] = []
        self.stopping = threading.Event()
        self.working = False  # a piece is being done now; a paused job may still finish one
        self._job = job
        self._pieces: Iterator[Any] | None = None
        self.idle = idle  # only done while nobody else wants the device
        self._steps = steps  # training steps left before it pauses by itself; None: no limit
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
    def over(self) -> bool:
        return self.status in ("done", "failed", "cancelled")

    async def changed(self, seen: int, seconds: float) -> None:
        """Wait until `changes` is no longer `seen`, at most so many seconds. Holds no thread, looks at no clock."""
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

    def tell(self) -> None:
        """Wake whoever waits for a change. From any thread."""
        with self._lock:
            self.changes += 1
            woken, self._waiting = self._waiting, []
        for loop, happened in woken:
            with contextlib.suppress(RuntimeError):  # a loop that was closed has nobody waiting
                loop.call_soon_threadsafe(happened.set)


class Engine:
    """Loads the model in its own thread, then works on tickets in turn until the process ends."""

    def __init__(self, load: Callable[[], LanguageModel]):
        self._load = load
        self.lm: LanguageModel | None = None
        self.problem = ""  # why there is no model, in words
        self._tickets: OrderedDict[str, list[Ticket]] = OrderedDict()  # by session; the first session has the next turn
        self._cancelled: list[Ticket] = []  # to be closed by the worker, which alone runs them
        self._change = threading.Condition()
        threading.Thread(target=self._work, name="engine", daemon=True).start()

    # --- from any thread --------------------------------------------------------------------------------------------

    def submit(self, session: str, job: Job, steps: int | None = None, idle: bool = False) -> Ticket:
        """Queue a job: `job(lm, ticket)` makes the iterator, in the worker. steps: pause after so many training steps.
        idle: work on it only while nobody else wants the device.

        Raises LabError where the session or the server has too many jobs, or there is no model.
        """
        with self._change:
            if self.problem:
                raise LabError(self.problem)
            own = self._tickets.get(session, [])
            if len(own) >= MOST_PER_SESSION:
                raise LabError(f"You have {len(own)} jobs here already: wait for one, or stop it.")
            wanting = [t for tickets in self._tickets.values() for t in tickets if t.status != "paused"]  # paused ones cost nothing
            if len(wanting) >= MOST_IN_ALL:
                raise LabError(f"{MOST_IN_ALL} jobs are waiting on this server: please try again in a minute.")
            ticket = Ticket(session, job, steps, idle)
            self._tickets.setdefault(session, []).append(ticket)
            self._change.notify()
            return ticket

    def pause(self, ticket: Ticket) -> None:
        """Let the device go after the present piece; `resume` goes on."""
        with self._change:
            if not ticket.over:
                ticket.status = "paused"

    def resume(self, ticket: Ticket, steps: int | None = None) -> None:
        """Go on; steps: only for so many training steps."""
        with self._change:
            if not ticket.over:
                ticket.status, ticket._steps = "running", steps
                self._change.notify()

    def stop(self, ticket: Ticket) -> None:
        """End training after the present step and go on to what follows it (scoring)."""
        ticket.stopping.set()
        self.resume(ticket)

    def cancel(self, ticket: Ticket) -> None:
        """End the job after the present piece, whatever it does. What it has yielded stays."""
        with self._change:
            if not ticket.over:
                ticket.status = "cancelled"
                self._forget(ticket)
                self._cancelled.append(ticket)
                self._change.notify()

    def leave(self, session: str) -> None:
        """Cancel all of a session's jobs."""
        with self._change:
            tickets = list(self._tickets.get(session, []))
        for ticket in tickets:
            self.cancel(ticket)

    def waiting(self, ticket: Ticket | None = None) -> int:
        """How many other sessions want the device now."""
        with self._change:
            mine = ticket.session if ticket else None
            wanting = {t.session for ts in self._tickets.values() for t in ts if t.status in ("waiting", "running") and not t.idle}
            return len(wanting - {mine})

    # --- in the worker ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self.lm = self._load()
        except LabError as error:
            self._without_model(str(error))
            return
        except Exception:
            log.exception("the model could not be loaded")
            self._without_model("The model could not be loaded; the server's log says why.")
            return
        while True:
            self._piece(self._next())

    def _without_model(self, problem: str) -> None:
        with self._change:
            self.problem = problem
            for ticket in [ticket for tickets in self._tickets.values() for ticket in tickets]:
                self._end(ticket, "failed", problem)

    def _next(self) -> Ticket:
        with self._change:
            while True:
                while self._cancelled:
                    self._close(self._cancelled.pop())
                wanting = [t for tickets in self._tickets.values() for t in tickets if t.status in ("waiting", "running")]
                if wanting:
                    ready = min(wanting, key=lambda ticket: ticket.idle)  # the first one, idle ones last
                    tickets = self._tickets[ready.session]
                    self._tickets.move_to_end(ready.session)
                    tickets.remove(ready)
                    tickets.append(ready)  # a session's own jobs take turns, too
                    ready.status = "running"
                    return ready
                self._change.wait()

    def _piece(self, ticket: Ticket) -> None:
        assert self.lm is not None
        began = time.perf_counter()
        ticket.working = True
        try:
            if ticket._pieces is None:
                ticket._pieces = iter(ticket._job(self.lm, ticket))
            event = next(ticket._pieces)
        except StopIteration:
            self._finish(ticket, "done")
        except LabError as error:
            self._finish(ticket, "failed", str(error))
        except Exception as error:
            log.exception("a job failed")
            memory = "out of memory" in str(error).lower() or isinstance(error, MemoryError)
            self._finish(
                ticket, "failed", "The device is out of memory: use fewer virtual tokens or a smaller batch." if memory else UNEXPECTED
            )
        else:
            if event is not None:  # steps are counted, their vectors not kept: whoever wants them keeps a record
                ticket.events.append(event.step if isinstance(event, StepEvent) else event)
            if isinstance(event, StepEvent):
                log.debug("step %d took %.3f s", event.step, time.perf_counter() - began)
                with self._change:
                    if ticket._steps is not None:
                        ticket._steps -= 1
                        if ticket._steps <= 0 and not ticket.over:
                            ticket.status = "paused"
        ticket.working = False
        ticket.tell()
        if ticket.over:
            self._close(ticket)

    @staticmethod
    def _close(ticket: Ticket) -> None:
        close = getattr(ticket._pieces, "close", None)
        if close:
            close()
        ticket._pieces = None

    def _finish(self, ticket: Ticket, status: str, message: str = "") -> None:
        with self._change:
            self._end(ticket, status, message)

    def _end(self, ticket: Ticket, status: str, message: str) -> None:
        if not ticket.over:
            ticket.message, ticket.status = message, status
            self._forget(ticket)

    def _forget(self, ticket: Ticket) -> None:
        tickets = self._tickets.get(ticket.session, [])
        if ticket in tickets:
            tickets.remove(ticket)
        if not tickets:
            self._tickets.pop(ticket.session, None)
