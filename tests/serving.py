"""The real app in a process of its own, for tests that ask it from outside."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Until the address answers."""
    for _ in range(600):
        assert server.poll() is None, "the app ended by itself"
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")


def serve(*arguments: str, command: tuple[str, ...] = ("app.py",), folder: Path = ROOT, **environment: str) -> Iterator[str]:
    """Run app.py on a free port until the test session ends; yields its address. folder: where it lies."""
    port = free_port()
    line = [sys.executable, *command, "--port", str(port), *arguments]
    process = subprocess.Popen(line, cwd=folder, env={**os.environ, **environment}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that it forked, if any outlived it
