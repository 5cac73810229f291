"""The default model's weights in other architectures: the same losses and gradients, and two of them as the models of one page.

These are the only other real models that can be made without a network.
"""

import asyncio
from dataclasses import replace

import gradio as gr
import pytest
import torch
from plain import relative_error
from same_weights import ARCHITECTURES, save_as
from timed_engine import until

from app.pages.train import TrainPage
from app.sessions.contest import known_scores, learned_runs
from app.sessions.contest_jobs import score
from app.sessions.lab import Lab
from app.sessions.session import Session
from core.models.language_model import load_model
from core.recipe import Recipe
from core.runs.contest import baselines
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.tasks.load import load_task
from core.training.start import create

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("real-models")
    return {kind: save_as(kind, place / f"smollm2-as-{kind}") for kind in ARCHITECTURES}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_loss_and_gradient_are_those_of_the_same_weights_in_another_architecture(real, folders, kind):
    lm, task = load_model(str(folders[kind]), "cpu", "float32"), load_task("past-tense")
    assert type(lm.model).__name__.lower().startswith(kind) and lm.shape.layers == real.shape.layers
    for method in ("prompt", "prefix"):
        found = []
        for one in (real, lm):
            prefix = create(one, task, Recipe(task=task.slug, method=method, virtual_tokens=10))
            prepared = prepare(one, Contender("x", method, "The past tense of the verb {input} is", prefix), task.train[:4], None)
            loss = answer_loss(one, prepared.fill(one), prepared.rows)
            (parameter,) = prefix.parameters()
            found.append((loss, torch.autograd.grad(loss, parameter)[0]))
        (here, ours), (there, theirs) = found
        assert here.item() == pytest.approx(there.item(), abs=1e-4) and relative_error(ours, theirs) < 1e-4


def test_two_real_models_on_one_page_keep_their_runs_and_scores_apart(folders, monkeypatch):
    monkeypatch.setattr("timed_engine.PATIENCE", 900.0)  # seconds; both models are loaded, and their vocabularies read
    names = [str(folder) for folder in folders.values()]
    others = {names[1]: lambda: load_model(names[1], "cpu", "float32")}
    lab = Lab(lambda: load_model(names[0], "cpu", "float32"), names[0], "float32", others)
    until(lambda: lab.engine.lm is not None)
    with gr.Blocks():
        page = TrainPage(lab, None)
    task = load_task("past-tense")
    few = {"held_out": task.held_out[:6], "validation": task.validation[:4], "handcrafted": task.handcrafted[:1]}
    session = Session(task=replace(task, slug="a few words", **few))  # of a built-in task's name, all prompts would be scored meanwhile

    def train():
        run = lab.start(session, Recipe(task="a few words", steps=3, batch_size=4, virtual_tokens=3))
        until(lambda: run.ticket.over)
        assert run.status == "done", run.ticket.message
        return run

    first = train()
    page.pick_model(session, 1)
    assert session.shown is None and known_scores(session) == {}
    second = train()
    assert learned_runs(session) == [second]
    assert (first.record.base["name"], second.record.base["name"]) == tuple(names)
    assert second.record.losses == pytest.approx(first.record.losses, abs=1e-3)  # the same maths under another name

    async def compare():
        async for _ in score(lab, session, lambda lm: baselines(session.task)[:1]):
            pass

    asyncio.run(compare())
    assert first.name not in known_scores(session) and second.name in known_scores(session)
    page.pick_model(session, 0)
    assert learned_runs(session) == [first]
    assert [lab.engine.loaded(name) is not None for name in lab.models] == [False, True]  # one at a time
