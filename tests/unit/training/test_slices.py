"""Training and scoring in slices, in a process that is forked for each: the same numbers, and only plain data on the way."""

import contextvars

import numpy as np
import pytest
import torch
from forking import Forked, plain_bytes
from timed_engine import until
from tiny_models import answer_task, label_task, make

from core.engine import Engine
from core.errors import LabError
from core.events import Step
from core.models.language_model import hash_weights
from core.recipe import Recipe
from core.runs.contest import Scored
from core.runs.run import Finished, repeat, run
from core.runs.scorebook import Scorebook
from core.scoring.contender import bare
from core.training.slices import MOST_SECONDS, MOST_STEPS, ScoringSlice, TrainingSlice, advance
from core.training.training import StepEvent, Training

METHODS = {
    "prompt": Recipe(steps=13, batch_size=4, virtual_tokens=4),
    "K/V prefix": Recipe(method="prefix", steps=13, batch_size=4, virtual_tokens=3),
    "MLP": Recipe(method="prefix", mlp=8, steps=13, batch_size=4, virtual_tokens=3),
    "pulled": Recipe(steps=13, batch_size=4, virtual_tokens=3, init="text", init_text="red and", pull_text="red and", pull=1.0),
    "diverging": Recipe(steps=13, batch_size=4, virtual_tokens=2, learning_rate=10.0, warmup=0),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny matrices gain nothing from two, and a busy machine makes them wait for each other at every step."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def lm():
    return make("llama")


def forked(lm):
    lm.device_process = Forked(lm)
    return lm


def everything(lm, task, recipe):
    """All steps and held-out scores of a run, and its end."""
    events = list(run(lm, task, recipe))
    steps = [event for event in events if isinstance(event, StepEvent)]
    scores = {event.score.name: event.score for event in events if isinstance(event, Scored) and event.part == "held_out" and event.final}
    return steps, scores, events[-1]


@pytest.mark.parametrize("method", METHODS)
def test_slices_give_the_same_vectors_and_scores_bit_for_bit(method, lm):
    recipe = METHODS[method]
    task = label_task() if method in ("K/V prefix", "pulled") else answer_task()
    here = everything(make("llama"), task, recipe)
    there = everything(forked(lm), task, recipe)
    assert [event.step for event in there[0]] == list(range(1, len(here[0]) + 1))
    for mine, other in zip(here[0], there[0], strict=True):
        assert np.array_equal(mine.vectors, other.vectors)
        for name in ("loss", "gradient_norm", "learning_rate", "stopped"):
            assert getattr(mine, name) == getattr(other, name)
    assert here[1] == there[1]  # every row's result with it
    assert isinstance(there[2], Finished) and there[2].stopped == here[2].stopped
    for name, tensor in here[2].state.tensors.items():
        assert np.array_equal(tensor.numpy(), there[2].state.tensors[name].numpy())
    assert sum(isinstance(work, TrainingSlice) for work in lm.device_process.done) == -(-len(here[0]) // MOST_STEPS)


def test_going_backward_happens_on_the_other_side_and_changes_nothing_here(lm):
    before = hash_weights(lm.model)
    training = Training(forked(lm), answer_task(), METHODS["prompt"])
    start = training.start()
    events, state = advance(training, start)
    assert len(events) == MOST_STEPS and state.step == MOST_STEPS and start.step == 0
    assert all(parameter.grad is None for parameter in training.prefix.parameters())
    assert np.array_equal(training.prefix.snapshot(), events[-1].vectors)
    assert hash_weights(lm.model) == before


def test_a_repeated_run_goes_there_too_and_an_error_comes_back_as_its_sentence(lm):
    events = list(repeat(forked(lm), answer_task(), METHODS["prompt"], "again"))
    assert len(events) == 14 and len(lm.device_process.done) == 2
    task = answer_task(template="{input} " + "and on " * 200)
    with pytest.raises(LabError, match="positions"):
        list(Scorebook().score(lm, bare(task), task.held_out, None))
    assert isinstance(lm.device_process.done[2], ScoringSlice)


def first_slice(lm, recipe):
    """What is asked for first."""
    asked = []
    lm.device_process = lambda work: asked.append(work) or ([], work.state)
    training = Training(lm, answer_task(), recipe)
    advance(training, training.start())
    return asked[0]


def test_the_seconds_asked_for_follow_the_recipe_and_are_never_too_many(lm):
    small, large = (first_slice(lm, Recipe(batch_size=size)) for size in (4, 256))
    assert small.steps == large.steps == MOST_STEPS and small.seconds <= large.seconds <= MOST_SECONDS
    assert first_slice(lm, Recipe(steps=2)).steps == 2
    lm.model.num_parameters = lambda: 8_000_000_000
    slower = first_slice(lm, Recipe(batch_size=256))
    assert 1 <= slower.steps < MOST_STEPS and small.seconds < slower.seconds <= MOST_SECONDS


def test_the_stand_in_lets_no_tensor_and_no_module_cross(lm):
    training = Training(lm, answer_task(), METHODS["prompt"])
    for thing in (training.start(), training.contender(), training.prefix.vectors):
        with pytest.raises(AssertionError, match="may not cross"):
            plain_bytes(thing)


visitor: contextvars.ContextVar[str] = contextvars.ContextVar("visitor", default="none")


def test_a_jobs_pieces_see_the_context_of_the_latest_request_and_idle_jobs_none():
    seen = []

    def job(lm, ticket):
        for _ in range(2):
            seen.append(visitor.get())
            yield None

    engine = Engine(lambda: make("llama"))
    visitor.set("ada")
    first = engine.submit("a", job)
    until(lambda: first.over)
    idle = engine.submit("lines", job, idle=True)
    until(lambda: idle.over)
    assert seen == ["ada", "ada", "none", "none"]
    seen.clear()

    def training(lm, ticket):
        for event in run(lm, answer_task(), Recipe(steps=3, batch_size=4, virtual_tokens=2)):
            if isinstance(event, StepEvent):
                seen.append(visitor.get())
            yield event

    ticket = engine.submit("a", training, steps=1)
    until(lambda: ticket.status == "paused" and not ticket.working)
    visitor.set("bob")
    engine.resume(ticket)
    until(lambda: ticket.over)
    assert seen == ["ada", "bob", "bob"]
    assert visitor not in ticket._context  # a job that is over keeps no request


def test_in_the_engine_a_run_by_slices_shows_every_step_and_ends_like_any_other():
    engine = Engine(lambda: forked(make("llama")))
    ticket = engine.submit("a", lambda lm, ticket: run(lm, answer_task(), METHODS["prompt"], stopping=ticket.stopping.is_set))
    until(lambda: ticket.over)
    assert ticket.status == "done" and [event.number for event in ticket.events if isinstance(event, Step)] == list(range(1, 14))
    assert engine.status()["device"] == "a forked process"
