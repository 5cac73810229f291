"""Keys alone or values alone: the frozen part stays as it is to the byte, and the other learns as it does when both are trained."""

import re

import numpy as np
import pytest
from tiny_models import answer_task

from core.errors import LabError
from core.methods import METHODS
from core.recipe import Recipe
from core.runs.saved_adapter import from_files
from core.runs.trained_run import train
from core.training.memory import COPIES, FLOAT, needed_for
from core.training.training import State, Training

PLACES = {"keys": 0, "values": 1}
PARTS = pytest.mark.parametrize("part", PLACES)


def training(lm, part, **settings):
    recipe = Recipe(**(dict(method="prefix", train=part, virtual_tokens=3, steps=4, weight_decay=0.1) | settings))
    return Training(lm, answer_task(), recipe)


@PARTS
@pytest.mark.parametrize("mlp", [0, 6])
@pytest.mark.parametrize("init", ["vocab", "random"])
def test_the_frozen_part_keeps_its_bytes_and_the_other_one_moves(tiny, part, mlp, init):
    run = training(tiny("llama"), part, mlp=mlp, init=init)
    before, place = run.prefix.snapshot(), PLACES[part]
    _, state = run.advance(run.start(), 2)
    _, state = run.advance(State.from_bytes(state.to_bytes()), 2)  # as after a pause
    after = run.show(state).snapshot()
    assert after[:, 1 - place].tobytes() == before[:, 1 - place].tobytes() and before[:, 1 - place].any()
    assert (after[:, place] != before[:, place]).all()


@PARTS
def test_a_part_alone_takes_the_first_step_that_it_takes_with_the_other(tiny, part):
    lm, place = tiny("gpt2"), PLACES[part]
    alone, both = (training(lm, which, warmup=0) for which in (part, "both"))
    assert np.array_equal(alone.prefix.snapshot(), both.prefix.snapshot())
    for run in (alone, both):
        run.advance(run.start(), 1)
    assert np.array_equal(alone.prefix.snapshot()[:, place], both.prefix.snapshot()[:, place])


@PARTS
@pytest.mark.parametrize("mlp", [0, 6])
def test_trained_parameters_are_counted_without_the_frozen_part(tiny, part, mlp):
    lm, method = tiny("llama"), METHODS["prefix"]
    run = training(lm, part, mlp=mlp)
    count = run.prefix.parameter_count()
    assert count == method.parameter_count(lm.shape, 3, mlp, part)
    counted = method.counted(lm.shape, 3, mlp, part).replace("×", "*").replace(",", "")
    assert eval(re.sub("[^0-9*+()]", "", counted)) == count
    assert needed_for(run).parts["parameters"] == count * COPIES * FLOAT
    if not mlp:
        assert 2 * count == method.parameter_count(lm.shape, 3) == run.prefix.snapshot().size


def test_a_run_a_file_and_its_card_say_what_was_trained(tiny):
    lm = tiny("llama")
    run = train(lm, answer_task(), Recipe(method="prefix", train="values", virtual_tokens=3, steps=2))
    half = METHODS["prefix"].parameter_count(lm.shape, 3) // 2
    assert run.record.parameters == run.record.held_out["learned"].parameters == run.learned.prefix.parameter_count() == half
    files = run.files()
    loaded = from_files(files, lm, "it")
    assert loaded.prefix.parameter_count() == half and loaded.recipe.train == "values"
    assert np.array_equal(loaded.prefix.snapshot(), run.vectors)
    text = files["README.md"].decode()
    assert f"of which the values, {half:,}, were trained" in text and "Trained keys and values" not in text


def test_only_a_prefix_has_parts():
    with pytest.raises(LabError, match="trained part is keys, and a soft prompt has no such setting"):
        Recipe(train="keys")
    assert Recipe.from_dict({"method": "prefix"}).train == "both"  # as in every earlier file
