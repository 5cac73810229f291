"""The promises of docs/security.md, tried on a server with a login, from outside: who gets in, who gets a file, what the log says."""

import http.client
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
import tiny_models
from serving import serve

PASSWORD = "engine-of-ada"
WITH_LOG = (
    "import os, runpy, sys; os.dup2(os.open(os.environ['LOG'], os.O_CREAT | os.O_WRONLY), 2); runpy.run_path('app.py', run_name='__main__')"
)
ROWS = "\n".join(f"{word} -> {word}s" for word in tiny_models.SENTENCES[0].split())
PATIENCE = 120.0  # seconds


class Server(NamedTuple):
    address: str
    log: Path
    temp: Path

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, str, list[str]]:
        """POST `body` (JSON, or bytes as they are), or GET without one: status, text, and the cookies that are set."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=PATIENCE)
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", path, sent, given)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, text, answer.headers.get_all("set-cookie") or []

    def call(self, name: str, cookie: str, **given: Any) -> Any:
        """The last word of an endpoint."""
        status, text, _ = self.ask(f"/gradio_api/call/v2/{name}", given, cookie=cookie)
        assert status == 200, text
        _, text, _ = self.ask(f"/gradio_api/call/{name}/{json.loads(text)['event_id']}", cookie=cookie)
        assert "event: complete" in text, text
        return json.loads(text.rpartition("event: complete\ndata: ")[2].partition("\n")[0])[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("isolation")
    log, temp = folder / "log", folder / "temp"
    temp.mkdir()
    model = tiny_models.save_tiny(tmp_path_factory.mktemp("tiny-model"))
    running = serve(
        *("--model", str(model), "--dtype", "float32", "--auth", f"ada:{PASSWORD}", "--keep", str(folder / "kept"), "--log-level", "debug"),
        command=("-c", WITH_LOG),
        LOG=str(log),
        TMPDIR=str(temp),
    )
    server = Server(next(running), log, temp)
    while not json.loads(server.ask("/healthz")[1])["model"]:
        time.sleep(0.1)
    yield server
    next(running, None)
    assert not list(temp.glob("soft-prompt-lab-files-*")), "visitors' files go with the server"


@pytest.fixture(scope="module")
def login(server: Server) -> str:
    """The cookies of a browser that has logged in, as it sends them."""
    form = f"username=ada&password={PASSWORD}".encode()
    status, _, cookies = server.ask("/login", form, content_type="application/x-www-form-urlencoded")
    assert status == 200
    assert all({"HttpOnly", "Path=/"} <= set(cookie.split("; ")) and "samesite=" in cookie.lower() for cookie in cookies)
    return "; ".join(cookie.partition(";")[0] for cookie in [*cookies, *server.ask("/")[2]])


def test_without_the_password_nothing_of_the_app_is_told(server, login):
    closed = [
        "/config",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/queue/data?session_hash=a",
        "/gradio_api/queue/status",
    ]
    for path in [
        *closed,
        "/gradio_api/call/tasks/abc",
        "/gradio_api/file=app.py",
        "/gradio_api/upload_progress?upload_id=a",
        "/monitoring",
    ]:
        assert server.ask(path)[0] == 401, path
    for path in ("/gradio_api/call/tasks", "/gradio_api/queue/join"):
        assert server.ask(path, {"data": [], "fn_index": 0, "session_hash": "a"})[0] == 401, path
    upload = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\na\r\n--x--\r\n'
    assert server.ask("/gradio_api/upload", upload, content_type="multipart/form-data; boundary=x")[0] == 401
    page = server.ask("/")[1]
    assert "auth_required" in page and "past-tense" not in page
    assert server.ask("/config", cookie=login)[0] == 200


def test_no_script_can_read_the_logins_cookie(server, login):
    assert server.ask("/gradio_api/token", cookie=login)[0] == server.ask("/gradio_api/token/", cookie=login)[0] == 404
    assert not [value for value in re.findall("=([^;]*)", login) if value in server.ask("/config", cookie=login)[1]]


def test_a_download_goes_to_the_browser_that_asked_for_it_alone(server, login):
    run = server.call("train", login, rows=ROWS, steps=1, virtual_tokens=1, batch_size=2)["run"]
    path = server.call("download", login, run=run)["path"]
    address = f"/gradio_api/file={quote(path)}"
    assert server.ask(address, cookie=login)[0] == 200
    another = re.sub(r"(?<=soft-prompt-lab=)[^;]*", "another", login)
    assert another != login
    for way in (address, address.replace("file=", "file/"), address + "/", address.replace("/soft-prompt.zip", "/../x/../soft-prompt.zip")):
        assert server.ask(way, cookie=another)[0] in (401, 403, 404), way
    assert server.ask(address)[0] in (401, 404)
    for folder in server.temp.iterdir():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.log.with_name("kept").stat().st_mode) == 0o700


def test_an_upload_is_given_back_to_no_client_and_no_address_is_fetched(server, login):
    upload = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\na\r\n--x--\r\n'
    status, text, _ = server.ask("/gradio_api/upload", upload, content_type="multipart/form-data; boundary=x", cookie=login)
    assert status == 200
    assert server.ask(f"/gradio_api/file={json.loads(text)[0]}", cookie=login)[0] == 404
    for address in (server.address + "/healthz", "http:/x", "https://example.org/"):
        assert server.ask(f"/gradio_api/file={address}", cookie=login)[0] == 404
    assert server.ask(f"/gradio_api/proxy={server.address}/healthz", cookie=login)[0] == 404


def test_secrets_are_in_no_log_no_address_and_no_error(server, login):
    config = json.loads(server.ask("/config", cookie=login)[1])
    arrive = next(one for one in config["dependencies"] if one["api_name"].startswith("_arrive"))
    session = secrets.token_hex(6)

    def join(*data: Any) -> str:
        body = {"fn_index": arrive["id"], "data": list(data), "session_hash": session}
        event = json.loads(server.ask("/gradio_api/queue/join", body, cookie=login)[1])["event_id"]
        text = server.ask(f"/gradio_api/queue/data?session_hash={session}", cookie=login)[1]
        assert event in text
        return text

    told = join(None, "", "", "", "")
    token = next(text for text in re.findall(r'"([\w-]{20,})"', told) if text not in (session,) and not re.fullmatch("[0-9a-f]{32}", text))
    assert token in join(None, token, "", "", ""), "it brings the session back, so it is the secret"
    assert token not in server.ask("/", cookie=login)[1]
    join(None, token, {"wrong": token}, 3)
    assert "process_completed" in join({"wrong": 1})
    server.ask(f"/gradio_api/file={token}", cookie=login)
    server.ask("/gradio_api/queue/join", {"fn_index": token}, cookie=login)
    server.ask("/login", f"username=ada&password={PASSWORD}x".encode(), content_type="application/x-www-form-urlencoded")
    log = server.log.read_text("utf-8")
    assert '"event"' in log
    for secret in (token, session, PASSWORD, *re.findall("=([^;]{8,})", login)):
        assert secret not in log
    assert token not in json.dumps(os.listdir(server.log.with_name("kept")))
