"""Too many connections: idle sockets, slow senders, streams and joins in flood, on a server with 256 file descriptors.

Meanwhile a page that was open before works, and /healthz answers; a page that is opened anew during the flood comes in.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from stress.client import ROOT, Client, p95, serve, tiny_model, visitors

FILES = 256  # of the server, as on a Mac
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-"
HALF_A_BODY = b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
STREAM = b"GET /gradio_api/heartbeat/flood HTTP/1.1\r\nHost: x\r\n\r\n"
PROGRAM = """
import asyncio, sys
sys.path[:0] = ["tests", "."]
from stress.flood import Flood
asyncio.run(Flood(int(sys.argv[1]), sys.argv[2]).run(int(sys.argv[3])))
"""
SENT = {"idle": b"", "heads": HALF_A_HEAD, "bodies": HALF_A_BODY, "streams": STREAM, "joins": b""}


class Flood:
    """Connections that are opened again when they are closed. answers: how often each status came, unasked or not."""

    def __init__(self, port: int, kind: str):
        self.port, self.kind = port, kind
        self.opened = 0
        self.answers: dict[str, int] = {}

    async def one(self) -> None:
        drip = b"x" if self.kind in ("heads", "bodies") else b""
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.opened += 1
                try:
                    writer.write(SENT[self.kind])
                    reading = asyncio.ensure_future(reader.read(400))
                    while not reading.done():
                        await asyncio.wait([reading], timeout=1.0)
                        writer.write(drip)
                    self.count("closed" if reading.exception() else reading.result()[9:12].decode("latin-1") or "closed")
                finally:
                    writer.close()
            await asyncio.sleep(0.25)

    async def joins(self) -> None:
        """As many events as one connection carries, each of a session that reads nothing."""
        async with visitors(f"http://127.0.0.1:{self.port}") as (http, page):
            event = page.loads[0]
            while True:
                self.opened += 1
                body = {"data": [None] * len(event["inputs"]), "fn_index": event["id"], "session_hash": f"flood{self.opened % 500}"}
                with contextlib.suppress(httpx.HTTPError):
                    self.count(str((await http.post("/gradio_api/queue/join", json=body)).status_code))

    def count(self, status: str) -> None:
        self.answers[status] = self.answers.get(status, 0) + 1

    async def run(self, number: int) -> None:
        """Until standard input ends; then the counts are printed."""
        tasks = [asyncio.create_task(self.joins() if self.kind == "joins" else self.one()) for _ in range(number)]
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({"connections or joins": self.opened, "answers": self.answers}), flush=True)
        for task in tasks:
            task.cancel()


async def _measured(seconds: float, act: Callable[[], Awaitable[bool]]) -> tuple[list[float], int]:
    """How long `act` took each time, and how often it did not succeed."""
    took, failed = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            well = await asyncio.wait_for(act(), 20)
        except (httpx.HTTPError, TimeoutError):
            well = False
        failed += not well
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.2)
    return took, failed


async def _under(address: str, kind: str, number: int, seconds: float) -> dict[str, Any]:
    """What an open page, a new one and a supervisor meet while `number` connections flood the server from another process."""
    async with visitors(address) as (http, page), httpx.AsyncClient(base_url=address, timeout=20) as probe:
        client = Client(http, page)
        await client.open()
        port = address.rpartition(":")[2]
        flood = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, port, kind, str(number)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        await asyncio.sleep(2.0)

        async def health() -> bool:
            return (await probe.get("/healthz", headers={"connection": "close"})).status_code == 200

        async def light() -> bool:
            return await client.press("task", "input", alone=True, task="plural")

        async def fresh() -> bool:
            return (await probe.get("/", headers={"connection": "close"})).status_code == 200

        answers = await asyncio.gather(*(_measured(seconds, act) for act in (health, light, fresh)))
        said, _ = flood.communicate("")
        failed = client.failed[:3]
        await client.vanish()
    figures = {
        name: {"times": len(took), "failed": failed, "p95": round(p95(took), 2)}
        for name, (took, failed) in zip(("/healthz", "open page", "new page"), answers, strict=True)
    }
    return {**figures, **json.loads(said), "why": failed}


def run(kinds: tuple[str, ...] = tuple(SENT), number: int = 600, seconds: float = 15.0) -> dict[str, Any]:
    """Each kind of flood on a server of its own. A new page may be refused while all places are worked for, but not each time."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        app = tiny_model(Path(folder))
        for kind in kinds:
            with serve(*app, files=FILES) as server:
                figures[kind] = asyncio.run(_under(server.address, kind, 8 if kind == "joins" else number, seconds))
            figures[kind]["log lines"] = server.lines
    measured = figures.values()
    return {
        "figures": figures,
        "held": {
            "/healthz and open pages always answered": all(
                not each[name]["failed"] for each in measured for name in ("/healthz", "open page")
            ),
            "new pages come in": all(each["new page"]["failed"] < each["new page"]["times"] / 2 for each in measured),
            "few log lines": all(each["log lines"] < 1000 for each in measured),
        },
    }
