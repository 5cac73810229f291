"""The files of a saved prompt in a folder or a zip: read with every check that a stranger's file needs, and written whole or not at all.

Only safetensors is read, never pickle. Nothing here needs torch, so a bad file is refused before a model is loaded.
"""

import contextlib
import ctypes
import io
import json
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import LabError, as_path, shown
from core.models.weights import ADAPTER_CONFIG

CARD, WEIGHTS, RECIPE = "README.md", "adapter_model.safetensors", "recipe.json"
RUN = "run.json"  # what happened in the run, for `report`: written with a prompt, never read from an upload
PICKLE = "adapter_model.bin"  # as old versions of PEFT saved weights: to be named, never read
LARGEST_JSON = 2 * 2**20
MOST_LISTED = 100
DEEPEST = 32  # lists and tables within each other in a JSON file: Python can read deeper ones than it can write again


def check_target(folder: str | Path) -> Path:
    """LabError where `folder` exists and is neither empty nor an earlier prompt. Called before training too."""
    folder = as_path(folder)
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / ADAPTER_CONFIG).is_file())):
        raise LabError(f"{shown(folder)} exists and is not a saved prompt: name another folder.")
    return folder


def save(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write an adapter folder under a temporary name and rename it: a half-written one is never seen, whatever ends this process.

    Raises LabError where `folder` exists and is not an earlier prompt, or can't be written.
    """
    folder = check_target(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder.parent))
        ours = {*files, RECIPE, CARD, RUN}  # nothing stays that tells of an earlier prompt
        try:
            if folder.exists():  # keep what else lies there
                shutil.copytree(
                    folder,
                    scratch,
                    symlinks=True,
                    dirs_exist_ok=True,
                    copy_function=_link,
                    ignore=lambda at, _: ours if at == str(folder) else (),
                )
            for name, data in files.items():
                (scratch / name).write_bytes(data)
            scratch.chmod(0o755)
            if folder.exists():
                _exchange(scratch, folder)
            else:
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:  # copytree's own kind has a list of reasons instead
        reason = error.strerror or "its files can't be copied"
        raise LabError(f"The prompt can't be saved to {shown(folder)} ({reason}): choose another place.") from error
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change their names: in one go on Linux, else with a moment in which `other` isn't there."""
    with contextlib.suppress(AttributeError, OSError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if call(here, os.fsencode(one.absolute()), here, os.fsencode(other.absolute()), exchange) == 0:
            return
    aside = one.with_name(f"{one.name}-old")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as one zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def prompt_folder(folder: Path) -> Path:
    """The folder of the adapter in `folder`: itself, or the only one inside it that holds one. LabError, with their names, for several.

    PEFT saves further adapters in folders of a model's, and a trainer saves checkpoints in folders of its output's.
    """
    try:
        inside = [] if (folder / ADAPTER_CONFIG).is_file() else sorted(folder.glob(f"*/{ADAPTER_CONFIG}"))[:MOST_LISTED]
        found = [path.parent for path in inside if path.is_file()]
    except OSError as error:
        raise LabError(f"{shown(folder)} can't be read ({error.strerror}): check who may read it.") from error
    if len(found) > 1:
        raise SeveralPrompts(folder.name, [path.name for path in found], str(folder))
    return found[0] if found else folder


def zip_around(path: Path) -> Path | None:
    """The zip in which `path` names a folder (ZIP/NAME), or None."""
    return next((parent for parent in path.parents if parent.is_file()), None)


class SeveralPrompts(LabError):
    """A folder or zip holds several prompts, and none was chosen. names: of the folders inside that hold them. place: what they lie in."""

    def __init__(self, name: str, names: Sequence[str], place: str):
        listed = ", ".join(shown(each, 40) for each in names[:8]) + (" …" if len(names) > 8 else "")
        chosen = shown(f"{place}/{names[-1]}", 300)
        super().__init__(f"{shown(name)} holds {len(names)} prompts ({listed}): name one of them, as in {chosen}.")
        self.names = tuple(names)


def in_folder(folder: Path, most: Mapping[str, int]) -> dict[str, bytes]:
    """The files of `folder` named in `most`, where they are there. LabError where one is larger, in bytes, or can't be read."""
    files = {}
    try:
        for name, largest in most.items():
            if (folder / name).is_file():
                if (folder / name).stat().st_size > largest:
                    raise LabError(f"{name} in {shown(folder)} is larger than a learned prompt for this model can be: choose another.")
                files[name] = (folder / name).read_bytes()
        if (folder / PICKLE).is_file():
            files[PICKLE] = b""
    except OSError as error:
        raise LabError(f"{shown(folder)} can't be read ({error.strerror}): check who may read it.") from error
    return files


def unpack(path: Path, most: Mapping[str, int], chosen: str = "", largest: int = 0) -> dict[str, bytes]:
    """The adapter's files in a zip, whatever folder they lie in. most: the largest size of each, in bytes. chosen: which of several.

    largest: of the zip itself, in bytes; 0: what these files can be together.

    Nothing is written; sizes, paths and links are looked at before anything is unpacked. LabError, with their names, for several adapters.
    """
    try:
        if path.stat().st_size > (largest or sum(most.values()) * (MOST_LISTED if chosen else 1)):
            raise LabError(f"{shown(path.name)} is larger than a learned prompt for this model can be: pack one learned prompt alone.")
        with zipfile.ZipFile(path) as archive:
            members = [(member, *_place(member)) for member in archive.infolist()[:1000]]
            folder = _one_of([at for _, at, name in members if name == ADAPTER_CONFIG], path, chosen)
            files: dict[str, bytes] = {}
            for member, at, name in members:
                if folder not in (None, at):
                    continue
                if name == PICKLE:
                    files[PICKLE] = b""
                if name not in most:
                    continue
                if ".." in at.split("/") or member.filename.startswith("/") or stat.S_ISLNK(member.external_attr >> 16):
                    raise LabError(f"{shown(path.name)} holds {name} as a link, or outside of itself: pack the files themselves.")
                if name in files or member.file_size > most[name]:
                    raise LabError(f"{shown(path.name)} holds {name} twice or too large: pack one learned prompt for this model.")
                with archive.open(member) as file:
                    files[name] = file.read(most[name] + 1)
                if len(files[name]) != member.file_size:
                    raise LabError(f"{shown(path.name)} is damaged ({name}): save the prompt again.")
            return files
    except LabError:
        raise
    except Exception as error:  # a damaged zip raises what its decompressor likes (zlib.error, LZMAError, EOFError, ...)
        raise LabError(f"{shown(path.name)} is not a readable zip of a learned prompt: save it again, or give the folder.") from error


def _place(member: zipfile.ZipInfo) -> tuple[str, str]:
    """The folder in a zip that a member lies in, "" for none, and its name there."""
    folder, _, name = member.filename.replace("\\", "/").rpartition("/")
    return folder, name


def _one_of(folders: Sequence[str], path: Path, chosen: str) -> str | None:
    """The folder in a zip to read: the chosen one, the only one, or the one that the others lie in; None where no folder has one."""
    distinct = list(dict.fromkeys(folders))
    if chosen:
        if chosen not in distinct:
            raise LabError(f"{shown(path.name)} holds no prompt named {shown(chosen)}: name a folder in it that holds {ADAPTER_CONFIG}.")
        return chosen
    around = [folder for folder in distinct if all(f"{other}/".startswith(f"{folder}/" if folder else "") for other in distinct)]
    if len(distinct) > 1 and not around:
        raise SeveralPrompts(path.name, distinct, str(path))
    return around[0] if around else None


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """A JSON object from a file that anyone may have made, called `name` in the LabError for anything else."""
    try:
        if len(data) > LARGEST_JSON:
            raise ValueError
        value = json.loads(data)
        if not isinstance(value, dict) or not _shallow(value, DEEPEST):
            raise ValueError
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text: it can be neither tokenised nor saved
    except (ValueError, RecursionError) as error:
        raise LabError(f"{name} is not a readable table of settings (JSON): save the prompt again.") from error
    return value


def _shallow(value: Any, levels: int) -> bool:
    """Whether there are no more than `levels` lists and tables within each other."""
    if not isinstance(value, dict | list):
        return True
    return levels > 0 and all(_shallow(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))
