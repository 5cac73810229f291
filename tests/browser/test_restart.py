"""kill -9 amid a class: after the restart each open page comes back by itself, with its run, and goes on with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import ROOT, free_port, wait_for
from timed_engine import until

CLASS = 3
STEPS = 5000  # more than there is time for


class Restartable:
    """A server on one port, over a tiny model, whose process can be killed and started again."""

    def __init__(self, model: str, state: Path):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._line = [sys.executable, "app.py", "--port", str(self.port), "--model", model]
        self._environment, self._state = {**os.environ, "XDG_STATE_HOME": str(state)}, state
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._line, cwd=ROOT, env=self._environment)
        wait_for(self.address, self.process)

    def kept(self) -> int:
        """How many runs can be gone on with."""
        sessions = [path for path in self._state.rglob("session.json") if '"runs": ["' in path.read_text("utf-8")]
        runs = [path for folder in sessions for path in folder.parent.glob("*.json") if path.name != "session.json"]
        return sum('"state": null' not in path.read_text("utf-8")[-20:] for path in runs)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(tiny_folder: str, tmp_path: Path) -> Iterator[Restartable]:
    made = Restartable(tiny_folder, tmp_path)
    yield made
    made.kill()


def test_a_class_goes_on_where_it_was_when_the_server_is_killed(server, visit):
    pages = [visit(server.address) for _ in range(CLASS)]
    for visitor in pages:
        visitor.ready()
        visitor.set("steps", str(STEPS))
        visitor.page.click("#train")
    for visitor in pages:
        visitor.settle("#progress", "Step ")
    until(lambda: server.kept() == CLASS)
    server.kill()
    server.start()
    for visitor in pages:
        visitor.settle("#counters", "the server restarted")
        visitor.settle("#go-on", "Go on from step ")
        assert 0 < int(visitor.text("#go-on").split()[-1]) < STEPS
    first = pages[0]
    first.page.click("#go-on")
    first.page.click("#stop")
    first.settle("#progress", "s of training")
