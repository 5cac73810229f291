"""Request size limits, and what else a request must pass before Gradio sees it. docs/server.md gives the reasons."""

import asyncio
import contextlib
import json
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from starlette.requests import ClientDisconnect, Request

from app.serving.connections import FULL
from app.serving.headers import Header, headers_for
from app.serving.json_body import Refused, read_json
from app.serving.logins import Logins, user_in
from app.serving.private_files import COOKIE, may_read, new_cookie
from app.serving.unread import Unread
from app.serving.visits import Visits

log = logging.getLogger("soft_prompt_lab")

LARGEST_BODY = 2 * 2**20  # bytes; the longest text that a page takes is a tenth of that
SMALL = 2**15  # bytes of JSON that are read at once; more are read in a thread, since a million brackets take half a second
LARGEST_UPLOAD = 64 * 2**20  # bytes; a K/V prefix of 200 positions on an 8B Llama is 52 MB
MOST_DRAINED = 128 * 2**20  # bytes that are read and dropped after a request was refused, so that its sender sees why
DRAIN_SECONDS, DRAIN_GAP = 20.0, 2.0  # at most, and between two parts
LEAST_FREE = 512 * 2**20  # bytes of disk that uploads leave alone
STALE = 3600.0  # seconds until half an upload, whose sender went away, is removed

# For visitors' pages none of these is needed. All but the last work outside the queue; that one tells a script the login's cookie.
CLOSED = ("process_recording", "component_server", "dev/reload", "vibe-edit", "vibe-code", "deep_link", "proxy=", "token")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RequestFilter:
    """ASGI middleware before Gradio: limits of bodies, sound JSON, /healthz, a few headers, and no traceback in any answer."""

    def __init__(self, app: Any, health: Callable[[], dict[str, Any]], queue: Callable[[], Any], frames: str = "", local: bool = False):
        """app: the ASGI application behind it. health: see `health`. queue: gives Gradio's queue, which is made late.

        frames: see `headers_for`. local: only its own machine can reach this server, so no page of another site has business here.
        """
        self.app, self.health, self.queue, self.local = app, health, queue, local
        self.headers = headers_for(frames)
        self.unread: Unread | None = None
        self.visits, self.logins = Visits(), Logins()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = over = False
        own = [*self.headers, *([CLOSE] if _spare(scope) else [])]

        async def tell(message: Message) -> None:
            nonlocal begun, over
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", []), *own]
            over = over or (message["type"] == "http.response.body" and not message.get("more_body", False))
            await send(message)

        try:
            await self._answer(scope, receive, tell)
        except Refused as refused:
            log.info("refused", extra={"facts": {"status": refused.status}})
            if not begun:
                facts = {"detail": refused.sentence, "error": refused.sentence}
                ends = [] if CLOSE in own else [CLOSE]
                if refused.status == 413:
                    await _say(tell, refused.status, facts, ends, ends=False)
                    await drain(receive)
                    await tell({"type": "http.response.body", "body": b""})
                else:
                    await _say(tell, refused.status, facts, [AGAIN, *ends] if refused.status in (429, 503) else [])
        except ClientDisconnect:
            log.info("a sender left amid its request")
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
        if inside.startswith(("file=", "file/")) and not may_read(inside[5:], Request(scope).cookies):
            raise Refused(404, "There is no such file for this browser: ask for it again on the page.")
        headers = {name.lower(): value for name, value in scope["headers"]}
        reader = _reader(scope, inside)
        if _spare(scope) and (method != "POST" or inside == "upload") and not self.visits.known(reader):
            raise Refused(503, FULL)
        if method == "GET" and (inside == "queue/data" or inside.startswith("call/")):
            with self.visits.stream("answers", reader), self._unread().reading(reader):
                await self.app(scope, receive, send)
            return
        if method == "GET" and inside.startswith("heartbeat/"):
            with self.visits.stream("heartbeat", reader):
                await self.app(scope, receive, send)
            return
        if method in ("GET", "HEAD", "OPTIONS"):
            if not inside:
                scope = {**scope, "query_string": without_gradios(scope["query_string"])}
                send = send if path else _with_cookie(scope, headers, send)
            await self.app(scope, receive, send)
            return
        if self.local and headers.get(b"sec-fetch-site") == b"cross-site":
            raise Refused(403, "This server takes no requests from pages of other sites.")
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
        joins, session, address = False, "", str((scope.get("client") or ("",))[0])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if body and kind not in FORMS:
            value = read_json(body) if len(body) < SMALL else await asyncio.to_thread(read_json, body)
            session = str(value.get("session_hash")) if isinstance(value, dict) else ""
            joins = inside == "queue/join" or inside.startswith("call/")
        if _spare(scope) and not self.visits.known(session):
            raise Refused(503, FULL)
        if joins:
            self.visits.join(address, len(self.queue().pending_event_ids_session.get(session) or ()))
            await self._unread().sweep(session, time.monotonic())
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()  # says when the visitor has left
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        if path.endswith("/login"):
            send = _heard(send, self.logins.attempt(address, await user_in(scope, body)))
        await self.app(scope, replay, send)
        if joins:
            self._unread().watch()

    def _unread(self) -> Unread:
        if self.unread is None:
            self.unread = Unread(self.queue())
        return self.unread


FAILED = "Something went wrong on the server. Nothing else was affected: please try again."
FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")

CLOSE: Header = (b"connection", b"close")
AGAIN: Header = (b"retry-after", b"5")


def _spare(scope: Message) -> bool:
    """Whether the request came by a connection that is kept for /healthz and open pages (`app.serving.connections`)."""
    return bool(scope.get("state", {}).get("spare"))


def _with_cookie(scope: Message, headers: dict[bytes, bytes], send: Send) -> Send:
    """`send` of the page itself: it gives a new browser the cookie by which downloads are its own."""
    if COOKIE in Request(scope).cookies:
        return send
    cookie = new_cookie(
        secure=b"https" in (headers.get(b"x-forwarded-proto", b"").split(b",")[0].strip(), scope.get("scheme", "").encode())
    )

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie.encode())]
        await send(message)

    return told


def _heard(send: Send, right: Callable[[], None]) -> Send:
    """`send` that calls `right` where the answer is no refusal."""

    async def heard(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 400:
            right()
        await send(message)

    return heard


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
    """The page whose answers a request wants to read, or that it keeps open."""
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


async def drain(receive: Receive) -> None:
    """Read on after a refusal, and keep nothing: most clients look for an answer only when they have sent all, and a connection that is
    closed before takes the answer with it. Ends at `MOST_DRAINED` bytes, and with a sender that is too slow."""
    seen = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while seen < MOST_DRAINED:
                message = await asyncio.wait_for(receive(), DRAIN_GAP)
                seen += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return


async def _say(send: Send, status: int, facts: dict[str, Any], more: Sequence[Header] = (), ends: bool = True) -> None:
    body = json.dumps(facts).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": body, "more_body": not ends})


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
