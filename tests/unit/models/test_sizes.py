"""Counting formulas against known numbers, and against the modules themselves."""

import pytest
from peft import LoraConfig, get_peft_model
from tiny_models import ARCHITECTURES, answer_task
from torch import nn
from transformers import AutoModelForCausalLM

from core.methods.prefix import create
from core.models.sizes import (
    Shape,
    adapter_parameters,
    lora_parameters,
    mlp_parameters,
    prefix_parameters,
    prompt_parameters,
    shape_of,
    spectrum,
)
from core.recipe import Recipe

TEXTBOOK = Shape(d_model=4096, layers=32, heads=32, kv_heads=32, head_dim=128, parameters=6_738_415_616)


def test_the_known_table():
    assert [prompt_parameters(TEXTBOOK, tokens) for tokens in (10, 20, 50, 100)] == [40_960, 81_920, 204_800, 409_600]
    assert prefix_parameters(TEXTBOOK, 10) == 2_621_440
    assert lora_parameters(TEXTBOOK, 8) == 4_194_304


def test_the_spectrum_is_in_order_and_says_how_it_counts():
    found = spectrum(TEXTBOOK, 20, 8, 64, hidden=512)
    assert [size.method for size in found] == [
        "soft prompt", "K/V prefix", "K/V prefix while an MLP of 512 makes it", "LoRA, rank 8", "adapters of 64", "full fine-tuning",
    ]  # fmt: skip
    plain = [size.parameters for size in spectrum(TEXTBOOK, 10, 8, 64)]
    assert plain == sorted(plain) and plain[-1] == TEXTBOOK.parameters
    assert found[0].sum == "20 × 4,096"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_formulas_count_what_the_modules_hold(tiny, arch):
    lm, task = tiny(arch), answer_task()
    shape = shape_of(lm)
    assert shape.parameters == sum(parameter.numel() for parameter in lm.model.parameters())

    def real(**settings):
        return create(lm, task, Recipe(virtual_tokens=7, **settings)).parameter_count()

    assert prompt_parameters(shape, 7) == real()
    assert prefix_parameters(shape, 7) == real(method="prefix")
    assert mlp_parameters(shape, 7, 5) == real(method="prefix", mlp=5)


@pytest.mark.parametrize("arch", ["llama", "qwen3"])
def test_lora_is_counted_as_peft_makes_it(tiny, arch):
    lm = tiny(arch)
    fresh = AutoModelForCausalLM.from_config(lm.model.config)
    adapted = get_peft_model(fresh, LoraConfig(task_type="CAUSAL_LM", r=6, target_modules=["q_proj", "v_proj"]))
    assert lora_parameters(shape_of(lm), 6) == adapted.get_nb_trainable_parameters()[0]


def test_adapters_are_two_bottlenecks_a_layer():
    one = nn.Sequential(nn.Linear(32, 6), nn.ReLU(), nn.Linear(6, 32))
    shape = Shape(d_model=32, layers=3, heads=4, kv_heads=2, head_dim=8, parameters=0)
    assert adapter_parameters(shape, 6) == 3 * 2 * sum(parameter.numel() for parameter in one.parameters())
