"""Weights of base models: from a pip package, a local folder, or the Hub."""

import json
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from core.errors import LabError, as_path, shown
from core.models.weights_cache import WEIGHTS_PACKAGE, converted, packaged_gguf

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's


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

    Raises LabError where `name` is a path without a model in it, and where the packaged weights can't be converted.
    """
    if name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]):
        gguf = packaged_gguf()
        return str(converted(gguf)) if gguf else DEFAULT_MODEL
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
