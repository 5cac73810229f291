"""Prompts on the Hub, by its real client: against a stand-in server on this machine, and as it fails without a network."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import httpx
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from tiny_models import answer_task, make, random_prefix

from core.errors import LabError
from core.models.weights import ADAPTER_CONFIG
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import hub_prompts as remote
from core.runs import saved_adapter as storage
from core.runs.adapter_files import CARD, PICKLE, RECIPE, RUN, WEIGHTS, SeveralPrompts

LM = make("llama")
SHA = "a" * 40


class Hub:
    """What the stand-in knows and was told. files: repository -> name -> bytes."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.refused: dict[str, tuple[int, str]] = {}  # repository -> status and X-Error-Code
        self.public: set[str] = set()
        self.asked: list[str] = []
        self.made: list[dict] = []


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def say(self, status: int, body: bytes | dict = b"", **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(data))} | headers).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/main/(.+)", unquote(self.path.split("?")[0])):
                repo, name = found.groups()
                if repo in hub.refused:
                    status, code = hub.refused[repo]
                    return self.say(status, X_Error_Code=code)
                if name not in hub.files.get(repo, {}):
                    return self.say(404, X_Error_Code="EntryNotFound", X_Repo_Commit=SHA)
                return self.say(200, hub.files[repo][name], ETag=f'"{name}"', X_Repo_Commit=SHA)
            if tree := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/main", self.path.split("?")[0]):
                names = hub.files.get(tree[1], {})
                data = [{"type": "file", "path": name, "size": 1, "oid": SHA} for name in names]
                return self.say(200, json.dumps(data).encode())
            repo = self.path.removeprefix("/api/models/").split("?")[0]
            self.say(200, {"id": repo, "private": repo not in hub.public, "sha": SHA, "siblings": [], "tags": [], "downloads": 0})

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hub.asked.append(f"POST {self.path}")
            if self.path == "/api/validate-yaml":  # the Hub's check of a card's front matter
                return self.say(200, {"errors": [], "warnings": []})
            if self.headers["Authorization"] != "Bearer hf_good":
                return self.say(401, {"error": "Invalid credentials"})
            if self.path == "/api/repos/create":
                hub.made.append(json.loads(body))
                return self.say(200, {"url": f"{huggingface_hub.constants.ENDPOINT}/{hub.made[-1]['organization']}/{hub.made[-1]['name']}"})
            if "/preupload/" in self.path:
                files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]]
                return self.say(200, {"files": files})
            repo = self.path.removeprefix("/api/models/").split("/commit/")[0]
            lines = [json.loads(line) for line in body.splitlines()]
            hub.files[repo] = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"}
            self.say(200, {"commitUrl": f"{huggingface_hub.constants.ENDPOINT}/{repo}/commit/{SHA}", "commitOid": SHA, "success": True})

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Hub]:
    made = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    server.shutdown()
    server.server_close()


def files(kind: str = "prompt") -> dict[str, bytes]:
    recipe = Recipe(method="prompt" if kind == "prompt" else "prefix", virtual_tokens=4)
    record = storage.record_of(LM, answer_task(), recipe, "Word: {input} is")
    return storage.to_files(LM, random_prefix(LM, kind, 4), record)


def test_a_prompt_is_fetched_by_its_name_and_read_as_from_a_folder(hub, monkeypatch):
    hub.files["some/prompt"] = files() | {"training.py": b"import os", PICKLE: b"pickle"}
    learned = remote.load("some/prompt", LM)
    assert np.array_equal(learned.prefix.snapshot(), random_prefix(LM, "prompt", 4).snapshot())
    assert learned.template == "Word: {input} is" and learned.warnings == ()
    assert not any(PICKLE in line or "training.py" in line or CARD in line for line in hub.asked)
    # Without the Hub what was fetched is still there.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert remote.load("hub:some/prompt", LM).template == "Word: {input} is"


def test_pefts_own_files_on_the_hub_need_no_recipe(hub):
    hub.files["some/prefix"] = {name: data for name, data in files("prefix").items() if name in (ADAPTER_CONFIG, WEIGHTS)}
    learned = remote.load("some/prefix", LM, "Say {input}:")
    assert learned.prefix.kind == "prefix" and learned.template == "Say {input}:" and "no recipe.json" in learned.warnings[0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({ADAPTER_CONFIG: None}, "adapter_config.json is missing"),
        ({WEIGHTS: None}, "adapter_model.safetensors is missing"),
        ({WEIGHTS: None, PICKLE: b"x"}, "as a pickle .adapter_model.bin., which is never read"),
        ({ADAPTER_CONFIG: b'{"peft_type": "LORA"}'}, "is a LoRA adapter"),
        ({ADAPTER_CONFIG: b" " * 3_000_000}, "adapter_config.json of 'some/one' is larger"),
        ({WEIGHTS: b"x" * 900_000}, "adapter_model.safetensors of 'some/one' is larger"),
    ],
)
def test_what_cannot_be_a_prompt_is_refused_before_it_is_fetched(hub, given, sentence):
    hub.files["some/one"] = {name: data for name, data in (files() | given).items() if data is not None}
    with pytest.raises(LabError, match=sentence):
        remote.load("some/one", LM)
    fetched = [line for line in hub.asked if line.startswith("GET") and WEIGHTS in line]
    assert not fetched and not any(line.startswith("GET") and PICKLE in line for line in hub.asked)


def test_a_model_and_a_folder_of_prompts_are_told_apart_from_a_prompt(hub):
    hub.files["some/model"] = {"config.json": b"{}", "model.safetensors": b"x"}
    with pytest.raises(LabError, match="'some/model' is a model and no learned prompt: choose it as the model"):
        remote.load("some/model", LM)


def test_of_several_prompts_on_the_hub_one_is_named(hub):
    steps = {5: files(), 10: files("prefix")}
    hub.files["some/runs"] = {f"a run/checkpoint-{step}/{name}": data for step, made in steps.items() for name, data in made.items()}
    with pytest.raises(
        SeveralPrompts, match=r"holds 2 prompts \(.*: name one of them, as in 'hub:some/runs/a run/checkpoint-10'\."
    ) as caught:
        remote.load("some/runs", LM)
    assert caught.value.names == ("a run/checkpoint-5", "a run/checkpoint-10")
    assert [remote.load(f"hub:some/runs/{name}", LM).prefix.kind for name in caught.value.names] == ["prompt", "prefix"]
    with pytest.raises(LabError, match=r"'some/runs/checkpoint-1' is not a learned prompt \(adapter_config\.json is missing"):
        remote.load("hub:some/runs/checkpoint-1", LM)
    hub.files["some/run"] = {f"best/{name}": data for name, data in files().items()}
    assert remote.load("some/run", LM).template == "Word: {input} is"  # the only one in it


def refusal(kind: type[HfHubHTTPError], status: int) -> HfHubHTTPError:
    request = httpx.Request("GET", "https://hub.example/some/one")
    return kind("Cannot access it. " + "very " * 60 + "long", response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refusal(GatedRepoError, 403), "'some/one' is gated on the Hub: ask for access on its page"),
        (
            refusal(RepositoryNotFoundError, 401),
            "or not for you to see: check the name, and `hf auth login` if it is private",
        ),
        (refusal(HfHubHTTPError, 403), "The Hub refuses 'some/one' to this login"),
        (refusal(HfHubHTTPError, 500), r"could not be fetched \(Cannot access it\.(?: very)+ …\): check the name"),
        (LocalEntryNotFoundError("nothing here"), "is not on this machine, and the Hub can't be reached"),
    ],
)
def test_every_refusal_of_the_hubs_client_has_its_sentence(monkeypatch, error, sentence):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(remote, "hub_reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub.HfApi, "get_hf_file_metadata", refuse)
    with pytest.raises(LabError, match=sentence) as caught:
        remote.load("some/one", LM)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (404, "RepoNotFound", "is not on the Hub, or not for you to see"),
        (403, "GatedRepo", "is gated on the Hub: ask for access"),
        (403, "", "The Hub refuses 'some/one' to this login"),
    ],
)
def test_a_refusal_is_one_sentence(hub, status, code, sentence):
    hub.refused["some/one"] = (status, code)
    with pytest.raises(LabError, match=sentence):
        remote.load("some/one", LM)


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "../x/y", "a/b:c", "/a/b", "a b/c", "", "hub:a/b/../c", "hub:a/b/", "hub:a/b//c"])
def test_what_is_neither_here_nor_a_name_of_the_hub_is_not_asked_for(hub, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError):
        remote.load(name, LM)
    assert hub.asked == []


def test_without_a_network_it_says_so(tmp_path, monkeypatch):
    saved = adapter_files.save(tmp_path / "saved", files())
    with pytest.raises(LabError, match="is not on this machine, and the Hub can't be reached"):
        remote.load("some/one", LM)
    with pytest.raises(LabError, match="The Hub can't be reached, so nothing was uploaded"):
        remote.push(saved, "me/prompt")
    # The client's own failure, too: the check above may be too quick to see it.
    monkeypatch.setattr(remote, "hub_reachable", lambda: True)
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    for ask in (lambda: remote.load("some/one", LM), lambda: remote.push(saved, "me/prompt")):
        with pytest.raises(LabError, match="the Hub can't be reached: check the network"):
            ask()


def test_a_pushed_prompt_can_be_fetched_and_run_json_stays_here(hub, tmp_path):
    folder = adapter_files.save(tmp_path / "saved", files() | {RUN: b"{}"})
    (folder / "diary.txt").write_text("mine")
    pushed = remote.push(folder, "me/prompt", private=True)
    assert pushed.url.endswith("/me/prompt") and set(pushed.files) == {ADAPTER_CONFIG, WEIGHTS, RECIPE, CARD}
    assert hub.made[0]["visibility"] == "private"
    assert hub.files["me/prompt"] == files()
    assert np.array_equal(remote.load("me/prompt", LM).prefix.snapshot(), random_prefix(LM, "prompt", 4).snapshot())
    assert RUN in remote.push(folder, "me/prompt", run=True).files


def test_a_push_that_cannot_be_is_told_in_one_sentence(hub, tmp_path, monkeypatch):
    folder = adapter_files.save(tmp_path / "saved", files())
    hub.public.add("me/open")
    with pytest.raises(LabError, match="is there already, and public"):
        remote.push(folder, "me/open", private=True)
    assert "me/open" not in hub.files
    with pytest.raises(LabError, match="is no name on the Hub"):
        remote.push(folder, "prompt")
    (tmp_path / "empty").mkdir()
    for place, sentence in ((tmp_path / "empty", "adapter_config.json is missing"), (tmp_path / "nowhere", "There is no folder")):
        with pytest.raises(LabError, match=sentence):
            remote.push(place, "me/prompt")
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    with pytest.raises(LabError, match="The Hub refuses 'me/prompt' to this login"):
        remote.push(folder, "me/prompt")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(LabError, match="not logged in to the Hub"):
        remote.push(folder, "me/prompt")
