"""Clients that leave in every way: Stop, Stop twice, a killed tab, a lost network, an unread join.

After each the device must be free at once; after all of them threads and memory must be where they were.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from stress.client import PATIENCE, Client, Page, Server, p95, serve, tiny_model, visitors

STEPS = 400  # of a run that is left: far more than are done before it ends
ROUNDS = 4  # of cycles, until one needs no more threads than the one before
Leave = Callable[[Client], Awaitable[None]]


async def stop(client: Client) -> None:
    training = client.press("train", set__steps=STEPS)
    await client.until(1)
    await client.press("stop")
    await client.press("stop")
    await training


async def stop_twice(client: Client) -> None:
    training = client.press("train", set__steps=STEPS)
    await client.until(1)
    await asyncio.gather(client.press("stop"), client.press("stop"), training)


async def kill(client: Client) -> None:
    training = client.press("train", set__steps=STEPS)
    await client.until(1)
    await client.vanish()
    await asyncio.gather(training, return_exceptions=True)


async def kill_before_it_began(client: Client) -> None:
    training = client.press("train", set__steps=STEPS)
    await asyncio.sleep(0.05)
    await client.vanish()
    await asyncio.gather(training, return_exceptions=True)


async def join_and_never_read(client: Client) -> None:
    await client.join("train", set__steps=STEPS)
    await asyncio.sleep(0.2)
    await client.vanish()


WAYS: tuple[Leave, ...] = (stop, kill, stop_twice, join_and_never_read, kill_before_it_began)


async def cycle(server: Server, http: httpx.AsyncClient, page: Page, leave: Leave) -> float:
    """One visitor comes, trains and leaves; returns the seconds until nothing is worked on."""
    client = Client(http, page)
    await client.open()
    await leave(client)
    taken = await server.idle()
    await client.vanish()
    return taken


async def succeeds(http: httpx.AsyncClient, page: Page) -> bool:
    """The next job: a short run, to its end."""
    client = Client(http, page)
    await client.open()
    well = await client.press("train", set__steps=2)
    await client.vanish()
    return well and client.step >= 2 and not client.said and not client.failed


async def threads_within(server: Server, http: httpx.AsyncClient, most: int, seconds: float = PATIENCE) -> int:
    """The number of threads once it is at most `most`, or after so many seconds.

    The web server ends an idle thread only when a later request comes, so requests are made meanwhile.
    """
    end = time.monotonic() + seconds
    while (now := server.threads()) > most and time.monotonic() < end:
        await http.get("/")
        await asyncio.sleep(1)
    return now


async def threads_after(server: Server, http: httpx.AsyncClient, round_of_cycles: Callable[[], Awaitable[None]]) -> tuple[int, int]:
    """The numbers of threads before and after a round of cycles.

    A pool of threads may grow in a round, up to its size, as more calls meet on a busy machine. A leak grows in every round.
    """
    for _ in range(ROUNDS):
        before = server.threads()
        await round_of_cycles()
        after = await threads_within(server, http, before)
        if after <= before:
            break
    return before, after


async def cycles(server: Server, count: int, ways: tuple[Leave, ...]) -> dict[str, Any]:
    async with visitors(server.address) as (http, page):
        for way in ways * 2:  # pools of threads and caches fill once
            await cycle(server, http, page, way)
        await succeeds(http, page)
        megabytes = server.megabytes()
        taken: dict[str, list[float]] = {way.__name__: [] for way in ways}
        wells = []

        async def round_of_cycles() -> None:
            for number in range(count):
                way = ways[number % len(ways)]
                taken[way.__name__].append(await cycle(server, http, page, way))
                if number % 10 == 9 or number == count - 1:
                    wells.append(await succeeds(http, page))

        threads = await threads_after(server, http, round_of_cycles)
        return {
            "cycles": sum(map(len, taken.values())),
            "free again, worst s": {name: round(max(values), 2) for name, values in taken.items() if values},
            "free again, p95 s": round(p95([value for values in taken.values() for value in values]), 2),
            "next jobs that succeeded": f"{sum(wells)} of {len(wells)}",
            "threads before and after": list(threads),
            "megabytes before and after": [round(megabytes), round(server.megabytes())],
        }


TAB = """
import sys
from playwright.sync_api import sync_playwright
import shutil
found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
    page = browser.new_page()
    page.goto(sys.argv[1])
    page.wait_for_selector("#status .ok", timeout=60_000)
    page.fill("#set-steps input", "400")
    page.click("#train")
    page.wait_for_function("document.querySelector('#progress')?.innerText.includes('Step 2')", timeout=60_000)
    print("training", flush=True)
    page.wait_for_timeout(600_000)
"""


async def killed_browsers(server: Server, count: int) -> list[float]:
    """Real tabs of Chromium, killed with all of their processes while they train: seconds until the device is free."""
    taken = []
    for _ in range(count):
        tab = subprocess.Popen([sys.executable, "-c", TAB, server.address], stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            line = await asyncio.to_thread(tab.stdout.readline)  # type: ignore[union-attr]
            if line.strip() != "training":
                raise RuntimeError("Chromium did not come to train")
        finally:
            for child in _family(tab.pid):
                os.kill(child, signal.SIGKILL)
            tab.wait()
        taken.append(await server.idle())
    return taken


def _family(parent: int) -> list[int]:
    """A process and all that come from it."""
    found, known = [parent], {parent}
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    while more := [child for child, of in parents.items() if of in known and child not in known]:
        known.update(more)
        found += more
    return found


def run(count: int = 100, browsers: int = 5, free_within: float = 1.5) -> dict[str, Any]:
    """free_within: seconds after which the device must be free."""
    with tempfile.TemporaryDirectory() as folder, serve(*tiny_model(Path(folder)), forgetful=True) as server:
        figures = asyncio.run(cycles(server, count, WAYS))
        if browsers:
            figures["free after a killed Chromium, s"] = [round(value, 2) for value in asyncio.run(killed_browsers(server, browsers))]
    figures["failures in the log"] = len(server.failures)
    threads, megabytes = figures["threads before and after"], figures["megabytes before and after"]
    worst = [*figures["free again, worst s"].values(), *figures.get("free after a killed Chromium, s", [])]
    done, of = figures["next jobs that succeeded"].split(" of ")
    return {
        "figures": figures,
        "held": {
            f"the device is free within {free_within:g} s": max(worst) <= free_within,
            "threads are back": threads[1] <= threads[0],
            "memory grew by less than 50 MB": megabytes[1] - megabytes[0] < 50,
            "every next job succeeded": done == of,
            "no failure in the log": not server.failures,
        },
    }
