"""The one worker: fair turns, pauses, ends, and no job that harms another."""

import asyncio
import threading
import time

import pytest
from tiny_models import answer_task, make

from core.engine import MOST_IN_ALL, MOST_PER_SESSION, UNEXPECTED, Engine, Ticket
from core.errors import LabError
from core.recipe import Recipe
from core.run import Finished, run
from core.training import StepEvent

PATIENCE = 30.0  # seconds; nothing here takes one


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def engine():
    return Engine(lambda: make("llama"))


@pytest.fixture
def gate(engine):
    """Keeps the worker busy until it is opened, so that everything submitted meanwhile stands in the queue."""
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
            yield f"{name} {number}"

    return job


def training(steps=6):
    recipe = Recipe(steps=steps, batch_size=4, virtual_tokens=4)
    return lambda lm, ticket: run(lm, answer_task(), recipe, stopping=ticket.stopping.is_set)


def steps_of(ticket):
    return [event for event in ticket.events if isinstance(event, int)]


def test_sessions_take_turns_piece_by_piece_however_many_jobs_each_has(engine, gate):
    log: list[str] = []
    greedy = [engine.submit("greedy", counting(log, "greedy", 6)) for _ in range(3)]
    modest = engine.submit("modest", counting(log, "modest", 6))
    gate.set()
    until(lambda: modest.over and all(ticket.over for ticket in greedy))
    assert log[:12].count("modest") == 6  # a turn each, as long as both want the device
    assert modest.events == [f"modest {number}" for number in range(6)]
    assert [ticket.status for ticket in greedy] == ["done"] * 3


def test_two_runs_that_take_turns_give_what_each_gives_alone(engine):
    alone = engine.submit("one", training())
    until(lambda: alone.over)
    both = [engine.submit("one", training()), engine.submit("two", training())]
    until(lambda: all(ticket.over for ticket in both))
    for ticket in (alone, *both):
        assert ticket.status == "done" and isinstance(ticket.events[-1], Finished)
        losses = [event.loss for event in ticket.events if isinstance(event, StepEvent)]
        assert losses == [event.loss for event in alone.events if isinstance(event, StepEvent)]


def test_a_run_pauses_after_the_steps_asked_for_and_goes_on(engine):
    ticket = engine.submit("one", training(), steps=2)
    until(lambda: ticket.status == "paused")
    assert steps_of(ticket) == [1, 2]
    assert engine.waiting() == 0  # nobody waits for a paused run
    engine.resume(ticket, steps=1)
    until(lambda: ticket.status == "paused" and len(steps_of(ticket)) == 3)
    engine.resume(ticket)
    until(lambda: ticket.over)
    assert steps_of(ticket) == [1, 2, 3, 4, 5, 6] and ticket.status == "done"


def test_stopping_a_paused_run_ends_its_training_and_scores_it(engine):
    ticket = engine.submit("one", training(50), steps=2)
    until(lambda: ticket.status == "paused")
    engine.stop(ticket)
    until(lambda: ticket.over)
    assert steps_of(ticket) == [1, 2] and "stopped by hand" in ticket.events[-1].stopped


def test_cancelling_frees_the_device_at_once(engine):
    def endless(lm, ticket):
        while True:
            yield "piece"

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


def test_work_for_idle_times_waits_until_nobody_wants_the_device(engine, gate):
    log: list[str] = []
    filler = engine.submit("server", counting(log, "filler", 3), idle=True)
    people = [engine.submit(f"person {number}", counting(log, "person", 3)) for number in range(2)]
    gate.set()
    until(lambda: filler.over and all(ticket.over for ticket in people))
    assert log == ["person"] * 6 + ["filler"] * 3


def test_a_session_that_leaves_takes_all_its_jobs_along(engine, gate):
    tickets = [engine.submit("leaver", counting([], "x", 5)) for _ in range(3)]
    assert engine.waiting() >= 1
    engine.leave("leaver")
    assert [ticket.status for ticket in tickets] == ["cancelled"] * 3
    assert engine.waiting() == 1 and engine.waiting(tickets[0]) == 1  # the gatekeeper


@pytest.mark.parametrize(
    "error, message", [(LabError("Give it some text."), "Give it some text."), (ValueError("secret path"), UNEXPECTED)]
)
def test_a_job_that_fails_says_so_and_the_next_one_runs(engine, error, message):
    def failing(lm, ticket):
        yield "fine so far"
        raise error

    ticket = engine.submit("one", failing)
    until(lambda: ticket.over)
    assert (ticket.status, ticket.message, ticket.events) == ("failed", message, ["fine so far"])
    after = engine.submit("one", counting([], "x", 2))
    until(lambda: after.over)
    assert after.status == "done"


def test_a_job_that_fails_before_its_first_piece_says_so(engine):
    def failing(lm, ticket):
        raise LabError("No such task: choose another.")

    ticket = engine.submit("one", failing)
    until(lambda: ticket.over)
    assert (ticket.status, ticket.message) == ("failed", "No such task: choose another.")


def test_nobody_can_fill_the_queue(engine, gate):
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
def test_without_a_model_everybody_is_told_why(error, message):
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


def test_whoever_waits_for_a_change_is_woken_by_it_and_by_nothing_else():
    ticket = Ticket("someone", lambda lm, ticket: iter(()), None, False)

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
