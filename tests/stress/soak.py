"""Two hundred short sessions in one process: nothing of ours may be left of them, and memory may not grow."""

import asyncio
import gc
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from stress.client import PATIENCE, Client, visitors

OURS = ("core.", "app.")
# Which scores the book holds in the end varies, and those of a run are of other rows than a task's: three of them make no leak,
# which would be more for each session. HTML is text: the few pages that are kept hold more or less of it.
MAY_VARY = {"core.scoring.row_results.RowResult": 100, "app.view.html.Html": 100}


@contextmanager
def inside(folder: Path, capacity: int = 200) -> Iterator[tuple[str, Any]]:
    """The app in this process, over a tiny model: its address, and its lab."""
    from serving import free_port
    from starlette.middleware import Middleware
    from stress.client import tiny_model

    from app.components.theme import THEME
    from app.pages.page import build
    from app.serving.health import health
    from app.serving.logs import log_jobs, start_logs
    from app.serving.requests import RequestFilter
    from app.serving.server import LAUNCH
    from app.sessions.lab import Lab
    from core import load_model

    arguments = tiny_model(folder)
    start_logs("error")
    lab = Lab(lambda: load_model(arguments[1], "cpu", "float32"), arguments[1], "float32")
    log_jobs(lab.engine)
    page = build(lab)
    edge = Middleware(RequestFilter, health=lambda: health(lab.engine), queue=lambda: page._queue)
    settings = {**LAUNCH, "state_session_capacity": capacity, "app_kwargs": {"middleware": [edge]}, "theme": THEME}
    _, address, _ = page.launch(server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True, **settings)
    try:
        yield address.rstrip("/"), lab
    finally:
        page.close()


def ours() -> Counter[str]:
    """Live objects of our own classes, by class."""
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        if str(getattr(kind, "__module__", "")).startswith(OURS):
            found[f"{kind.__module__}.{kind.__qualname__}"] += 1
    return found


def more(now: Counter[str], before: Counter[str]) -> list[str]:
    """The classes with more live objects than before."""
    return [name for name in now if now[name] - before[name] > MAY_VARY.get(name, 0)]


def settled(before: Counter[str] | None) -> Counter[str]:
    """The live objects once they are no more than before: the server notices the last pages' leaving after their last answer."""
    time.sleep(2)
    end = time.monotonic() + PATIENCE
    while before is not None and more(ours(), before) and time.monotonic() < end:
        time.sleep(0.5)
    return ours()


def megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def batch(address: str, sessions: int, at_once: int) -> None:
    """So many visitors, a few at a time: each opens the page, trains two steps to the end, looks back, and closes it."""
    async with visitors(address) as (http, page):

        async def visit() -> None:
            client = Client(http, page)
            await client.open()
            if not await client.press("train", set__steps=2, set__virtual_tokens=4) or client.step < 2:
                raise RuntimeError(f"a session of the soak failed: {client.failed} {client.said}")
            await client.press("scrubber", "input", scrubber=1)
            await client.vanish()

        for start in range(0, sessions, at_once):
            await asyncio.gather(*(visit() for _ in range(min(at_once, sessions - start))))


def run(sessions: int = 200, batches: int = 4, at_once: int = 5) -> dict[str, Any]:
    from app.serving import session_restore
    from core import fair_share

    # What is kept of closed pages on purpose is limited to a few, so that it is full after the warm-up: sessions for their
    # return (60), Gradio's states (200), scores (512), turns of sessions that were here (500).
    few = mock.patch.object(session_restore, "MOST_KEPT", at_once), mock.patch.object(fair_share, "MOST_REMEMBERED", at_once)
    with tempfile.TemporaryDirectory() as folder, few[0], few[1], inside(Path(folder), capacity=at_once * 2) as (address, lab):
        lab.book._size = 8
        each = sessions // batches
        warm_up = max(each, 4 * at_once)
        asyncio.run(batch(address, warm_up, at_once))
        counts, sizes = [], []
        for _ in range(batches):
            asyncio.run(batch(address, each, at_once))
            while (now := lab.engine.status())["running"] + now["waiting"]:  # jobs at idle priority
                time.sleep(0.05)
            counts.append(settled(counts[0] if counts else None))
            sizes.append(megabytes())
    grown = {name: [count[name] for count in counts] for name in more(counts[-1], counts[0])}
    return {
        "figures": {
            "sessions": sessions,
            "warm-up sessions": warm_up,
            "live objects of ours after each batch": [sum(count.values()) for count in counts],
            "classes that grew": grown,
            "megabytes after each batch": [round(size) for size in sizes],
        },
        "held": {
            "no growth in live objects": not grown,
            "memory grew by less than 50 MB": sizes[-1] - sizes[0] < 50,
        },
    }
