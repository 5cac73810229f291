"""The untrained prefix that a recipe starts from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import LabError, shown
from core.methods import METHODS
from core.methods.contract import Start
from core.models.language_model import LanguageModel
from core.prefix import Prefix
from core.recipe import Recipe
from core.tasks.prompt_text import between, drawn, worked_example
from core.tasks.task import Task, template_of


@dataclass(frozen=True, eq=False)
class Begun:
    """A prompt that was trained before, to go on from. array: what is stored of it. seen: keys of the rows that it was trained on."""

    array: np.ndarray
    seen: frozenset[str] = frozenset()


def create(lm: LanguageModel, task: Task, recipe: Recipe, begun: Begun | None = None) -> Prefix:
    """The prefix before the first step. Depends on nothing but its arguments: the generator is its own.

    begun: the saved prompt that the recipe starts from. LabError where the recipe names one that is not given, or does not fit.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    method = METHODS[recipe.method]
    if recipe.init_from:
        start = Start(recipe.virtual_tokens, None, recipe.init_scale, recipe.mlp, generator, _fitting(lm, recipe, begun), recipe.train)
    else:
        tokens = None if recipe.init == "random" else start_tokens(lm, task, recipe, generator)
        start = Start(recipe.virtual_tokens, tokens, recipe.init_scale, recipe.mlp, generator, train=recipe.train)
    return Prefix(method, method.start(lm, start)).to(lm.device)


def _fitting(lm: LanguageModel, recipe: Recipe, begun: Begun | None) -> Tensor:
    """The array of the prompt to start from. LabError where it is not what the recipe trains."""
    name, method = shown(recipe.init_from), METHODS[recipe.method]
    if begun is None:
        raise LabError(f"This run starts from the saved prompt {name}, which is not here: bring it, or start from something else.")
    count = begun.array.shape[method.token_axis] if begun.array.ndim > method.token_axis else 0
    if begun.array.shape != method.shape(lm.shape, count):
        raise LabError(f"The saved prompt {name} is no {method.label} of this model: choose the method that it was trained with.")
    if count != recipe.virtual_tokens:
        raise LabError(f"The saved prompt {name} has {count} virtual tokens, the recipe {recipe.virtual_tokens}: set them to {count}.")
    return torch.from_numpy(begun.array.copy())


def start_tokens(lm: LanguageModel, task: Task, recipe: Recipe, generator: torch.Generator | None = None) -> list[int]:
    """The real tokens that a start by vocabulary, text, labels or examples is made of: `virtual_tokens` ids.

    A text is repeated or cut to fit. Label words (for answers: the training rows' answers) are followed by sampled tokens.
    Worked examples: see `example_tokens`.
    """
    generator = generator or torch.Generator().manual_seed(recipe.seed)
    count = recipe.virtual_tokens
    if recipe.init == "vocab":
        return lm.sample_tokens(count, generator)
    if recipe.init == "text":
        ids = lm.tokenise(recipe.init_text)
        if not ids:
            raise LabError("The start text has no tokens: give another one, or start from the vocabulary.")
        return [ids[i % len(ids)] for i in range(count)]
    if recipe.init == "examples":
        return example_tokens(lm, task, recipe)
    words = task.labels or tuple(dict.fromkeys(example.output for example in task.train))
    ids = list(dict.fromkeys(token for word in words for token in lm.tokenise(" " + word)))[:count]
    return ids + lm.sample_tokens(count - len(ids), generator)


def example_tokens(lm: LanguageModel, task: Task, recipe: Recipe) -> list[int]:
    """The tokens of worked examples, as a handcrafted prompt has them right before its input: exactly `virtual_tokens` ids.

    Training rows, drawn by the recipe's seed (labels take turns), in the template that the run uses; the first one drawn is last, next
    to the input. As many whole rows are taken as fit; the positions that remain before them hold the end of one more row. Rows
    that run out are repeated. Validation and held-out rows are never used. LabError where no training row can be shown.
    """
    template, count = template_of(task, recipe.template), recipe.virtual_tokens
    usable = [row for row in task.train if "{input}" not in row.input + row.output]
    if not usable:
        raise LabError("No training row can be shown as a worked example: start from something else.")
    rows = drawn(usable, task.labels, len(usable), recipe.seed)
    apart, taken, ids = between(template), 1, list[int]()
    while len(ids) < count and taken <= 2 * count:  # tokenised as one text: some tokenizers begin each text with a space
        shown_rows = [rows[place % len(rows)] for place in reversed(range(taken))]
        ids = lm.tokenise("".join(worked_example(template, row) + apart for row in shown_rows))
        taken *= 2
    if not ids:
        raise LabError("The training rows have no tokens: start from something else.")
    return [ids[place % len(ids)] for place in range(-count, 0)]
