"""Counting formulas against known numbers, and against the modules themselves."""

import re

import pytest
from peft import LoraConfig, get_peft_model
from tiny_models import ARCHITECTURES, answer_task
from torch import nn
from transformers import AutoModelForCausalLM

from core.finetuning.parameters import adapter_parameters, lora_parameters, spectrum
from core.methods import METHODS
from core.models.sizes import Shape
from core.recipe import Recipe
from core.training.start import create

ENCODED = [name for name, method in METHODS.items() if "mlp" in method.settings]
CASES = [*((name, 0) for name, method in METHODS.items() if not method.defaults["mlp"]), *((name, 5) for name in ENCODED)]
TEXTBOOK = Shape(d_model=4096, layers=32, heads=32, kv_heads=32, head_dim=128, parameters=6_738_415_616)


def test_the_known_table():
    assert [METHODS["prompt"].parameter_count(TEXTBOOK, tokens) for tokens in (10, 20, 50, 100)] == [40_960, 81_920, 204_800, 409_600]
    assert METHODS["prefix"].parameter_count(TEXTBOOK, 10) == 2_621_440
    assert lora_parameters(TEXTBOOK, 8) == 4_194_304


def test_the_spectrum_is_in_order_and_says_how_it_counts():
    found = [size.method for size in spectrum(TEXTBOOK, 20, 8, 64, mlp=512)]
    assert found[:3] == ["soft prompt", "K/V prefix", "K/V prefix, MLP of 512"]
    assert found[-3:] == ["LoRA, rank 8", "adapters of 64", "full fine-tuning"]
    plain = spectrum(TEXTBOOK, 10, 8, 64)
    assert [size.parameters for size in plain] == sorted(size.parameters for size in plain)
    assert plain[-1].parameters == TEXTBOOK.parameters and plain[0].counted == "10 × 4,096"


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("method, mlp", CASES)
def test_a_method_counts_what_its_prefix_holds(tiny, arch, method, mlp):
    lm = tiny(arch)
    assert lm.shape.parameters == sum(parameter.numel() for parameter in lm.model.parameters())
    made = create(lm, answer_task(), Recipe(virtual_tokens=7, method=method, mlp=mlp))
    assert METHODS[method].parameter_count(lm.shape, 7, mlp) == made.parameter_count()
    assert METHODS[method].shape(lm.shape, 7) == made.array().shape
    counted = METHODS[method].counted(lm.shape, 7, mlp).replace("×", "*").replace(",", "")
    assert eval(re.sub("[^0-9*+()]", "", counted)) == made.parameter_count()


@pytest.mark.parametrize("arch", ["llama", "qwen3"])
def test_lora_is_counted_as_peft_makes_it(tiny, arch):
    lm = tiny(arch)
    fresh = AutoModelForCausalLM.from_config(lm.model.config)
    adapted = get_peft_model(fresh, LoraConfig(task_type="CAUSAL_LM", r=6, target_modules=["q_proj", "v_proj"]))
    assert lora_parameters(lm.shape, 6) == adapted.get_nb_trainable_parameters()[0]


def test_adapters_are_two_bottlenecks_a_layer():
    one = nn.Sequential(nn.Linear(32, 6), nn.ReLU(), nn.Linear(6, 32))
    shape = Shape(d_model=32, layers=3, heads=4, kv_heads=2, head_dim=8, parameters=0)
    assert adapter_parameters(shape, 6) == 3 * 2 * sum(parameter.numel() for parameter in one.parameters())
