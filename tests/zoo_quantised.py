"""Tiny models stored quantised, on a CPU: are loss and gradient those of the plain forward pass of the same weights?

`python tests/zoo_quantised.py` measures those methods of fp8, torchao, compressed-tensors and bitsandbytes whose package is installed.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_models import make, tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TorchAoConfig  # noqa: E402
from zoo import differences  # noqa: E402

from core import load_model  # noqa: E402

WIDTH, FP8_MOST = 128, 448


def tiny_plain(folder: Path) -> None:
    """A tiny random Llama with its tokenizer, whose matrices are as wide as the formats' blocks."""
    sizes = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32}
    make("llama", **sizes).model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def to_fp8(folder: Path) -> None:
    """Write the matrices in fp8, the rest in bfloat16, as published checkpoints have them."""
    stored = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        stored[name] = weight.bfloat16()
        if "proj" in name:
            scale = weight.abs().max() / FP8_MOST
            stored[name], stored[f"{name}_scale_inv"] = (weight / scale).to(torch.float8_e4m3fn), scale.reshape(1, 1)
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    blocks = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [WIDTH, WIDTH]}
    change(folder, quantization_config=blocks, dtype="bfloat16")


def change(folder: Path, **fields: object) -> None:
    """Change fields of config.json."""
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | fields))


def to_torchao(folder: Path) -> None:
    from torchao.quantization import Int8WeightOnlyConfig

    _saved(folder, TorchAoConfig(Int8WeightOnlyConfig()))


def to_bitsandbytes(folder: Path) -> None:
    _saved(folder, BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32))


def _saved(folder: Path, config: object) -> None:
    AutoModelForCausalLM.from_pretrained(folder, quantization_config=config, dtype=torch.float32).save_pretrained(folder)


def to_compressed_tensors(folder: Path) -> None:
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config

    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
    config = QuantizationConfig.model_validate(
        {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "ignore": ["lm_head"],
            "quantization_status": "compressed",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        }
    )
    model = AutoModelForCausalLM.from_pretrained(folder)
    apply_quantization_config(model, config)
    for module in model.modules():
        if hasattr(module, "weight_scale"):
            groups = module.weight.detach().reshape(module.weight.shape[0], -1, 32)
            module.weight_scale.data = (groups.abs().amax(-1) / 7).to(module.weight_scale.dtype)
    compressor = ModelCompressor(quantization_config=config)
    compressor.compress_model(model)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}  # tied
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    compressor.update_config(folder)


METHODS: dict[str, tuple[str, Callable[[Path], None]]] = {  # the package that reads it
    "fp8": ("transformers", to_fp8),
    "torchao, 8 bits": ("torchao", to_torchao),
    "compressed-tensors, 4 bits": ("compressed-tensors", to_compressed_tensors),
    "bitsandbytes, 4 bits": ("bitsandbytes", to_bitsandbytes),
}


def main() -> None:
    """Print a row for each method."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name, (package, quantise) in METHODS.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            print(f"{name}: {package} is not installed")
            continue
        with tempfile.TemporaryDirectory() as place:
            tiny_plain(Path(place))
            quantise(Path(place))
            lm = load_model(place, "cpu", "float32")
            found = [differences(lm, method) for method in ("prompt", "prefix")]
            loss, gradient = (max(pair) for pair in zip(*found, strict=True))
            print(f"| {name} | {package} {version} | {loss:.0e} | {gradient:.0e} | {', '.join(lm.notes)} |")


if __name__ == "__main__":
    main()
