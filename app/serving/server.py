"""The server's edge: request limits, health checks and logs. docs/server.md says why.

Nothing here knows what the page shows. Everything a visitor sends passes `Edge` before Gradio sees it.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import gradio.queueing
import gradio.route_utils
import gradio.routes
from gradio.utils import get_upload_folder

from core.engine import Engine
from core.errors import LabError
from core.events import Event
from core.ticket import Ticket

log = logging.getLogger("soft_prompt_lab")

LARGEST_BODY = 2 * 2**20  # bytes; the longest text that a page takes is a tenth of that
LARGEST_UPLOAD = 64 * 2**20  # bytes; a K/V prefix of 200 positions on an 8B Llama is 52 MB
DEEPEST = 64  # lists and tables within each other
LARGEST_INTEGER = 2**63  # what the answer, written by orjson, could still say
LEAST_FREE = 512 * 2**20  # bytes of disk that uploads leave alone
STALE = 3600.0  # seconds until half an upload, whose sender went away, is removed
UNREAD = 20.0  # seconds that answers wait for a reader
LOST = 30_000  # milliseconds in which nothing that was sent is acknowledged: then that visitor's network is gone
STUCK = 120.0  # seconds in one piece of work after which a supervisor should start the server anew

# For visitors' pages none of these is needed, and each of them works outside the queue.
CLOSED = ("process_recording", "component_server", "dev/reload", "vibe-edit", "vibe-code", "deep_link")

LAUNCH: dict[str, Any] = {
    "ssr_mode": False,  # one process, no second server in Node
    "footer_links": [],
    "run_history": False,
    "show_error": False,
    "enable_monitoring": False,
    "max_file_size": LARGEST_UPLOAD,
    "state_session_capacity": 200,
    "max_threads": 400,  # places for open streams: each visitor who watches a run holds one
    "pwa": False,
}
MOST_QUEUED = 400  # events that wait for one of those places
KEEP_FILES = (3600, 3600)  # seconds: how often files of visitors are looked through, and how old one must be to go

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Refused(Exception):
    """A request that is turned away: an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


# --- requests ---------------------------------------------------------------------------------------------------------


def read_json(body: bytes) -> Any:
    """A JSON body as Python values.

    Raises Refused (400) for what is no JSON, NaN, Infinity or a number too large for an answer, half a surrogate pair, and
    lists nested deeper than `DEEPEST`: Python's own reader lets all of these through, and they would fail somewhere behind.

    >>> read_json(b'{"data": [1, null]}')
    {'data': [1, None]}
    >>> read_json(b'{"data": [NaN]}')
    Traceback (most recent call last):
    app.serving.server.Refused: A number in this request is NaN, infinite or too large.
    """

    def no_number(text: str) -> Any:
        raise Refused(400, "A number in this request is NaN, infinite or too large.")

    def real(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else no_number(text)

    def whole(text: str) -> int:
        return int(text) if len(text) <= 20 and abs(int(text)) < LARGEST_INTEGER else no_number(text)

    too_deep = Refused(400, f"This request is nested deeper than {DEEPEST} levels.")
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=no_number, parse_float=real, parse_int=whole)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise too_deep from error
    except ValueError as error:  # of JSON, or of Unicode
        raise Refused(400, "This request is not sound JSON.") from error
    level = [value]
    for _ in range(DEEPEST + 1):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        if not inner:
            return value
        level = [item for items in inner for item in items]
    raise too_deep


class Unread:
    """Drops answers without a reader and ends their work; Gradio would keep both for ever."""

    def __init__(self, queue: Any):
        self._queue = queue  # Gradio's
        self._readers: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._watch: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """After a join, check regularly for unread answers until none are waiting."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._queue.pending_messages_per_session:
            await asyncio.sleep(UNREAD / 4)
            await self.sweep("", time.monotonic())

    @contextlib.contextmanager
    def reading(self, session: str) -> Iterator[None]:
        self._readers[session] += 1
        try:
            yield
        finally:
            self._readers[session] -= 1
            if not self._readers[session]:
                del self._readers[session]
            self._since[session] = time.monotonic()

    async def sweep(self, joining: str, now: float) -> None:
        """Drop answers that were unread for too long. joining: the session that joins the queue now, or ""."""
        waiting = self._queue.pending_messages_per_session
        self._since = {known: self._since.get(known, now) for known in waiting if known not in self._readers and known != joining}
        for session in [known for known, since in self._since.items() if now - since > UNREAD]:
            await self._queue.clean_events(session_hash=session)
            waiting.pop(session, None)
            self._queue.pending_event_ids_session.pop(session, None)


class Edge:
    """ASGI middleware before Gradio: limits of bodies, sound JSON, /healthz, a few headers, and no traceback in any answer."""

    def __init__(self, app: Any, health: Callable[[], dict[str, Any]], queue: Callable[[], Any]):
        """app: the ASGI application behind it. health: see `health`. queue: gives Gradio's queue, which is made late."""
        self.app, self.health, self.queue = app, health, queue
        self.unread: Unread | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = over = False

        async def tell(message: Message) -> None:
            nonlocal begun, over
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", []), *HEADERS]
            over = over or (message["type"] == "http.response.body" and not message.get("more_body", False))
            await send(message)

        try:
            await self._answer(scope, receive, tell)
        except Refused as refused:
            log.info("refused", extra={"facts": {"status": refused.status}})
            if not begun:
                # Closed after a body that is too large: else the rest of it would still be read, to the end.
                more = [(b"connection", b"close")] if refused.status == 413 else []
                await _say(tell, refused.status, {"detail": refused.sentence, "error": refused.sentence}, more)
        except Exception:
            log.exception("a request failed")
            if not begun:
                await _say(tell, 500, {"detail": FAILED, "error": FAILED})
            elif not over:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        path, method = scope["path"].rstrip("/"), scope["method"]
        if path == "/healthz" and method in ("GET", "HEAD"):
            facts = await asyncio.to_thread(self.health)
            await _say(send, 200 if facts["ok"] else 503, facts)
            return
        inside = path.partition("/gradio_api/")[2]
        if inside.startswith(CLOSED):
            raise Refused(404, "There is nothing at this address.")
        headers = {name.lower(): value for name, value in scope["headers"]}
        if method == "GET" and (inside == "queue/data" or inside.startswith("call/")):
            with self._unread().reading(_reader(scope, inside)):
                await self.app(scope, receive, send)
            return
        if method in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope if inside else {**scope, "query_string": without_gradios(scope["query_string"])}, receive, send)
            return
        uploading = inside == "upload"
        most = LARGEST_UPLOAD + 2**16 if uploading else LARGEST_BODY  # a file comes with a few lines around it
        if int(headers.get(b"content-length") or 0) > most:
            raise _too_large(most)
        if uploading:
            await asyncio.to_thread(check_disk)
            await self.app(scope, _counted(receive, most), send)
            return
        body = await _whole(_counted(receive, most))
        if body is None:
            return
        joins = False
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if body and kind not in FORMS:
            value = read_json(body)
            if inside == "queue/join" or inside.startswith("call/"):
                session = value.get("session_hash") if isinstance(value, dict) else None
                await self._unread().sweep(str(session), time.monotonic())
                joins = True
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()  # says when the visitor has left
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)
        if joins:
            self._unread().watch()

    def _unread(self) -> Unread:
        if self.unread is None:
            self.unread = Unread(self.queue())
        return self.unread


FAILED = "Something went wrong on the server. Nothing else was affected: please try again."
FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")
# No X-Frame-Options: Spaces shows the page in a frame.
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


def without_gradios(query: bytes) -> bytes:
    """A page's query without the two names that Gradio takes for its own: it would look for a page or a state of that name, and
    fail. The browser still has them, and so has our link.

    >>> without_gradios(b"task=news&page=inspect&deep_link=x")
    b'task=news'
    """
    return b"&".join(part for part in query.split(b"&") if part.partition(b"=")[0] not in (b"page", b"deep_link"))


def _too_large(most: int) -> Refused:
    return Refused(413, f"This request is larger than {most // 2**20} MB, the most that this server takes.")


def _reader(scope: Message, inside: str) -> str:
    """Whose answers a request wants to read."""
    query = dict(part.partition("=")[::2] for part in scope["query_string"].decode("latin-1").split("&"))
    return query.get("session_hash", "") if inside == "queue/data" else inside.rpartition("/")[2]


def _counted(receive: Receive, most: int) -> Receive:
    """`receive` that ends with Refused (413) once more than `most` bytes came, whatever the headers promised."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(most)
        return message

    return counted


async def _whole(receive: Receive) -> bytes | None:
    """The whole body, or None where the sender went away."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _say(send: Send, status: int, facts: dict[str, Any], more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    body = json.dumps(facts).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": body})


def notice_lost(page: gr.Blocks) -> None:
    """A visitor whose network went away says nothing; on Linux the connection ends once nothing is acknowledged for `LOST`.

    Called once the page is served: connections take this from the socket that they come in by.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    for listening in getattr(page.server, "servers", []) if option else []:
        for line in listening.sockets:
            with contextlib.suppress(OSError):
                line.setsockopt(socket.IPPROTO_TCP, option, LOST)


def check_disk() -> None:
    """Before an upload: removes what uploads that broke off have left. Refused (507) where the disk is nearly full."""
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("tmp*"):  # a whole one is moved into a folder of its own
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > STALE:
                path.unlink()
    if shutil.disk_usage(folder).free < LEAST_FREE:
        raise Refused(507, "The server's disk is nearly full, so it takes no files now: please tell its administrator.")


# --- health -----------------------------------------------------------------------------------------------------------


def health(engine: Engine) -> dict[str, Any]:
    """What `Engine.status` says, the memory in use in bytes, and ok: the worker lives and no piece of work is stuck."""
    status = engine.status()
    return {"ok": status["alive"] and status["stuck_seconds"] <= STUCK, **status, "memory": memory_used(engine)}


def memory_used(engine: Engine) -> int | None:
    """Bytes in use: of the GPU where the model is on one, else of this process. None where the system doesn't say."""
    lm = engine.lm
    if lm is not None and lm.device.type == "cuda":
        import torch

        return int(torch.cuda.memory_allocated(lm.device))
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


# --- logs -------------------------------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """One JSON object a line. Of an exception only its type and the places it passed: a message may quote a visitor's text."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        return json.dumps(line)


def start_logs(level: str) -> None:
    """Log to standard error, a JSON object a line: our own events from `level` on, other packages' warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
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


# --- who may come in --------------------------------------------------------------------------------------------------
