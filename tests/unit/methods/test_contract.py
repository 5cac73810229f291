"""What every method promises, asked of each one that `core.methods` finds."""

import numpy as np
import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from plain import peft_loss
from tiny_models import EXAMPLES, answer_task
from transformers import AutoModelForCausalLM

from core.methods import METHODS
from core.models.language_model import load_model
from core.prefix import prefix_of
from core.recipe import SETTINGS, Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode
from core.training.start import create
from core.training.training import Training

EACH = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
COUNT = 4
TEMPLATE = "Word: {input} is"


def recipe_of(method, **settings):
    mlp = {"mlp": 5} if "mlp" in method.settings else {}
    return Recipe(**({"method": method.name, "virtual_tokens": COUNT, "steps": 30, "batch_size": 6} | mlp | settings))


@EACH
def test_it_says_what_it_is(method):
    assert method.label and method.about and method.paper and method.peft_type
    assert method.defaults.keys() >= {"learning_rate", "mlp"} and method.defaults.keys() <= SETTINGS.keys()
    assert method.settings <= SETTINGS.keys() and set(method.starts) <= set(SETTINGS["init"].choices)
    assert str(COUNT) in method.described(COUNT)


@EACH
@pytest.mark.parametrize("count", [2, 7, 20])
def test_a_start_from_a_text_is_that_text_repeated_or_cut(tiny, method, count):
    lm, recipe = tiny("llama"), recipe_of(method, init="text", init_text="the quick brown fox", virtual_tokens=count)
    made = create(lm, answer_task(), recipe)
    wanted = (lm.tokenise(recipe.init_text) * count)[:count]
    assert torch.equal(made.array(), method.of_tokens(lm, wanted))
    assert made.array().shape == method.shape(lm.shape, count) and made.virtual_tokens == count


@EACH
@pytest.mark.parametrize("init", ["random", "vocab"])
def test_a_start_depends_on_its_seed_alone(tiny, method, init):
    lm, recipe = tiny("llama"), recipe_of(method, init=init)
    first, again, other = (create(lm, answer_task(), one).snapshot() for one in (recipe, recipe, recipe.but(seed=1)))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@EACH
def test_it_learns_and_every_parameter_takes_part(tiny, method):
    training = Training(tiny("llama"), answer_task(), recipe_of(method, learning_rate=0.05))
    start = training.start()
    events, state = training.advance(start, 30)
    assert np.mean([event.loss for event in events[-5:]]) < 0.8 * events[0].loss
    assert all(not torch.equal(state.tensors[name], start.tensors[name]) for name in start.tensors)
    fixed = dict(training.prefix.named_buffers())
    assert not fixed or all(not value.requires_grad for value in fixed.values())


@EACH
def test_its_array_is_all_that_a_prompt_needs(tiny, method):
    lm, task = tiny("qwen3"), answer_task()
    training = Training(lm, task, recipe_of(method, learning_rate=0.05))
    _, state = training.advance(training.start(), 5)
    prefix = training.show(state)
    stored = prefix_of(method, prefix.snapshot())
    assert loss_of(lm, prefix) == pytest.approx(loss_of(lm, stored), abs=1e-5)
    rows = method.to_rows(prefix.snapshot())
    assert len(rows) == COUNT and np.array_equal(method.from_rows(rows, lm.shape), prefix.snapshot())
    assert len(method.part(prefix.snapshot())) == COUNT


def loss_of(lm, prefix):
    prepared = prepare(lm, Contender("x", prefix.kind, TEMPLATE, prefix), EXAMPLES, None)
    return answer_loss(lm, prepared.fill(lm), prepared.rows).item()


@EACH
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_peft_loads_it_and_computes_the_same_loss(tiny_folder, tmp_path, method):
    lm, task = load_model(tiny_folder, "cpu", "float32"), answer_task()
    training = Training(lm, task, recipe_of(method, learning_rate=0.05))
    _, state = training.advance(training.start(), 5)
    prefix = training.show(state)
    record = storage.record_of(lm, task, training.recipe, TEMPLATE)
    folder = adapter_files.save(tmp_path / "saved", storage.to_files(lm, prefix, record))

    loaded = storage.load(folder, lm)
    assert loaded.prefix.method is method and np.array_equal(loaded.prefix.snapshot(), prefix.snapshot())
    ours = loss_of(lm, loaded.prefix)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder)
    for model in (PeftModel.from_pretrained(base, folder), AutoPeftModelForCausalLM.from_pretrained(folder)):  # the second finds its base
        theirs = peft_loss(lm, model.eval(), encode(lm, TEMPLATE, EXAMPLES, None))
        assert ours == pytest.approx(theirs.item(), abs=1e-5)


def test_names_and_orders_are_unique():
    assert len({method.order for method in METHODS.values()}) == len({method.label for method in METHODS.values()}) == len(METHODS)
