"""The log: a JSON object a line, without the text of any visitor. docs/server.md lists the events."""

import hashlib
import json
import logging
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import gradio.queueing
import gradio.route_utils
import gradio.routes

from core.engine import Engine
from core.errors import LabError
from core.events import Event
from core.ticket import Ticket

log = logging.getLogger("soft_prompt_lab")

AT_ONCE = 100.0  # lines of one kind; after them one a second
MOST_KINDS = 500


class JsonLines(logging.Formatter):
    """One JSON object a line. Of an exception only its type and the places it passed: a message may quote a visitor's text."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "facts", {})
        if left_out := getattr(record, "left_out", 0):
            line["left_out"] = left_out
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        return json.dumps(line)


class FewOfAKind(logging.Filter):
    """Lets `AT_ONCE` lines of one kind through, then one a second; the next one that passes says how many before it were left out.

    A kind: the logger, the level and the start of the text before values are filled in. A flood of requests must not fill the disk.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: OrderedDict[tuple[str, int, str], tuple[float, float, int]] = OrderedDict()  # lines left, when, how many left out

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.name, record.levelno, str(record.msg)[:40]
        with self._lock:
            now = self._clock()
            left, then, out = self._kinds.pop(kind, (AT_ONCE, now, 0))
            left = min(AT_ONCE, left + now - then)
            passes = left >= 1
            self._kinds[kind] = (left - 1, now, 0) if passes else (left, now, out + 1)
            if len(self._kinds) > MOST_KINDS:
                self._kinds.popitem(last=False)
        if passes and out:
            record.left_out = out
        return passes


def start_logs(level: str) -> None:
    """Log to standard error, a JSON object a line: our own events from `level` on, other packages' warnings, few of a kind."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(FewOfAKind())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(level.upper())

    def print_exc() -> None:
        error = sys.exc_info()[1]
        if isinstance(error, gr.Error):  # a sentence for the visitor, such as a choice that isn't among the choices
            log.info("refused", extra={"facts": {"error": type(error).__name__}})
        else:
            log.exception("a handler failed")

    for module in (gradio.queueing, gradio.routes, gradio.route_utils):  # they print exceptions, which quote what was sent
        module.traceback = SimpleNamespace(print_exc=print_exc)


def short(session: str) -> str:
    """A name for a session in the log that does not reveal which page it is."""
    return hashlib.sha256(session.encode()).hexdigest()[:8]


def log_jobs(engine: Engine) -> None:
    """From now on a line for each job of `engine` that ends (kind, seconds of the device, steps, outcome) or isn't taken."""
    submit = engine.submit

    def logged(session: str, job: Any, *more: Any, **options: Any) -> Ticket:
        facts = {"session": short(session), "kind": job.__qualname__.split(".<locals>")[0]}
        try:
            return submit(session, lambda lm, ticket: _watched(lambda: job(lm, ticket), facts), *more, **options)
        except LabError:
            log.info("job refused", extra={"facts": facts})
            raise

    engine.submit = logged  # type: ignore[method-assign]


def _watched(begin: Callable[[], Iterator[Event | None]], facts: dict[str, Any]) -> Iterator[Event | None]:
    seconds, steps, outcome = 0.0, 0, "failed"
    pieces = None
    try:
        while True:
            began = time.perf_counter()
            try:
                pieces = pieces or iter(begin())
                event = next(pieces)
            except StopIteration:
                outcome = "done"
                return
            except LabError:
                outcome = "refused"
                raise
            finally:
                seconds += time.perf_counter() - began
            steps += event is not None and event.is_step
            yield event
    except GeneratorExit:
        outcome = "cancelled"
        raise
    finally:
        close = getattr(pieces, "close", None)
        if close:
            close()
        log.info("job ended", extra={"facts": {**facts, "seconds": round(seconds, 3), "steps": steps, "outcome": outcome}})
