"""The server's event loop goes on while a handler reads, splits, zips, writes or renders: one visitor's large file stops no other page."""

import asyncio
import inspect
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from timed_engine import until
from tiny_models import answer_task

from app.pages import inspect as inspect_page
from app.pages import your_task
from app.pages.arrival import Arrival
from app.pages.inspect import InspectPage
from app.pages.train import TrainPage
from app.pages.your_task import TaskPage
from app.serving import api, requests
from app.serving.endpoints import TABLE
from app.serving.session_restore import Visitors
from app.sessions import heavy
from app.sessions.session import Session
from app.view import reading
from app.view.links import ON_PAGE
from core.recipe import Recipe

ROWS = "word,answer\n" + "\n".join(f"w{i},a{i}" for i in range(40))
HELD = 1.0  # seconds after which work that the event loop waits for gives up, and the test fails


class Slow:
    """Work that ends once the event loop has gone on meanwhile. held: how often it did not."""

    def __init__(self, work):
        self.work, self.calls, self.held, self.went_on = work, 0, 0, threading.Event()

    def __call__(self, *given, **options):
        self.calls += 1
        self.went_on.clear()
        self.held += not self.went_on.wait(HELD)
        return self.work(*given, **options)


@pytest.fixture
def slow(monkeypatch):
    """slow(place, name): makes the function of that name slow."""
    made = []

    def patch(place, name):
        made.append(Slow(getattr(place, name)))
        monkeypatch.setattr(place, name, lambda *given, one=made[-1], **options: one(*given, **options))
        return made[-1]

    patch.made = made
    return patch


@pytest.fixture(scope="module")
def pages(lab):
    with gr.Blocks():
        train = TrainPage(lab, None)
        return train, InspectPage(lab, None), TaskPage(lab, False)


def went_on(slow, handler):
    """Run a handler, and make sure that all of its slow work was done, none of it on the event loop. Returns what it yielded last."""

    async def beat():
        while True:
            await asyncio.sleep(0.001)
            for one in slow.made:
                one.went_on.set()

    async def run():
        beating = asyncio.create_task(beat())
        said = [changes async for changes in handler] if inspect.isasyncgen(handler) else [await handler]
        beating.cancel()
        return said[-1] if said else None

    said = asyncio.run(run())
    assert [one.calls > 0 for one in slow.made] == [True] * len(slow.made)
    assert [one.held for one in slow.made] == [0] * len(slow.made), "the event loop was held"
    return said


def test_the_test_notices_a_held_loop(slow, monkeypatch):
    monkeypatch.setattr(f"{__name__}.HELD", 0.05)
    place = SimpleNamespace(work=lambda: 3)
    slow(place, "work")

    async def handler():
        return place.work()

    with pytest.raises(AssertionError, match="was held"):
        went_on(slow, handler())


def test_rows_are_read_split_and_shown_off_the_loop(pages, slow):
    page, session = pages[2], Session(task=answer_task())
    for place, name in (
        (your_task, "table_or_task"), (reading, "decide"), (reading, "sentence"), (your_task, "task_from_table"), (your_task, "fitted"),
        (reading, "preview"),
    ):  # fmt: skip
        slow(place, name)
    said = went_on(slow, page._paste(session, ROWS))
    assert said[page.use]["interactive"] and session.your_task.draft


def test_label_words_are_merged_and_columns_chosen_off_the_loop(pages, slow):
    page, session = pages[2], Session(task=answer_task())
    rows = "text,label\n" + "\n".join(f"text number {i},{['Good', 'good', 'bad'][i % 3]}" for i in range(60))
    values = [["text"], "label", "labels", "", "", "", "end"]

    async def merge():
        async for _ in page._paste(session, rows):
            pass
        slow(your_task, "merged")
        slow(reading, "decide")
        async for changes in page._merge(session, *values):
            yield changes

    went_on(slow, merge())
    assert set(session.your_task.draft.labels) == {"Good", "bad"}


def test_newer_rows_are_not_overwritten_by_older_ones(pages, monkeypatch):
    """The older rows' columns are known only when the newer rows are read already."""
    page, session = pages[2], Session(task=answer_task())
    newer, real = threading.Event(), reading.decide

    def decide(table, chosen=None):
        if "old" in table.columns:
            assert newer.wait(20)
        return real(table, chosen)

    monkeypatch.setattr(reading, "decide", decide)

    async def both():
        older = asyncio.create_task(anext(page._paste(session, ROWS.replace("word", "old")), None))
        while session.your_task.table is None:
            await asyncio.sleep(0.001)
        last = [changes async for changes in page._paste(session, ROWS)][-1]
        newer.set()
        return await older, last

    older, last = asyncio.run(both())
    assert older is None and last[page.input]["choices"] == ["word", "answer"]


def test_a_run_is_zipped_and_written_off_the_loop(lab, pages, slow):
    _, page, _ = pages
    session = Session(task=answer_task())
    run = lab.start(session, Recipe(task="tiny", steps=2, batch_size=4, virtual_tokens=3))
    until(lambda: run.ticket.over)
    slow(inspect_page, "pack")
    slow(Path, "write_bytes")
    files = []

    async def save():
        async for changes in page._save(session, SimpleNamespace(cookies={})):
            files.append(changes.get(page.file))
            yield changes

    went_on(slow, save())
    assert any(file and file["label"] == "Download soft-prompt.zip" for file in files)


def test_reports_are_rendered_by_a_plain_handler(pages):
    """Gradio runs these in threads."""
    report = pages[1]._report
    assert inspect.isgeneratorfunction(report) and not inspect.iscoroutinefunction(report)


def test_rows_of_programs_are_read_off_the_loop(lab, slow):
    slow(api, "_task")
    slow(api, "fitted")
    values = {name: None for name in (*ON_PAGE, *TABLE)} | {"steps": 1, "virtual_tokens": 2}
    said = went_on(slow, api.Api(lab).train(SimpleNamespace(session_hash="program"), "", ROWS, "", *values.values()))
    assert said["run"]


def test_a_large_request_is_parsed_off_the_loop(slow):
    slow(requests, "read_json")
    said = []

    async def inner(scope, receive, send):
        said.append(await receive())

    body = json.dumps({"data": ["x" * requests.SMALL]}).encode()
    edge = requests.RequestFilter(inner, dict, lambda: None)
    scope = {"type": "http", "path": "/gradio_api/run/x", "method": "POST", "query_string": b""}
    scope["headers"] = [(b"content-type", b"application/json")]

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        raise AssertionError(message)

    went_on(slow, edge(scope, receive, send))
    assert said[0]["body"] == body


def test_a_kept_session_is_read_off_the_loop(lab, slow):
    kept = Session(task=answer_task(), token="kept")
    place = SimpleNamespace(read=lambda token: kept if token == "kept" else None)
    slow(place, "read")
    with gr.Blocks():
        arrival = Arrival()
    fresh = Session(task=answer_task())
    arrival.session, arrival.visitors = "session", Visitors(lab, lambda session: None, read=lambda token: place.read(token))
    said = went_on(slow, arrival._arrive(fresh, "kept", "", "", "", SimpleNamespace(session_hash="page")))
    assert said["session"] is kept and slow.made[0].calls == 1


def test_one_session_leaves_threads_for_others():
    waiting, goes_on = [], threading.Event()

    def work(name):
        waiting.append(name)
        assert goes_on.wait(20)

    async def all_of_them():
        greedy = [asyncio.create_task(heavy.heavy("greedy", work, "greedy")) for _ in range(3 * heavy.WORKERS)]
        other = asyncio.create_task(heavy.heavy("other", work, "other"))
        while "other" not in waiting:
            await asyncio.sleep(0.001)
        assert waiting.count("greedy") <= heavy.OF_ONE
        goes_on.set()
        await asyncio.gather(*greedy, other)

    asyncio.run(asyncio.wait_for(all_of_them(), 20))
    assert len(waiting) == 3 * heavy.WORKERS + 1
