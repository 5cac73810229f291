"""A sweep as a TOML file: a task, a recipe, what varies, and how many seeds. Needs no model."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import LabError, as_path, reason, shown
from core.recipe import SETTINGS, Recipe
from core.sweeps.grid import Grid, nearest
from core.tasks.load import load_task
from core.tasks.task import Task

LARGEST = 1_000_000  # bytes


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    task: Annotated[str, Field(min_length=1)]
    vary: dict[str, list[str | int | float | bool]]
    recipe: dict[str, str | int | float | bool] = {}
    seeds: int = 3
    model: str = ""


@dataclass(frozen=True)
class Config:
    """What a file says. model: "" for the one that the command names."""

    task: Task
    grid: Grid
    model: str = ""


def read_config(name: str | Path) -> Config:
    """The sweep of a TOML file. A task that is a file is looked for beside the TOML file. LabError, in one sentence, for a bad one."""
    path = as_path(name)
    if not path.is_file():
        raise LabError(f"There is no file {shown(name)}: give a TOML file with a task and what to vary.")
    if path.stat().st_size > LARGEST:
        raise LabError(f"{shown(path.name)} has more than 1 MB: give a TOML file with a task and what to vary.")
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise LabError(f"{shown(path.name)} is no TOML file ({reason(error)}): see docs/experiments.md for one.") from error
    return config_of(found, path.name, path.parent)


def config_of(found: dict[str, Any], name: str, folder: Path = Path()) -> Config:
    """The sweep that a parsed TOML file holds. folder: where the files that it names are."""
    for key in found:
        if key not in _File.model_fields:
            raise LabError(f"{shown(name)} has the unknown key {shown(key)}: {nearest(key, _File.model_fields)}.")
    try:
        read = _File.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if (isinstance(part, str) and part in found) or part in _File.model_fields)
        raise LabError(f"{shown(name)} is not right at {shown(place)} ({first['msg'].lower()}): see docs/experiments.md.") from error
    for key in read.recipe:
        if key in ("task", "model"):
            raise LabError(f"{shown(name)} has {key} in [recipe]: put it above the first table.")
        if key not in SETTINGS:
            raise LabError(f"{shown(name)} has the unknown setting {shown(key)} in [recipe]: {nearest(key, SETTINGS)}.")
    beside = folder / read.task
    task = load_task(str(beside) if as_path(beside).is_file() else read.task)
    recipe = Recipe.from_settings({**task.recipe, **read.recipe})
    grid = Grid(recipe, {key: tuple(values) for key, values in read.vary.items()}, read.seeds)
    grid.check(task)
    return Config(task, grid, read.model)
