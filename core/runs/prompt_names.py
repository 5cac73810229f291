"""Names of learned prompts: a folder or zip here, or a repository of the Hub."""

import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import LabError, as_path, shown
from core.models.weights import ADAPTER_CONFIG
from core.runs.adapter_files import zip_around

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
FOLDER = re.compile(r"hub:(\w[\w.-]*/\w[\w.-]*)/(\w[\w. -]*(?:/\w[\w. -]*)*)", re.ASCII)


@dataclass(frozen=True)
class OnHub:
    """A repository of the Hub (owner/name), and the folder in it that holds the prompt, "" for the repository's own."""

    repo: str
    folder: str = ""


def on_hub(name: str) -> OnHub | None:
    """The place on the Hub that `name` means: owner/name, hub:owner/name or hub:owner/name/folder.

    None where it is a file or folder here. Raises LabError for any other name.
    """
    return None if as_path(name).exists() or zip_around(as_path(name)) else hub_place(name)


def hub_place(name: str) -> OnHub:
    """As `on_hub`, for a name that never means a file or folder here."""
    repo = name.removeprefix("hub:")
    if NAME.fullmatch(repo):
        return OnHub(repo)
    if found := FOLDER.fullmatch(name):
        return OnHub(*found.groups())
    raise LabError(
        f"There is no learned prompt at {shown(name)}: name a folder or zip saved here or by PEFT, "
        "or a Hub id (owner/name, or hub:owner/name/folder)."
    )


def check_upload(folder: str | Path, repo: str) -> None:
    """LabError unless `folder` holds an adapter and `repo` is a name of the Hub (owner/name)."""
    path = as_path(folder)
    if not path.is_dir():
        raise LabError(f"There is no folder {shown(folder)}: name one that was saved here or by PEFT.")
    if not (path / ADAPTER_CONFIG).is_file():
        raise LabError(
            f"{shown(folder)} is not a saved prompt ({ADAPTER_CONFIG} is missing): name a folder that was saved here or by PEFT."
        )
    if not NAME.fullmatch(repo):
        raise LabError(f"{shown(repo)} is no name on the Hub: write owner/name.")
