"""A classroom presses Train: thirty clients within ten seconds, on one server with the real model, as the page does it.

Each opens the page, trains the default recipe until its page shows step `steps` (or `most` seconds are over), and presses Stop
twice, so that what is measured is training (its fairness) and not thirty times the scoring after it. Meanwhile one visitor picks
tasks and opens the page.
"""

import asyncio
import os
import statistics
import time
from typing import Any

import httpx
from stress.client import Client, Page, counted, p95, serve, visitors

LIGHT_EVERY = 2.0  # seconds between two light events, and between two openings of the page


async def light(http: httpx.AsyncClient, page: Page, stop: asyncio.Event) -> tuple[list[float], list[float], list[float]]:
    """While the others train: pick a task, pick another with all that follows (the other tabs are painted anew), and open
    the page, again and again. Seconds each took."""
    events, wholes, pages = [], [], []
    while not stop.is_set():
        client = Client(http, page)
        began = time.monotonic()
        await client.press("task", "input", alone=True, task="plural")
        events.append(time.monotonic() - began)
        began = time.monotonic()
        await client.press("task", "input", task="capitals")
        wholes.append(time.monotonic() - began)
        began = time.monotonic()
        await http.get("/")
        pages.append(time.monotonic() - began)
        await asyncio.sleep(LIGHT_EVERY)
    return events, wholes, pages


async def classroom(address: str, clients: int, steps: int, within: float, most: float) -> dict[str, Any]:
    async with visitors(address) as (http, page):
        all_clients = [Client(http, page) for _ in range(clients)]
        for client in all_clients:
            await client.open()
        stop, spreads, shown = asyncio.Event(), [], []

        async def visit(client: Client, number: int) -> None:
            await asyncio.sleep(within * number / clients)
            training = client.press("train", set__seed=number)
            reached = asyncio.create_task(client.until(steps))
            await asyncio.wait([training, reached], timeout=began + most - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            shown.append(client.step)
            reached.cancel()
            if not training.done():
                stops = [client.press("stop") for _ in range(2)]
                await asyncio.gather(training, *stops)

        async def watch() -> None:
            while not stop.is_set():
                now = [client.step for client in all_clients]
                if min(now) > 0 and not shown:
                    spreads.append(max(now) - min(now))
                await asyncio.sleep(0.1)

        lighter, watching = asyncio.create_task(light(http, page, stop)), asyncio.create_task(watch())
        began = time.monotonic()
        await asyncio.gather(*(visit(client, number) for number, client in enumerate(all_clients)))
        seconds = time.monotonic() - began
        stop.set()
        events, wholes, pages = await lighter
        await watching
        health = (await http.get("/healthz")).json()
    firsts = sorted(client.first for client in all_clients if client.first is not None)
    return {
        "clients": clients,
        "steps each": steps,
        "seconds": round(seconds, 1),
        "fewest and most steps shown": [min(shown), max(shown)],
        "load average": [round(value, 1) for value in os.getloadavg()],
        "refused": counted([said for client in all_clients for said in client.said]),
        "failed": counted([why for client in all_clients for why in client.failed]),
        "first progress, median s": round(statistics.median(firsts), 1) if firsts else None,
        "first progress, worst s": round(firsts[-1], 1) if firsts else None,
        "most steps apart": max(spreads, default=None),
        "times compared": len(spreads),
        "light events": len(events),
        "light event p95 s": round(p95(events), 2),
        "with all that follows, p95 s": round(p95(wholes), 2),
        "page p95 s": round(p95(pages), 2),
        "megabytes sent to a client": round(statistics.fmean(client.bytes for client in all_clients) / 1e6, 1),
        "piece s": health["piece_seconds"],
    }


def run(clients: int = 30, steps: int = 10, within: float = 10.0, most: float = 240.0, app: tuple[str, ...] = ()) -> dict[str, Any]:
    with serve(*app) as server:
        figures = asyncio.run(classroom(server.address, clients, steps, within, most))
    figures["failures in the log"] = len(server.failures)
    return {
        "figures": figures,
        "held": {
            "0 lost": figures["fewest and most steps shown"][0] > 0 and not figures["refused"],
            "0 errors": not figures["failed"] and not server.failures,
            "first progress within 60 s": (figures["first progress, worst s"] or 1e9) <= 60,
            "never more than 2 steps apart": (figures["most steps apart"] or 0) <= 2 and figures["times compared"] > 0,
            "light events p95 under 1 s": figures["light event p95 s"] < 1,
            "the page p95 under 3 s": figures["page p95 s"] < 3,
        },
    }
