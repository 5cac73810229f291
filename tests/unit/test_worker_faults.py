"""Errors of every kind at every place of the worker's loop: the job fails in a sentence, and the loop goes on or says that it ended."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from timed_engine import PATIENCE, until
from tiny_models import make

from app.serving.health import health
from core.engine import Engine
from core.errors import LabError
from core.events import Done, Finding
from core.jobs.loop import FAIL_ALL, GIVE_UP
from core.ticket import ENDED, UNEXPECTED, Ticket

ROOT = Path(__file__).resolve().parents[2]
ERRORS = [SystemExit(1), MemoryError(), BaseException("x"), RuntimeError("x"), KeyError("x"), GeneratorExit(), StopIteration()]
kinds = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


def raising(error, times, then=None):
    """A function that raises `error` so many times in a row, and then does what `then` does."""
    left = [times]

    def call(*given, **named):
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return then(*given, **named)

    return call


def working(pieces=2):
    return lambda lm, ticket: iter([Done()] * pieces)


@pytest.fixture
def engine():
    made = Engine(lambda: make("llama"))
    until(lambda: made.lm is not None)
    return made


def is_fine(engine):
    """The worker does another job, and a supervisor is told that all is well."""
    after = engine.submit("after", working())
    until(lambda: after.over)
    assert (after.status, len(after.events)) == ("done", 2)
    said = health(engine)
    assert said["ok"] and said["stuck_seconds"] == 0.0
    assert said["running"] == said["waiting"] == 0


@kinds
@pytest.mark.parametrize("place", ["_end_paused", "_choose", "_model_of", "_charge", "_end", "_rest"])
def test_the_loop_goes_on_after_an_error_between_jobs(engine, monkeypatch, place, error):
    monkeypatch.setattr(engine, place, raising(error, 1, getattr(engine, place)))
    ticket = engine.submit("one", working())
    until(lambda: ticket.over)
    assert (ticket.status, ticket.message) in (("done", ""), ("failed", UNEXPECTED))
    is_fine(engine)


@kinds
@pytest.mark.parametrize("place", ["order", "begin", "charge"])
def test_and_after_one_in_the_accounts_of_turns(engine, monkeypatch, place, error):
    monkeypatch.setattr(engine._fair, place, raising(error, 1, getattr(engine._fair, place)))
    ticket = engine.submit("one", working())
    until(lambda: ticket.over)
    assert (ticket.status, ticket.message) in (("done", ""), ("failed", UNEXPECTED))
    is_fine(engine)


@kinds
def test_and_after_one_in_telling_the_page(engine, monkeypatch, error):
    def job(lm, ticket):
        yield Done()
        monkeypatch.setattr(ticket, "tell", raising(error, 1, ticket.tell))  # of this ticket alone
        yield Done()

    ticket = engine.submit("one", job)
    until(lambda: ticket.over and not ticket.working)
    is_fine(engine)


@kinds
def test_what_a_job_raises_is_its_own(engine, error):
    """In its first piece, in a later one, while it is ended, and in the summary of what it yields."""

    def at_once(lm, ticket):
        raise error

    def later(lm, ticket):
        yield Done()
        raise error

    class Odd(Finding):
        def summary(self):
            raise error

    for job in (at_once, later, lambda lm, ticket: iter([Odd(1)])):
        ticket = engine.submit("one", job)
        until(lambda: ticket.over)  # noqa: B023  called before the next job
        if not isinstance(error, StopIteration):  # which is how a job ends
            assert ticket.status == "failed" and ticket.message.endswith((".", "try again."))

    class Stubborn:
        def __iter__(self):
            return self

        def __next__(self):
            return Done()

        def close(self):
            raise error

    ticket = engine.submit("one", lambda lm, ticket: Stubborn())
    until(lambda: ticket.events)
    engine.cancel(ticket)
    is_fine(engine)


@kinds
def test_a_model_whose_loading_raises_is_a_sentence(error):
    engine = Engine(raising(error, 10**9))
    until(lambda: engine.problem)
    assert not health(engine)["ok"]
    with pytest.raises(LabError, match="could not be loaded"):
        engine.submit("one", working())


def test_where_errors_repeat_all_jobs_fail_and_then_the_loop_goes_on(engine, monkeypatch):
    """A job that can't even be chosen would stop all the others."""
    opened = threading.Event()
    gate = engine.submit("gate", lambda lm, ticket: iter([opened.wait(PATIENCE) and None]))
    until(lambda: gate.working)
    monkeypatch.setattr(engine, "_choose", raising(ValueError(), FAIL_ALL, engine._choose))
    tickets = [engine.submit(f"session {number}", working()) for number in range(3)]
    opened.set()
    until(lambda: all(ticket.over for ticket in tickets))
    assert {(ticket.status, ticket.message) for ticket in tickets} == {("failed", UNEXPECTED)}
    is_fine(engine)


@pytest.mark.parametrize("broken", ["_choose", "_recover"])
def test_a_worker_that_has_to_give_up_says_so_everywhere(engine, monkeypatch, broken):
    """All jobs fail, no others are taken, a supervisor is told, and the process that runs the engine can end."""
    monkeypatch.setattr(engine, "_choose", raising(SystemExit(0), 10**9))
    if broken == "_recover":
        monkeypatch.setattr(engine, "_recover", raising(MemoryError(), 10**9))
    ticket = engine.submit("one", working())
    assert engine.ended.wait(PATIENCE)
    until(lambda: ticket.over)
    assert ticket.status == "failed" and ticket.message in (UNEXPECTED, ENDED)
    with pytest.raises(LabError, match="failed"):
        engine.submit("one", working())
    assert not health(engine)["ok"] and not engine.status()["alive"]
    assert GIVE_UP > FAIL_ALL


def test_other_workers_end_with_the_one_that_gave_up(monkeypatch):
    engine = Engine(lambda: make("llama"), workers=2)
    until(lambda: engine.lm is not None)
    monkeypatch.setattr(engine, "_choose", raising(RuntimeError(), 10**9))
    engine.submit("one", working())
    assert engine.ended.wait(PATIENCE)
    until(lambda: not any(thread.is_alive() for thread in engine._threads))


def test_loading_a_model_is_no_hang_but_a_long_piece_is():
    loading, opened = threading.Event(), threading.Event()
    now = [0.0]

    def load():
        loading.set()
        opened.wait(PATIENCE)
        return make("llama")

    engine = Engine(lambda: make("llama"), lambda: now[0], others={"second": load})
    until(lambda: engine.lm is not None)
    done = threading.Event()
    ticket = engine.submit("one", lambda lm, ticket: iter([done.wait(PATIENCE) and None]), model="second")
    assert loading.wait(PATIENCE)
    now[0] = 1000.0
    assert health(engine)["ok"]
    opened.set()
    until(lambda: engine._began)
    now[0] += 1000.0
    assert not health(engine)["ok"] and health(engine)["stuck_seconds"] >= 999.0
    done.set()
    until(lambda: ticket.over)
    assert health(engine)["ok"]


@pytest.mark.parametrize("how", ["os.abort()", "ctypes.string_at(0)"])
def test_a_native_crash_ends_the_process_with_a_code(how):
    code = f"""
        import ctypes, os, time
        from core.engine import Engine
        class Model:
            device_name = "none"
        engine = Engine(Model)
        def job(lm, ticket):
            {how}
            yield None
        engine.submit("one", job)
        time.sleep({PATIENCE})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, timeout=PATIENCE)
    assert done.returncode < 0, "ended by a signal, which a supervisor sees"


def test_a_ticket_is_told_apart_from_what_it_was(engine):
    """A cancelled job's late error changes nothing of it."""
    began, opened = threading.Event(), threading.Event()

    def job(lm, ticket: Ticket):
        began.set()
        opened.wait(PATIENCE)
        raise SystemExit(3)
        yield

    ticket = engine.submit("one", job)
    assert began.wait(PATIENCE)
    engine.cancel(ticket)
    opened.set()
    is_fine(engine)
    assert (ticket.status, ticket.message) == ("cancelled", "")
