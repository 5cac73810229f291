"""The models on this machine: the weights package, and what the Hub's cache holds. Nothing is loaded and nothing is fetched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

from core.models.weights import DEFAULT_MODEL, check_path, read_fields
from core.models.weights_cache import WEIGHTS_PACKAGE, converted_folder, packaged_gguf

WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


@dataclass(frozen=True)
class Installed:
    """A model on this machine. where: in words. parameters: 0 where its files don't tell. disk, memory (in float32): bytes."""

    name: str
    where: str
    architecture: str
    parameters: int
    disk: int

    @property
    def memory(self) -> int:
        return 4 * self.parameters


def installed() -> Iterator[Installed]:
    """All of them, the default one first."""
    gguf = packaged_gguf()
    if gguf is not None:
        folder = converted_folder(gguf)
        made = in_folder(folder, DEFAULT_MODEL) if (folder / "config.json").is_file() else None
        where = f"package {WEIGHTS_PACKAGE}"
        yield Installed(DEFAULT_MODEL, where, "llama", made.parameters if made else 0, gguf.stat().st_size)
    yield from _cached(skip={DEFAULT_MODEL} if gguf is not None else set())


def _cached(skip: set[str]) -> Iterator[Installed]:
    """The models in the Hub's cache whose weights are there."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = sorted(scan_cache_dir().repos, key=lambda repo: repo.repo_id)
    except (CacheNotFound, OSError):
        return
    for repo in repositories:
        if repo.repo_type != "model" or repo.repo_id in skip:
            continue
        newest = max(repo.revisions, key=lambda revision: revision.last_modified, default=None)
        if newest is not None and (newest.snapshot_path / "config.json").is_file():
            found = in_folder(newest.snapshot_path, repo.repo_id, "the Hub's cache")
            if found.disk:
                yield found


def in_folder(folder: Path, name: str = "", where: str = "a folder") -> Installed:
    """The model in a folder. LabError where there is none."""
    check_path(str(folder))
    files = [file for pattern in WEIGHTS for file in sorted(folder.glob(pattern))]
    parameters = sum(map(_parameters, folder.glob("*.safetensors")))
    kind = str(read_fields(folder / "config.json").get("model_type", "?"))[:40]
    return Installed(name or str(folder), where, kind, parameters, sum(file.stat().st_size for file in files))


def _parameters(file: Path) -> int:
    """How many numbers a safetensors file holds, by its header; 0 where it can't be read."""
    try:
        with file.open("rb") as opened:
            header = json.loads(opened.read(min(int.from_bytes(opened.read(8), "little"), 2**27)))
        return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
