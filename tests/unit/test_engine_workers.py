"""An engine with several workers: pieces wait elsewhere at the same time, what is computed here takes turns, and no job has two workers."""

import threading
import time

import pytest
from timed_engine import PATIENCE, until
from tiny_models import answer_task, make

from core.engine import Engine
from core.errors import LabError
from core.events import Finding
from core.runs.scorebook import Scorebook
from core.scoring.contender import bare


@pytest.fixture(scope="module")
def engine():
    return Engine(lambda: make("llama"), workers=2)


def test_two_sessions_are_served_elsewhere_at_once(engine):
    meet = threading.Barrier(2)

    def job(lm, ticket):
        for number in range(5):
            with engine.device.elsewhere():
                meet.wait(PATIENCE)  # passes only where both are there
            yield Finding(number)

    tickets = [engine.submit(name, job) for name in ("ada", "bob")]
    until(lambda: all(ticket.over for ticket in tickets))
    assert [[event.value for event in ticket.events] for ticket in tickets] == [list(range(5))] * 2


def test_what_is_computed_here_takes_turns(engine):
    inside, most = [], []

    def job(lm, ticket):
        for _ in range(20):
            inside.append(ticket)
            most.append(len(inside))
            time.sleep(0.001)
            inside.remove(ticket)
            with engine.device.elsewhere():
                time.sleep(0.001)
            yield None

    tickets = [engine.submit(f"session {number}", job) for number in range(4)]
    until(lambda: all(ticket.over for ticket in tickets))
    assert len(most) == 80 and max(most) == 1 and {ticket.status for ticket in tickets} == {"done"}


def test_a_job_is_never_worked_on_by_two_workers(engine):
    def job(lm, ticket):
        for number in range(30):
            with engine.device.elsewhere():
                time.sleep(0.001)
            yield Finding(number)

    ticket = engine.submit("alone", job)  # a second worker at once would raise "generator already executing"
    until(lambda: ticket.over)
    assert ticket.status == "done" and [event.value for event in ticket.events] == list(range(30))


def test_a_job_that_is_cancelled_while_it_waits_elsewhere_is_closed_by_its_own_worker(engine):
    waits, leave, closed = threading.Event(), threading.Event(), []

    def job(lm, ticket):
        try:
            with engine.device.elsewhere():
                waits.set()
                leave.wait(PATIENCE)
            yield None
        finally:
            closed.append(threading.current_thread().name)

    ticket = engine.submit("leaver", job)
    assert waits.wait(PATIENCE)
    engine.cancel(ticket)
    assert ticket.status == "cancelled" and not closed
    leave.set()
    until(lambda: closed)
    assert closed[0].startswith("engine") and not ticket.message


def test_a_job_that_fails_lets_the_device_go(engine):
    def job(lm, ticket):
        with engine.device.elsewhere():
            raise LabError("The cluster did not answer.")
        yield None

    failed = engine.submit("unlucky", job)
    after = engine.submit("next", lambda lm, ticket: iter([Finding(1)]))
    until(lambda: failed.over and after.over)
    assert (failed.status, failed.message, after.status) == ("failed", "The cluster did not answer.", "done")
    assert engine.status()["alive"]


def test_two_workers_that_need_one_score_share_it(engine):
    """The second waits, with the device let go, while the first is elsewhere amid a batch of the score."""
    book, task, amid = Scorebook(), answer_task(), threading.Event()
    found = []

    class Elsewhere:
        device = "elsewhere"
        elsewhere = staticmethod(engine.device.elsewhere)

        def __call__(self, work):
            with engine.device.elsewhere():
                amid.set()
                time.sleep(0.2)
            return work.do(here)

    here = make("llama")
    away = make("llama")
    away.device_process = Elsewhere()

    def job(lm, ticket):
        for score in book.score(away, bare(task), task.held_out, task.labels):
            found.append(score)
            yield None

    first = engine.submit("first", job)
    assert amid.wait(PATIENCE)
    second = engine.submit("second", job)
    until(lambda: first.over and second.over)
    assert (first.status, second.status) == ("done", "done")
    assert len({score.accuracy for score in found}) == 1 and len(found) == 2
