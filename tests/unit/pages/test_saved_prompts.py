"""Saved prompts on the page: one of several in a file is chosen by its name, and a run goes on from any of them."""

import asyncio
import zipfile

import gradio as gr
import pytest
from tiny_models import answer_task, random_prefix

from app.pages.inspect import SEVERAL, InspectPage
from app.pages.train import TrainPage
from app.sessions.session import Session
from core.recipe import Recipe
from core.runs import saved_adapter as storage


@pytest.fixture(scope="module")
def pages(lab):
    with gr.Blocks():
        return TrainPage(lab, None), InspectPage(lab, None)


def all_of(events) -> list:
    async def collect():
        return [changes async for changes in events]

    return asyncio.run(collect())


def packed(lm, path, *kinds: str) -> str:
    task = answer_task()
    with zipfile.ZipFile(path, "w") as archive:
        for kind in kinds:
            record = storage.record_of(lm, task, Recipe(method=kind, virtual_tokens=3), task.template)
            for name, data in storage.to_files(lm, random_prefix(lm, kind, 3), record).items():
                archive.writestr(f"runs/{kind}/{name}", data)
    return str(path)


def test_one_of_several_prompts_in_a_file_is_chosen_by_name(lab, pages, tmp_path):
    _, inspect = pages
    session, path = Session(task=answer_task()), packed(lab.engine.lm, tmp_path / "two.zip", "prompt", "prefix")
    last = all_of(inspect._load(session, path))[-1]
    assert SEVERAL in last[inspect.message] and last[inspect.which]["choices"] == ["runs/prompt", "runs/prefix"] and not session.runs
    all_of(inspect._load(session, path, "runs/prefix"))
    assert [run.record.kind for run in session.runs] == ["prefix"]
    assert SEVERAL in all_of(inspect._load(session, path, {"no": "name"}))[-1][inspect.message]
    all_of(inspect._load(session, packed(lab.engine.lm, tmp_path / "one.zip", "prompt")))
    assert [run.record.kind for run in session.runs] == ["prefix", "prompt"] and not session.inspect.several


def test_a_run_goes_on_from_a_loaded_prompt_and_from_a_run(lab, pages, tmp_path):
    train, inspect = pages
    session = Session(task=answer_task())
    values = [control.value for control in train.controls.values()]
    assert "no prompt of yours" in all_of(train._go_on(session, *values))[-1][train.message]
    all_of(inspect._load(session, packed(lab.engine.lm, tmp_path / "one.zip", "prefix")))
    names = list(train.controls)
    values[names.index("steps")], values[names.index("batch_size")] = 2, 4
    for _ in range(2):  # from the file, then from the run that went on from it
        before = session.shown
        assert train.paint(session)[train.go_on]["visible"]
        all_of(train._go_on(session, *values))
        run = session.shown
        assert run is not before and run.record.finished and run.recipe.init_from == before.name
        assert (run.recipe.method, run.recipe.virtual_tokens) == ("prefix", 3)
        assert (run.record.vectors[0] == before.record.final_vectors()).all()
