"""Soft Prompt Lab's core: train, score and read soft prompts and K/V prefixes on a frozen language model.

from core import load_model, load_task, Recipe, train

run = train(load_model(), load_task("past-tense"), Recipe(steps=60))
run.scores, run.nearest(), run.pca(), run.answer("sing"), run.save("my-prompt")
"""

import os

# OpenMP's threads spin while they wait for each other, and on a busy machine (a browser beside the server, two people)
# that costs ten times more than it saves: 4.0 s a step beside one busy process, 0.6 s with a short spin, 0.37 s alone
# with either. Read when torch is first loaded, so it is set before.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from core.errors import LabError
from core.models.language_model import LanguageModel, load_model
from core.recipe import Recipe
from core.runs.result import Result, train
from core.runs.run import Finished, Scored, run
from core.scoring.score import score
from core.tasks.task import Task, load_task
from core.training.training import StepEvent, Training

__all__ = [
    "Finished",
    "LabError",
    "LanguageModel",
    "Recipe",
    "Result",
    "Scored",
    "StepEvent",
    "Task",
    "Training",
    "load_model",
    "load_task",
    "run",
    "score",
    "train",
]
