"""A page that offers several models: each has its own runs and scores, and a run that is chosen brings its model."""

import asyncio
from dataclasses import replace

import gradio as gr
import pytest
from timed_engine import until
from tiny_models import answer_task, make

from app.pages.experiments import ExperimentsPage, shown_sweep
from app.pages.page import _status
from app.pages.train import TrainPage
from app.sessions.contest import entrants, known_scores, label_score, learned_runs
from app.sessions.contest_jobs import score
from app.sessions.experiments import open_run, start
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_sweep import SessionSweep
from core.errors import LabError
from core.recipe import SETTINGS, Recipe
from core.runs.contest import baselines
from core.scoring.contender import DEFAULT_SCORE


@pytest.fixture(scope="module")
def lab():
    made = Lab(lambda: make("llama"), "tiny-llama", "float32", {"tiny-gpt2": lambda: make("gpt2")})
    until(lambda: made.engine.lm is not None)
    return made


@pytest.fixture(scope="module")
def page(lab):
    with gr.Blocks():
        return TrainPage(lab, None)


@pytest.fixture
def session():
    return Session(task=answer_task())


def train(lab, session):
    run = lab.start(session, Recipe(task="tiny", steps=2, batch_size=4, virtual_tokens=3))
    until(lambda: run.ticket.over)
    assert run.status == "done", run.ticket.message
    return run


def test_a_run_is_of_the_model_that_was_chosen_and_is_shown_with_it_alone(lab, page, session):
    first = train(lab, session)
    changes = page.pick_model(session, 1)
    assert changes[page.model]["value"] == 1 and session.shown is None
    assert "loaded when it is first used" in _status(lab, session.model)
    second = train(lab, session)
    assert (first.record.base["name"], second.record.base["name"]) == ("tiny-llama", "tiny-gpt2")
    assert second.recipe.model == "tiny-gpt2" and first.recipe.model == "tiny-llama"
    assert "tiny-gpt2" in _status(lab, session.model) and "layers" in _status(lab, session.model)
    assert learned_runs(session) == [second] and second.name in known_scores(session) and first.name not in known_scores(session)
    session.show(first)
    assert session.model == "" and learned_runs(session) == [first]
    assert page.paint(session)[page.model]["value"] == 0


def test_baselines_that_one_model_helped_to_make_take_no_part_with_another(lab, page, session):
    first = train(lab, session)
    made = replace(baselines(session.task)[0], name="in this model's chat")
    first.record.derived = [made]
    assert made.name in [one.name for one in entrants(session)]
    page.pick_model(session, 1)
    assert made.name not in [one.name for one in entrants(session)]
    assert label_score(session) == DEFAULT_SCORE  # no run of this model says another rule


def test_what_is_to_know_of_a_model_is_told_with_its_name(lab, monkeypatch):
    until(lambda: lab.engine.loaded(lab.models[-1]) or lab.engine.lm)
    present = next(name for name in lab.models if lab.engine.loaded(name))
    assert "notes" not in _status(lab, present)
    monkeypatch.setattr(lab.engine.loaded(present), "notes", ("An adapter <beside> it is not applied.",))
    assert "An adapter &lt;beside&gt; it is not applied." in _status(lab, present)


def test_scores_of_two_models_never_mix(lab, page, session):
    async def compare():
        async for _ in score(lab, session, lambda lm: baselines(session.task)):
            pass

    asyncio.run(compare())
    one = {name: found.loss for name, found in known_scores(session).items()}
    page.pick_model(session, 1)
    assert known_scores(session) == {}
    asyncio.run(compare())
    two = {name: found.loss for name, found in known_scores(session).items()}
    assert one.keys() == two.keys() and all(abs(one[name] - two[name]) > 1e-6 for name in one if name != "majority")
    page.pick_model(session, 0)
    assert {name: found.loss for name, found in known_scores(session).items()} == one


def test_the_model_stays_while_something_trains(lab, page, session):
    run = lab.start(session, Recipe(task="tiny", steps=9000, batch_size=4, virtual_tokens=3))
    changes = page.pick_model(session, 1)
    assert "before you change the model" in changes[page.message] and session.model == ""
    lab.engine.cancel(run.ticket)
    until(lambda: run.ticket.over)


@pytest.mark.parametrize("number", [2, -1, None, "tiny-gpt2", 0.5])
def test_a_model_that_is_not_offered_is_not_taken(page, session, number):
    page.pick_model(session, number)
    assert session.model == ""


def test_one_model_is_in_memory_at_a_time(lab, page, session):
    for number in (1, 0, 1):
        page.pick_model(session, number)
        train(lab, session)
        assert [lab.engine.loaded(name) is not None for name in lab.models] == [number == 0, number == 1]
    assert len(lab._vocabularies) == 1


def test_an_experiment_compares_the_models_in_memory_and_opens_the_run_of_either(session):
    both = Lab(lambda: make("llama"), "owner/tiny-llama", "float32", {"tiny-gpt2": lambda: make("gpt2")}, keep=2)
    until(lambda: both.engine.lm is not None)
    with gr.Blocks():
        train_page = TrainPage(both, None)
        page = ExperimentsPage(both)
        page.train, page.tabs = train_page, gr.Tabs()
    values = [SETTINGS[name].default_for("prompt") for name in train_page.controls]

    def grid(text):
        return page._grid(session, ["model", "nothing", text, "", "1", "2", *values])

    session.experiments.question = ""
    assert page._suggest(0, "model")[page.values[0]]["value"] == "tiny-llama"
    with pytest.raises(LabError, match="The model 'tiny-gpt2' is not loaded"):
        grid("tiny-llama, tiny-gpt2")
    with pytest.raises(LabError, match="This server has no model 'gpt3': choose among tiny-llama, tiny-gpt2"):
        grid("gpt3, tiny-llama")
    ticket = both.submit(session, lambda lm, ticket: iter(()), model="tiny-gpt2")
    until(lambda: ticket.over)
    sweep = SessionSweep(session.task, grid("tiny-llama, tiny-gpt2"), "", "")
    start(both, session, sweep)
    until(lambda: sweep.ticket.over)
    assert sweep.ticket.status == "done", sweep.ticket.message
    session.experiments.sweeps[""] = sweep
    assert "model tiny-gpt2" in page.paint_live(session)[page.table]
    open_run(both, session, sweep, list(sweep.opened)[1])
    assert session.model == "tiny-gpt2" and session.shown.record.base["name"] == "tiny-gpt2"
    assert shown_sweep(session) is sweep, "it stays on the page with either model"
    open_run(both, session, sweep, next(iter(sweep.opened)))
    assert session.model == "" and session.shown.record.base["name"] == "tiny-llama"
