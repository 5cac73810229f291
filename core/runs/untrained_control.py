"""The untrained control: a run repeated on random weights of the same architecture. It can use nothing that the model has learned."""

from collections.abc import Iterator

import torch

from core.display import in_words
from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.untrained import bytes_untrained, untrained
from core.recipe import Recipe
from core.runs.contest import Scored
from core.runs.run import Trained, repeat
from core.scoring.score import score_steps
from core.tasks.task import Task
from core.training.memory import lacking, needed_for
from core.training.start import Begun
from core.training.training import StepEvent, Training


def on_random_weights(lm: LanguageModel, task: Task, recipe: Recipe, name: str, begun: Begun | None = None) -> Iterator[StepEvent | Scored]:
    """Train `recipe` on a model like `lm` with random weights (by the recipe's seed), then score it on the held-out rows with that model.

    Yields every step, then the growing score, under `name`. The prompt itself is not given out: it means nothing to another model. The
    scores enter no Scorebook. begun: as for `Training`. `lm` is not changed, and the other model's memory is free when the iterator
    ends or is closed. LabError, before anything is trained, where that model can't be made here, with the numbers where the
    memory is short.
    """
    if recipe.loss == "imitate":
        raise LabError(
            "This run imitates what the trained model predicts, which random weights don't: choose a run that learns the rows' answers."
        )
    if lm.device_process is not None:
        raise LabError("Another process trains here, and it has the trained weights alone: run this control on a machine of your own.")
    _check_memory(lm, task, recipe, begun)
    with untrained(lm, recipe.seed) as fresh:
        for event in repeat(fresh, task, recipe, name, begun):
            if not isinstance(event, Trained):
                yield event
                continue
            for score in score_steps(fresh, event.contender, task.held_out, task.labels):
                yield Scored("held_out", score)


def _check_memory(lm: LanguageModel, task: Task, recipe: Recipe, begun: Begun | None) -> None:
    copy, run = bytes_untrained(lm), needed_for(Training(lm, task, recipe, begun)).bytes
    for device, needed in ((lm.device, copy + run), (torch.device("cpu"), copy)):  # the weights are drawn on the CPU
        free = lacking(device, needed)
        if free is not None:
            raise LabError(
                f"A second model with random weights, and a run on it, would need about {in_words(needed)} of memory ({in_words(copy)} for "
                f"the weights), and {in_words(free)} are free: leave this control out, or choose a smaller model."
            )
