"""The untrained prefix that a recipe starts from."""

import torch

from core.errors import LabError
from core.methods import METHODS
from core.methods.contract import Start
from core.models.language_model import LanguageModel
from core.prefix import Prefix
from core.recipe import Recipe
from core.tasks.task import Task


def create(lm: LanguageModel, task: Task, recipe: Recipe) -> Prefix:
    """The prefix before the first step. Depends on nothing but its arguments: the generator is its own."""
    generator = torch.Generator().manual_seed(recipe.seed)
    tokens = None if recipe.init == "random" else start_tokens(lm, task, recipe, generator)
    method = METHODS[recipe.method]
    start = Start(recipe.virtual_tokens, tokens, recipe.init_scale, recipe.mlp, generator)
    return Prefix(method, method.start(lm, start)).to(lm.device)


def start_tokens(lm: LanguageModel, task: Task, recipe: Recipe, generator: torch.Generator | None = None) -> list[int]:
    """The real tokens that a start by vocabulary, text or labels is made of: `virtual_tokens` ids.

    A text is repeated or cut to fit. Label words (for answers: the training rows' answers) are followed by sampled tokens.
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
    words = task.labels or tuple(dict.fromkeys(example.output for example in task.train))
    ids = list(dict.fromkeys(token for word in words for token in lm.tokenise(" " + word)))[:count]
    return ids + lm.sample_tokens(count - len(ids), generator)
