"""An engine with a made-up clock, and waiting for a state."""

import threading
import time

from tiny_models import make

from core.engine import Engine
from core.events import Done
from core.runs.contest import Scored
from core.scoring.score import Score

PATIENCE = 120.0  # seconds; nothing here takes one on a quiet machine


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


NOTHING = Score("none", "none", 0.0, (0.0, 1.0), 0.5, 1, None, 0.5, 3, 10, ())


class Clock:
    """A clock that stands still, but for what jobs (and tests) add to it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Timed:
    """An engine whose seconds are made up: jobs say how long each of their pieces took, and everything else takes none."""

    def __init__(self):
        self.clock = Clock()
        self.log: list[str] = []
        self.used: dict[str, float] = {}
        self.engine = Engine(lambda: make("llama"), self.clock)
        self.opened = threading.Event()
        self.gate = self.engine.submit("gatekeeper", self._wait)
        until(lambda: self.gate.status == "running")

    def _wait(self, lm, ticket):
        self.opened.wait(PATIENCE)
        yield None

    def submit(self, session, lengths, then=None):
        """A job with a piece for each of `lengths` (seconds; None: known already); `then` is called after the last one."""

        def job(lm, ticket):
            for length in lengths:
                if length is None:
                    yield Scored("validation", score=NOTHING, known=True)
                    continue
                self.clock.now += length
                self.log.append(session)
                self.used[session] = self.used.get(session, 0.0) + length
                yield Done()
            if then:
                then()

        return self.engine.submit(session, job)

    def go(self):
        self.opened.set()
        until(lambda: self.engine.status()["running"] + self.engine.status()["waiting"] == 0)
