"""The endpoints as programs use them: gradio_client against the app, and the same as MCP tools."""

import asyncio
import importlib.util
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import tiny_models
from gradio_client import Client
from gradio_client.exceptions import AppError
from serving import serve

from core.runs.saved_adapter import load

NAMES = {"/tasks", "/train", "/evaluate", "/nearest", "/pca", "/generate", "/download"}
SETTINGS = {"task": "news", "steps": 3, "virtual_tokens": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def client(tiny_app: str) -> Client:
    return Client(tiny_app, verbose=False)


@pytest.fixture(scope="module")
def trained(client: Client) -> dict[str, Any]:
    """The last word of a short run."""
    return client.predict(**SETTINGS, api_name="/train")


def test_exactly_these_are_named(client, tiny_app):
    info = json.loads(urllib.request.urlopen(tiny_app + "/gradio_api/info").read())
    assert set(info["named_endpoints"]) == NAMES
    assert not info["unnamed_endpoints"]
    assert all(endpoint["description"] for endpoint in info["named_endpoints"].values())
    steps = next(one for one in info["named_endpoints"]["/train"]["parameters"] if one["parameter_name"] == "steps")
    assert steps["parameter_has_default"]
    assert {"type": "integer"} in steps["type"]["oneOf"]


def test_tasks(client):
    tasks = client.predict(api_name="/tasks")
    assert {"past-tense", "news", "sentiment"} <= {task["task"] for task in tasks}
    assert all(task["train"] and task["held_out"] and task["rows"] for task in tasks)


def test_train_tells_how_far_it_is(client):
    job = client.submit(**SETTINGS | {"steps": 12}, api_name="/train")
    last = job.result(timeout=120)
    steps = [said["step"] for said in job.outputs()]
    assert steps == sorted(steps)
    assert len({said["status"] for said in job.outputs()}) > 1
    assert (last["step"], last["status"]) == (12, "done")
    assert {"prompt", "none", "majority"} <= {score["kind"] for score in last["scores"]}


def test_train_on_rows_of_ones_own(client):
    rows = "\n".join(f"{word} -> {word}s" for word in tiny_models._WORDS.split())
    last = client.predict(rows=rows, steps=1, virtual_tokens=1, api_name="/train")
    assert last["step"] == 1
    assert client.predict(run=last["run"], api_name="/evaluate")["task"].startswith("your rows")


def test_the_same_recipe_gives_the_same_numbers(client, trained):
    again = client.predict(**SETTINGS, api_name="/train")
    assert again["run"] != trained["run"]
    assert [again["loss"], again["scores"][0]["loss"]] == [trained["loss"], trained["scores"][0]["loss"]]


@pytest.mark.parametrize("other", [{}, {"task": "sentiment"}])
def test_a_run_starts_from_another_ones_prompt(client, trained, other):
    more = client.predict(start=trained["run"], steps=1, learning_rate=1e-9, batch_size=4, **other, api_name="/train")
    learned, again = (
        next(score for score in client.predict(run=run, api_name="/evaluate")["scores"] if score["kind"] == "prompt")
        for run in (trained["run"], more["run"])
    )
    assert again["parameters"] == learned["parameters"]
    if not other:  # on the same task it says what the first one says
        assert again["loss"] == pytest.approx(learned["loss"], abs=1e-4)


def test_evaluate(client, trained):
    said = client.predict(run=trained["run"], prompts=["{input}\nTopic:"], api_name="/evaluate")
    assert said["done"]
    by_kind = {score["kind"]: score for score in said["scores"]}
    assert by_kind["prompt"]["accuracy"] == next(score["accuracy"] for score in trained["scores"] if score["kind"] == "prompt")
    assert "mine 1" in {score["name"] for score in said["scores"]}
    assert client.predict(task="dates", api_name="/evaluate")["rows"] > 50


def test_nearest(client, trained):
    said = client.predict(run=trained["run"], k=4, api_name="/nearest")
    assert [len(row["nearest"]) for row in said["tokens"]] == [4, 4]
    assert all(row["control"] and row["moved"] > 0 for row in said["tokens"])


def test_pca(client, trained):
    said = client.predict(run=trained["run"], api_name="/pca")
    assert said["steps"] == [0, 1, 2, 3]
    assert [len(places) for places in said["places"]] == [2] * 4
    assert len(said["control"][0][0]) == len(said["explained"])


def test_generate(client, trained):
    said = client.predict(run=trained["run"], text="the lazy dog", tokens=3, api_name="/generate")
    assert [answer["kind"] for answer in said["answers"]] == ["prompt", "none", "handcrafted"]
    assert all(abs(sum(answer["labels"].values()) - 1) < 1e-6 for answer in said["answers"])


def test_download(client, trained):
    path = client.predict(run=trained["run"], api_name="/download")
    assert {"adapter_config.json", "adapter_model.safetensors", "recipe.json", "README.md", "run.json"} == set(
        zipfile.ZipFile(path).namelist()
    )
    assert load(path, tiny_models.make(max_position_embeddings=2048)).prefix.virtual_tokens == 2


@pytest.mark.parametrize(
    "name, given, told",
    [
        ("/train", {"task": "nothing"}, "There is no task 'nothing'"),
        ("/train", {"start": "nobody's"}, "There is no run under this handle"),
        ("/train", {"steps": 0}, "steps is 0: choose a whole number"),
        ("/train", {"rows": "x" * 200_001}, "more than 200,000"),
        ("/train", {"template": "no place"}, "holds {input} 0 times"),
        ("/evaluate", {}, "Nothing was named to score"),
        ("/evaluate", {"task": "news", "prompts": ["a"]}, "holds {input} 0 times"),
        ("/evaluate", {"task": "news", "prompts": ["{input}"] * 13}, "no list of up to 12"),
        ("/nearest", {"run": "nobody's"}, "There is no run under this handle"),
        ("/pca", {"run": ""}, "There is no run under this handle"),
        ("/generate", {"run": "", "text": "a"}, "There is no run under this handle"),
        ("/download", {"run": "../../etc/passwd"}, "There is no run under this handle"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(client, name, given, told):
    with pytest.raises(AppError) as error:
        client.predict(**given, api_name=name)
    assert told in str(error.value)


@pytest.mark.parametrize("given, told", [({"virtual_tokens": 3}, "has 2 virtual tokens, the recipe 3"), ({"method": "prefix"}, "is no ")])
def test_a_start_that_does_not_fit_is_told(client, trained, given, told):
    with pytest.raises(AppError, match=told):
        client.predict(start=trained["run"], steps=1, **given, api_name="/train")


@pytest.mark.parametrize("given, told", [({"k": 0}, "k is '0'"), ({"k": 1.5}, "k is '1.5'"), ({"k": True}, "k is 'True'")])
def test_numbers_are_checked(client, trained, given, told):
    with pytest.raises(AppError, match=told):
        client.predict(run=trained["run"], **given, api_name="/nearest")


def test_a_run_called_off_leaves_the_device(client, tiny_app):
    job = client.submit(**SETTINGS | {"steps": 5000}, api_name="/train")
    while not job.outputs():
        pass
    job.cancel()
    for _ in range(600):
        health = json.loads(urllib.request.urlopen(tiny_app + "/healthz").read())
        if not health["running"] + health["waiting"]:
            return
    raise AssertionError(health)


# --- MCP --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mcp_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("mcp") is None:
        pytest.skip("no mcp on this machine: pip install 'gradio[mcp]'")
    yield from serve("--model", str(tiny_models.save_tiny(tmp_path_factory.mktemp("tiny-model"))), "--dtype", "float32", "--mcp")


def test_the_same_as_mcp_tools(mcp_app):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def talk() -> tuple[Any, ...]:
        async with streamablehttp_client(mcp_app + "/gradio_api/mcp/") as (reader, writer, _), ClientSession(reader, writer) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            tasks = await session.call_tool("tasks", {})
            trained = await session.call_tool("train", SETTINGS)
            wrong = await session.call_tool("train", {"task": "nothing"})
            return tools, tasks, trained, wrong

    with ThreadPoolExecutor(1) as other:  # this thread may have a loop of Playwright's
        tools, tasks, trained, wrong = other.submit(lambda: asyncio.run(talk())).result()
    assert {"/" + tool.name for tool in tools} == NAMES
    train = next(tool for tool in tools if tool.name == "train")
    assert "number of batches to train on" in train.inputSchema["properties"]["steps"]["description"]
    assert "past-tense" in tasks.content[0].text
    assert not trained.isError
    assert "'step': 3" in trained.content[0].text
    assert wrong.isError
    assert "There is no task" in wrong.content[0].text
