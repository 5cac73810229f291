"""Whether a folder can hold the runs of a sweep. Needs no model."""

from pathlib import Path

from core.errors import LabError, as_path, shown

NAME = "runs.jsonl"


def check_folder(folder: str | Path) -> None:
    """LabError, before a model is loaded, where `folder` can't hold a sweep: a file, or a folder that holds other things."""
    path = as_path(folder)
    if path.exists() and not path.is_dir():
        raise LabError(f"{shown(folder)} is a file: name a folder.")
    if path.is_dir() and any(path.iterdir()) and not (path / NAME).is_file():
        raise LabError(f"{shown(folder)} holds other files, and no sweep: name a new folder, or that of the sweep to go on with.")
