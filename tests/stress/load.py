"""A classroom presses Train: so many clients within a few seconds, on one server. Prints what they saw, as JSON.

    python tests/stress/load.py --clients 30 --steps 10

Starts the app itself (any arguments after -- are the app's), speaks to it as a browser does, and ends it.
"""

import argparse
import asyncio
import json
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
STEP = re.compile(r"Step (\d+) of|Paused at step (\d+)|(\d+) steps, ")
LIGHT_EVERY = 2.0  # seconds between two light events, and between two openings of the page


class Page:
    """The page's events by the name of the element that starts them, as /config tells them."""

    def __init__(self, config: dict[str, Any]):
        self.values = {part["id"]: part["props"].get("value") for part in config["components"]}
        self.ids = {part["props"].get("elem_id"): part["id"] for part in config["components"] if part["props"].get("elem_id")}
        self.events = {tuple(target): event for event in config["dependencies"] for target in event["targets"]}

    def event(self, name: str, kind: str, **changes: Any) -> tuple[int, list[Any]]:
        """The number of the event, and its inputs as the page shows them. changes: other values, by element."""
        found = self.events[self.ids[name], kind]
        other = {self.ids[key.replace("__", "-")]: value for key, value in changes.items()}
        return found["id"], [other.get(part, self.values.get(part)) for part in found["inputs"]]


class Client:
    """One visitor: a session of its own."""

    def __init__(self, http: httpx.AsyncClient, number: int):
        self.http, self.hash, self.number = http, f"stress{number:06d}", number
        self.step, self.first, self.error, self.done = 0, None, "", False

    async def press(self, number: int, data: list[Any]) -> None:
        """Start an event and read its stream to the end."""
        began = time.monotonic()
        body = {"data": data, "fn_index": number, "session_hash": self.hash, "trigger_id": None, "event_data": None}
        joined = await self.http.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            self.error = joined.text[:200]
            return
        async with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.hash}) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                text = json.dumps(message.get("output", {}))
                refused = re.search(r"role=\\+\"alert\\+\">([^<]+)", text)
                if refused:
                    self.error = refused.group(1)
                for found in STEP.findall(text):
                    self.step = max(self.step, *(int(part) for part in found if part))
                    if self.step and self.first is None:
                        self.first = time.monotonic() - began
                if message["msg"] == "process_completed":
                    self.done = bool(message.get("success", True))
                    return
                if message["msg"] == "close_stream":
                    return


async def light(http: httpx.AsyncClient, page: Page, stop: asyncio.Event) -> dict[str, list[float]]:
    """While the others train: pick a task, and open the page, again and again. Seconds each took."""
    taken: dict[str, list[float]] = {"event": [], "page": []}
    number = 0
    while not stop.is_set():
        number += 1
        client = Client(http, 900_000 + number)
        began = time.monotonic()
        await client.press(*page.event("task", "input", task="plural"))
        taken["event"].append(time.monotonic() - began)
        began = time.monotonic()
        await http.get("/")
        taken["page"].append(time.monotonic() - began)
        await asyncio.sleep(LIGHT_EVERY)
    return taken


async def classroom(address: str, clients: int, steps: int, within: float) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=None, limits=limits) as http:
        page = Page((await http.get("/config")).json())
        while not (await http.get("/healthz")).json()["model"]:
            await asyncio.sleep(0.5)
        everybody = [Client(http, number) for number in range(clients)]
        stop, spreads = asyncio.Event(), []

        async def arrive(client: Client) -> None:
            await asyncio.sleep(within * client.number / clients)
            await client.press(*page.event("train", "click", **{"set__steps": steps, "set__seed": client.number}))

        async def watch() -> None:
            while not stop.is_set():
                steps_now = [client.step for client in everybody if not client.done]
                if len(steps_now) == clients and min(steps_now) > 0:
                    spreads.append(max(steps_now) - min(steps_now))
                await asyncio.sleep(0.2)

        began = time.monotonic()
        watching, lighter = asyncio.create_task(watch()), asyncio.create_task(light(http, page, stop))
        await asyncio.gather(*(arrive(client) for client in everybody))
        seconds = time.monotonic() - began
        stop.set()
        await watching
        taken = await lighter
        health = (await http.get("/healthz")).json()
    firsts = sorted(client.first for client in everybody if client.first is not None)
    return {
        "clients": clients, "steps": steps, "seconds": round(seconds, 1), "machine": platform.machine(),
        "finished": sum(client.done and client.step >= steps for client in everybody),
        "refused_or_failed": [client.error for client in everybody if client.error],
        "first_progress_s": {"median": round(statistics.median(firsts), 1), "worst": round(firsts[-1], 1)} if firsts else None,
        "most_steps_apart": max(spreads, default=None),
        "light_event_p95_s": round(_p95(taken["event"]), 2), "page_p95_s": round(_p95(taken["page"]), 2), "health": health,
    }  # fmt: skip


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))] if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--within", type=float, default=10.0, help="seconds in which all of them press Train")
    parser.add_argument("app", nargs="*", help="arguments of app.py, after --")
    wanted = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "app.py", "--port", str(port), *wanted.app], cwd=ROOT, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(address + "/healthz", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        print(json.dumps(asyncio.run(classroom(address, wanted.clients, wanted.steps, wanted.within)), indent=2))
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
