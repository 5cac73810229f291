"""The model card: the Hub's form, the numbers of the run, a snippet that runs; and no text of anybody's becomes markup."""

import json
import re
import textwrap

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from tiny_models import answer_task, random_prefix

from core.models.language_model import load_model
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import CARD
from core.runs.card import card, front_matter, hub_name
from core.runs.trained_run import TrainedRun, train

HOSTILE = "<script>alert(1)</script> [x](javascript:y) ![i](http://a.b/c) **b** `c` | --- \n# Heading\n---\nlicense: mit\n```\nhttp://evil.example"


@pytest.fixture(scope="module")
def made(lm) -> TrainedRun:
    return train(lm, answer_task(), Recipe(steps=2, batch_size=4, virtual_tokens=3), progress=False)


def test_the_card_has_the_hubs_form_and_the_runs_numbers(made):
    text = made.files()[CARD].decode()
    parsed = ModelCard(text)
    assert parsed.data.library_name == "peft" and parsed.data.tags[0] == "prompt-tuning"
    assert parsed.data.license is None and parsed.data.base_model is None  # tiny-llama is no name of the Hub
    assert made.lm.weights_hash in text
    for score in made.scores.values():
        low, high = (100 * end for end in score.interval)
        assert f"{100 * score.accuracy:.0f} %" in text and f"{low:.0f}–{high:.0f} %" in text
    assert "## What this does not show" in text


def test_front_matter_names_a_base_model_of_the_hub_and_invents_nothing():
    data = yaml.safe_load(front_matter("HuggingFaceTB/SmolLM2-135M-Instruct", False).strip("-"))
    assert data == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "tags": ["prefix-tuning", "soft-prompt-lab", "base_model:adapter:HuggingFaceTB/SmolLM2-135M-Instruct"],
    }
    assert ModelCard(front_matter("a/b", True) + "\n# x").data.base_model == "a/b"
    assert [hub_name(name) for name in ("a/b\nlicense: mit", "../b", "a/b/c", 5, None, "core/models")] == [""] * 6


def hostile_record(lm) -> dict:
    record = storage.record_of(lm, answer_task(name=HOSTILE), Recipe(init="text", init_text=HOSTILE), "{input} " + HOSTILE)
    row = {"name": HOSTILE, "kind": HOSTILE, "accuracy": 0.5, "interval": [0.1, 0.9], "n": 4, "loss": 1.0, "positions": 3}
    record["scores"] = [row]
    record["base"] |= {"name": HOSTILE, "weights": HOSTILE, "origin": HOSTILE}
    record["task"] |= {"labels": [HOSTILE]}
    record["versions"] = {"torch": HOSTILE}
    return record


def test_nothing_that_people_typed_is_markup(lm):
    text = storage.to_files(lm, random_prefix(lm, "prompt", 10), hostile_record(lm))[CARD].decode()
    front, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(front).keys() == {"library_name", "pipeline_tag", "tags"}
    markdown = MarkdownIt("commonmark").enable("table")
    blocks = markdown.parse(body)
    assert not any(token.type == "html_block" for token in blocks)
    inside = [token for block in blocks for token in block.children or []]
    assert not any(token.type in ("html_inline", "image") for token in inside)
    assert [token.attrs["href"] for token in inside if token.type == "link_open"] == ["https://huggingface.co/docs/peft"]
    headings = [blocks[i + 1].content for i, token in enumerate(blocks) if token.type == "heading_open"]
    assert len(headings) == 5 and headings[1:] == ["Scores", "How to load it", "How it was made", "What this does not show"]
    rows = re.findall(r"<tr>.*?</tr>", markdown.render(body), re.DOTALL)
    assert [row.count("<td") for row in rows] == [0, 8]  # a bar in a name makes no new cell


@pytest.mark.parametrize(
    "value", [None, 5, "x", [], [1, "x", None, {}], {"a": []}, {"name": 5, "labels": "x", "weights": []}, float("nan"), -1e300]
)
def test_any_recipe_file_gives_a_card(lm, value):
    config = json.loads(storage.to_files(lm, random_prefix(lm, "prompt", 2), {})[adapter_files.ADAPTER_CONFIG])
    for name in ("base", "task", "recipe", "scores", "template", "examples", "seconds", "steps", "versions"):
        ModelCard(card(config, {name: value}))
    ModelCard(card(config, dict.fromkeys(("base", "task", "recipe", "scores", "template"), value)))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_the_snippet_runs_unchanged(tiny_folder, tmp_path, kind, monkeypatch, capsys):
    lm = load_model(tiny_folder, "cpu", "float32")
    recipe = Recipe(method=kind, virtual_tokens=4)
    record = storage.record_of(lm, answer_task(), recipe, 'Say "{input}":\n')
    folder = adapter_files.save(tmp_path / "adapter", storage.to_files(lm, random_prefix(lm, kind, 4), record))
    (snippet,) = re.findall(r"^```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(folder)
    exec(snippet, {})
    assert capsys.readouterr().out.strip()


def test_the_card_says_how_to_repeat_the_run(made, lm, tmp_path, monkeypatch, capsys):
    folder = made.save(tmp_path / "adapter")
    (snippet,) = re.findall(r"^  ```python\n(.*?)  ```", (folder / CARD).read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("core.models.language_model.load_model", lambda *_, **__: lm)
    monkeypatch.setattr("core.tasks.load.load_task", lambda _: answer_task())
    exec(textwrap.dedent(snippet), {})
    assert capsys.readouterr().out.strip() == repr(made.scores)
