"""A tiny random model of each architecture that transformers has: are loss and gradient those of the plain forward pass?

`python tests/zoo.py` measures all of them and writes docs/models.md; with names, it prints those. Rows and prefixes are longer
than any sliding window here.
"""

import argparse
import copy
import inspect
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
import transformers  # noqa: E402
from plain import plain_loss, relative_error  # noqa: E402
from tiny_models import EXAMPLES, random_prefix, tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: E402

from core.errors import LabError  # noqa: E402
from core.methods import METHODS  # noqa: E402
from core.models.language_model import LanguageModel  # noqa: E402
from core.prefix import no_prefix  # noqa: E402
from core.scoring.contender import Contender  # noqa: E402
from core.scoring.likelihood import answer_loss  # noqa: E402
from core.scoring.prepared import prepare  # noqa: E402
from core.scoring.rows import encode  # noqa: E402

WINDOW, COUNT = 8, 19  # positions that a sliding window sees; virtual tokens
MOST_PARAMETERS = 4_000_000  # of a model that counts as tiny: some configurations can't be made small from outside
LOSS, GRADIENT = 1e-4, 1e-3  # exact: within these (float32; the gradient relative to its norm)
SMALL: dict[str, Any] = {  # sizes by their names in configurations
    **dict.fromkeys(["vocab_size", "vocab_size_per_layer_input"], 352),
    **dict.fromkeys(["hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "embedding_size", "lm_embed_dim"], 32),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers"], 4),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads", "num_decoder_attention_heads"], 4),
    **dict.fromkeys(["intermediate_size", "n_inner", "ffn_dim", "decoder_ffn_dim", "ffn_hidden_size", "d_inner", "dff"], 48),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"], 160),
    **dict.fromkeys(["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"], 4),
    **dict.fromkeys(["moe_intermediate_size", "shared_expert_intermediate_size"], 16),
    **dict.fromkeys(["q_lora_rank", "kv_lora_rank"], 16),
    **dict.fromkeys(["qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "head_dim", "rotary_dim", "kv_channels"], 8),
    **dict.fromkeys(["sliding_window", "attention_window_size", "local_window_size", "window_size", "attention_chunk_size"], WINDOW),
    **dict.fromkeys(
        ["state_size", "ssm_state_size", "mamba_d_state", "mamba_n_heads", "mamba_d_head", "mamba_num_heads", "mamba_head_dim"], 8
    ),
    **dict.fromkeys(["mamba_chunk_size", "chunk_size", "hidden_size_per_layer_input", "query_pre_attn_scalar"], 8),
    **dict.fromkeys(["linear_key_head_dim", "linear_value_head_dim"], 8),
    **dict.fromkeys(["time_step_rank", "mamba_dt_rank", "mamba_d_conv", "linear_num_value_heads"], 4),
    **dict.fromkeys(["num_key_value_heads", "num_experts_per_tok", "moe_k", "linear_num_key_heads", "mamba_expand"], 2),
    **dict.fromkeys(["mamba_n_groups", "n_group", "topk_group", "n_shared_experts", "first_k_dense_replace", "encoder_layers"], 1),
    **dict.fromkeys(["pad_token_id", "bos_token_id", "eos_token_id"], None),
    **dict.fromkeys(["initializer_range", "init_std"], 0.2),  # wide, so that tiny models prefer some tokens to others
    "is_decoder": True,
    "num_kv_shared_layers": 0,
    "qk_head_dim": 16,
    "tie_word_embeddings": False,
}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
TRIES: tuple[dict[str, Any], ...] = (  # the first that can be built and run counts
    {},
    {"num_key_value_heads": 4},
    SPECIAL,
    {"num_key_value_heads": 4, **SPECIAL},
    {"mamba_d_ssm": 64, "mamba_n_heads": 8, **SPECIAL},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}},
    {"attention_types": [[["global", "local"], 2]]},
    {"num_heads": 8, "expand": 2},
    {"layer_types": ["conv", "full_attention"] * 2},
    {"num_experts_per_tok": 1},
    {"default_language": "en_XX", "languages": ["en_XX"]},
)
WRAPPERS = ("llava", "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "smolvlm", "paligemma", "aya_vision", "lfm2_vl")
WRAPPERS += ("aria", "deepseek_vl", "exaone4_5", "glm46v", "glm4v", "glm_ocr", "granite_docling", "hunyuan_vl")
VISION: dict[str, Any] = {
    **dict.fromkeys(["hidden_size", "embed_dim", "out_hidden_size", "projection_dim"], 32),
    **dict.fromkeys(["num_hidden_layers", "depth"], 1),
    **dict.fromkeys(["num_attention_heads", "num_heads"], 4),
    **dict.fromkeys(["intermediate_size"], 48),
    **dict.fromkeys(["image_size"], 28),
    **dict.fromkeys(["patch_size"], 14),
}

NOTES = """## The same weights in two architectures

The default model's weights are also written as Mistral (without a window) and as Qwen2 (with biases of zero), whose maths is the same:
`python -m pytest tests/integration/test_real_architectures.py` trains and scores both on one page and compares losses and gradients
with the default model's. No real model with other weights was at hand.

## Quantised weights

They are read by the package that made them, and stay as they are: `--dtype` changes nothing. `python tests/zoo_quantised.py` measures
the methods below with a tiny model on a CPU, against the plain forward pass of the same quantised weights:

| method | read by | loss differs by | gradient differs by | how it is run |
|---|---|---|---|---|
| fp8, in blocks | transformers 5.23.0 | 1e-06 | 2e-06 | as plain float32 numbers on a CPU |
| torchao, 8 bits | torchao 0.18.0 | 2e-06 | 3e-06 | |
| compressed-tensors, 4 bits | compressed-tensors 0.20.0 | 1e-06 | 3e-06 | |
| bitsandbytes, 4 bits | bitsandbytes 0.50.2 | 1e-06 | 2e-06 | not repacked for inference, which would end the gradient |

When a quantised model is loaded, a gradient is sent through all of its layers; a model in which it ends is refused. GPTQ and AWQ need
`gptqmodel`, which has no ready-made package for pip and was not tried. Without its package a method is refused with the line for pip;
VPTQ, EETQ, FBGEMM fp8, HIGGS, FP-Quant, NVFP4 and SpQR are refused on a CPU. None was tried on a GPU.
"""


@dataclass(frozen=True)
class Measured:
    """An architecture's row. soft, prefix: exact, or what else; loss, gradient: the largest differences from the plain way."""

    kind: str
    name: str
    soft: str
    prefix: str
    way: str = ""
    loss: float = 0.0
    gradient: float = 0.0


def _fields(kind: type) -> set[str]:
    own = {name for base in kind.__mro__ for name in vars(base).get("__annotations__", {})}
    return (own | set(inspect.signature(kind.__init__).parameters)) - set(getattr(kind, "attribute_map", {}))


def _set(kind: type, changes: dict[str, Any], sizes: dict[str, Any] = SMALL) -> dict[str, Any]:
    return {name: value for name, value in {**sizes, **changes}.items() if name in _fields(kind)}


def config_of(kind: str, changes: dict[str, Any]) -> Any:
    """A tiny configuration of this architecture."""
    made = CONFIG_MAPPING[kind]
    parts = {name: part for name, part in made.sub_configs.items() if "__mro__" in dir(part) and part.__name__ != "AutoConfig"}
    if "text_config" not in made.sub_configs:
        return made(**_set(made, changes))
    default = made()
    given: dict[str, Any] = {}
    for name in made.sub_configs:
        part = parts.get(name) or type(getattr(default, name))
        if part is type(None):
            continue
        sizes = SMALL if name == "text_config" else VISION
        given[name] = _set(part, changes if name == "text_config" else {}, sizes)
        if name not in parts:
            given[name]["model_type"] = part.model_type
    ids = {name: 20 for name in _fields(made) if name.endswith(("image_token_id", "video_token_id", "image_token_index"))}
    return made(**given, **ids)


def build(kind: str) -> Any:
    """A tiny random model that has run once. The last try's error where none could be built."""
    problem: Exception = ValueError("too large")
    for changes in TRIES:
        try:
            config = config_of(kind, copy.deepcopy(changes))  # configurations change what they are given
            auto = AutoModelForCausalLM if type(config) in AutoModelForCausalLM._model_mapping else AutoModelForMultimodalLM
            with torch.device("meta"):
                if auto.from_config(config).num_parameters() > MOST_PARAMETERS:
                    continue
            torch.manual_seed(7)
            model = auto.from_config(config, dtype=torch.float32).eval()
            for weight in model.parameters():
                if weight.numel() > 1 and weight.min() == weight.max():  # zeros and ones would hide what is multiplied by them
                    weight.data += 0.1 * torch.randn(weight.shape)
            model(input_ids=torch.arange(20, 50)[None], use_cache=False)
            return model
        except Exception as error:  # of any type: sizes that don't fit each other
            problem = error
    raise problem


def measure(kind: str) -> Measured:
    """Build and measure one architecture."""
    try:
        model = build(kind)
    except Exception as error:
        return Measured(kind, "", "not measured", "", f"no tiny model could be built: {type(error).__name__}")
    name = type(model).__name__
    try:
        lm = LanguageModel(model, tokenizer(), kind)
    except LabError as error:
        reason = str(error).replace(f"The model '{kind}'", "it").replace(f"'{kind}'", "it").split(": choose")[0]
        return Measured(kind, name, "refused", "refused", reason)
    worst = [0.0, 0.0]
    said = {}
    for method in ("prompt", "prefix", "none"):
        if method == "prefix" and lm.way.no_prefix:
            said[method] = "refused"
            continue
        try:
            off = differences(lm, method)
        except Exception as error:  # of any type: it is what this looks for
            off = (float("inf"), float("inf"))
            print(kind, method, type(error).__name__, str(error)[:200], file=sys.stderr)
        exact = off[0] < LOSS and off[1] < GRADIENT
        said[method] = "exact" if exact else f"differs: {off[0]:.0e}, {off[1]:.0e}"
        worst = [max(pair) for pair in zip(worst, off, strict=True)]
    if said["none"] != "exact":
        said["prompt"] += f" (no prompt {said['none']})"
    way = "cache" if lm.way.caches else "vectors before each row"
    way += f"; no K/V prefix: {lm.way.no_prefix}" if lm.way.no_prefix else ""
    return Measured(kind, name, said["prompt"], said["prefix"], way, *worst)


def differences(lm: LanguageModel, method: str) -> tuple[float, float]:
    """Of the loss and (relative) of the gradient from the plain way's."""
    prefix = random_prefix(lm, method, COUNT) if method in METHODS else no_prefix()
    template = "Word: {input} of the lazy dog gives"
    prepared = prepare(lm, Contender("x", method, template, prefix), EXAMPLES, None)
    ours = answer_loss(lm, prepared.fill(lm), prepared.rows)
    plain = plain_loss(lm, prefix, encode(lm, template, EXAMPLES, None))
    off = abs(ours.item() - plain.item())
    if method not in METHODS:
        return off, 0.0
    (weight,) = prefix.parameters()
    return off, relative_error(*(torch.autograd.grad(loss, weight)[0] for loss in (ours, plain)))


def table(rows: list[Measured]) -> str:
    """The page docs/models.md."""
    measured = [row for row in rows if row.soft != "not measured"]
    exact = sum(row.soft == row.prefix == "exact" for row in measured)
    soft = sum(row.soft == "exact" and row.prefix != "exact" for row in measured)
    lines = [
        "# Models",
        "",
        "A tiny random model of each architecture, in float32, on rows and prefixes longer than any sliding window: loss and gradient",
        f"of {COUNT} virtual tokens against the plain forward pass (whole rows, no cache; for prefixes a cache for each row).",
        f"`make zoo` measures them and writes this page, here with transformers {transformers.__version__}. Exact: the loss within",
        f"{LOSS:g}, the gradient within {GRADIENT:g} of its norm. How a model is run is tried out when it is loaded, so other",
        "architectures are served or refused in the same way.",
        "",
        f"Of {len(measured)} architectures {exact} are exact for soft prompts and K/V prefixes, {soft} for soft prompts only.",
        "",
        "| architecture | class | soft prompt | K/V prefix | loss differs by | gradient differs by | how it is run |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(measured, key=lambda row: row.kind):
        numbers = ("", "") if row.soft == "refused" else (f"{row.loss:.0e}", f"{row.gradient:.0e}")
        lines.append(f"| {row.kind} | {row.name} | {row.soft} | {row.prefix} | {numbers[0]} | {numbers[1]} | {row.way} |")
    left = sorted(row.kind for row in rows if row.soft == "not measured")
    lines += ["", f"Not measured, since no tiny model of it was built: {', '.join(left)}."] if left else []
    return "\n".join([*lines, "", NOTES])


def main() -> int:
    """Measure what is named, or all, and write the page. 1 where something differs."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("kinds", nargs="*")
    options = made.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    rows = []
    for kind in options.kinds or [*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *WRAPPERS]:
        rows.append(measure(kind))
        print(*vars(rows[-1]).values(), sep=" | ", flush=True)
    if not options.kinds:
        (ROOT / "docs/models.md").write_text(table(rows), "utf-8")
    return int(any(row.soft.startswith("differs") or row.prefix.startswith("differs") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
