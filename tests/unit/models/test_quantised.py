"""Base models stored quantised: read as what they are, or refused with what is missing."""

import json

import pytest
import torch
from plain import plain_loss
from safetensors.torch import load_file, save_file
from tiny_models import EXAMPLES, make, random_prefix, save_tiny, tokenizer

from core import LabError, load_model
from core.models import quantised
from core.models.language_model import LanguageModel, hash_weights
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode


def change(folder, **fields) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | fields))


@pytest.mark.parametrize(
    "method, sentence",
    [
        ("gptq", "needs `pip install optimum gptqmodel`: install that, or choose the model with plain weights"),
        ("awq", "needs `pip install gptqmodel`"),
        ("bitsandbytes", "needs `pip install bitsandbytes`"),
        ("compressed-tensors", "needs `pip install compressed-tensors`"),
        ("torchao", "needs `pip install torchao`"),
        ("vptq", "only a GPU can read"),
        ("fbgemm_fp8", "only a GPU can read"),
        ("own", "transformers can't read"),
    ],
)
def test_what_can_not_be_read_says_what_is_missing(tmp_path, monkeypatch, method, sentence):
    monkeypatch.setattr(quantised, "_installed", lambda package: False)
    folder = save_tiny(tmp_path)
    change(folder, quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(LabError, match=rf"are quantised \({method}\), which .*{sentence}" if method != "own" else sentence) as caught:
        load_model(str(folder), "cpu")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_what_a_reader_says_of_its_own_needs_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(quantised, "_installed", lambda package: True)
    folder = save_tiny(tmp_path)
    change(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(LabError, match=r"can't be read here \(.+\): choose the model with plain weights"):
        load_model(str(folder), "cpu")


def test_fp8_is_read_as_float32_numbers_on_a_cpu(tmp_path):
    sizes = {"hidden_size": 128, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32}
    plain = make("llama", **sizes)
    plain.model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    stored = {}
    for name, weight in load_file(tmp_path / "model.safetensors").items():
        stored[name] = weight.bfloat16()
        if "proj" in name:
            scale = weight.abs().max() / 448  # the largest number of the format
            stored[name], stored[f"{name}_scale_inv"] = (weight / scale).to(torch.float8_e4m3fn), scale.reshape(1, 1)
    save_file(stored, tmp_path / "model.safetensors", {"format": "pt"})
    blocks = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    change(tmp_path, quantization_config=blocks, dtype="bfloat16")
    lm = load_model(str(tmp_path), "cpu", "float32")
    assert lm.dtype == torch.float32 and any("stored quantised (fp8)" in note for note in lm.notes)
    weight, read = plain.model.model.layers[1].mlp.up_proj.weight, lm.model.model.layers[1].mlp.up_proj.weight
    assert 0 < ((weight - read).norm() / weight.norm()).item() < 0.05
    prefix, template = random_prefix(lm, "prompt", 5), "Word: {input} gives"
    prepared = prepare(lm, Contender("x", "prompt", template, prefix), EXAMPLES, None)
    loss = answer_loss(lm, prepared.fill(lm), prepared.rows).item()
    assert loss == pytest.approx(plain_loss(lm, prefix, encode(lm, template, EXAMPLES, None)).item(), abs=1e-5)


def test_weights_that_are_kept_in_buffers_count_for_the_hash():
    one, other = (make("llama").model for _ in range(2))
    for model, value in ((one, 1), (other, 2)):
        model.register_buffer("qweight", torch.full((3,), value))
    assert hash_weights(one) == hash_weights(other)  # of plain models, parameters alone
    one.is_quantized = other.is_quantized = True
    assert hash_weights(one) != hash_weights(other)


class Detached(torch.nn.Linear):
    """As quantised layers that are made for inference alone."""

    support_avx512bf16_for_cpu = True

    def forward(self, given):
        made = super().forward(given)
        return made.detach() if self.support_avx512bf16_for_cpu else made


def test_weights_that_pass_no_gradient_on_are_refused_and_kept_from_it_where_they_can_be():
    model = make("llama").model
    model.model.layers[1].mlp.down_proj.__class__ = Detached
    LanguageModel(model, tokenizer(), "tiny")  # plain weights are not asked
    model.is_quantized = True
    with pytest.raises(LabError, match=r"No gradient goes through .*'tiny' .*\(at model\.layers\.1\.mlp\.down_proj\)"):
        LanguageModel(model, tokenizer(), "tiny")
    quantised.keep_gradients(model)
    LanguageModel(model, tokenizer(), "tiny")
