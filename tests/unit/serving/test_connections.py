"""The server's connections, with uvicorn as it is started and few places: floods, idle sockets, slow senders, and who still comes in."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time

import pytest
import uvicorn

from app.serving import connections, requests, visits
from app.serving.connections import Connections, budget, options
from app.serving.json_body import Refused
from app.serving.requests import RequestFilter
from app.serving.visits import Visits

PATIENCE = 20.0
MOST, SPARE, ROOM, TURN = 6, 2, 6, 2
ALL = MOST + SPARE + ROOM
PAGE = "/gradio_api/heartbeat/mine"
JOIN = b'{"session_hash": "%s", "data": []}'


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


class Queue:
    def __init__(self):
        self.pending_messages_per_session, self.pending_event_ids_session = {}, {}


class Server:
    """uvicorn with our limits, in a thread. Sockets that are opened with it are closed at the end."""

    def __init__(self):
        self.clock, self.queue, self.sockets = Clock(), Queue(), []
        self.places = Connections(MOST, SPARE, self.clock, ROOM)
        edge = RequestFilter(self.answer, lambda: {"ok": True}, lambda: self.queue)
        self.server = uvicorn.Server(uvicorn.Config(edge, port=0, log_level="critical", lifespan="off", **options(self.places)))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started)
        [listening] = self.server.servers[0].sockets
        connections.lengthen_queue(listening)
        self.port = listening.getsockname()[1]

    async def answer(self, scope, receive, send):
        """A stream that stays open, or the body."""
        start = {"type": "http.response.start", "status": 200, "headers": [(b"transfer-encoding", b"chunked")]}
        if "heartbeat" in scope["path"] or "queue/data" in scope["path"]:
            await send(start)
            await send({"type": "http.response.body", "body": b"here", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        await send(start)
        await send({"type": "http.response.body", "body": body or b"page"})

    def connect(self):
        line = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.sockets.append(line)
        return line

    def send(self, path, body=b"", line=None, length=None):
        line = line or self.connect()
        method = "POST" if body or length else "GET"
        kind = "application/octet-stream" if "upload" in path else "application/json"
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length or len(body)}\r\n\r\n"
        line.sendall(head.encode() + body)
        return line

    def ask(self, path, body=b"", line=None):
        with self.send(path, body, line) as line:
            return read(line)

    def stream(self, path):
        """A stream that has begun."""
        line = self.send(path)
        assert read(line, b"here").startswith("HTTP/1.1 200")
        return line

    def close(self):
        for line in self.sockets:
            line.close()
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(PATIENCE)


def read(line, end=None):
    """What comes until `end`, a whole answer, or the end of the connection."""
    got = b""
    while not (end and end in got) and not (end is None and re.search(rb"\r\n\r\n(.*}|.*page.*0\r\n\r\n)", got, re.S)):
        more = line.recv(65536)
        if not more:
            break
        got += more
    return got.decode()


def until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(connections, "LOOK", 0.01)
    monkeypatch.setattr(connections, "BACKLOG", TURN)  # as many in one turn find room
    made = Server()
    yield made
    made.close()


def fill(server, number=MOST, first=0):
    """Take places with pages that are open: these are never made to leave."""
    lines = [server.stream(f"/gradio_api/heartbeat/other-{i % MOST}") for i in range(first, number)]
    until(lambda: len(server.places.open) == number)
    return lines


def test_beyond_the_budget_only_health_and_open_pages_come_in(server):
    lines = [*fill(server, MOST - 1), server.stream(PAGE)]
    for path, body in (
        ("/", b""),
        ("/gradio_api/queue/join", JOIN % b"new"),
        ("/gradio_api/heartbeat/new", b""),
        ("/gradio_api/upload", b"x"),
    ):
        said = server.ask(path, body)
        assert said.startswith("HTTP/1.1 503"), path
        assert connections.FULL in said and "retry-after" in said and "connection: close" in said
    for _ in range(3):
        assert server.ask("/healthz").startswith("HTTP/1.1 200")
        assert server.ask("/gradio_api/queue/join", JOIN % b"mine").startswith("HTTP/1.1 200")
    answers = server.stream("/gradio_api/queue/data?session_hash=mine")
    assert server.ask("/healthz").startswith("HTTP/1.1 200"), "one spare place is left beside that stream"
    answers.close()
    lines[0].close()
    until(lambda: not server.places.full)
    assert server.ask("/").startswith("HTTP/1.1 200"), "a place that is free again is given"


def test_where_all_places_are_worked_for_the_answer_comes_unasked(server):
    fill(server)
    assert server.ask("/gradio_api/queue/join", JOIN % b"other-0").startswith("HTTP/1.1 200"), "pages that are open get the spare places"
    until(lambda: len(server.places.open) == MOST)
    fill(server, ALL, first=MOST)
    said = read(server.connect())
    assert said.startswith("HTTP/1.1 503") and json.loads(said.partition("\r\n\r\n")[2])["detail"] == connections.FULL


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost:", b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"]
)
def test_a_flood_of_idle_sockets_and_slow_senders_takes_no_place_from_others(server, sent):
    page = server.stream(PAGE)
    for _ in range(3 * ALL):
        with contextlib.suppress(OSError):
            server.connect().sendall(sent)
    until(lambda: server.sockets[-1].getsockname() in {each.client for each in server.places.open})  # the last of them came in
    assert len(server.places.open) == ALL
    for path, body in (("/", b""), ("/healthz", b""), ("/gradio_api/queue/join", JOIN % b"mine")):
        assert server.ask(path, body).startswith("HTTP/1.1 200")
    assert len(server.places.open) <= ALL and not server.places.full
    page.settimeout(0.01)
    with pytest.raises(TimeoutError):
        page.recv(1)  # it is still open


def test_connections_that_browsers_keep_are_the_last_to_go(server):
    kept = server.connect()
    assert read(server.send("/", line=kept)).startswith("HTTP/1.1 200")
    for _ in range(ALL + 3):
        last = server.connect()
    until(lambda: last.getsockname() in {each.client for each in server.places.open})
    assert read(server.send("/", line=kept)).startswith("HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost:", b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"]
)
def test_a_sender_that_is_too_slow_is_told_so_and_cut_off(server, sent):
    line, page = server.connect(), server.stream(PAGE)
    line.sendall(sent)
    until(lambda: len(server.places.open) == 2)
    server.clock.ahead = connections.GRACE + 1
    said = read(line)
    assert (said == "") if not sent else (said.startswith("HTTP/1.1 408") and connections.TOO_SLOW in said)
    assert server.ask("/gradio_api/queue/join", JOIN % b"mine").startswith("HTTP/1.1 200")
    assert server.places.open and page.fileno() > 0
    page.settimeout(0.05)
    with pytest.raises(TimeoutError):
        page.recv(1)  # its page waits for us, however long


def test_bytes_give_time(server, monkeypatch):
    """An upload over a slow network is not cut off while it comes at the least rate."""
    monkeypatch.setattr(connections, "SLOWEST", 1000)
    size = 40_000
    line = server.send("/gradio_api/upload", length=size)
    until(lambda: server.places.open)
    for part in range(4):
        server.clock.ahead = 0.8 * connections.GRACE * part
        line.sendall(b"x" * (size // 4))
        time.sleep(0.03)  # three looks
    assert read(line, b"x" * 1000).startswith("HTTP/1.1 200")


def test_a_file_descriptor_is_left_for_each_connection_and_for_the_rest():
    for files in (64, 256, 1024, 4096, 10**6):
        most, spare = budget(files)
        assert most >= 8 and spare >= 4
        assert files < 256 or most + spare + connections.ROOM + connections.RESERVE <= files
    most, spare = budget()  # of this process; raises its limit where it may
    assert 8 <= most <= connections.MOST_CONNECTIONS


def test_gradio_starts_uvicorn_with_these_limits_and_gets_it_back():
    from gradio import http_server

    places = Connections(MOST, SPARE)
    with connections.guarded(places):
        made = http_server.uvicorn.Config(app=None, port=1, host="x", log_level="warning", ssl_keyfile=None)
    assert made.http.places is places and made.backlog == connections.BACKLOG
    assert http_server.uvicorn is uvicorn


# --- one visitor --------------------------------------------------------------------------------------------------------------


def test_one_page_opens_few_streams(server, monkeypatch):
    monkeypatch.setattr(visits, "MOST_STREAMS", 2)
    for kind in (PAGE, "/gradio_api/queue/data?session_hash=mine"):
        held = [server.stream(kind) for _ in range(2)]
        said = server.ask(kind)
        assert said.startswith("HTTP/1.1 429") and visits.TOO_MANY_STREAMS in said
        for line in held:
            line.close()
        until(lambda: not server.places.open)
        server.stream(kind).close()
        until(lambda: not server.places.open)


def test_one_page_has_few_events_waiting(server, monkeypatch):
    monkeypatch.setattr(visits, "MOST_PENDING", 3)
    server.queue.pending_event_ids_session["mine"] = {"a", "b", "c"}
    said = server.ask("/gradio_api/queue/join", JOIN % b"mine")
    assert said.startswith("HTTP/1.1 429") and visits.TOO_MANY_EVENTS in said
    assert server.ask("/gradio_api/queue/join", JOIN % b"other").startswith("HTTP/1.1 200")


def test_a_flood_of_joins_is_slowed_and_other_addresses_are_not(monkeypatch):
    monkeypatch.setattr(visits, "JOINS", 5.0)
    monkeypatch.setattr(visits, "JOINS_A_SECOND", 1.0)
    now = 0.0
    seen = Visits(lambda: now)

    def joins(address):
        try:
            seen.join(address, 0)
        except Refused as refused:
            assert (refused.status, str(refused)) == (429, visits.TOO_FAST)
            return False
        return True

    assert [joins("flood") for _ in range(20)] == [True] * 5 + [False] * 15
    assert joins("other")
    now = 2.0
    assert [joins("flood") for _ in range(4)] == [True] * 2 + [False] * 2


def test_a_page_is_known_while_it_is_open_and_for_a_minute(monkeypatch):
    clock = Clock()
    seen = Visits(clock)
    assert not seen.known("mine")
    with seen.stream("heartbeat", "mine"), seen.stream("answers", "other"):
        assert seen.known("mine") and not seen.known("other")
    assert seen.known("mine")
    clock.ahead = visits.STAYS + 1
    assert not seen.known("mine")


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(visits, "MOST_KNOWN", 10)
    seen = Visits()
    for i in range(30):
        seen.join(str(i), 0)
        with seen.stream("heartbeat", str(i)):
            pass
    assert len(seen._joins._left) == len(seen._left) == 10 and not seen._streams


def test_a_sender_that_leaves_amid_an_upload_is_no_failure(caplog):
    from starlette.requests import ClientDisconnect

    async def leaves(scope, receive, send):
        raise ClientDisconnect

    edge = RequestFilter(leaves, dict, Queue)
    scope = {"type": "http", "path": "/x", "method": "GET", "headers": [], "query_string": b""}
    with caplog.at_level("INFO", logger=requests.log.name):
        asyncio.run(edge(scope, None, None))
    assert [(line.levelname, line.message) for line in caplog.records] == [("INFO", "a sender left amid its request")]
