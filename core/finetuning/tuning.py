"""Train the parameters of a changed model: the same rows, batches, loss and optimiser as for a prompt."""

import math
from dataclasses import replace

import torch

from core.finetuning.changes import Changed
from core.prefix import no_prefix
from core.recipe import Recipe
from core.scoring.contender import Contender
from core.tasks.task import Task
from core.training.training import Training, batch_indices, rate_at


class Tuning:
    """A run of `recipe` on a changed model. Its learning rate, steps, batches and loss count; nothing is put before the input.

    Unlike a prompt's, its state is not plain data: a copy of all weights after every step would take longer than the step.
    """

    def __init__(self, changed: Changed, task: Task, recipe: Recipe):
        self.changed, self.recipe, self.step = changed, recipe, 0
        self.stopped = ""  # why the run ended early, or ""
        self.training = Training(changed.lm, task, recipe, prefix=no_prefix())
        self.optimiser = torch.optim.AdamW(changed.trained.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)

    def advance(self) -> float:
        """One step. Its loss before the step's change, in nats; not finite where the run is lost (`stopped` then says so)."""
        rows = self.training.prepared.rows
        batch = [rows[i] for i in batch_indices(self.recipe.rows_seed, self.step, self.recipe.batch_size, len(rows))]
        self.optimiser.zero_grad()
        loss = self.training.backward(batch)
        norm = torch.nn.utils.clip_grad_norm_(list(self.changed.trained.values()), self.recipe.clip or math.inf).item()
        self.optimiser.param_groups[0]["lr"] = rate_at(self.recipe, self.step)
        self.step += 1
        if math.isfinite(loss) and math.isfinite(norm):
            self.optimiser.step()
        else:
            self.stopped = f"the loss was no longer a number at step {self.step}"
        return loss

    def contender(self, name: str) -> Contender:
        """The changed model's, with nothing before the input. It was trained, so by `auto` labels are compared as for learned prompts."""
        made = self.training.contender(name)
        return replace(made, label_score="sum") if made.label_score == "auto" else made
