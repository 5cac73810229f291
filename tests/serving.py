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

import tiny_models

ROOT = Path(__file__).resolve().parent.parent


def serve(*arguments: str, command: tuple[str, ...] = ("app.py",), folder: Path = ROOT, **environment: str) -> Iterator[str]:
    """Run app.py on a free port until the test session ends; yields its address. folder: where it lies."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, *command, "--port", str(port), *arguments]
    process = subprocess.Popen(line, cwd=folder, env={**os.environ, **environment}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, "the app ended by itself"
            try:
                urllib.request.urlopen(address, timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that it forked, if any outlived it


def save_tiny(folder: Path) -> Path:
    """A tiny random model in `folder`."""
    lm = tiny_models.make("llama", max_position_embeddings=2048)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder
