"""Large tables: three visitors bring tables that take long to read and to split, again and again, while others use the page."""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from stress.client import Client, p95, serve, tiny_model, visitors

SIZE = 1_900_000  # bytes
WORDS = ("aa", "bb", "cc", "dd", "ee")  # rows of few words: each is nearly a repeat of many others


def near_repeats(seed: int) -> bytes:
    """A table of rows that are compared with each other, since each repeats most of many others."""
    choose = random.Random(seed)
    rows = ["input,output"]
    size = 0
    while size < SIZE:
        rows.append(f"{' '.join(choose.choice(WORDS) for _ in range(60))},y{len(rows) % 3}")
        size += len(rows[-1]) + 1
    return "\n".join(rows).encode()


async def bring(client: Client, http: httpx.AsyncClient, table: bytes) -> bool:
    """Upload a table, as the page does, and wait until it is a task that can be used."""
    answer = await http.post("/gradio_api/upload", files={"files": ("rows.csv", table, "text/csv")})
    answer.raise_for_status()
    [path] = answer.json()
    file = {"path": path, "orig_name": "rows.csv", "meta": {"_type": "gradio.FileData"}}
    return await client.press("upload-task", "upload", alone=True, upload__task=file)


async def _seconds(act: Any) -> float:
    began = time.monotonic()
    await act
    return time.monotonic() - began


async def _beside(address: str, bringers: int, seconds: float) -> dict[str, Any]:
    """How long events, pages and /healthz take while so many visitors bring tables."""
    async with visitors(address) as (http, page):
        clients = [Client(http, page) for _ in range(bringers + 1)]
        for client in clients:
            await client.open()
        end = time.monotonic() + seconds
        brought: list[float] = []

        async def keep_bringing(client: Client, number: int) -> None:
            table = near_repeats(number)
            while time.monotonic() < end:
                brought.append(await _seconds(bring(client, http, table)))

        tasks = [asyncio.create_task(keep_bringing(client, number)) for number, client in enumerate(clients[1:])]
        took: dict[str, list[float]] = {"event": [], "page": [], "/healthz": []}
        while time.monotonic() < end:
            took["event"].append(await _seconds(clients[0].press("task", "input", alone=True, task="plural")))
            took["page"].append(await _seconds(http.get("/")))
            took["/healthz"].append(await _seconds(http.get("/healthz")))
            await asyncio.sleep(0.3)
        await asyncio.gather(*tasks)
        failed = [message for client in clients for message in client.failed]
        for client in clients:
            await client.vanish()
    return {
        "tables": len(brought),
        "seconds of a table": round(max(brought), 1),
        "times": len(took["event"]),
        "p95": {name: round(p95(values), 2) for name, values in took.items()},
        "worst": {name: round(max(values), 2) for name, values in took.items()},
        "failed": failed[:5],
    }


def run(bringers: int = 3, seconds: float = 60.0) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, serve(*tiny_model(Path(folder))) as server:
        figures = asyncio.run(_beside(server.address, bringers, seconds))
    return {
        "figures": figures,
        "held": {"none failed": not figures["failed"], "p95 under 1 s": max(figures["p95"].values()) < 1.0},
    }
