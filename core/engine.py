"""One worker owns the model; every job is an iterator of small pieces, and sessions take turns piece by piece.

So thirty sessions share one device fairly, and nothing else needs a lock: whoever wants the model submits a job.

Whose turn it is follows start-time fair queueing (Goyal, Vin & Cheng 1996). Each session has a count of the turns that it
has had; the session with the lowest count is next, and of equals the one that has waited longest. A piece counts as one
turn where the session's pieces take between half and twice as long as other sessions' do: then turns simply go round, and
noise in the measured seconds changes nothing. Pieces ten times as long as the others' count as ten turns, so sharing is
fair in time; a piece that only hands on what is known already is none. Whoever comes back starts at the count of whoever is
served then: no credit is saved up, a debt stays, and nobody waits for a session that has had its share. Who was never here
starts two turns before that, one for what a job has to prepare and one to see its first step: so a class that comes within
seconds stays in step. A session's own jobs share its turns.
"""

import asyncio
import contextlib
import contextvars
import logging
import math
import os
import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.training.training import StepEvent

log = logging.getLogger("soft_prompt_lab")

Job = Callable[[LanguageModel, "Ticket"], Iterator[Any]]
MOST_IN_ALL = 60
MOST_PER_SESSION = 3
MOST_SECONDS = 30 * 60.0  # of the device, for one job
PAUSED_SECONDS = 30 * 60.0  # that a paused job keeps its place
RECENT = 16  # pieces of a session by which the next one is counted
KNOWN = 4  # pieces; of a session that has done fewer, each counts as one turn
HEAD_START = 2.0  # turns that a session which was never here has before the others
ALIKE = 2.0  # times as long, or as short, still counts as one turn
SHORTEST = 0.005  # seconds; what is shorter counts as this, since its measured length is mostly noise
NICE = 10  # the worker's threads give way to the server's own, and to a browser on the same machine
# After a training step on a CPU, nobody else waiting, the worker leaves the cores to whoever shows the step: for this share of
# the step's time, and no longer than so many seconds. docs/server.md says what it costs and what it brings.
REST_SHARE = 0.12
REST_SECONDS = 0.06
MOST_REMEMBERED = 500  # sessions whose count is kept after their last job
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # as CUDA and the CPU's allocators say it
UNEXPECTED = "Something went wrong on the server, and this job was ended; nothing else was touched: please try again."
OVER_BUDGET = (
    f"This has used the device for {MOST_SECONDS / 60:.0f} minutes, the most that one job may, so it was ended; what it has found "
    "stays. Use fewer steps, fewer rows or a smaller batch."
)


class Ticket:
    """A job, seen from outside. status: waiting, running, paused, done, failed or cancelled. message: why it failed,
    or was ended while it was paused.

    events: what the job has yielded so far (Nones left out); it only grows.
    """

    def __init__(self, session: str, job: Job, steps: int | None, idle: bool):
        self.session = session
        self._status = "waiting"
        self.message = ""
        self.events: list[Any] = []
        self.seconds = 0.0  # of the device that it has used
        self.stopping = threading.Event()
        self.working = False  # a piece is being done now; a paused job may still finish one
        self._job = job
        self._pieces: Iterator[Any] | None = None
        # Its pieces see the context variables of whoever asked for it, or asked last: on some servers these say whose device it is.
        self._context = contextvars.Context() if idle else contextvars.copy_context()
        self.idle = idle  # only done while nobody else wants the device
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


@dataclass
class _Share:
    """What a session has had of the device. last: when its turn was, or when it arrived, as a number that only grows.

    length: seconds of its usual piece, the mean of the recent ones without the longest; None where too few are known.
    before: what `last` was before the present turn.
    """

    turns: float = 0.0
    last: int = 0
    before: int = 0
    length: float | None = None
    pieces: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))  # seconds

    def add(self, seconds: float) -> None:
        self.pieces.append(seconds)
        if len(self.pieces) >= KNOWN:
            self.length = max(SHORTEST, (sum(self.pieces) - max(self.pieces)) / (len(self.pieces) - 1))


class Engine:
    """Loads the model in its own thread, then works on tickets in turn until the process ends."""

    def __init__(self, load: Callable[[], LanguageModel], clock: Callable[[], float] = time.monotonic):
        """clock: seconds, for pieces, budgets and pauses."""
        self._load = load
        self._clock = clock
        self.lm: LanguageModel | None = None
        self.problem = ""  # why there is no model, in words
        self._tickets: dict[str, list[Ticket]] = {}  # by session; a session's first one has its next turn
        self._shares: OrderedDict[str, _Share] = OrderedDict()  # by session, also of some that have no job now
        self._turn = 0.0  # the count of the session that was served last, before that turn
        self._last = 0
        self._pieces: deque[float] = deque(maxlen=64)  # seconds, of everybody's
        self._began: float | None = None  # when the present piece did
        self._cancelled: list[Ticket] = []  # to be closed by the worker, which alone runs them
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    # --- from any thread --------------------------------------------------------------------------------------------

    def submit(self, session: str, job: Job, steps: int | None = None, idle: bool = False) -> Ticket:
        """Queue a job: `job(lm, ticket)` makes the iterator, in the worker. steps: pause after so many training steps.
        idle: work on it only while nobody else wants the device.

        The job is ended (failed, with a message) when it has used the device for `MOST_SECONDS`, and cancelled when it has
        been paused for `PAUSED_SECONDS`; what it has yielded stays.
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
            self._arrive(session)
            self._tickets.setdefault(session, []).append(ticket)
            self._change.notify()
            return ticket

    def pause(self, ticket: Ticket) -> None:
        """Let the device go after the present piece; `resume` goes on."""
        with self._change:
            if not ticket.over:
                self._pause(ticket)

    def resume(self, ticket: Ticket, steps: int | None = None) -> None:
        """Go on; steps: only for so many training steps."""
        with self._change:
            if not ticket.over:
                self._arrive(ticket.session)
                ticket.status = "waiting" if ticket._pieces is None and not ticket.working else "running"
                ticket._steps = steps
                if not ticket.idle:
                    ticket._context = contextvars.copy_context()
                self._change.notify()

    def stop(self, ticket: Ticket) -> None:
        """End training after the present step and go on to what follows it (scoring)."""
        ticket.stopping.set()
        self.resume(ticket)

    def cancel(self, ticket: Ticket) -> None:
        """End the job after the present piece, whatever it does. What it has yielded stays."""
        with self._change:
            self._cancel(ticket)

    def leave(self, session: str) -> None:
        """Cancel all of a session's jobs."""
        with self._change:
            for ticket in list(self._tickets.get(session, [])):
                self._cancel(ticket)

    def expected_wait(self, ticket: Ticket) -> tuple[int, float | None]:
        """How many other sessions stand before a waiting job, and the seconds until its first piece: the pieces before it
        times the mean of recent pieces (None where none are known). Of any other job: how many share the device with it, None.
        """
        with self._change:
            wanting = self._wanting()
            others = [session for session in wanting if session != ticket.session]
            if ticket.status != "waiting" or ticket.session not in self._shares:
                return len(others), None
            before = sum(self._order(session) < self._order(ticket.session) for session in others)
            own = wanting.get(ticket.session, [])
            rounds = own.index(ticket) if ticket in own else 0
            known = self._pieces and self.lm is not None
            return before, statistics.fmean(self._pieces) * (before + rounds * (len(others) + 1)) if known else None

    def status(self) -> dict[str, Any]:
        """For whoever watches over the server; quick, from any thread.

        model: there is one. problem: why not. running, waiting, paused: jobs. sessions: that have any. device: the model's, or
        "". piece_seconds: mean of recent pieces, or None. alive: the worker is. stuck_seconds: since the present piece began.
        """
        with self._change:
            jobs = [ticket.status for tickets in self._tickets.values() for ticket in tickets]
            return {
                "model": self.lm is not None,
                "problem": self.problem,
                **{status: jobs.count(status) for status in ("running", "waiting", "paused")},
                "sessions": len(self._tickets),
                "device": self.lm.device_name if self.lm else "",
                "piece_seconds": statistics.fmean(self._pieces) if self._pieces else None,
                "alive": self._thread.is_alive(),
                "stuck_seconds": 0.0 if self._began is None else self._clock() - self._began,
            }

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _wanting(self, idle: bool = False) -> dict[str, list[Ticket]]:
        """By session, the jobs that could be worked on now."""
        found = {
            session: [ticket for ticket in tickets if ticket.status in ("waiting", "running") and ticket.idle == idle]
            for session, tickets in self._tickets.items()
        }
        return {session: tickets for session, tickets in found.items() if tickets}

    def _order(self, session: str) -> tuple[float, int]:
        share = self._shares[session]
        return share.turns, share.last

    def _arrive(self, session: str) -> None:
        """A session wants the device; where it didn't a moment ago, it stands behind all that have as many turns."""
        start = self._turn - (0.0 if session in self._shares else HEAD_START)
        share = self._shares.setdefault(session, _Share())
        self._shares.move_to_end(session)
        if session not in self._wanting() and session not in self._wanting(idle=True):
            share.turns = max(share.turns, start)
            share.last = self._count()
        for known in list(self._shares)[: max(0, len(self._shares) - MOST_REMEMBERED)]:
            if known not in self._tickets:
                del self._shares[known]

    def _count(self) -> int:
        self._last += 1
        return self._last

    def _choose(self) -> Ticket | None:
        wanting = self._wanting() or self._wanting(idle=True)
        if not wanting:
            return None
        session = min(wanting, key=self._order)
        ticket, share, own = wanting[session][0], self._shares[session], self._tickets[session]
        own.remove(ticket)
        own.append(ticket)
        share.before, share.last = share.last, self._count()
        if not ticket.idle:
            self._turn = share.turns
        if ticket.status != "running":
            ticket.status = "running"
        ticket.working = True
        self._began = self._clock()
        return ticket

    def _charge(self, ticket: Ticket, seconds: float, known: bool) -> None:
        """A piece of `ticket` is done: count its seconds, and the turns that it is worth. known: it gave what was known."""
        ticket.seconds += seconds
        share = self._shares.get(ticket.session)
        if known and share:
            share.last = share.before  # it is still its turn
            return
        self._pieces.append(seconds)
        if share is None or ticket.idle:
            return
        share.add(seconds)
        mine = share.length
        lengths = [self._shares[session].length for session in {*self._wanting(), ticket.session}]
        # The lower median: of one session with long pieces and one with short ones, the short ones set the measure.
        ratio = mine / statistics.median_low([length for length in lengths if length is not None]) if mine else 1.0
        share.turns += 1.0 if 1 / ALIKE <= ratio <= ALIKE else ratio

    def _pause(self, ticket: Ticket) -> None:
        ticket._paused_at = self._clock()
        ticket.status = "paused"

    def _cancel(self, ticket: Ticket, message: str = "") -> None:
        if not ticket.over:
            self._end(ticket, "cancelled", message)
            self._cancelled.append(ticket)
            self._change.notify()

    def _end_paused(self) -> float | None:
        """Cancel what has been paused for too long. Returns the seconds until this must be asked again, or None."""
        left = math.inf
        for ticket in [ticket for tickets in self._tickets.values() for ticket in tickets if ticket.status == "paused"]:
            rest = ticket._paused_at + PAUSED_SECONDS - self._clock()
            if rest <= 0:
                self._cancel(ticket, f"This was paused for {PAUSED_SECONDS / 60:.0f} minutes, so it was ended; what it has found stays.")
            else:
                left = min(left, rest)
        return left if left < math.inf else None

    def _end(self, ticket: Ticket, status: str, message: str = "") -> None:
        if not ticket.over:
            ticket.message, ticket.status = message, status
            tickets = self._tickets.get(ticket.session, [])
            if ticket in tickets:
                tickets.remove(ticket)
            if not tickets:
                self._tickets.pop(ticket.session, None)

    # --- in the worker ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        # On Linux this is for the present thread and those that it starts; elsewhere there may be no such call.
        with contextlib.suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
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
        while True:
            with self._change:
                rest = self._end_paused()
                cancelled, self._cancelled = self._cancelled, []
                ticket = self._choose()
                if ticket is None and not cancelled:
                    self._change.wait(rest)
            for gone in cancelled:
                self._close(gone)
            if ticket:
                return ticket

    def _piece(self, ticket: Ticket) -> None:
        assert self.lm is not None
        status, message, event = "", "", None
        began = self._clock()
        try:
            event = ticket._context.run(self._next_event, ticket, self.lm)
        except StopIteration:
            status = "done"
        except LabError as error:
            status, message = "failed", str(error)
        except BaseException as error:  # whatever a job raises, the worker goes on
            log.exception("a job failed")
            memory = isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)
            status = "failed"
            message = "The device is out of memory: use fewer virtual tokens or a smaller batch." if memory else UNEXPECTED
        seconds = self._clock() - began
        if event is not None:  # steps are counted, their vectors not kept: whoever wants them keeps a record
            ticket.events.append(event.step if isinstance(event, StepEvent) else event)
        if isinstance(event, StepEvent):
            log.debug("step %d took %.3f s", event.step, seconds)
        with self._change:
            self._began = None
            self._charge(ticket, seconds, getattr(event, "known", False))
            if status:
                self._end(ticket, status, message)
            elif ticket.seconds > MOST_SECONDS:
                self._end(ticket, "failed", OVER_BUDGET)
            elif isinstance(event, StepEvent) and ticket._steps is not None:
                ticket._steps -= 1
                if ticket._steps <= 0 and not ticket.over:
                    self._pause(ticket)
            ticket.working = False
        ticket.tell()
        if ticket.over:
            self._close(ticket)
        elif isinstance(event, StepEvent) and self.lm.device.type == "cpu":
            self._rest(seconds)

    def _rest(self, seconds: float) -> None:
        """Leave the cores alone for a moment after a step that took so many seconds; ended by whoever asks for something."""
        with self._change:
            if len(self._wanting()) == 1 and not self._cancelled:
                self._change.wait(min(REST_SECONDS, REST_SHARE * seconds))

    @staticmethod
    def _next_event(ticket: Ticket, lm: LanguageModel) -> Any:
        if ticket._pieces is None:
            ticket._pieces = iter(ticket._job(lm, ticket))
        return next(ticket._pieces)

    @staticmethod
    def _close(ticket: Ticket) -> None:
        pieces, ticket._pieces = ticket._pieces, None
        ticket._context = contextvars.Context()  # it holds the visitor's request
        close = getattr(pieces, "close", None)
        if close:
            try:
                close()
            except Exception:
                log.exception("a job failed while it was being ended")
