"""One worker owns the models. A job is an iterator of small pieces of work, and sessions take turns piece by piece.

So many sessions share one device fairly, and no model needs a lock. Where training and scoring are done by a cluster, there is a
worker for each of its devices: they wait for it at the same time, and take turns with what is computed in this process.
`core.fair_share` says which session is next, and `core.model_pool` which models are in memory.
"""

import contextlib
import contextvars
import logging
import math
import os
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Generic

from core.device_lock import DeviceLock
from core.errors import LabError
from core.events import Event
from core.fair_share import FairShare
from core.jobs.loop import keep_working
from core.jobs.tickets import Tickets
from core.jobs.wait import expected_wait
from core.model_pool import ModelPool
from core.ticket import ENDED, MOST_SECONDS, OVER_BUDGET, UNEXPECTED, Job, Model, Ticket, in_words

log = logging.getLogger("soft_prompt_lab")

MOST_IN_ALL = 60
MOST_PER_SESSION = 3
PAUSED_SECONDS = 30 * 60.0  # after which a paused job is cancelled
NICE = 10  # the worker's threads give way to the server's own, and to a browser on the same machine
# After a training step on a CPU, where no other session waits, the worker leaves the cores to the page that shows the step: for
# this share of the step's time, and no longer than so many seconds. docs/server.md gives the cost and the benefit.
REST_SHARE = 0.12
REST_SECONDS = 0.06


class Engine(Generic[Model]):
    """Loads a model in its own thread, then works on tickets in turn until the process ends.

    Where several models are offered, a job names its own. A model that is not in memory is loaded when its first job has its turn;
    where there is no room for it, once the begun jobs of another model have ended. Jobs submitted after it wait for it meanwhile.
    """

    def __init__(
        self,
        load: Callable[[], Model],
        clock: Callable[[], float] = time.monotonic,
        others: Mapping[str, Callable[[], Model]] | None = None,
        keep: int = 1,
        workers: int = 1,
    ):
        """load: of the first model, whose name is "". others: of further models, by name. keep: how many are in memory at most.

        clock: seconds, for pieces, budgets and pauses. workers: threads that do pieces at once, one for each device elsewhere.
        """
        self._models: ModelPool[Model] = ModelPool({"": load, **(others or {})}, keep)
        self._clock = clock
        self.device = DeviceLock()
        self._loading = threading.Lock()
        self._submitted = 0
        self._tickets = Tickets()
        self._fair = FairShare()
        self._pieces: deque[float] = deque(maxlen=64)  # seconds of recent pieces, of all sessions
        self._began: dict[Ticket, float] = {}  # when the present pieces began
        self._to_close: list[Ticket] = []  # to be closed by the worker: only its thread may run their iterators
        self._change = threading.Condition()
        self._here = threading.local()  # .ticket: the job that a worker has chosen and not finished with
        self.refusal = ""  # why no jobs are taken any more
        self.ended = threading.Event()  # set where a worker had to give up: this process should be replaced
        self._threads = [threading.Thread(target=self._work, name=f"engine {number}", daemon=True) for number in range(workers)]
        for thread in self._threads:
            thread.start()

    # --- from any thread --------------------------------------------------------------------------------------------

    @property
    def lm(self) -> Model | None:
        """The first model, where it is in memory."""
        return self.loaded()

    @property
    def problem(self) -> str:
        """Why the first model can't be loaded, in words, or ""."""
        return self.problem_of()

    def loaded(self, model: str = "") -> Model | None:
        """The model of this name, where it is in memory."""
        return self._models.loaded(model)

    def awaited(self, model: str = "") -> bool:
        """Whether the model of this name is being loaded, or will be for a job that waits."""
        with self._change:
            wanted = any(ticket.model == model for ticket in self._tickets.active())
        return self.loaded(model) is None and (wanted or self._models.loading == model)

    def problem_of(self, model: str = "") -> str:
        """Why the model of this name can't be loaded, in words, or ""."""
        return self._models.problems.get(model, "")

    def submit(self, session: str, job: Job[Model], steps: int | None = None, idle: bool = False, model: str = "") -> Ticket:
        """Queue a job: `job(lm, ticket)` makes the iterator, in the worker. steps: pause after so many training steps.
        idle: at idle priority, done only while no other job wants the device. model: the name of the model it needs.

        The job fails, with a message, when it has used the device for `MOST_SECONDS`, and is cancelled when it has been paused
        for `PAUSED_SECONDS`; what it has yielded stays.
        Raises LabError where the session or the server has too many jobs, or there is no model.
        """
        with self._change:
            if self.refusal or self.problem_of(model):
                raise LabError(self.refusal or self.problem_of(model))
            own = self._tickets.get(session, [])
            if len(own) >= MOST_PER_SESSION:
                raise LabError(f"You have {len(own)} jobs here already: wait for one, or stop it.")
            wanting = [t for t in self._tickets.all() if t.status != "paused"]  # paused ones cost nothing
            if len(wanting) >= MOST_IN_ALL:
                raise LabError(f"{MOST_IN_ALL} jobs are waiting on this server: please try again in a minute.")
            self._submitted += 1
            ticket = Ticket(session, job, steps, idle, model, self._submitted)
            self._arrive(session)
            self._tickets.add(ticket)
            self._change.notify()
            return ticket

    def pause(self, ticket: Ticket) -> None:
        """Release the device after the present piece, until `resume`."""
        with self._change:
            if not ticket.over:
                self._pause(ticket)

    def resume(self, ticket: Ticket, steps: int | None = None) -> None:
        """Continue a paused job. steps: pause again after so many training steps, beside those that are left of the last such request."""
        with self._change:
            if not ticket.over and not self.refusal:
                self._arrive(ticket.session)
                ticket.status = "waiting" if not ticket.begun and not ticket.working else "running"
                ticket._steps = None if steps is None else steps + (ticket._steps or 0)
                if not ticket.idle:
                    ticket._context = contextvars.copy_context()
                self._change.notify()

    def stop(self, ticket: Ticket) -> None:
        """End training after the present step and continue with what follows it (scoring)."""
        ticket.stopping.set()
        self.resume(ticket)

    def cancel(self, ticket: Ticket) -> None:
        """End the job after the present piece. What it has yielded stays."""
        with self._change:
            self._cancel(ticket)

    def leave(self, session: str) -> None:
        """Cancel all of a session's jobs."""
        with self._change:
            for ticket in list(self._tickets.get(session, [])):
                self._cancel(ticket)

    def expected_wait(self, ticket: Ticket) -> tuple[int, float | None]:
        """Of a waiting job: how many other sessions are served before it, and the seconds until its first piece, from the mean
        of recent pieces (None where none are known). Of any other job: how many sessions share the device with it, and None.
        """
        with self._change:
            known = self._pieces and self.loaded(ticket.model) is not None
            return expected_wait(ticket, self._tickets, self._fair, statistics.fmean(self._pieces) if known else None)

    def close(self, sentence: str) -> None:
        """Take no more jobs, and pause those that are here after their present pieces. sentence: says why, to those who ask."""
        with self._change:
            self.refusal = sentence
            for ticket in self._tickets.active():
                self._pause(ticket)

    @property
    def working(self) -> bool:
        """Whether a piece is being done."""
        return bool(self._began)

    def status(self) -> dict[str, Any]:
        """For monitoring; quick, from any thread.

        model: whether it is loaded. problem: why it can't be, or "". running, waiting, paused: numbers of jobs. sessions: number of
        those with jobs. device: the model's, or "". piece_seconds: mean of recent pieces, or None. alive: whether the worker runs.
        stuck_seconds: since the present piece began.
        """
        with self._change:
            present = self.lm or self._models.newest
            jobs = [ticket.status for ticket in self._tickets.all()]
            return {
                "model": present is not None,
                "problem": self.problem,
                **{status: jobs.count(status) for status in ("running", "waiting", "paused")},
                "sessions": len(self._tickets),
                "device": present.device_name if present else "",
                "piece_seconds": statistics.fmean(self._pieces) if self._pieces else None,
                "alive": not self.ended.is_set() and all(thread.is_alive() for thread in self._threads),
                "stuck_seconds": self._clock() - min(self._began.values()) if self._began else 0.0,
            }

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _workable(self, idle: bool = False) -> dict[str, list[Ticket]]:
        """As `Tickets.wanting`, of those jobs whose model is in memory or can be loaded now."""
        wanting = self._tickets.wanting(idle, free=True)
        if self._models.only:
            return wanting
        missing = [ticket.number for ticket in self._tickets.active() if not ticket.idle and self.loaded(ticket.model) is None]
        room = self._models.room(self._tickets.in_use())

        def can_work(ticket: Ticket) -> bool:
            if self.loaded(ticket.model) is None:
                return room
            return ticket.begun or room or ticket.number < min(missing, default=math.inf)

        found = {session: [ticket for ticket in tickets if can_work(ticket)] for session, tickets in wanting.items()}
        return {session: tickets for session, tickets in found.items() if tickets}

    def _arrive(self, session: str) -> None:
        waiting = session in self._tickets.wanting() or session in self._tickets.wanting(idle=True)
        self._fair.arrive(session, waiting, present=self._tickets)

    def _choose(self) -> Ticket | None:
        wanting = self._workable() or self._workable(idle=True)
        if not wanting:
            return None
        session = min(wanting, key=self._fair.order)
        ticket, own = wanting[session][0], self._tickets[session]
        self._here.ticket = ticket
        own.remove(ticket)
        own.append(ticket)
        self._fair.begin(session, ticket.idle)
        if ticket.status != "running":
            ticket.status = "running"
        ticket.working = True
        return ticket

    def _charge(self, ticket: Ticket, seconds: float, known: bool) -> None:
        """Account for a piece of `ticket`. known: it gave a result that was known already."""
        ticket.seconds += seconds
        if known:
            self._fair.give_back(ticket.session)
            return
        self._pieces.append(seconds)
        if not ticket.idle:
            self._fair.charge(ticket.session, seconds, self._tickets.wanting())

    def _pause(self, ticket: Ticket) -> None:
        ticket._paused_at, ticket.status, ticket._steps = self._clock(), "paused", None

    def _cancel(self, ticket: Ticket, message: str = "") -> None:
        if not ticket.over:
            self._end(ticket, "cancelled", message)
            self._change.notify()

    def _end_paused(self) -> float | None:
        """Cancel jobs that have been paused for too long. Returns the seconds until the next one will be, or None."""
        left = math.inf
        for ticket in [ticket for ticket in self._tickets.all() if ticket.status == "paused"]:
            rest = ticket._paused_at + PAUSED_SECONDS - self._clock()
            if rest <= 0:
                self._cancel(ticket, f"This was paused for {PAUSED_SECONDS / 60:.0f} minutes, so it was ended; what it has found stays.")
            else:
                left = min(left, rest)
        return left if left < math.inf else None

    def _end(self, ticket: Ticket, status: str, message: str = "") -> None:
        if not ticket.over:
            ticket.message, ticket.status = message, status
            self._tickets.remove(ticket)
            if not ticket.working:  # else its worker closes it after the present piece
                self._to_close.append(ticket)

    # --- in the worker ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        # On Linux this sets the present thread and those that it starts; other systems may lack the call.
        with contextlib.suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        self._here.ticket = None
        if self._model_of("") is not None or not self._models.only:
            keep_working(self._turn, self._recover, self._give_up)

    def _turn(self) -> bool:
        self._piece(self._next())
        self._here.ticket = None
        return not self.ended.is_set()

    def _recover(self, all_jobs: bool) -> None:
        """After an error of the engine itself: the job that this worker had chosen fails, or all jobs."""
        mine, self._here.ticket = self._here.ticket, None
        with self._change:
            for ticket in self._tickets.all() if all_jobs else [mine] if mine else []:
                self._end(ticket, "failed", UNEXPECTED)
            if mine:
                self._began.pop(mine, None)
                mine.working = False
        if mine:
            mine.close()

    def _give_up(self) -> None:
        """No worker can continue: all jobs fail, and no others are taken."""
        self.refusal = ENDED
        self.ended.set()
        with self._change:
            self._began.clear()
            for ticket in self._tickets.all():
                ticket.message, ticket.status = ENDED, "failed"
            self._tickets.clear()
            self._change.notify_all()

    def _model_of(self, name: str) -> Model | None:
        """The model of this name, loaded if it has to be. Where it can't be, its jobs fail."""
        with self._loading:
            problem = self.problem_of(name)
            with self._change:
                in_use = self._tickets.in_use()
            try:
                if not problem:
                    return self._models.get(name, in_use)
            except LabError as error:
                problem = str(error)
            except BaseException:  # a library may even call exit
                log.exception("the model could not be loaded")
                problem = "The model could not be loaded; the server's log says why."
            with self._change:
                self._models.problems[name] = problem
                for ticket in [ticket for ticket in self._tickets.all() if ticket.model == name]:
                    self._end(ticket, "failed", problem)
            return None

    def _next(self) -> Ticket:
        while True:
            with self._change:
                rest = self._end_paused()
                ended, self._to_close = self._to_close, []
                ticket = self._choose()
                if ticket is None and not ended:
                    self._change.wait(rest)
            for gone in ended:
                gone.close()
            if ticket:
                return ticket

    def _piece(self, ticket: Ticket) -> None:
        lm = self._model_of(ticket.model)
        if lm is None:
            ticket.working = False
            ticket.close()
            return
        status, message = "", ""
        event: Event | None = None
        began = self._clock()
        with self._change:
            self._began[ticket] = began  # the time that a model takes to load is no hang
        try:
            with self.device.turn():
                began = self._clock()  # waiting for another worker's turn costs nothing
                event = ticket.next_event(lm)
            if event is not None:
                ticket.events.append(event.summary())
        except StopIteration:
            status = "done"
        except LabError as error:
            status, message = "failed", str(error)
        except BaseException as error:  # the worker outlives any error of a job
            log.exception("a job failed")
            status, message = "failed", in_words(error)
        seconds = self._clock() - began
        step = event is not None and event.is_step
        if step:
            log.debug("%s took %.3f s", ticket.events[-1], seconds)
        with self._change:
            self._began.pop(ticket, None)
            self._charge(ticket, seconds, event is not None and event.known)
            if status:
                self._end(ticket, status, message)
            elif ticket.seconds > MOST_SECONDS:
                self._end(ticket, "failed", OVER_BUDGET)
            elif step and ticket._steps is not None:
                ticket._steps -= 1
                if ticket._steps <= 0 and not ticket.over:
                    self._pause(ticket)
            ticket.working = False
            self._change.notify()  # another worker may take this job up
        ticket.tell()
        if ticket.over:
            ticket.close()
        elif step and lm.device.type == "cpu":
            self._rest(seconds)

    def _rest(self, seconds: float) -> None:
        """Leave the cores free for a moment after a step that took so many seconds; any request ends it."""
        with self._change:
            if len(self._threads) == 1 and len(self._tickets.wanting()) == 1 and not self._to_close:
                self._change.wait(min(REST_SECONDS, REST_SHARE * seconds))
