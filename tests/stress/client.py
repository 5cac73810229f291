"""A server to put under stress, and visitors of it that speak as a browser does: a page's connection, one stream, its events."""

import asyncio
import contextlib
import html
import json
import os
import re
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
from serving import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds to wait for a state that comes at once on a quiet machine
STEP = re.compile(r"Step (\d+) of|Paused at step (\d+)|(\d+) steps, ")
TOKEN = re.compile(r"[\w-]{32}")  # of a session, the second that is painted as a page opens
ALERT = re.compile(r'role=\\"alert\\">([^<]+)')


# What is kept of closed pages on purpose (sessions for their return, Gradio's states) is limited to a few here, so that it is full
# after a few visitors, and memory that grows still is a leak.
FORGETFUL = """
import runpy, sys
sys.path.insert(0, ".")
from app.serving import keep, session_restore, server
from core import fair_share
session_restore.MOST_KEPT = fair_share.MOST_REMEMBERED = 4
server.LAUNCH["state_session_capacity"] = 8
server.KEEP_FILES = (5, 5)  # seconds, in place of an hour
if "--keep" in sys.argv:  # a folder of the test's own
    keep.OLDEST, keep.SWEEP_EVERY = 5.0, 1.0  # in place of a day and ten minutes
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
"""


@contextlib.contextmanager
def serve(*arguments: str, forgetful: bool = False, files: int = 0, **environment: str) -> Iterator["Server"]:
    """app.py in a process of its own, its model loaded (or known to be missing); ended afterwards.
    forgetful: see FORGETFUL. files: how many file descriptors it may have."""
    port = free_port()
    with tempfile.TemporaryFile("w+") as log:
        app = ["-c", FORGETFUL] if forgetful else ["app.py"]
        command = [sys.executable, *app, "--port", str(port), *arguments]
        limited = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log, preexec_fn=limited, env={**os.environ, **environment})
        server = Server(f"http://127.0.0.1:{port}", process)
        try:
            for _ in range(1200):
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"the app ended by itself: {log.read()[-2000:]}")
                with contextlib.suppress(httpx.HTTPError):
                    health = server.health()
                    if health["model"] or health["problem"]:
                        break
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(20)
            log.seek(0)
            lines = list(log)
            server.lines = len(lines)
            server.failures = [line for line in lines if '"error": ' in line and '"refused"' not in line]


class Server:
    """A running app. failures: lines of its log that tell of an exception, once it has ended; lines: how many there are."""

    def __init__(self, address: str, process: subprocess.Popen):
        self.address, self.process = address, process
        self.failures: list[str] = []
        self.lines = 0

    def health(self) -> dict[str, Any]:
        return httpx.get(self.address + "/healthz", timeout=60).json()

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def megabytes(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6

    async def idle(self, seconds: float = PATIENCE, paused: bool = True) -> float:
        """Wait until nothing runs or waits (paused: or is paused, unless True); returns the seconds that it took."""
        began = time.monotonic()
        async with httpx.AsyncClient(base_url=self.address, timeout=60) as http:
            while time.monotonic() - began < seconds:
                now = (await http.get("/healthz")).json()
                if now["running"] + now["waiting"] + (0 if paused else now["paused"]) == 0:
                    return time.monotonic() - began
                await asyncio.sleep(0.02)
        raise TimeoutError(f"not idle after {seconds:.0f} s: {now}")


class Page:
    """The page's events by the name of the element that starts them, as /config tells them."""

    def __init__(self, config: dict[str, Any]):
        self.values = {part["id"]: part["props"].get("value") for part in config["components"]}
        self.ids = {part["props"].get("elem_id"): part["id"] for part in config["components"] if part["props"].get("elem_id")}
        self.offered = {part["id"]: part["props"].get("choices") for part in config["components"]}
        self.events = {tuple(target): event for event in config["dependencies"] for target in event["targets"]}
        self.loads = [event for event in config["dependencies"] for target in event["targets"] if target[1] == "load"]
        self.then: dict[int, list[dict[str, Any]]] = {}
        for event in config["dependencies"]:
            if event.get("trigger_after") is not None:
                self.then.setdefault(event["trigger_after"], []).append(event)

    def event(self, name: str, kind: str) -> dict[str, Any]:
        return self.events[self.ids[name], kind]

    def choices(self, name: str) -> list[Any]:
        """The values that a control offers."""
        return [value for _, value in self.offered[self.ids[name]]]

    def data(self, event: dict[str, Any], **changes: Any) -> list[Any]:
        """An event's inputs as the page shows them at first. changes: other values, by element."""
        other = {self.ids[key.replace("__", "-")]: value for key, value in changes.items()}
        return [other.get(part, self.values.get(part)) for part in event["inputs"]]


class Client:
    """One visitor: a session of its own.

    step: the highest that its page has shown of the run in hand. first: seconds from Train until it showed one. said: sentences that
    the page showed as alerts. failed: messages of events that did not succeed. token: of its session, by which a reload finds it again.
    """

    def __init__(self, http: httpx.AsyncClient, page: Page):
        self.http, self.page, self.hash = http, page, secrets.token_hex(6)
        self.step, self.first, self.pressed = 0, None, None
        self.said: list[str] = []
        self.failed: list[str] = []
        self.bytes, self.token = 0, ""
        self._ends: dict[str, asyncio.Future[bool]] = {}
        self._stream: asyncio.Task[None] | None = None
        self._presence: asyncio.Task[None] | None = None
        self.moved = asyncio.Event()

    async def open(self, own: str = "", last: str = "") -> None:
        """As a browser that opens the page: the connection that says so, and what the page asks for at first.

        own, last: the tokens that it keeps, of this tab and of one that may be closed.
        """
        self._presence = asyncio.create_task(self._be_there())
        for event in self.page.loads:
            kept = [None, own, last, *[""] * len(event["inputs"])]  # no session yet
            await self._run(event, kept[: len(event["inputs"])])

    def press(self, name: str, kind: str = "click", alone: bool = False, **changes: Any) -> asyncio.Task[bool]:
        """Start an event, and (unless alone) those that the page starts after it; to await: True if all of them went well."""
        event = self.page.event(name, kind)
        if name == "train":  # at once, not in the task: until now the page may have shown the steps of a recording
            self.step, self.first, self.pressed = 0, None, time.monotonic()
        return asyncio.create_task(self._run(event, self.page.data(event, **changes), alone))

    async def join(self, name: str, kind: str = "click", **changes: Any) -> str:
        """Start an event and read nothing; its number, or "" where the server didn't take it."""
        event = self.page.event(name, kind)
        return await self._join(event, self.page.data(event, **changes))

    async def until(self, step: int, seconds: float = 600.0) -> None:
        """Until the page has shown this step."""
        async with asyncio.timeout(seconds):
            while self.step < step:
                self.moved.clear()
                await self.moved.wait()

    async def vanish(self) -> None:
        """All connections are cut, as when a tab is killed."""
        tasks = [task for task in (self._stream, self._presence) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self._ends.values():
            end.cancel()

    async def _run(self, event: dict[str, Any], data: list[Any], alone: bool = False) -> bool:
        well = True
        if event["backend_fn"]:
            number = await self._join(event, data)
            if not number:
                return False
            end = self._ends[number] = asyncio.get_running_loop().create_future()
            if self._stream is None or self._stream.done():
                self._stream = asyncio.create_task(self._read())
            well = await end
        for after in [] if alone else self.page.then.get(event["id"], []):
            well = await self._run(after, self.page.data(after)) and well
        return well

    async def _join(self, event: dict[str, Any], data: list[Any]) -> str:
        body = {"data": data, "fn_index": event["id"], "session_hash": self.hash, "trigger_id": None, "event_data": None}
        answer = await self.http.post("/gradio_api/queue/join", json=body)
        if answer.status_code != 200:
            self.failed.append(answer.text[:200])
            return ""
        return answer.json()["event_id"]

    async def _read(self) -> None:
        try:
            while any(not end.done() for end in self._ends.values()):
                async with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.hash}) as stream:
                    stream.raise_for_status()
                    async for line in stream.aiter_lines():
                        if line.startswith("data:"):
                            self._hear(line)
                        if '"msg":"close_stream"' in line:
                            break
        except httpx.HTTPError as error:
            self.failed.append(f"the stream broke: {type(error).__name__}")
            for end in self._ends.values():
                if not end.done():
                    end.set_result(False)

    def _hear(self, line: str) -> None:
        self.bytes += len(line)
        self.said += map(html.unescape, ALERT.findall(line))
        found = [int(part) for groups in STEP.findall(line) for part in groups if part]
        if found and max(found) > self.step:
            self.step = max(found)
            if self.first is None and self.pressed is not None:
                self.first = time.monotonic() - self.pressed
        self.moved.set()
        if '"msg":"process_completed"' in line:
            message = json.loads(line[5:])
            end = self._ends.get(message["event_id"])
            data = (message.get("output") or {}).get("data") or []
            if len(data) > 1 and isinstance(data[1], str) and TOKEN.fullmatch(data[1]):
                self.token = data[1]
            if not message.get("success", True):
                self.failed.append(str(message.get("output", {}).get("error")))
            if end and not end.done():
                end.set_result(bool(message.get("success", True)))

    async def _be_there(self) -> None:
        with contextlib.suppress(httpx.HTTPError):
            async with self.http.stream("GET", f"/gradio_api/heartbeat/{self.hash}") as stream:
                async for _ in stream.aiter_lines():
                    pass


@contextlib.asynccontextmanager
async def visitors(address: str) -> AsyncIterator[tuple[httpx.AsyncClient, Page]]:
    """What `Client` needs."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=None, limits=limits) as http:
        yield http, Page((await http.get("/config")).json())


def tiny_model(folder: Path) -> list[str]:
    """A tiny random model in `folder`, and the app's arguments that name it."""
    from tiny_models import save_tiny  # with torch, which not every stress test needs

    return ["--model", str(save_tiny(folder)), "--dtype", "float32"]


def p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))] if values else 0.0


def counted(names: list[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
