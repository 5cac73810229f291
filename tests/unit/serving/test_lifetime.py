"""How the server's process ends: asked to, or because its worker or its web server has ended."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest
from timed_engine import PATIENCE, until
from tiny_models import make

from app.serving import lifetime
from app.serving.lifetime import CLOSING, FAILED, stay
from core.engine import Engine
from core.errors import LabError
from core.events import Done


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lifetime, "HEARD", 0.0)
    monkeypatch.setattr(lifetime, "_last_words", lambda seconds, code: None)  # would end the tests


@pytest.fixture
def engine():
    made = Engine(lambda: make("llama"))
    until(lambda: made.lm is not None)
    return made


@pytest.fixture
def server():
    opened = threading.Event()
    thread = threading.Thread(target=opened.wait, daemon=True)
    thread.start()
    yield SimpleNamespace(thread=thread, end=opened.set)
    opened.set()


def test_asked_to_end_it_finishes_the_step_in_hand_writes_and_takes_no_more(engine, server):
    began, closing, flushed = threading.Event(), threading.Event(), []
    handled = signal.getsignal(signal.SIGTERM)

    def job(lm, ticket):
        began.set()
        closing.wait(PATIENCE)
        yield Done()
        yield Done()

    ticket = engine.submit("one", job)

    def ask():
        until(lambda: signal.getsignal(signal.SIGTERM) is not handled)
        began.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: engine.refusal)
        with pytest.raises(LabError, match=r"being restarted.*try again in a minute\.$"):
            engine.submit("two", job)
        engine.resume(ticket)  # nothing begins again
        closing.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert stay(server, engine, lambda: flushed.append(len(ticket.events))) == 0
    asking.join()
    assert engine.refusal == CLOSING
    assert flushed == [1] and ticket.status == "paused", "the step in hand was finished, and no other one begun"
    assert signal.getsignal(signal.SIGTERM) is handled


def test_a_worker_that_gave_up_ends_the_process_with_a_code(engine, server):
    flushed = []
    engine._give_up()
    assert stay(server, engine, lambda: flushed.append(1)) == FAILED
    assert flushed == [1]


def test_and_so_does_a_web_server_that_ended(engine, server):
    server.end()
    assert stay(server, engine) == FAILED


def test_a_hung_step_is_not_waited_for_without_end(engine, server, monkeypatch):
    monkeypatch.setattr(lifetime, "PATIENCE", 0.0)
    opened = threading.Event()
    ticket = engine.submit("one", lambda lm, ticket: iter([opened.wait(PATIENCE) and None]))
    until(lambda: engine.working)
    handled = signal.getsignal(signal.SIGTERM)

    def ask():
        until(lambda: signal.getsignal(signal.SIGTERM) is not handled)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask).start()
    assert stay(server, engine) == 0
    assert engine.working
    opened.set()
    until(lambda: not ticket.working)
