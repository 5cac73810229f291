"""The default model's weights as folders of other architectures whose maths is the same: real models that need no download.

Mistral without a window is Llama; Qwen2 is Llama with biases of queries, keys and values, which are zero here.
"""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from core.models import weights

COMMON = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size")
COMMON += ("hidden_act", "rms_norm_eps", "max_position_embeddings", "rope_parameters", "tie_word_embeddings", "dtype")
COMMON += ("bos_token_id", "eos_token_id", "pad_token_id")
ARCHITECTURES = {
    "mistral": {"architectures": ["MistralForCausalLM"], "sliding_window": None},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
}


def save_as(kind: str, folder: Path) -> Path:
    """Write the default model as a `kind` of `ARCHITECTURES` into a new folder; its large file is a link."""
    source = Path(weights.locate(weights.DEFAULT_MODEL))
    config = json.loads((source / "config.json").read_text())
    folder.mkdir()
    for file in source.iterdir():
        if file.suffix == ".safetensors":
            os.symlink(file, folder / file.name)
        elif file.name != "config.json":
            shutil.copy(file, folder)
    made = {name: config[name] for name in COMMON} | ARCHITECTURES[kind] | {"model_type": kind}
    (folder / "config.json").write_text(json.dumps(made))
    if kind == "qwen2":
        _add_biases(folder, config)
    return folder


def _add_biases(folder: Path, config: dict) -> None:
    """A second file of weights, with the biases, and an index of both."""
    from safetensors import safe_open

    (large,) = folder.glob("*.safetensors")
    with safe_open(large, "pt") as file:
        index = dict.fromkeys(file.keys(), large.name)
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"], "v": config["num_key_value_heads"]}
    biases = {
        f"model.layers.{layer}.self_attn.{part}_proj.bias": torch.zeros(count * config["head_dim"])
        for layer in range(config["num_hidden_layers"])
        for part, count in heads.items()
    }
    save_file(biases, folder / "biases.safetensors", {"format": "pt"})
    large.rename(folder / "weights.safetensors")  # a file of the usual name would be read alone
    index = {name: "weights.safetensors" for name in index} | dict.fromkeys(biases, "biases.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
