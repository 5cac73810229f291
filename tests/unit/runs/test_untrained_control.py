"""The untrained control: the shared model stays as it is, the other one is drawn by its seed, scored on its own, and gone afterwards."""

import gc
import weakref

import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, label_task, make

from core.errors import LabError
from core.models.language_model import hash_weights
from core.models.untrained import bytes_untrained, untrained
from core.recipe import Recipe
from core.runs import untrained_control
from core.runs.contest import Scored
from core.runs.untrained_control import on_random_weights
from core.scoring.score import score
from core.training.training import StepEvent, Training

CPU = torch.device("cpu")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_random_weights_are_drawn_by_the_seed_and_the_model_keeps_its_own(tiny, arch):
    lm = tiny(arch)
    before, state = hash_weights(lm.model), torch.random.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        with untrained(lm, seed) as fresh:
            assert fresh.shape == lm.shape and fresh.way == lm.way and fresh.dtype == lm.dtype
            assert not any(parameter.requires_grad for parameter in fresh.model.parameters())
            drawn.append(hash_weights(fresh.model))
    assert drawn[0] == drawn[1] != drawn[2] and before not in drawn and hash_weights(lm.model) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_in_a_smaller_format_both_copies_are_gone_at_the_end():
    lm = make("llama").to(CPU, torch.bfloat16)
    assert bytes_untrained(lm) == lm.shape.parameters * 6
    with untrained(lm, 0) as fresh:
        assert fresh.dtype == torch.bfloat16 and fresh.for_scoring.dtype == torch.float32
        kept = [fresh, fresh.for_scoring]
        held = [weakref.ref(parameter) for one in kept for parameter in one.model.parameters()]
        assert all(one() is not None for one in held)
    gc.collect()
    assert not any(one() for one in held) and all(parameter.is_meta for one in kept for parameter in one.model.parameters())


@pytest.mark.parametrize("task", [answer_task(), label_task()], ids=["answers", "labels"])
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_run_on_random_weights_is_trained_and_scored_on_them(tiny, task, method):
    lm, recipe = tiny("llama"), Recipe(method=method, virtual_tokens=3, steps=4, seed=2)
    before = hash_weights(lm.model)
    *steps, last = on_random_weights(lm, task, recipe, "control")
    assert isinstance(last, Scored) and last.part == "held_out" and last.final and last.score.name == "control"
    assert [event.step for event in steps if isinstance(event, StepEvent)] == [1, 2, 3, 4] and hash_weights(lm.model) == before
    with untrained(lm, recipe.seed) as fresh:
        training = Training(fresh, task, recipe)
        _, state = training.advance(training.start(), 4)
        training.show(state)
        wanted = score(fresh, training.contender(), task.held_out, task.labels)
    losses = [row.loss for row in last.score.results]
    assert losses == [row.loss for row in wanted.results]
    assert losses != [row.loss for row in score(lm, training.contender(), task.held_out, task.labels).results]


def test_a_run_that_is_closed_leaves_no_model(tiny, monkeypatch):
    made = []
    whole = untrained_control.repeat

    def repeat(lm, *more):
        made.append(lm)
        return whole(lm, *more)

    monkeypatch.setattr(untrained_control, "repeat", repeat)
    run = on_random_weights(tiny("llama"), answer_task(), Recipe(virtual_tokens=3, steps=4), "control")
    assert next(run).step == 1 and not next(made[0].model.parameters()).is_meta
    run.close()
    assert all(parameter.is_meta for parameter in made[0].model.parameters())


def test_it_is_refused_where_memory_is_short_and_where_it_would_mean_nothing(tiny, monkeypatch):
    lm, task = tiny("llama"), answer_task()
    teacher = Recipe(loss="imitate", teacher="Word: {input} gives")
    with pytest.raises(LabError, match="imitates what the trained model predicts"):
        next(on_random_weights(lm, task, teacher, "control"))
    monkeypatch.setattr("core.training.memory.available", lambda device: 1000)
    with pytest.raises(LabError, match=r"would need about .* of memory \(.* for the weights\), and 1 kB are free"):
        next(on_random_weights(lm, task, Recipe(), "control"))
    elsewhere = make("llama")
    elsewhere.device_process = lambda work: None
    with pytest.raises(LabError, match="Another process trains here"):
        next(on_random_weights(elsewhere, task, Recipe(), "control"))
