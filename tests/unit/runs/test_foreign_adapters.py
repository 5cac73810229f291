"""Adapters that PEFT itself made, of every kind of prompt, on several architectures: each scores here as there, or is refused."""

import json
import os
import shutil
from pathlib import Path

import peft
import pytest
import safetensors.torch
import torch
from plain import peft_loss
from tiny_models import EXAMPLES, make
from transformers import AutoModelForCausalLM

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.weights import ADAPTER_CONFIG
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_config import base_of, same_base
from core.runs.adapter_files import WEIGHTS
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
COUNT = 5
TEMPLATE = "Say {input}:"
CAUSAL = {"task_type": "CAUSAL_LM", "num_virtual_tokens": COUNT}
CONFIGS = {
    "prompt": lambda: peft.PromptTuningConfig(**CAUSAL),
    "prefix": lambda: peft.PrefixTuningConfig(**CAUSAL),
    "P-tuning, MLP": lambda: peft.PromptEncoderConfig(**CAUSAL, encoder_hidden_size=12),
    "P-tuning, LSTM": lambda: peft.PromptEncoderConfig(
        **CAUSAL, encoder_hidden_size=12, encoder_reparameterization_type="LSTM", encoder_num_layers=2
    ),
    "projected prefix": lambda: peft.PrefixTuningConfig(**CAUSAL, prefix_projection=True, encoder_hidden_size=12),
    "Cartridge": lambda: peft.CartridgeConfig(**CAUSAL, num_frozen_tokens=2),
    "context-aware": lambda: peft.CPTConfig(
        **CAUSAL, cpt_token_ids=[5, 6, 7, 8, 9], cpt_mask=[1] * COUNT, cpt_tokens_type_mask=[1, 2, 3, 4, 5]
    ),
}


def theirs(lm: LanguageModel, kind: str, folder) -> peft.PeftModel:
    """An adapter of PEFT's on `lm`'s model with random numbers in it, saved in `folder`."""
    base = AutoModelForCausalLM.from_config(lm.model.config, dtype=torch.float32)
    base.load_state_dict(lm.model.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = peft.get_peft_model(base, CONFIGS[kind]()).eval()
        for name, parameter in model.named_parameters():
            if "prompt_encoder" in name and ("bias" in name or "delta" in name):
                torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    return model


def loss_here(lm: LanguageModel, learned: storage.Learned) -> float:
    prepared = prepare(lm, learned.contender("x"), EXAMPLES, None)
    with torch.no_grad():
        return answer_loss(lm, prepared.fill(lm), prepared.rows).item()


@pytest.mark.parametrize("arch", ["llama", "gpt2", "neox", "qwen3"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_every_prompt_of_pefts_scores_here_as_there(tiny, tmp_path, arch, kind):
    lm = tiny(arch)
    model = theirs(lm, kind, tmp_path / "theirs")
    with torch.no_grad():
        there = peft_loss(lm, model, encode(lm, TEMPLATE, EXAMPLES, None)).item()
    learned = storage.load(tmp_path / "theirs", lm, TEMPLATE)
    if kind == "context-aware":  # PEFT weighs its loss by kinds of tokens; its vectors are a soft prompt's
        there = loss_here(lm, learned)
        assert learned.prefix.snapshot() == pytest.approx(model.get_prompt(1)[0].detach().numpy(), abs=1e-6)
    assert loss_here(lm, learned) == pytest.approx(there, abs=1e-5)
    named = {"P-tuning": "P-tuning", "Cartridge": "Cartridge", "context-aware": "context-aware prompt tuning"}
    told = named.get(kind.split(",")[0], "")
    assert any(warning.startswith(f"It was made by {told}") for warning in learned.warnings) == bool(told)
    again = adapter_files.save(tmp_path / "ours", storage.to_files(lm, learned.prefix, {"template": TEMPLATE}))
    assert loss_here(lm, storage.load(again, lm)) == pytest.approx(there, abs=1e-5)


@pytest.mark.parametrize("kind", ["P-tuning, MLP", "P-tuning, LSTM", "projected prefix"])
@pytest.mark.parametrize("prefix", ["", "prompt_encoder.default."])
def test_a_file_that_holds_the_encoder_is_computed_to_the_prompt(tiny, tmp_path, kind, prefix):
    lm = tiny("llama")
    model = theirs(lm, kind, tmp_path / "theirs")
    final = storage.load(tmp_path / "theirs", lm).prefix.snapshot()
    encoder = {prefix + name: tensor.contiguous() for name, tensor in model.prompt_encoder["default"].state_dict().items()}
    safetensors.torch.save_file(encoder, tmp_path / "theirs" / WEIGHTS)
    assert storage.load(tmp_path / "theirs", lm).prefix.snapshot() == pytest.approx(final, abs=1e-6)
    missing = {name: tensor for name, tensor in encoder.items() if not name.endswith("0.bias")}
    safetensors.torch.save_file(missing, tmp_path / "theirs" / WEIGHTS)
    with pytest.raises(LabError, match="not a whole encoder"):
        storage.load(tmp_path / "theirs", lm)


@pytest.mark.parametrize(
    ("kind", "changes", "sizes"),
    [
        ("prompt", {"num_hidden_layers": 3}, r"num_layers 2 \(here 3\)\."),
        ("prompt", {"num_attention_heads": 2}, r"num_attention_heads 4 \(here 2\)\."),
        ("prompt", {"hidden_size": 64}, r"token_dim 32 \(here 64\)\."),
        (
            "prefix",
            {"num_hidden_layers": 1, "num_key_value_heads": 4},
            r"num_layers 2 .here 1., num_attention_heads 2 .here 4., token_dim 16 ",
        ),
        ("prefix", {"num_key_value_heads": 1, "head_dim": 16}, r"num_attention_heads 2 \(here 1\)\."),  # 2 x 8 and 1 x 16
        (
            "Cartridge",
            {"num_hidden_layers": 4, "num_key_value_heads": 1},
            r"num_layers 2 .here 4., num_attention_heads 2 .here 1., token_dim 16 ",
        ),
    ],
)
def test_an_adapter_of_another_shape_is_refused_by_the_sizes_that_differ(tiny, tmp_path, kind, changes, sizes):
    theirs(tiny("llama"), kind, tmp_path / "theirs")
    with pytest.raises(LabError, match=rf"made for another model.*: it has {sizes}"):
        storage.load(tmp_path / "theirs", make("llama", **changes))


def test_an_adapter_of_another_base_of_the_same_shape_is_loaded_with_a_warning(tiny, tmp_path):
    theirs(tiny("llama"), "prompt", tmp_path / "theirs")
    config = tmp_path / "theirs" / ADAPTER_CONFIG
    for base, warned in (("other/model", True), ("somewhere/tiny-llama", False), ("", False), (None, False)):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": base}))
        warnings = storage.load(tmp_path / "theirs", tiny("llama")).warnings
        assert any("It was trained on 'other/model', and 'tiny-llama' is loaded" in warning for warning in warnings) == warned


def test_names_of_one_base():
    assert same_base("Owner/Model", "owner/model") and same_base("./models/model/", "owner/model") and same_base("model", "owner/model")
    assert not same_base("owner/model", "other/model") and not same_base("gpt2", "facebook/opt-125m")


def test_a_prompt_names_its_base_by_its_whole_path(tiny_folder, tmp_path, monkeypatch):
    shutil.copytree(tiny_folder, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    lm = make("llama")
    for name, saved in (("base", str(tmp_path / "base")), ("./base", str(tmp_path / "base")), ("owner/model", "owner/model")):
        lm.name = name
        prefix = storage.load(_saved(lm, tmp_path), lm).prefix
        assert storage.peft_config(lm, prefix)["base_model_name_or_path"] == saved


def _saved(lm: LanguageModel, folder):
    theirs(lm, "prompt", folder / "theirs")
    return folder / "theirs"


@pytest.mark.parametrize("as_zip", [False, True])
def test_of_several_adapters_or_checkpoints_one_is_named(tiny, tmp_path, as_zip):
    lm, folder = tiny("llama"), tmp_path / "trained"
    theirs(lm, "prompt", folder / "checkpoint-5")
    assert storage.load(_packed(folder, as_zip), lm).prefix.kind == "prompt"  # the only one
    theirs(lm, "prefix", folder / "checkpoint-10")
    path = _packed(folder, as_zip)
    with pytest.raises(LabError, match=r"holds 2 prompts \('checkpoint-10', 'checkpoint-5'\): name one of them, as in .*/checkpoint-5'\."):
        storage.load(path, lm)
    assert storage.load(path / "checkpoint-10", lm).prefix.kind == "prefix"
    theirs(lm, "P-tuning, MLP", folder)  # what lies in the folder itself comes before what lies inside it
    assert "P-tuning" in storage.load(_packed(folder, as_zip), lm).warnings[0]


def test_a_prompt_with_weights_trained_inside_the_model_is_refused_as_such(tiny, tmp_path):
    theirs(tiny("llama"), "prompt", tmp_path / "theirs")
    weights = safetensors.torch.load_file(tmp_path / "theirs" / WEIGHTS)
    safetensors.torch.save_file(weights | {"base_model.lm_head.weight": torch.zeros(3, 3)}, tmp_path / "theirs" / WEIGHTS)
    with pytest.raises(LabError, match=r"holds the prompt and weights .* inside the model \('base_model\.lm_head\.weight'\)"):
        storage.load(tmp_path / "theirs", tiny("llama"))


@pytest.mark.parametrize("beside", [0, 3_000_000])
def test_the_base_is_read_from_a_zip_of_any_size(tiny, tmp_path, beside):
    theirs(tiny("llama"), "prompt", tmp_path / "runs" / "checkpoint-5")
    config = tmp_path / "runs" / "checkpoint-5" / ADAPTER_CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "some/base"}))
    (tmp_path / "runs" / "checkpoint-5" / "optimizer.pt").write_bytes(os.urandom(beside))
    path = _packed(tmp_path / "runs", True)
    assert base_of(path) == base_of(path, "checkpoint-5") == "some/base"
    assert base_of(path, "checkpoint-6") == base_of(tmp_path / "nothing.zip") == ""


def _packed(folder, as_zip):
    return Path(shutil.make_archive(str(folder), "zip", folder)) if as_zip else folder
