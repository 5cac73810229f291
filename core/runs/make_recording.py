"""Make a recorded run: train its recipe as the page does, and note which version, weights and machine made it."""

import datetime
import platform
import tomllib
from collections import deque

import torch
import transformers

from core.files import ROOT
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.contest import lines
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord, new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.tasks.load import load_task


def make(lm: LanguageModel, recipe: Recipe) -> RunRecord:
    """Train `recipe` as the page does, and say which version, weights and machine made it."""
    task = load_task(recipe.task)
    record = new_record(task, recipe)
    book = Scorebook()
    deque(lines(lm, task, book), maxlen=0)  # as on the page, which scores them while the device is idle
    deque(training_job(lm, task, recipe, Vocabulary(lm), book, record, lambda: False), maxlen=0)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    here = made_here()
    record.recorded = {"date": here["date"], "version": f"Soft Prompt Lab {project['version']}", **here}
    return record


def made_here(device: str = "") -> dict[str, str]:
    """What is noted of any recorded result: when, by which libraries and on which machine. device: the model's, where it is told."""
    places = [f"{platform.system()} {platform.machine()}", device, f"{torch.get_num_threads()} threads"]
    return {
        "date": datetime.date.today().isoformat(),
        "libraries": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "machine": ", ".join(place for place in places if place),
    }
