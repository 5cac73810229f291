"""Several models behind one engine: loaded when a job needs them, one in memory at a time unless more are kept."""

import gc
import threading
from types import SimpleNamespace

import pytest
from timed_engine import until

from core.engine import Engine
from core.errors import LabError
from core.events import Done
from core.model_pool import ModelPool


class Fake:
    """What the engine asks of a model."""

    device, device_name = SimpleNamespace(type="made up"), "made up"

    def __init__(self, name):
        self.name = name


class Offered:
    """An engine with three models, and a log of what was loaded."""

    def __init__(self, keep=1):
        self.loads = []
        self.engine = Engine(lambda: self._load("a"), others={name: self._maker(name) for name in ("b", "c")}, keep=keep)
        until(lambda: self.engine.lm is not None)

    def _maker(self, name):
        return lambda: self._load(name)

    def _load(self, name):
        self.loads.append(name)
        if name == "c":
            raise LabError("There is no c.")
        return Fake(name)

    def submit(self, session, model, pieces=1, log=None, gate=None):
        def job(lm, ticket):
            for _ in range(pieces):
                if gate:
                    gate.wait(60)
                if log is not None:
                    log.append((session, lm.name))
                yield Done()

        return self.engine.submit(session, job, model=model)


def over(*tickets):
    until(lambda: all(ticket.over for ticket in tickets))
    return [ticket.status for ticket in tickets]


def test_a_job_gets_the_model_that_it_names():
    offered, log = Offered(), []
    tickets = [offered.submit("one", "b", 2, log), offered.submit("two", "", 2, log), offered.submit("one", "b", 1, log)]
    assert over(*tickets) == ["done"] * 3
    assert sorted(log) == [("one", "b")] * 3 + [("two", "a")] * 2


def test_a_begun_job_keeps_its_model_and_later_jobs_of_it_wait_for_the_other_model():
    offered, log, gate = Offered(), [], threading.Event()
    first = offered.submit("one", "", 3, log, gate)
    until(lambda: first.status == "running")
    other = offered.submit("two", "b", 2, log)
    later = offered.submit("three", "", 2, log)
    gate.set()
    assert over(first, other, later) == ["done"] * 3
    assert [name for _, name in log] == ["a"] * 3 + ["b"] * 2 + ["a"] * 2
    assert offered.loads == ["a", "b", "a"]


def test_as_many_models_as_are_kept_take_turns():
    offered, log, gate = Offered(keep=2), [], threading.Event()
    tickets = [offered.submit("one", "", 3, log, gate), offered.submit("two", "b", 3, log, gate)]
    gate.set()
    assert over(*tickets) == ["done"] * 2
    assert offered.loads == ["a", "b"] and log[-1][1] != log[-4][1]  # neither waited for the other's end
    assert offered.engine.loaded("b") is not None and offered.engine.loaded() is not None


def test_a_paused_job_does_not_hold_up_the_others_and_goes_on_with_its_own_model():
    offered, log = Offered(), []
    paused = offered.submit("one", "", 50, log)
    until(lambda: len(log) > 2)
    offered.engine.pause(paused)
    until(lambda: not paused.working)
    assert over(offered.submit("two", "b")) == ["done"]
    assert offered.engine.loaded() is None
    offered.engine.resume(paused)
    assert over(paused) == ["done"] and len(log) == 50
    assert offered.loads == ["a", "b"]  # the paused job held it, so it was not loaded again


def test_a_model_that_cannot_be_loaded_fails_its_own_jobs_alone():
    offered = Offered()
    lost, mine = offered.submit("one", "c"), offered.submit("one", "")
    assert over(lost, mine) == ["failed", "done"] and lost.message == "There is no c."
    with pytest.raises(LabError, match=r"There is no c\."):
        offered.submit("one", "c")
    assert offered.engine.problem == "" and offered.engine.problem_of("c") == "There is no c."


def test_jobs_of_many_sessions_and_models_all_end():
    offered, log = Offered(), []
    tickets = [offered.submit(f"session {i}", "b" if i % 3 else "", 1 + i % 4, log) for i in range(24)]
    assert over(*tickets) == ["done"] * 24
    assert len(log) == sum(1 + i % 4 for i in range(24))


def test_the_pool_drops_the_least_recently_used_model_and_its_memory():
    pool = ModelPool({name: lambda name=name: Fake(name) for name in "abc"}, keep=2)
    for name in "abac":
        pool.get(name)
    assert [name for name in "abc" if pool.loaded(name)] == ["a", "c"]
    gc.collect()
    assert "b" not in pool._alive
    assert pool.room(in_use={"a"}) and not pool.room(in_use={"a", "c"})
    pool.get("b", in_use={"c"})
    assert pool.loaded("a") is None and pool.loaded("c") is not None
