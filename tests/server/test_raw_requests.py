"""Requests that no page would send: whatever comes, no traceback in an answer, no way past the queue, and the server goes on."""

import http.client
import json
import re
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.serving.requests import MOST_DRAINED

WRONG: list[Any] = [
    None, True, -1, 1.5, 10**12, 1e308, "", "x" * 50_000, "\x00\u202e", [], ["a"] * 50, [[1, [2]]], {}, {"path": "/etc/passwd"},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
]  # fmt: skip
EVENTS: list[Any] = [[], {"token": "a", "cell": [1]}, {"token": 10**12, "cell": -1, "index": {}}]
PATIENCE = 120.0  # seconds


class Client:
    """One raw visitor: a session hash, and every answer that it ever got."""

    def __init__(self, address: str):
        self.address, self.hash = address, secrets.token_hex(6)

    def request(self, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, str]:
        """POST `body` (JSON, or bytes as they are), or GET without one."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        clean(text)
        return status, text

    def join(self, number: Any, data: Any, **more: Any) -> tuple[int, str]:
        status, text = self.request("/gradio_api/queue/join", {"fn_index": number, "data": data, "session_hash": self.hash, **more})
        return status, json.loads(text)["event_id"] if status == 200 else text

    def answers(self, events: set[str]) -> dict[str, dict[str, Any]]:
        """The last word on each of `events`."""
        said: dict[str, dict[str, Any]] = {}
        with urllib.request.urlopen(f"{self.address}/gradio_api/queue/data?session_hash={self.hash}", timeout=PATIENCE) as stream:
            for line in stream:
                clean(line.decode())
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    said[message["event_id"]] = message
                if message.get("msg") == "close_stream" or events <= set(said):
                    break
        return said

    def ask(self, number: int, data: Any, **more: Any) -> dict[str, Any]:
        status, event = self.join(number, data, **more)
        assert status == 200, event
        return self.answers({event})[event]

    def health(self) -> dict[str, Any]:
        status, text = self.request("/healthz")
        assert status == 200, text
        return json.loads(text)


def clean(text: str) -> None:
    assert "Traceback" not in text
    assert 'File "' not in text


@pytest.fixture
def client(tiny_app: str) -> Iterator[Client]:
    client = Client(tiny_app)
    for _ in range(600):
        if client.health()["model"]:
            break
        time.sleep(0.1)
    yield client
    assert idle(client)["ok"]


def idle(client: Client) -> dict[str, Any]:
    """The server's health once nothing that we asked for is left."""
    end = time.monotonic() + PATIENCE
    while (now := client.health())["running"] + now["waiting"] and time.monotonic() < end:
        time.sleep(0.1)
    assert now["running"] + now["waiting"] == 0, now
    return now


@pytest.fixture
def handlers(client: Client) -> dict[str, dict[str, Any]]:
    """Every handler of the page once, by its name and what it takes: many events share one."""
    config = json.loads(client.request("/config")[1])
    kinds = {component["id"]: component["type"] for component in config["components"]}
    found = {}
    for handler in config["dependencies"]:
        name = re.sub(r"_\d+$", "", handler["api_name"])
        takes = [kinds[i] for i in handler["inputs"]]
        found.setdefault(f"{name}({', '.join(takes)})", {**handler, "kinds": takes, "components": config["components"]})
    return found


def defaults(handler: dict[str, Any]) -> list[Any]:
    values = {component["id"]: component["props"].get("value") for component in handler["components"]}
    return [None if kind == "state" else values[i] for i, kind in zip(handler["inputs"], handler["kinds"], strict=True)]


def train(client: Client, handlers: dict[str, dict[str, Any]], steps: int = 2) -> dict[str, Any]:
    """A training run, with the page's own settings."""
    handler = next(handler for name, handler in handlers.items() if name.startswith("begin("))
    data = defaults(handler)
    ids = {component["props"].get("elem_id"): component["id"] for component in handler["components"]}
    for name, value in (("steps", steps), ("virtual_tokens", 2)):
        data[handler["inputs"].index(ids[f"set-{name}"])] = value
    return client.ask(handler["id"], data)


def test_every_handler_survives_every_kind_of_value(client, handlers):
    assert len(handlers) > 40
    assert train(client, handlers)["success"]
    for value in WRONG:
        events = set()
        for handler in handlers.values():
            if any(kind != "state" for kind in handler["kinds"]):  # what comes for a state is never looked at
                status, event = client.join(handler["id"], [value] * len(handler["inputs"]))
                assert status == 200, event
                events.add(event)
        assert set(client.answers(events)) == events
        assert client.health()["ok"]
    assert train(client, handlers)["success"], "what was sent must not stay in the session"


def test_every_handler_survives_every_event_and_number_of_values(client, handlers):
    for more, event_data in [(0, data) for data in EVENTS] + [(-9, None), (3, None)]:
        events = set()
        for handler in handlers.values():
            plain = handler["kinds"] in ([], ["state"]) or more
            if plain and not any(target[1] == "unload" for target in handler["targets"]):
                data = [None] * max(len(handler["inputs"]) + more, 0)
                status, event = client.join(handler["id"], data, event_data=event_data)
                assert status == 200, event
                events.add(event)
        assert set(client.answers(events)) == events
    assert train(client, handlers)["success"]


@pytest.mark.parametrize(
    "text",
    [
        '{"data": [NaN], "fn_index": 1, "session_hash": "a"}',
        '{"data": [-Infinity], "fn_index": 1, "session_hash": "a"}',
        '{"data": [1e999], "fn_index": 1, "session_hash": "a"}',
        '{"data": [' + "9" * 4000 + '], "fn_index": 1, "session_hash": "a"}',
        '{"data": ["\\ud83d"], "fn_index": 1, "session_hash": "a"}',
        '{"data": ' + "[" * 65 + "]" * 65 + ', "fn_index": 1, "session_hash": "a"}',
        "[" * 200_000,
        "{",
        "\xff\xfe",
    ],
    ids=["nan", "infinity", "overflow", "long integer", "half a pair", "deep", "very deep", "broken", "no text"],
)
def test_json_that_is_none_is_refused_in_a_sentence(client, text):
    for path in ("/gradio_api/queue/join", "/gradio_api/run/_train", "/gradio_api/call/_train", "/gradio_api/cancel"):
        status, answer = client.request(path, text.encode("latin-1"))
        assert status == 400, answer
        assert re.fullmatch(r"This request .*\.|A number .*\.", json.loads(answer)["detail"])


@pytest.mark.parametrize("body", [[], None, 3, "x", {}, {"data": 3}, {"data": {}, "fn_index": "x"}, {"data": None, "session_hash": {}}])
def test_a_body_of_another_shape_is_refused(client, body):
    for path in ("/gradio_api/queue/join", "/gradio_api/run/_train", "/gradio_api/call/_train", "/gradio_api/reset", "/gradio_api/cancel"):
        assert 400 <= client.request(path, body if body is not None else b"null")[0] < 600


def test_no_handler_runs_past_the_queue(client, handlers):
    for handler in handlers.values():
        if handler["queue"]:
            for path in ("run", "api"):
                body = {"data": [None] * len(handler["inputs"]), "fn_index": handler["id"], "session_hash": client.hash}
                assert client.request(f"/gradio_api/{path}/{handler['api_name']}", body)[0] == 404
    for number in (-1, 10**6, 2**40):
        assert client.join(number, [])[0] >= 400
    assert client.request("/gradio_api/call/nothing", {"data": []})[0] >= 400
    assert client.join(1, [None], batched=True, trigger_id=-1, event_id="x", simple_format=True)[0] in (200, 400, 422)


def test_what_no_page_needs_is_closed(client):
    for path in ("component_server", "process_recording", "vibe-edit", "vibe-code"):
        assert client.request(f"/gradio_api/{path}", {"session_hash": "a", "component_id": 1, "fn_name": "load", "data": 1})[0] == 404
    for path in ("/gradio_api/dev/reload", "/gradio_api/deep_link?session_hash=a", "/gradio_api/runs", "/docs"):
        assert client.request(path)[0] == 404, path
    assert client.request("/monitoring/summary")[0] == 403


def test_files_of_the_server_are_not_given_away(client):
    for path in ("app.py", "/etc/passwd", "../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "core/engine.py"):
        status, text = client.request(f"/gradio_api/file={path}")
        assert status in (403, 404), path
        assert "root:" not in text
        assert "import" not in text


def test_another_session_reads_nothing_of_mine(client, handlers, tiny_app):
    assert train(client, handlers)["success"]
    other = Client(tiny_app)
    mine = client.join(next(h["id"] for name, h in handlers.items() if name.startswith("paint_panels")), [None])[1]
    status, _ = other.join(next(h["id"] for name, h in handlers.items() if name.startswith("_save")), [None])
    assert status == 200
    with urllib.request.urlopen(f"{tiny_app}/gradio_api/queue/data?session_hash={other.hash}", timeout=PATIENCE) as stream:
        text = stream.read().decode()
    assert mine not in text
    assert "There is nothing to save yet" in text, "a new session has no runs, also where another session trained one"
    assert mine in client.answers({mine})
    guessed = other.request(f"/gradio_api/queue/data?session_hash={secrets.token_hex(6)}")
    assert guessed[0] == 404 or "process_completed" not in guessed[1]


def raw(address: str, head: str, chunks: Iterable[bytes] = ()) -> bytes:
    """What a server answers to the bytes that we send."""
    host = urlsplit(address)
    with socket.create_connection((host.hostname, host.port), timeout=PATIENCE) as line:
        line.sendall(head.replace("\n", "\r\n").encode())
        try:
            for chunk in chunks:
                line.sendall(chunk)
        except OSError:
            pass  # it has heard enough
        line.settimeout(PATIENCE)
        got = b""
        try:
            while more := line.recv(65536):
                got += more
        except OSError:
            pass
        return got


@pytest.mark.parametrize("path, size", [("queue/join", 3 * 2**20), ("run/x", 2**40), ("cancel", 3 * 2**20), ("upload", 65 * 2**20)])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(client, path, size):
    head = f"POST /gradio_api/{path} HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {size}\n\n"
    answer = raw(client.address, head)  # comes though no body is sent
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"the most that this server takes." in answer


@pytest.mark.parametrize(
    "path, size, kind", [("queue/join", 20, "application/json"), ("cancel", 20, "application/json"), ("upload", 70, "multipart/form-data")]
)
def test_a_client_that_sends_all_before_it_reads_still_gets_the_sentence(client, path, size, kind):
    """As browsers and most programs do. A connection closed in the middle would give them a reset, and no answer."""
    status, text = client.request(f"/gradio_api/{path}", b"x" * (size * 2**20), kind)
    assert status == 413
    assert re.search("^This request is larger than (2|64) MB, the most that this server takes.$", json.loads(text)["detail"])


def test_a_body_that_never_ends_is_cut_off(client):
    sent = 0

    def forever() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(8000):
            sent += 2**16
            yield b"10000\r\n" + b"[" * 2**16 + b"\r\n"

    head = "POST /gradio_api/queue/join HTTP/1.1\nHost: localhost\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"
    answer = raw(client.address, head, forever())
    assert not answer or answer.startswith(b"HTTP/1.1 413")  # the answer may be lost where we still send
    assert sent < 2 * MOST_DRAINED


def upload(client: Client, name: str, data: bytes = b"input,output\na,b\n", field: str = "files") -> tuple[int, str]:
    edge = "sentinel"
    start = f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = start.encode() + data + f"\r\n--{edge}--\r\n".encode()
    return client.request("/gradio_api/upload", body, f"multipart/form-data; boundary={edge}")


def test_odd_uploads(client, handlers):
    file = next(handler for name, handler in handlers.items() if name.startswith("_file("))
    for name in ("../../x.csv", "/etc/passwd", "..", "a" * 300 + ".csv", "x\x01.csv", "<img src=x onerror=alert(1)>.csv", "", "con.csv"):
        status, text = upload(client, name)
        if status == 200:
            [path] = json.loads(text)
            assert "/soft-prompt-lab-files-" in path
            assert ".." not in path
            value = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
            assert client.ask(file["id"], [None, value])["event_id"]
        else:
            assert 400 <= status <= 500
    assert client.request("/gradio_api/upload", b"x", "multipart/form-data; boundary=a")[0] < 600
    assert client.request("/gradio_api/upload", b"x", "multipart/form-data")[0] in (400, 500)
    assert client.request("/gradio_api/upload", {"x": 1})[0] == 400
    stolen = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
    assert not client.ask(file["id"], [None, stolen])["success"]


def test_one_greedy_session_gets_three_jobs(client, handlers):
    public = next(handler for name, handler in handlers.items() if name.startswith("_ask("))
    events = {client.join(public["id"], [None, "sea"])[1] for _ in range(30)}
    assert client.health()["running"] + client.health()["waiting"] <= 4  # three of this session, and the lines of its task
    assert set(client.answers(events)) == events


def test_headers(client):
    connection = http.client.HTTPConnection(urlsplit(client.address).netloc, timeout=PATIENCE)
    for path in ("/", "/healthz", "/gradio_api/nothing"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] is None, "Spaces shows the page in a frame"
    connection.close()
