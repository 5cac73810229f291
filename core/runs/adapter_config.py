"""adapter_config.json: which of PEFT's methods made a prompt, for which base model, with which sizes.

Nothing here needs torch, so that a bad file is refused before a model is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LabError, shown
from core.models.weights import ADAPTER_CONFIG
from core.runs.adapter_files import LARGEST_JSON, read_json, unpack

if TYPE_CHECKING:
    from core.methods.contract import Method
    from core.models.language_model import LanguageModel

READ = {  # PEFT's methods whose saved prompt is loaded: the layout that it is saved in, and its name where that is another one
    "PROMPT_TUNING": ("PROMPT_TUNING", ""),
    "P_TUNING": ("PROMPT_TUNING", "P-tuning"),
    "CPT": ("PROMPT_TUNING", "context-aware prompt tuning"),
    "PREFIX_TUNING": ("PREFIX_TUNING", ""),
    "CARTRIDGE": ("PREFIX_TUNING", "Cartridge"),
}
INSIDE = "it changes weights inside the model, and puts nothing before the input"
OTHERS = {  # PEFT's other methods, and what they are
    "MULTITASK_PROMPT_TUNING": ("multi-task prompt tuning", "one shared prompt, times a matrix for each task"),
    "ADAPTION_PROMPT": ("LLaMA-Adapter", "gated prompts inside the upper layers"),
    "TRAINABLE_TOKENS": ("trainable tokens", "it changes the embeddings of some tokens"),
    "XLORA": ("X-LoRA", "a mixture of LoRA adapters inside the model"),
    "LORA": ("LoRA", INSIDE),
    "ADALORA": ("AdaLoRA", INSIDE),
    "IA3": ("(IA)³", INSIDE),
    "LN_TUNING": ("LayerNorm tuning", INSIDE),
    "LOHA": ("LoHa", INSIDE),
    "LOKR": ("LoKr", INSIDE),
    "OFT": ("OFT", INSIDE),
    "BOFT": ("BOFT", INSIDE),
    "VERA": ("VeRA", INSIDE),
}
ELSEWHERE = {
    "SEQ_2_SEQ_LM": "an encoder-decoder model",
    "SEQ_CLS": "a model with a classifier on top",
    "TOKEN_CLS": "a model with a classifier on top",
    "QUESTION_ANS": "a model with a head that marks answers",
    "FEATURE_EXTRACTION": "a model that is read for its hidden states",
}
SIZES = ("num_virtual_tokens", "num_layers", "num_attention_heads", "token_dim")


@dataclass(frozen=True)
class AdapterConfig:
    """What an adapter_config.json says. layout: PROMPT_TUNING or PREFIX_TUNING. method: PEFT's name for another method of that layout.

    base: the base model's name, or "". sizes: those of `SIZES` that it says. settings: all of the file.
    """

    layout: str
    method: str
    base: str
    sizes: Mapping[str, int]
    settings: Mapping[str, Any]


def read_config(data: bytes | None, name: str) -> AdapterConfig:
    """An adapter_config.json, of any version of PEFT. LabError, by name, for what isn't a prompt of a causal language model."""
    if data is None:
        raise LabError(f"{shown(name)} is not a learned prompt ({ADAPTER_CONFIG} is missing): give a folder or zip saved here or by PEFT.")
    settings = read_json(data, ADAPTER_CONFIG)
    kind = settings.get("peft_type")
    if not isinstance(kind, str) or kind not in READ:
        what, why = OTHERS.get(str(kind), (shown(kind), ""))
        why = f" ({why})" if why else ""
        raise LabError(
            f"{shown(name)} is a {what} adapter{why}: only prompt tuning, P-tuning, prefix tuning and Cartridges can be loaded here."
        )
    task = settings.get("task_type")
    if task not in (None, "", "CAUSAL_LM"):
        where = ELSEWHERE.get(str(task), f"a model for {shown(task)}")
        raise LabError(f"{shown(name)} was trained on {where}: only adapters of causal language models (CAUSAL_LM) can be loaded here.")
    parts = settings.get("num_transformer_submodules")
    if parts == 2:
        raise LabError(
            f"{shown(name)} has a prompt for an encoder and one for a decoder (num_transformer_submodules is 2): "
            "only adapters of causal language models can be loaded here."
        )
    if parts is not None and (parts != 1 or isinstance(parts, bool)):
        raise LabError(f"{shown(name)} has num_transformer_submodules {shown(parts)}: a causal language model has 1.")
    base = settings.get("base_model_name_or_path")
    sizes = {size: _whole(settings[size], size, name) for size in SIZES if settings.get(size) is not None}
    layout, method = READ[kind]
    return AdapterConfig(layout, method, base if isinstance(base, str) else "", sizes, settings)


def _whole(value: object, setting: str, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise LabError(f"{shown(name)} has {setting} {shown(value)} in {ADAPTER_CONFIG}, which is no size: save the prompt again.")
    return value


def check_sizes(config: AdapterConfig, rows: int, method: "Method", lm: "LanguageModel", name: str) -> None:
    """LabError, naming every size that differs, unless a prompt of `rows` virtual tokens, so configured, was made for `lm`'s shape."""
    said = config.sizes.get("num_virtual_tokens", rows)
    if said != rows:
        raise LabError(f"{shown(name)} is damaged: its weights have {rows} rows, and {ADAPTER_CONFIG} says num_virtual_tokens {said}.")
    model, own = lm.shape, method.peft_config(lm.shape)
    layers = {model.layers}
    if method.in_embedding_space:  # a prompt's configuration counts the layers that share another one's cache, too
        layers.add(int(getattr(lm.model.config.get_text_config(), "num_hidden_layers", model.layers)))
    wanted = {"num_layers": layers, "num_attention_heads": {own["num_attention_heads"]}, "token_dim": {own["token_dim"]}}
    differing = ((size, max(fits)) for size, fits in wanted.items() if config.sizes.get(size, max(fits)) not in fits)
    wrong = [f"{size} {config.sizes[size]} (here {here})" for size, here in differing]
    if wrong:
        base = f", {shown(config.base)}" if config.base else ""
        raise LabError(f"{shown(name)} was made for another model{base}: it has {', '.join(wrong)}. Load the model that it was made for.")


def base_of(path: Path, chosen: str = "") -> str:
    """The base model that a zip of a saved prompt names; "" where it names none, or is no saved prompt. chosen: which of several in it.

    Only the configuration is read, so the zip may be as large as a file that was allowed to be uploaded.
    """
    try:
        files = unpack(path, {ADAPTER_CONFIG: LARGEST_JSON}, chosen, largest=path.stat().st_size)
        return read_config(files.get(ADAPTER_CONFIG), path.name).base
    except (LabError, OSError):  # loading it says what is wrong
        return ""


def same_base(one: str, other: str) -> bool:
    """Whether two names may mean the same model: equal ids, or a folder of the other's last name.

    >>> same_base("owner/model", "owner/model/"), same_base("/data/model", "owner/model"), same_base("a/model", "b/model")
    (True, True, False)
    """
    first, second = one.rstrip("/\\").casefold(), other.rstrip("/\\").casefold()
    if first == second:
        return True
    ids = all(path.count("/") == 1 and not path.startswith((".", "~", "/")) for path in (first, second))
    return not ids and Path(first.replace("\\", "/")).name == Path(second.replace("\\", "/")).name
