"""From the first request to the end of the process: why it ends, with which exit code, and what is finished before."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from core.engine import Engine

log = logging.getLogger("soft_prompt_lab")

FAILED = 70  # exit code where the worker or the web server ended by itself: a supervisor should start the server again
CLOSING = "This server is being restarted, so it takes no new work: please try again in a minute."
LOOK = 0.1  # seconds between two looks
PATIENCE = 6.0  # seconds that a step in hand may take after SIGTERM
HEARD = 1.0  # seconds in which pages hear a last sentence
MOST = 9.5  # seconds from SIGTERM to the end, whatever hangs


def stay(server: Any, engine: Engine, flush: Callable[[], None] = lambda: None) -> int:
    """Serve until SIGTERM, Ctrl-C, or the end of the worker or the web server. Returns the exit code; call it from the main thread.

    server: uvicorn's in a thread, as Gradio starts it. flush: writes what is only in memory.
    """
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(signal.SIGTERM, ask)
    code = 0
    try:
        try:
            while not asked.wait(LOOK):
                if engine.ended.is_set():
                    log.error("the worker ended, so the server ends")
                    time.sleep(HEARD)
                    return FAILED
                if not server.thread.is_alive():
                    log.error("the web server ended, so the process ends")
                    return FAILED
        except KeyboardInterrupt:
            code = 130
        log.info("asked to end")
        _last_words(MOST, code)
        engine.close(CLOSING)
        end = time.monotonic() + PATIENCE
        while engine.working and time.monotonic() < end:
            time.sleep(LOOK)
        return code
    finally:
        flush()
        signal.signal(signal.SIGTERM, before)


def _last_words(seconds: float, code: int) -> None:
    """End the process after so many seconds, whatever still hangs then."""
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()


def leave(code: int) -> None:
    """End the process now: threads that wait for a visitor, or hang, are not waited for."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
