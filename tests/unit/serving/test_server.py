"""The server's edge, without a server: limits, JSON, health, logs that quote no visitor."""

import asyncio
import io
import json
import logging
import os
import socket
import time
from types import SimpleNamespace

import gradio as gr
import gradio.queueing
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tiny_models import make

from app.serving import requests
from app.serving.health import health
from app.serving.json_body import Refused, read_json
from app.serving.logs import JsonLines, log_jobs, start_logs
from app.serving.requests import RequestFilter
from app.serving.server import LOST, notice_lost
from app.serving.unread import UNREAD, Unread
from core.engine import Engine
from core.errors import LabError
from core.events import Done, Step

SECRET = "my grandmother's recipe"
PATIENCE = 120.0  # seconds; nothing here takes one on a quiet machine


class Queue:
    """As much of Gradio's queue as `Unread` touches."""

    def __init__(self, *sessions):
        self.pending_messages_per_session = dict.fromkeys(sessions)
        self.pending_event_ids_session = dict.fromkeys(sessions)
        self.cleaned = []

    async def clean_events(self, session_hash):
        self.cleaned.append(session_hash)


@pytest.fixture
def healthy():
    return {"ok": True, "running": 0}


@pytest.fixture
def client(healthy, monkeypatch):
    monkeypatch.setattr(requests, "DRAIN_GAP", 0.01)

    async def echo(request: Request):
        return PlainTextResponse(await request.body())

    async def fail(request: Request):
        raise ValueError(SECRET)

    async def fail_late(request: Request):
        async def parts():
            yield "begun"
            raise ValueError(SECRET)

        return StreamingResponse(parts())

    paths = {"queue/join": echo, "upload": echo, "login": echo, "process_recording": echo, "fail": fail, "fail_late": fail_late}
    routes = [Route(f"/gradio_api/{path}", answer, methods=["GET", "POST"]) for path, answer in paths.items()]
    edge = Middleware(RequestFilter, health=lambda: healthy, queue=lambda: Queue())
    return TestClient(Starlette(routes=routes, middleware=[edge]))


@pytest.fixture
def lines(monkeypatch):
    """What is logged meanwhile, line by line."""
    root, kept = logging.getLogger(), logging.getLogger().handlers[:]
    names = [(module, module.traceback) for module in (gradio.queueing, gradio.routes, gradio.route_utils)]
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    start_logs("info")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = kept
    for module, traceback in names:
        module.traceback = traceback


# --- JSON and bodies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e400", "-1e400", "9" * 21, str(2**63), "9" * 5000])
def test_numbers_that_no_answer_could_hold_are_refused(text):
    with pytest.raises(Refused, match="A number in this request") as refused:
        read_json(text.encode())
    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b"\xff", b"[1] 2", b'"\\ud83d"', b'{"\\uDC00": 1}', b"'a'"])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(Refused, match="not sound JSON"):
        read_json(body)


def test_depth_is_limited_exactly():
    deepest = b"[" * 64 + b"]" * 64
    assert read_json(deepest) is not None
    for deeper in (b"[" + deepest + b"]", b'{"a":' * 65 + b"1" + b"}" * 65, b"[" * 100_000):
        with pytest.raises(Refused, match="deeper than 64"):
            read_json(deeper)


def test_brackets_in_a_text_are_no_depth_and_pairs_are_sound():
    assert read_json(json.dumps(["[" * 500, "\\ud", "😀", -(2**63) + 1, 1.5]).encode())[2] == "😀"


def test_a_large_body_is_refused_whatever_its_headers_say(client, monkeypatch):
    monkeypatch.setattr(requests, "LARGEST_BODY", 100)
    fits, large = json.dumps("x" * 90).encode(), json.dumps("x" * 99).encode()
    assert client.post("/gradio_api/queue/join", content=fits).content == fits
    for content in (large, iter([large[:50], large[50:]])):  # an iterator is sent in chunks, without a length
        answer = client.post("/gradio_api/queue/join", content=content)
        assert answer.status_code == 413
        assert answer.headers["connection"] == "close"
        assert "the most that this server takes" in answer.json()["detail"]


@pytest.mark.parametrize("ends", ["bytes", "silence", "the sender", "a slow sender"])
def test_what_follows_a_refusal_is_read_to_a_bound(monkeypatch, ends):
    monkeypatch.setattr(requests, "MOST_DRAINED", 10 if ends == "bytes" else 10**9)
    monkeypatch.setattr(requests, "DRAIN_GAP", 0.01 if ends == "silence" else 60.0)
    monkeypatch.setattr(requests, "DRAIN_SECONDS", 0.05 if ends == "a slow sender" else 60.0)
    asked = []

    async def receive():
        asked.append(1)
        await asyncio.sleep(3600 if ends == "silence" else 0.001)
        last = ends == "the sender" and len(asked) == 5
        return {"type": "http.request", "body": b"abc", "more_body": not last}

    asyncio.run(requests.drain(receive))
    assert {"bytes": len(asked) == 4, "silence": len(asked) == 1, "the sender": len(asked) == 5, "a slow sender": len(asked) > 1}[ends]


def test_an_upload_may_be_larger_but_not_endless(client, monkeypatch):
    monkeypatch.setattr(requests, "LARGEST_BODY", 100)
    monkeypatch.setattr(requests, "LARGEST_UPLOAD", 1000)
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/gradio_api/upload", content=b"x" * 1000, headers=form).status_code == 200
    for content in (b"x" * 70_000, iter([b"x" * 40_000] * 2)):
        assert client.post("/gradio_api/upload", content=content, headers=form).status_code == 413
    assert client.post("/gradio_api/login", content=b"x" * 101, headers=form).status_code == 413


def test_a_form_is_not_read_as_json(client):
    answer = client.post("/gradio_api/login", data={"username": "NaN"})
    assert (answer.status_code, answer.text) == (200, "username=NaN")
    assert client.post("/gradio_api/login", content=b"username=NaN").status_code == 400


def test_an_upload_is_refused_where_the_disk_is_full_and_half_ones_are_removed(client, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    old, new, whole = tmp_path / "tmpold", tmp_path / "tmpnew", tmp_path / "abc" / "tmp.csv"
    whole.parent.mkdir()
    for path in (old, new, whole):
        path.write_text("x")
    for path in (old, whole):
        os.utime(path, (0, time.time() - 4000))
    assert client.post("/gradio_api/upload", content=b"x").status_code == 200
    assert [path.exists() for path in (old, new, whole)] == [False, True, True]
    monkeypatch.setattr(requests, "LEAST_FREE", 2**62)
    answer = client.post("/gradio_api/upload", content=b"x")
    assert answer.status_code == 507
    assert "disk is nearly full" in answer.json()["detail"]


def test_what_no_page_needs_is_closed(client):
    assert client.post("/gradio_api/process_recording", content=b"1").status_code == 404


def test_failures_are_answered_without_their_text(client, lines):
    answer = client.get("/gradio_api/fail")
    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert answer.json()["detail"].startswith("Something went wrong on the server")
    assert client.get("/gradio_api/fail_late").text == "begun"
    told = [line for line in lines() if line["event"] == "a request failed"]
    assert [line["error"] for line in told] == ["ValueError", "ValueError"]
    assert any(place.endswith(" fail") for place in told[0]["at"])
    assert SECRET not in json.dumps(lines())


def test_headers_are_on_every_answer(client):
    for path in ("/healthz", "/gradio_api/fail", "/gradio_api/nothing", "/gradio_api/login"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "x-frame-options" not in headers


# --- answers that are not read -----------------------------------------------------------------------------------------


def test_answers_that_nobody_reads_are_dropped_and_no_others():
    queue = Queue("left", "reads", "again")
    unread = Unread(queue)

    async def story():
        with unread.reading("reads"):
            await unread.sweep("again", 0.0)
            await unread.sweep("again", 0.8 * UNREAD)
            assert set(queue.pending_messages_per_session) == {"left", "reads", "again"}
            await unread.sweep("new", 1.1 * UNREAD)
            assert set(queue.pending_messages_per_session) == {"reads", "again"}, "who joined later has more time"
            await unread.sweep("new", 2.2 * UNREAD)
        assert queue.cleaned == ["left", "again"]
        assert set(queue.pending_messages_per_session) == set(queue.pending_event_ids_session) == {"reads"}
        await unread.sweep("new", time.monotonic() + 1.1 * UNREAD)
        assert not queue.pending_messages_per_session

    asyncio.run(story())


# --- health -----------------------------------------------------------------------------------------------------------


def test_health_is_503_where_a_supervisor_should_act(client, healthy):
    assert client.get("/healthz").status_code == 200
    assert client.head("/healthz").status_code == 200
    healthy["ok"] = False
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["ok"]) == (503, False)


def test_a_stuck_or_dead_worker_is_not_well():
    def ok(alive, seconds):
        engine = SimpleNamespace(lm=None, status=lambda: {"alive": alive, "stuck_seconds": seconds})
        return health(engine)["ok"]

    assert ok(True, 0.0) and ok(True, 119.0)
    assert not ok(True, 121.0)
    assert not ok(False, 0.0)


def test_a_real_engine_says_how_it_is():
    engine = Engine(lambda: make("llama"))
    said = health(engine)
    assert said["ok"]
    assert {"running", "waiting", "model", "problem", "memory", "stuck_seconds", "stuck_limit", "alive"} <= set(said)  # read by the page
    json.dumps(said)


def test_an_engine_whose_model_is_missing_says_so():
    def load():
        raise LabError("The model isn't there: choose another --model.")

    engine = Engine(load)
    end = time.monotonic() + PATIENCE
    while health(engine)["ok"] and time.monotonic() < end:
        time.sleep(0.01)
    said = health(engine)
    assert (said["ok"], said["problem"]) == (False, "The model isn't there: choose another --model.")


# --- logs -------------------------------------------------------------------------------------------------------------


def test_each_job_that_ends_is_a_line(lines):
    engine = Engine(lambda: make("llama"))
    log_jobs(engine)

    def fine(lm, ticket):
        yield Step(1)

    def refused(lm, ticket):
        yield Done()
        raise LabError(SECRET)

    def broken(lm, ticket):
        raise ValueError(SECRET)
        yield

    def endless(lm, ticket):
        while True:
            yield None
            time.sleep(0.001)

    tickets = [engine.submit(f"session {i}", job) for i, job in enumerate((fine, refused, broken, endless))]
    end = time.monotonic() + PATIENCE
    while not all(ticket.over for ticket in tickets[:3]) and time.monotonic() < end:
        time.sleep(0.005)
    engine.cancel(tickets[3])
    while sum(line["event"] == "job ended" for line in lines()) < 4 and time.monotonic() < end:
        time.sleep(0.005)
    ended = {line["kind"].rpartition(".")[2]: line for line in lines() if line["event"] == "job ended"}
    assert {line["outcome"] for line in ended.values()} <= {"done", "refused", "failed", "cancelled"}
    outcomes = sorted(line["outcome"] for line in lines() if line["event"] == "job ended")
    assert outcomes == ["cancelled", "done", "failed", "refused"]
    text = json.dumps(lines())
    assert SECRET not in text
    assert "session 0" not in text, "the log has a hash of it"
    assert tickets[1].message == SECRET, "whose job it was is told"


def test_a_job_that_is_not_taken_is_a_line(lines):
    engine = Engine(lambda: make("llama"))
    log_jobs(engine)

    def wait(lm, ticket):
        while True:
            yield None
            time.sleep(0.001)

    with pytest.raises(LabError):
        for _ in range(100):
            engine.submit("greedy", wait)
    assert [line["event"] for line in lines()].count("job refused") == 1
    engine.leave("greedy")


def test_what_gradio_prints_of_a_failure_is_a_line_without_its_text(lines):
    for error in (ValueError(SECRET), gr.Error(SECRET)):
        try:
            raise error
        except Exception:
            gradio.queueing.traceback.print_exc()
    told = lines()
    assert [(line["event"], line["error"]) for line in told] == [("a handler failed", "ValueError"), ("refused", "Error")]
    assert SECRET not in json.dumps(told)


def test_a_line_of_the_log_is_one_line():
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "two\nlines %s", ("ü",), None)
    text = JsonLines().format(record)
    assert "\n" not in text
    assert json.loads(text)["event"] == "two\nlines ü"


def test_lines_of_one_kind_are_few_and_those_left_out_are_counted(lines):
    now = 0.0
    [limit] = logging.getLogger().handlers[0].filters
    limit._clock = lambda: now
    other = logging.getLogger("asyncio")
    for i in range(500):
        other.error("socket.accept() out of system resource\nsocket: fd=%d", i)
    other.warning("something else")
    assert [line["event"][:6] for line in lines()] == ["socket"] * 100 + ["someth"]
    now = 2.5
    for i in range(10):
        other.error("socket.accept() out of system resource\nsocket: fd=%d", i)
    assert [line.get("left_out") for line in lines()[-3:]] == [None, 400, None]
    for i in range(2000):
        other.error(f"{i} kinds")
    assert len(limit._kinds) <= 500


# --- lost connections -----------------------------------------------------------------------------------------------------------


def test_a_join_that_nobody_reads_ends_though_nobody_else_comes(monkeypatch):
    monkeypatch.setattr("app.serving.unread.UNREAD", 0.02)
    queue = Queue("left", "reads")
    unread = Unread(queue)

    async def story():
        unread.watch()
        with unread.reading("reads"):
            while "left" in queue.pending_messages_per_session:
                await asyncio.sleep(0.01)
            assert queue.cleaned == ["left"]
        while queue.pending_messages_per_session:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(story(), 30))
    assert queue.cleaned == ["left", "reads"]


def test_a_network_that_is_lost_is_noticed_by_its_silence():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        page = SimpleNamespace(server=SimpleNamespace(servers=[SimpleNamespace(sockets=[listening])]))
        notice_lost(page)
        notice_lost(SimpleNamespace(server=None))
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            with socket.create_connection(listening.getsockname()):
                line, _ = listening.accept()
                with line:
                    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == LOST
