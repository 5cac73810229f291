"""Soft Prompt Lab's core: train, score and read soft prompts and K/V prefixes on a frozen language model.

from core import load_model, load_task, Recipe, Training, score
"""

from .errors import LabError
from .model import LanguageModel, load_model
from .recipe import Recipe
from .run import Finished, Scored, run
from .scoring import score
from .task import Task, load_task
from .training import StepEvent, Training

__all__ = [
    "Finished",
    "LabError",
    "LanguageModel",
    "Recipe",
    "Scored",
    "StepEvent",
    "Task",
    "Training",
    "load_model",
    "load_task",
    "run",
    "score",
]
