"""Soft Prompt Lab's core: train, score and read soft prompts and K/V prefixes on a frozen language model.

from core import load_model, load_task, Recipe, train

run = train(load_model(), load_task("past-tense"), Recipe(steps=60))
run.scores, run.nearest(), run.pca(), run.answer("sing"), run.save("my-prompt")

Each name is imported when it is first used, so that a caller who needs no model doesn't wait for torch.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.errors import LabError as LabError
    from core.models.language_model import LanguageModel as LanguageModel
    from core.models.language_model import load_model as load_model
    from core.recipe import Recipe as Recipe
    from core.runs.contest import Scored as Scored
    from core.runs.run import Finished as Finished
    from core.runs.run import run as run
    from core.runs.trained_run import TrainedRun as TrainedRun
    from core.runs.trained_run import train as train
    from core.scoring.score import score as score
    from core.sweeps.grid import Grid as Grid
    from core.sweeps.sweep import SweepResult as SweepResult
    from core.sweeps.sweep import sweep as sweep
    from core.tasks.load import load_task as load_task
    from core.tasks.task import Task as Task
    from core.training.training import StepEvent as StepEvent
    from core.training.training import Training as Training

# OpenMP's threads spin while they wait for each other, and on a busy machine (a browser beside the server, two people)
# that costs ten times more than it saves: 4.0 s a step beside one busy process, 0.6 s with a short spin, 0.37 s alone
# with either. Read when torch is first loaded, so it is set before.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

MODULES = {
    "core.errors": ["LabError"],
    "core.models.language_model": ["LanguageModel", "load_model"],
    "core.recipe": ["Recipe"],
    "core.runs.trained_run": ["TrainedRun", "train"],
    "core.runs.contest": ["Scored"],
    "core.runs.run": ["Finished", "run"],
    "core.scoring.score": ["score"],
    "core.sweeps.grid": ["Grid"],
    "core.sweeps.sweep": ["SweepResult", "sweep"],
    "core.tasks.load": ["load_task"],
    "core.tasks.task": ["Task"],
    "core.training.training": ["StepEvent", "Training"],
}
MODULE_OF = {name: module for module, names in MODULES.items() for name in names}
__all__ = list(MODULE_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in MODULE_OF:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(importlib.import_module(MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULE_OF})
