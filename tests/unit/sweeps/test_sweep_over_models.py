"""A sweep over models: each run is made with its own, and the results stand side by side."""

import pytest
from tiny_models import answer_task, make

import core
from core.errors import LabError
from core.recipe import Recipe
from core.sweeps.estimate import estimate
from core.sweeps.grid import Grid
from core.sweeps.journal import Journal
from core.sweeps.result import head_of

TINY = Recipe(steps=2, batch_size=4, virtual_tokens=2)
VARY = {"model": ("here/llama", "C:\\there\\gpt2"), "method": ("prompt", "prefix")}


@pytest.fixture(scope="module")
def models():
    return dict(zip(VARY["model"], (make("llama"), make("gpt2")), strict=True))


def swept(models, vary=VARY, **more):
    first = next(iter(models.values()))
    return core.sweep(first, answer_task(), TINY, vary=vary, seeds=1, progress=False, models=models, **more)


def test_each_run_is_the_one_that_its_model_makes_alone(models):
    found = swept(models)
    assert [cell.cell.words for cell in found.cells()][::3] == ["model llama, method soft prompt", "model gpt2, method K/V prefix"]
    for name, lm in models.items():
        alone = core.sweep(lm, answer_task(), TINY, vary={"method": VARY["method"]}, seeds=1, progress=False)
        ours = [run for run in found.runs if run.settings["model"] == name]
        assert [run.losses for run in ours] == [run.losses for run in alone.runs]
        assert [run.parameters for run in ours] == [run.parameters for run in alone.runs]
        assert alone.baselines["no prompt"].held_out.loss in [one.held_out.loss for one in found.baselines.values()]
    assert {"no prompt (model llama)", "no prompt (model gpt2)"} <= set(found.baselines)
    assert found.best is not None and "model" in found.best.values


def test_it_goes_on_where_it_was_interrupted_and_with_the_same_models_alone(models, tmp_path):
    whole = swept(models, out=tmp_path)
    assert swept(models, out=tmp_path) == whole
    first, second = models
    swapped = {first: models[second], second: models[first]}
    grid = Grid(TINY, VARY, 1)
    with pytest.raises(LabError, match="another model"):
        Journal(tmp_path, head_of(models[first], answer_task(), grid, swapped))


def test_what_it_costs_is_measured_on_each_model(models):
    found = estimate(models["here/llama"], answer_task(), Grid(TINY, VARY, 2), models=models)
    assert found.runs == 8 and all(one.seconds > 0 and not one.problem for one in found.cells) and found.seconds > 0
    counts = [one.parameters for one in found.cells]
    assert counts == [run.parameters for run in swept(models).runs]


def test_a_model_that_is_not_loaded_is_named(models):
    with pytest.raises(LabError, match=r"The model 'nope' is not loaded: load it first, or choose among those that are \(llama, gpt2\)"):
        swept(models, {"model": ("here/llama", "nope")})
