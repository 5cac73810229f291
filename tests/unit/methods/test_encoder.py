"""The encoder: what it adds to a soft prompt, and what it leaves as it is."""

import pytest
import torch
from tiny_models import answer_task

from core.errors import LabError
from core.methods import METHODS
from core.recipe import Recipe
from core.training.start import create
from core.training.training import Training

ENCODER = METHODS["encoder"]


@pytest.mark.parametrize("init", ["random", "vocab", "labels"])
def test_training_starts_where_a_plain_soft_prompt_starts(tiny, init):
    lm = tiny("gemma3")  # whose embedding module scales
    plain, encoded = (create(lm, answer_task(), Recipe(method=method, init=init)) for method in ("prompt", "encoder"))
    assert torch.equal(plain.array(), encoded.array())


def test_it_computes_the_residual_mlp():
    generator = torch.Generator().manual_seed(0)
    vectors, up, down = (torch.randn(*shape, generator=generator) for shape in ((2, 4), (3, 4), (4, 3)))
    made = ENCODER.array({"vectors": vectors, "up_weight": up, "up_bias": torch.ones(3), "down_weight": down, "down_bias": torch.ones(4)})
    scaled = torch.stack([row / row.std() for row in vectors])
    wanted = torch.stack([row + down @ torch.clamp(up @ unit + 1, min=0) + 1 for row, unit in zip(vectors, scaled, strict=True)])
    assert torch.allclose(made, wanted, atol=1e-6)


def test_one_change_of_the_mlp_moves_all_vectors(tiny):
    lm = tiny("llama")
    training = Training(lm, answer_task(), Recipe(method="encoder", mlp=8, virtual_tokens=4, steps=2))
    before = training.prefix.snapshot()
    with torch.no_grad():
        dict(training.prefix.named_parameters())["down_bias"][0] += 1
    moved = training.prefix.snapshot() - before
    assert (moved[:, 0] == pytest.approx(1)) and not moved[:, 1:].any()


def test_it_needs_an_mlp_and_a_plain_soft_prompt_has_none(tiny):
    assert ENCODER.parameter_count(tiny("llama").shape, 10, 8) == 10 * 32 + 8 * 32 + 8 + 32 * 8 + 32
    with pytest.raises(LabError, match="needs an MLP: set the MLP size to 1 or more"):
        Recipe(method="encoder", mlp=0)
    with pytest.raises(LabError, match=r"a soft prompt has no such setting: .* or soft prompt with an encoder"):
        Recipe(method="prompt", mlp=8)
    assert Recipe().but(method="encoder").mlp == 128 and Recipe(method="encoder").but(method="prompt").mlp == 0
