"""Recorded runs: which there are, how each is made, and what it held. A page shows one before its model is there."""

import datetime
import json
import platform
import tomllib
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import transformers

from core.errors import LabError, shown
from core.files import ASSETS, ROOT
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord, new_record
from core.runs.run import Scorebook, lines
from core.runs.training_job import training_job
from core.tasks.load import load_task

FOLDER = ASSETS / "recordings"
RECIPES = FOLDER / "recipes.json"


@dataclass(frozen=True)
class Recording:
    """One recorded run. told: what it shows, in a few words (tests compare them with its scores)."""

    slug: str
    title: str
    told: str
    recipe: Recipe

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.slug}.json"


@cache
def listed() -> tuple[Recording, ...]:
    """All recordings that `make recordings` makes, in the order in which the page offers them."""
    read = json.loads(RECIPES.read_text("utf-8"))
    return tuple(Recording(one["slug"], one["title"], one["told"], Recipe.from_dict(one["recipe"])) for one in read)


@cache
def recordings() -> tuple[Recording, ...]:
    """Those that have been made."""
    return tuple(one for one in listed() if one.path.is_file())


@cache
def recorded(slug: str) -> RunRecord:
    """What the recording `slug` holds, read from its file the first time only. LabError for one that isn't there."""
    found = next((one for one in recordings() if one.slug == slug), None)
    if found is None:
        raise LabError(f"There is no recording {shown(slug)}: choose one of {', '.join(one.slug for one in recordings())}.")
    return RunRecord.from_json(found.path.read_text("utf-8"))


def make(lm: LanguageModel, recipe: Recipe) -> RunRecord:
    """Train `recipe` as the page does, and say which version, weights and machine made it."""
    task = load_task(recipe.task)
    record = new_record(task, recipe)
    book = Scorebook()
    deque(lines(lm, task, book), maxlen=0)  # as on the page, which scores them while the device is idle
    deque(training_job(lm, task, recipe, Vocabulary(lm), book, record, lambda: False), maxlen=0)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    record.recorded = {
        "date": datetime.date.today().isoformat(),
        "version": f"Soft Prompt Lab {project['version']}",
        "libraries": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }
    return record
