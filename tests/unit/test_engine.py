"""The engine's worker: pauses, limits, ends of jobs, and jobs that fail."""

import asyncio
import gc
import threading
import time
import weakref

import pytest
from timed_engine import PATIENCE, Timed, until
from tiny_models import answer_task, make

from core.engine import MOST_IN_ALL, MOST_PER_SESSION, PAUSED_SECONDS, Engine
from core.errors import LabError
from core.events import Done, Finding, Step
from core.fair_share import MOST_REMEMBERED
from core.recipe import Recipe
from core.runs.run import run
from core.ticket import MOST_SECONDS, UNEXPECTED, Ticket


@pytest.fixture(scope="module")
def engine():
    return Engine(lambda: make("llama"))


@pytest.fixture
def gate(engine):
    """Keeps the worker busy until it is opened, so that all that is submitted meanwhile waits in the queue."""
    opened = threading.Event()

    def wait(lm, ticket):
        opened.wait(PATIENCE)
        yield None

    ticket = engine.submit("gatekeeper", wait)
    until(lambda: ticket.status == "running")
    yield opened
    opened.set()
    until(lambda: ticket.over)


def counting(log, name, pieces):
    def job(lm, ticket):
        for number in range(pieces):
            log.append(name)
            yield Finding(f"{name} {number}")

    return job


def training(steps=6):
    recipe = Recipe(steps=steps, batch_size=4, virtual_tokens=4)
    return lambda lm, ticket: run(lm, answer_task(), recipe, stopping=ticket.stopping.is_set)


def steps_of(ticket):
    return [event.number for event in ticket.events if isinstance(event, Step)]


class Held:
    """Something that a job closes over."""


@pytest.mark.parametrize("way", ["done", "failed", "cancelled", "cancelled before it began"])
def test_an_ended_job_lets_go_of_what_it_held(engine, gate, way):
    held = Held()
    known = weakref.ref(held)

    def job_of(held):
        def job(lm, ticket):
            yield Finding(str(held))
            if way == "failed":
                raise LabError("no")
            while way == "cancelled":
                yield None

        return job

    ticket = engine.submit("holder", job_of(held))
    del held
    if way == "cancelled before it began":
        engine.cancel(ticket)
    gate.set()
    if way == "cancelled":
        until(lambda: ticket.events)
        engine.cancel(ticket)
    until(lambda: ticket.over)
    until(lambda: gc.collect() is not None and known() is None)


def test_sessions_take_turns_and_the_jobs_of_one_share_its_turns(engine, gate):
    log: list[str] = []
    greedy = [engine.submit("greedy", counting(log, "greedy", 6)) for _ in range(3)]
    modest = engine.submit("modest", counting(log, "modest", 6))
    gate.set()
    until(lambda: modest.over and all(ticket.over for ticket in greedy))
    assert log[:12].count("modest") == 6  # a turn each, as long as both want the device
    assert [event.value for event in modest.events] == [f"modest {number}" for number in range(6)]
    assert [ticket.status for ticket in greedy] == ["done"] * 3


def test_a_job_that_has_used_its_time_ends_and_keeps_what_it_has():
    timed = Timed()
    greedy = timed.submit("greedy", [MOST_SECONDS / 4] * 10)
    other = timed.submit("other", [1.0] * 3)
    timed.go()
    assert (greedy.status, len(greedy.events)) == ("failed", 5)  # the piece with which it went over is kept
    assert "30 minutes" in greedy.message and "fewer steps" in greedy.message
    assert (other.status, other.seconds) == ("done", 3.0)


def test_time_in_a_pause_is_not_counted_but_a_pause_has_an_end():
    timed = Timed()
    short, long = (timed.submit(name, [0.1] * 2) for name in ("short", "long"))
    for ticket in (short, long):
        timed.engine.pause(ticket)
    timed.go()
    timed.clock.now += PAUSED_SECONDS - 1
    timed.engine.resume(short)
    until(lambda: short.over)
    assert (short.status, short.seconds, long.status) == ("done", pytest.approx(0.2), "paused")
    timed.clock.now += 1
    timed.submit("visitor", [0.1])  # the worker looks when it wakes
    until(lambda: long.over)
    assert long.status == "cancelled" and "paused for 30 minutes" in long.message
    assert timed.engine.status()["paused"] == 0


def test_a_worker_that_sleeps_wakes_to_end_a_pause(monkeypatch):
    monkeypatch.setattr("core.engine.PAUSED_SECONDS", 0.05)
    engine = Engine(lambda: make("llama"))
    ticket = engine.submit("one", training(), steps=1)
    until(lambda: ticket.over)  # no other session comes
    assert ticket.status == "cancelled" and steps_of(ticket) == [1]


def test_the_expected_wait_is_of_the_sessions_before_it():
    timed = Timed()
    for _ in range(2):
        timed.submit("early", [0.2] * 4)
    first = timed.submit("first", [0.2] * 4)
    second, third = (timed.submit("second", [0.2]) for _ in range(2))
    assert timed.engine.expected_wait(first) == (2, None)  # the gatekeeper and "early"; nothing was measured yet
    assert timed.engine.expected_wait(timed.gate) == (3, None)  # who shares with it
    timed.engine._pieces.extend([0.2, 0.4])
    assert timed.engine.expected_wait(first) == (2, pytest.approx(0.6))
    assert timed.engine.expected_wait(second) == (3, pytest.approx(0.9))
    assert timed.engine.expected_wait(third) == (3, pytest.approx(0.9 + 4 * 0.3))  # its session has a turn before its own
    timed.engine.pause(first)
    assert timed.engine.expected_wait(second)[0] == 2
    timed.engine.cancel(first)
    timed.go()


def test_the_status_tells_what_the_worker_does(engine):
    opened, began = threading.Event(), threading.Event()

    def stuck(lm, ticket):
        began.set()
        opened.wait(PATIENCE)
        yield Done()

    until(lambda: engine.status()["model"])
    idle = engine.status()
    ticket, behind = engine.submit("one", stuck), engine.submit("two", counting([], "x", 1))
    began.wait(PATIENCE)
    until(lambda: engine.status()["stuck_seconds"] > 0.02)
    busy = engine.status()
    opened.set()
    until(lambda: ticket.over and behind.over)
    assert (idle["model"], idle["problem"], idle["device"], idle["alive"]) == (True, "", "cpu", True)
    assert (idle["running"], idle["waiting"], idle["paused"], idle["sessions"], idle["stuck_seconds"]) == (0, 0, 0, 0, 0.0)
    assert (busy["running"], busy["waiting"], busy["sessions"]) == (1, 1, 2)
    assert engine.status()["piece_seconds"] > 0


def test_sessions_that_come_and_go_leave_no_growing_memory(engine):
    for number in range(MOST_REMEMBERED + 50):
        engine.cancel(engine.submit(f"guest {number}", counting([], "x", 1)))
    assert len(engine._fair) <= MOST_REMEMBERED + 1 and not engine._tickets


def test_a_slot_is_free_the_moment_its_job_is_cancelled_even_amid_a_piece(engine):
    opened, began = threading.Event(), threading.Event()
    closed: list[bool] = []

    def stuck(lm, ticket):
        try:
            began.set()
            opened.wait(PATIENCE)
            yield Done()
            yield Done()
        finally:
            closed.append(True)

    tickets = [engine.submit("one", stuck) for _ in range(MOST_PER_SESSION)]
    began.wait(PATIENCE)
    for ticket in tickets:
        engine.cancel(ticket)
    again = [engine.submit("one", counting([], "x", 1)) for _ in range(MOST_PER_SESSION)]  # at once, amid the piece
    opened.set()
    until(lambda: all(ticket.over for ticket in again))
    assert [ticket.status for ticket in (*tickets, *again)] == ["cancelled"] * 3 + ["done"] * 3
    assert closed == [True] and tickets[1].events == []  # the two others never began


def test_a_job_that_waits_is_not_called_running_by_a_pause(engine, gate):
    ticket = engine.submit("one", counting([], "x", 1))
    engine.pause(ticket)
    engine.resume(ticket)
    assert ticket.status == "waiting"
    gate.set()
    until(lambda: ticket.over)


NO_ROOM = "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes."


@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit(), RuntimeError("CUDA out of memory"), RuntimeError(NO_ROOM)])
def test_the_worker_outlives_any_error_of_a_job(engine, error):
    def failing(lm, ticket):
        if isinstance(error, GeneratorExit):
            return iter(raising, None)
        raise error

    def raising():
        raise error

    ticket = engine.submit("one", failing)
    until(lambda: ticket.over)
    assert ticket.status == "failed" and ("out of memory" in ticket.message) == isinstance(error, RuntimeError)
    assert engine.status()["alive"]


def test_a_job_that_fails_while_it_is_ended_leaves_the_others_alone(engine):
    def stubborn(lm, ticket):
        try:
            while True:
                yield Done()
        finally:
            raise ValueError("not now")

    ticket = engine.submit("one", stubborn)
    until(lambda: ticket.events)
    engine.cancel(ticket)
    after = engine.submit("two", counting([], "x", 1))
    until(lambda: after.over)
    assert (ticket.status, after.status) == ("cancelled", "done")


def test_a_run_pauses_after_the_steps_asked_for_and_goes_on(engine):
    ticket = engine.submit("one", training(), steps=2)
    until(lambda: ticket.status == "paused")
    assert steps_of(ticket) == [1, 2]
    state = engine.status()
    assert (state["running"], state["waiting"], state["paused"]) == (0, 0, 1)  # no job waits for a paused run
    assert not ticket.working  # and the worker is free
    other = engine.submit("two", counting([], "x", 2))
    until(lambda: other.over)
    assert steps_of(ticket) == [1, 2]
    engine.resume(ticket, steps=1)
    until(lambda: ticket.status == "paused" and len(steps_of(ticket)) == 3)
    engine.resume(ticket, steps=1)
    engine.resume(ticket, steps=1)  # pressed again while the step before is under way
    until(lambda: ticket.status == "paused" and len(steps_of(ticket)) == 5)
    engine.resume(ticket)
    until(lambda: ticket.over)
    assert steps_of(ticket) == [1, 2, 3, 4, 5, 6] and ticket.status == "done"


def test_stopping_a_paused_run_once_or_more_ends_its_training_and_scores_it(engine):
    ticket = engine.submit("one", training(50), steps=2)
    until(lambda: ticket.status == "paused")
    engine.stop(ticket)
    engine.stop(ticket)
    until(lambda: ticket.over)
    engine.stop(ticket)
    assert ticket.status == "done" and steps_of(ticket) == [1, 2] and "stopped by hand" in ticket.events[-1].stopped


def test_cancelling_frees_the_device_at_once(engine):
    def endless(lm, ticket):
        while True:
            yield Done()

    ticket = engine.submit("one", endless)
    until(lambda: len(ticket.events) > 3)
    engine.cancel(ticket)
    after = engine.submit("two", counting([], "x", 3))
    until(lambda: after.over)
    said = len(ticket.events)
    engine.resume(ticket)  # what is over stays over
    last = engine.submit("two", counting([], "x", 3))
    until(lambda: last.over)
    assert ticket.status == "cancelled" and len(ticket.events) == said


def test_jobs_at_idle_priority_wait_until_no_other_job_wants_the_device(engine, gate):
    log: list[str] = []
    filler = engine.submit("server", counting(log, "filler", 3), idle=True)
    people = [engine.submit(f"person {number}", counting(log, "person", 3)) for number in range(2)]
    gate.set()
    until(lambda: filler.over and all(ticket.over for ticket in people))
    assert log == ["person"] * 6 + ["filler"] * 3


def test_a_session_that_leaves_takes_all_its_jobs_along(engine, gate):
    tickets = [engine.submit("leaver", counting([], "x", 5)) for _ in range(3)]
    behind = engine.submit("behind", counting([], "x", 1))
    before = engine.expected_wait(behind)[0]
    engine.leave("leaver")
    assert [ticket.status for ticket in tickets] == ["cancelled"] * 3
    assert engine.expected_wait(behind)[0] == before - 1
    assert engine.expected_wait(tickets[0])[1] is None


@pytest.mark.parametrize(
    "error, message", [(LabError("Give it some text."), "Give it some text."), (ValueError("secret path"), UNEXPECTED)]
)
def test_a_job_that_fails_says_so_and_the_next_one_runs(engine, error, message):
    fine = Finding("fine so far")

    def failing(lm, ticket):
        yield fine
        raise error

    def failing_at_first(lm, ticket):
        raise error

    for job, events in ((failing, [fine]), (failing_at_first, [])):
        ticket = engine.submit("one", job)
        until(lambda: ticket.over)  # noqa: B023  it is called before the next job
        assert (ticket.status, ticket.message, ticket.events) == ("failed", message, events)
    after = engine.submit("one", counting([], "x", 2))
    until(lambda: after.over)
    assert after.status == "done"


def test_jobs_of_a_session_and_of_the_server_are_limited(engine, gate):
    own = [engine.submit("one", counting([], "x", 1)) for _ in range(MOST_PER_SESSION)]
    with pytest.raises(LabError, match="jobs here already"):
        engine.submit("one", counting([], "x", 1))
    others = [engine.submit(f"session {number}", counting([], "x", 1)) for number in range(MOST_IN_ALL - MOST_PER_SESSION - 1)]
    with pytest.raises(LabError, match="60 jobs are waiting"):
        engine.submit("late", counting([], "x", 1))
    gate.set()
    until(lambda: all(ticket.over for ticket in own + others))
    last = engine.submit("late", counting([], "x", 1))  # and there is room again
    until(lambda: last.over)


@pytest.mark.parametrize(
    "error, message", [(LabError("There is no model: name one."), "There is no model"), (OSError("x"), "could not be loaded")]
)
def test_without_a_model_every_job_fails_with_the_reason(error, message):
    begun = threading.Event()

    def load():
        begun.wait(PATIENCE)
        raise error

    broken = Engine(load)
    early = broken.submit("one", counting([], "x", 1))  # submitted while it loads
    begun.set()
    until(lambda: early.over)
    assert early.status == "failed" and message in early.message
    with pytest.raises(LabError, match=message):
        broken.submit("one", counting([], "x", 1))


def test_a_change_wakes_the_coroutines_that_wait_for_it():
    ticket = Ticket("session", lambda lm, ticket: iter(()), None, False)

    async def watch() -> tuple[float, float, float]:
        began = time.monotonic()
        await ticket.changed(ticket.changes, 0.05)  # nothing happens
        nothing = time.monotonic() - began
        threading.Timer(0.05, ticket.tell).start()
        began = time.monotonic()
        await ticket.changed(ticket.changes, 30)
        woken = time.monotonic() - began
        seen = ticket.changes
        ticket.status = "running"
        began = time.monotonic()
        await ticket.changed(seen, 30)  # it has happened already
        return nothing, woken, time.monotonic() - began

    nothing, woken, known = asyncio.run(watch())
    assert nothing >= 0.04 and woken < 20 and known < 20
    assert ticket._waiting == []
