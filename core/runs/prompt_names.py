"""Names of learned prompts: a folder or zip here, or a repository of the Hub."""

import re
from pathlib import Path

from core.errors import LabError, as_path, shown
from core.runs.adapter_files import CONFIG, zip_around

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def repository(name: str) -> str | None:
    """The repository of the Hub that `name` means (owner/name, or hub:owner/name); None where it is a file or folder here.

    Raises LabError for any other name.
    """
    if as_path(name).exists() or zip_around(as_path(name)):
        return None
    repo = name.removeprefix("hub:")
    if not NAME.fullmatch(repo):
        raise LabError(
            f"There is no learned prompt at {shown(name)}: name a folder or zip saved here or by PEFT, or a Hub id (owner/name)."
        )
    return repo


def check_upload(folder: str | Path, repo: str) -> None:
    """LabError unless `folder` holds an adapter and `repo` is a name of the Hub (owner/name)."""
    path = as_path(folder)
    if not path.is_dir():
        raise LabError(f"There is no folder {shown(folder)}: name one that was saved here or by PEFT.")
    if not (path / CONFIG).is_file():
        raise LabError(f"{shown(folder)} is not a saved prompt ({CONFIG} is missing): name a folder that was saved here or by PEFT.")
    if not NAME.fullmatch(repo):
        raise LabError(f"{shown(repo)} is no name on the Hub: write owner/name.")
