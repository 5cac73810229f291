"""A day in the life of a server, scaled in time: sessions that train, reload, sleep, lose their network, bring wrong files, open two tabs,
run experiments and lessons. Between equal quarters nothing may grow: memory, files, threads, descriptors.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from stress.client import Client, Page, Server, counted, serve, tiny_model, visitors
from stress.leaving import kill, threads_within

Act = Callable[["Visit"], Awaitable[bool]]
WRONG = (b"\x00\xff\xfe" * 300, b"[" * 20_000, b"PK\x03\x04 no workbook", b"", b'{"rows": 7}', b"only,one,line\n")
MARGIN = {"megabytes": 50, "threads": 2, "descriptors": 4, "files": 12, "kept files": 40}  # what a quarter may end above the first


class Visit:
    """One session, of one or more pages. nap: seconds for which a browser is stopped. number: of the session."""

    def __init__(self, http: httpx.AsyncClient, page: Page, number: int, nap: float):
        self.http, self.page, self.number, self.nap = http, page, number, nap
        self.clients: list[Client] = []

    async def come(self, own: str = "", last: str = "") -> Client:
        """Open a page. own: the token of a tab that reloads; last: of another tab of this browser."""
        client = Client(self.http, self.page)
        self.clients.append(client)
        await client.open(own, last)
        return client


async def train(visit: Visit) -> bool:
    client = await visit.come()
    well = await client.press("train", set__steps=2, set__seed=visit.number)
    return await client.press("scrubber", "input", scrubber=1) and well and client.step >= 2


async def reload(visit: Visit) -> bool:
    """A page is loaded again while it trains: the same tab, the same session."""
    before = await visit.come()
    await kill(before)
    after = await visit.come(own=before.token)
    return after.token == before.token and await after.press("stop")


async def sleep(visit: Visit) -> bool:
    """A browser is stopped (a closed notebook) with a run under way, and reads on when it wakes."""
    client = await visit.come()
    joined = await client.join("train", set__steps=20, set__seed=visit.number)
    await asyncio.sleep(visit.nap)
    return bool(joined) and await client.press("stop")


async def lose_network(visit: Visit) -> bool:
    """All connections are cut; a new tab of the same browser brings the session back."""
    before = await visit.come()
    await kill(before)
    await asyncio.sleep(visit.nap / 10)
    after = await visit.come(last=before.token)
    return await after.press("bring-back") and await after.press("stop")


async def bring_a_wrong_file(visit: Visit) -> bool:
    """The page says what is wrong, and the next thing works."""
    client = await visit.come()
    content = WRONG[visit.number // len(ACTS) % len(WRONG)]
    answer = await visit.http.post("/gradio_api/upload", files={"files": ("rows.csv", content, "text/csv")})
    if answer.status_code == 200:
        file = {"path": answer.json()[0], "orig_name": "rows.csv", "meta": {"_type": "gradio.FileData"}}
        if not await client.press("upload-task", "upload", alone=True, upload__task=file):
            return False
    return await client.press("train", set__steps=2, set__seed=visit.number)


async def open_two_tabs(visit: Visit) -> bool:
    one = await visit.come()
    other = await visit.come(last=one.token)
    both = [client.press("train", set__steps=2, set__seed=visit.number + place) for place, client in enumerate((one, other))]
    return all(await asyncio.gather(*both)) and one.token != other.token


async def experiment(visit: Visit) -> bool:
    client = await visit.come()
    return await client.press("experiment-run", experiment__steps="1", experiment__seeds="1")


async def learn(visit: Visit) -> bool:
    client = await visit.come()
    choice = visit.page.choices("bet")[visit.number % 2]
    return await client.press("bet", "input", bet=choice) and await client.press("lesson-run")


ACTS: tuple[Act, ...] = (train, reload, sleep, lose_network, bring_a_wrong_file, open_two_tabs, experiment, learn)


def measured(server: Server, temp: Path, kept: Path) -> dict[str, int]:
    """What must not grow, by the names of MARGIN but for threads, which are waited for."""
    return {
        "megabytes": round(server.megabytes()),
        "descriptors": len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())),
        "files": sum(path.is_file() for path in temp.rglob("*")),
        "kept files": sum(path.is_file() for path in kept.rglob("*")),
    }


async def live(server: Server, sessions: int, seconds: float, quarters: int, nap: float, temp: Path, kept: Path) -> dict[str, Any]:
    """`sessions` in equal quarters after one to warm up; each begins at its time, `seconds` in all."""
    wrong: list[str] = []
    ends: list[dict[str, int]] = []
    each = sessions // quarters
    async with visitors(server.address) as (http, page):

        async def session(number: int, at: float) -> None:
            await asyncio.sleep(at - time.monotonic())
            visit, act = Visit(http, page, number, nap), ACTS[number % len(ACTS)]
            try:
                well = await asyncio.wait_for(act(visit), 600)
            except (httpx.HTTPError, TimeoutError) as error:
                wrong.append(f"{act.__name__}: {type(error).__name__}")
            else:
                failed = [message for client in visit.clients for message in client.failed]
                if not well or failed:
                    wrong.append(f"{act.__name__}: {failed[:1] or 'an event did not succeed'}")
            for client in visit.clients:
                await client.vanish()

        for quarter in range(quarters + 1):
            began, gap = time.monotonic(), seconds / max(sessions, 1)
            await asyncio.gather(*(session(quarter * each + place, began + place * gap) for place in range(each)))
            await server.idle(paused=True)
            threads = await threads_within(server, http, ends[0]["threads"] if ends else 0, 5)
            ends.append({**measured(server, temp, kept), "threads": threads})
    return {"wrong": wrong, "ends": ends[1:]}


def run(sessions: int = 320, seconds: float = 600.0, quarters: int = 4, nap: float = 15.0) -> dict[str, Any]:
    """The whole day is 300 sessions in an hour, and a browser that is stopped for 90 s: here six times as fast."""
    with tempfile.TemporaryDirectory() as folder:
        temp, kept = Path(folder, "temp"), Path(folder, "kept")
        temp.mkdir()
        arguments = [*tiny_model(Path(folder, "model")), "--keep", str(kept)]
        with serve(*arguments, forgetful=True, TMPDIR=str(temp)) as server:
            found = asyncio.run(live(server, sessions, seconds, quarters, nap, temp, kept))
    ends = found["ends"]
    grown = {name: [end[name] for end in ends] for name in MARGIN}
    return {
        "figures": {
            "sessions": sessions,
            "seconds": seconds,
            "sessions that went wrong": counted(found["wrong"]),
            **{f"{name} after each quarter": values for name, values in grown.items()},
            "failures in the log": len(server.failures),
        },
        "held": {
            "every session went well": not found["wrong"],
            "no failure in the log": not server.failures,
            **{f"{name} did not grow": values[-1] - values[0] <= MARGIN[name] for name, values in grown.items()},
        },
    }
