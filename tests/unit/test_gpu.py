"""The same on a GPU: run where there is one, skipped elsewhere."""

import numpy as np
import pytest
import torch
from plain import plain_loss, relative_error
from tiny_models import ARCHITECTURES, EXAMPLES, answer_task, make, random_prefix

from core.models.devices import pick_device, pick_dtype
from core.recipe import Recipe
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode
from core.scoring.score import score
from core.training.training import State, Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
CUDA = torch.device("cuda")


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_loss_and_gradient_are_the_plain_ways(arch, kind):
    lm = make(arch).to(CUDA, torch.float32)
    prefix = random_prefix(lm, kind, 19)
    (parameter,) = prefix.parameters()
    prepared = prepare(lm, Contender("x", kind, "Word: {input} gives", prefix), EXAMPLES, None)
    loss = answer_loss(lm, prepared.fill(lm), prepared.rows)
    plain = plain_loss(lm, prefix, encode(lm, "Word: {input} gives", EXAMPLES, None))
    assert loss.item() == pytest.approx(plain.item(), abs=1e-4)
    gradients = [torch.autograd.grad(value, parameter)[0] for value in (loss, plain)]
    assert relative_error(*gradients) < 1e-3


@pytest.mark.parametrize("init", ["random", "vocab"])
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_run_starts_as_on_the_cpu_and_its_state_moves_between_devices(method, init):
    recipe = Recipe(method=method, init=init, steps=6, batch_size=4, virtual_tokens=5)
    here = Training(make("llama"), answer_task(), recipe)
    there = Training(make("llama").to(CUDA, torch.float32), answer_task(), recipe)
    np.testing.assert_allclose(there.prefix.snapshot(), here.prefix.snapshot(), atol=1e-3)
    first, state = there.advance(there.start(), 3)
    assert all(value.device.type == "cpu" for value in state.tensors.values())
    whole, _ = here.advance(here.start(), 6)
    second, _ = here.advance(State.from_bytes(state.to_bytes()), 3)
    assert [event.loss for event in first + second] == pytest.approx([event.loss for event in whole], abs=1e-2)


def test_scores_are_those_of_the_cpu():
    lm = make("llama")
    contender = Contender("x", "none", "{input}", random_prefix(lm, "prompt", 5))
    expected = [result.loss for result in score(lm, contender, EXAMPLES).results]
    there = make("llama").to(CUDA, torch.bfloat16)
    found = score(there, Contender("x", "none", "{input}", contender.prefix.to(CUDA)), EXAMPLES)
    assert [result.loss for result in found.results] == pytest.approx(expected, abs=1e-2)


def test_the_gpu_is_chosen_where_there_is_one():
    assert pick_device().type == "cuda"
    assert pick_dtype(None, CUDA, 1) == torch.float32
    assert pick_dtype(None, CUDA, 10**11) == torch.bfloat16
