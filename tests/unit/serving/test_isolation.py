"""The promises of docs/security.md that need no server: downloads, hosts, headers, wrong passwords, the temp folder."""

import os
import stat
import subprocess
import sys

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.commands.serve import check_sources
from app.serving.headers import trusted_hosts
from app.serving.json_body import Refused, read_json
from app.serving.logins import FOR_NAME, FROM_ADDRESS, Logins
from app.serving.private_files import COOKIE, PREFIX, make_temp_folder, may_read, offer
from app.serving.requests import RequestFilter
from core.errors import LabError

MINE, OTHER = {COOKIE: "mine"}, {COOKIE: "another"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    return tmp_path / "files"


# --- files --------------------------------------------------------------------------------------------------------------


def test_a_download_is_for_the_browser_that_asked_for_it(folder):
    path = offer(b"vectors", "soft-prompt.zip", MINE)
    assert path.read_bytes() == b"vectors" and may_read(str(path), MINE)
    assert not may_read(str(path), OTHER) and not may_read(str(path), {})
    assert offer(b"vectors", "soft-prompt.zip", MINE).parent != path.parent, "the name says nothing of the content"
    assert "mine" not in str(path), "the cookie itself is in no address"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_browser_without_cookies_has_the_random_name(folder):
    path = offer(b"x", "report.html", {})
    assert may_read(str(path), {}) and may_read(str(path), OTHER)
    assert len(path.parent.name.partition(".")[0]) == 32


def test_nothing_else_in_the_folder_is_served(folder, tmp_path):
    path = offer(b"x", "a.zip", {})
    for name in ("hash/uploaded.csv", "tmphalf", "a/b.any/c/deep.zip", "x.any", f"{path.parent.name}/../other/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        assert not may_read(str(folder / name), MINE), name
    (tmp_path / "link").symlink_to(folder)
    assert not may_read(str(tmp_path / "link" / "hash" / "uploaded.csv"), MINE)
    for asked in ("https://example.org/x", "HTTP:/example.org", "\x00", "file:///etc/passwd"):
        assert not may_read(asked, MINE)


def test_no_file_is_fetched_from_an_address():
    with pytest.raises(Refused, match="fetches no files"):
        read_json(b'{"data": [null, {"path": "http://10.0.0.1/x", "meta": {"_type": "gradio.FileData"}}]}')
    assert read_json(b'{"data": ["http://10.0.0.1/x", {"path": "/tmp/x", "meta": {}}]}')


def test_the_temp_folder_is_for_its_owner_and_those_of_dead_servers_go(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout.strip()
    dead, alive, odd = (tmp_path / f"{PREFIX}{pid}-x" for pid in (gone, os.getpid(), "x"))
    for path in (dead, alive, odd):
        path.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    made = make_temp_folder()
    assert made and stat.S_IMODE(made.stat().st_mode) == 0o700
    assert os.environ["GRADIO_TEMP_DIR"] == str(made)
    assert [path.exists() for path in (dead, alive, odd)] == [False, True, True]
    assert make_temp_folder() is None, "a folder that is named is used as it is"


# --- what a request must have ---------------------------------------------------------------------------------------------


def visitor(monkeypatch, host="127.0.0.1", hosts=(), **options):
    """A client of an app whose login knows the password "right"."""

    async def page(request: Request):
        return PlainTextResponse("page")

    async def login(request: Request):
        right = (await request.form()).get("password") == "right"
        return PlainTextResponse("", 200 if right else 400)

    routes = [Route("/", page), Route("/login", login, methods=["POST"]), Route("/gradio_api/upload", page, methods=["POST"])]
    edge = Middleware(RequestFilter, health=lambda: {"ok": True}, queue=lambda: None, **options)
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=trusted_hosts(host, False, hosts))
    return TestClient(Starlette(routes=routes, middleware=[trusted, edge]), base_url="http://localhost:7860")


def test_another_name_for_this_machine_is_not_answered(monkeypatch):
    client = visitor(monkeypatch, hosts=["lab.example.org"])
    for host in ("localhost:7860", "127.0.0.1", "[::1]:7860", "LOCALHOST", "lab.example.org"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200, host
    for host in ("evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", ""):
        assert client.get("/healthz", headers={"host": host}).status_code == 400, host
        assert client.get("/", headers={"host": host, "x-forwarded-host": "localhost"}).status_code == 400, host


def test_a_server_for_the_network_or_with_a_public_link_answers_to_every_name():
    assert trusted_hosts("0.0.0.0", False, []) == trusted_hosts("127.0.0.1", True, []) == trusted_hosts("192.168.1.5", False, []) == ["*"]
    assert {"lab.example.org", "localhost"} <= set(trusted_hosts("0.0.0.0", False, ["lab.example.org"])), "it asks itself while it starts"
    assert "127.0.0.5" in trusted_hosts("127.0.0.5", False, [])


def test_pages_of_other_sites_can_change_nothing_on_a_server_for_one_machine(monkeypatch):
    headers = {"sec-fetch-site": "cross-site", "content-type": "multipart/form-data; boundary=x"}
    assert visitor(monkeypatch, local=True).post("/gradio_api/upload", content=b"x", headers=headers).status_code == 403
    assert visitor(monkeypatch, local=False).post("/gradio_api/upload", content=b"x", headers=headers).status_code == 200
    assert visitor(monkeypatch, local=True).get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200, "a link to the page"


def test_frames_are_those_that_were_named(monkeypatch):
    def ancestors(**options):
        return visitor(monkeypatch, **options).get("/").headers["content-security-policy"].partition("frame-ancestors ")[2]

    assert ancestors() == "'self'"
    assert ancestors(frames="https://school.example") == "https://school.example"
    assert ancestors(frames="*") == ""
    monkeypatch.setenv("SPACE_ID", "a/b")
    assert ancestors() == "", "any page may embed a Space"


def test_the_policy_lets_nothing_go_elsewhere(monkeypatch):
    policy = dict(part.split(" ", 1) for part in visitor(monkeypatch).get("/").headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["connect-src"] == policy["base-uri"] == policy["form-action"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert not [part for part in policy.values() if "http" in part or "*" in part]


def test_the_cookie_is_given_once_and_flagged(monkeypatch):
    client = visitor(monkeypatch)
    first = client.get("/").headers["set-cookie"]
    assert first.startswith(f"{COOKIE}=") and {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(first.split("; "))
    assert "set-cookie" not in client.get("/").headers
    assert "set-cookie" not in visitor(monkeypatch).get("/healthz").headers
    framed = visitor(monkeypatch).get("/", headers={"x-forwarded-proto": "https"}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=None", "Secure", "Partitioned"} <= set(framed.split("; "))


@pytest.mark.parametrize("hosts, frames", [(["https://x"], ""), (["a b"], ""), (["a*"], ""), ([], "https://x; script-src *"), ([], "a\nb")])
def test_names_that_no_header_could_say_are_refused(hosts, frames):
    with pytest.raises(LabError, match=r"--(trusted-host|frame-ancestors) is .*: give "):
        check_sources(hosts, frames)


# --- passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["data", "files"])
def test_wrong_passwords_are_slowed_down(monkeypatch, form):
    client = visitor(monkeypatch)

    def log_in(password, name="ada"):
        given = {"username": name, "password": password}
        return client.post("/login", **({"data": given} if form == "data" else {"files": {k: (None, v) for k, v in given.items()}}))

    assert [log_in("wrong").status_code for _ in range(int(FOR_NAME))] == [400] * int(FOR_NAME)
    answer = log_in("right")
    assert (answer.status_code, answer.json()["detail"]) == (429, "Too many wrong passwords: please wait a minute, then try again.")
    assert "retry-after" in answer.headers
    assert {log_in("right", "bob").status_code for _ in range(50)} == {200}, "others of the same address, with the right password, come in"


def test_an_address_that_tries_many_names_is_slowed_down_too_and_time_helps():
    now = 0.0
    logins = Logins(clock=lambda: now)
    for i in range(int(FROM_ADDRESS)):
        logins.attempt("10.0.0.1", f"user {i}")
    with pytest.raises(Refused):
        logins.attempt("10.0.0.1", "ada")
    logins.attempt("10.0.0.2", "ada")
    now = 11.0
    logins.attempt("10.0.0.1", "ada")
    with pytest.raises(Refused):
        logins.attempt("10.0.0.1", "ada")
