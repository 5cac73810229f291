"""Contenders besides handcrafted prompts: worked examples, the chat template, calibration, controls."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from core.errors import LabError, shown
from core.inspection.control import array_moved_at_random
from core.inspection.snap import snap
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.prefix import Prefix, no_prefix, prefix_of
from core.scoring.calibration import content_free_shares
from core.scoring.contender import Contender
from core.tasks.prompt_text import around, drawn, with_examples
from core.tasks.task import Task

MOST_EXAMPLES = 32


def few_shot(task: Task, k: int, seed: int = 0, order: int = 0) -> Contender:
    """A prompt of `k` worked examples drawn from the training rows by `seed`, in the order numbered `order`.

    Label words take turns, so that each is shown as often as can be. The examples use the task's own template; where
    that is the bare input, as `input -> answer`. Raises LabError for k outside 1 to 32, or above the number of rows.
    """
    if not 1 <= k <= MOST_EXAMPLES:
        raise LabError(f"{k} worked examples were asked for: choose a whole number from 1 to {MOST_EXAMPLES}.")
    examples = drawn((*task.train, *task.validation), task.labels, k, seed)
    random.Random(order).shuffle(examples)
    name = f"{k} examples, draw {seed}"
    return Contender(
        f"{name}, order {order + 1}",
        "handcrafted",
        with_examples(around(task), examples),
        no_prefix(),
        examples=k,
        group=name,
    )


def in_chat(lm: LanguageModel, prompt: Contender) -> Contender:
    """A handcrafted prompt as the user's turn in the model's own chat template.

    Raises LabError for a model that has no chat template.
    """
    if not lm.tokenizer.chat_template:
        raise LabError(f"The model {shown(lm.name)} has no chat template: compare the plain prompt.")
    turns = [{"role": "user", "content": prompt.template}]
    text = lm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    lead = lm.tokenizer.decode(lm.lead)
    if lead and text.startswith(lead):  # it is already put before every prompt
        text = text[len(lead) :]
    return replace(prompt, name=f"{prompt.name}, as a chat", template=text)


def calibrated(lm: LanguageModel, contender: Contender, labels: Sequence[str]) -> Contender:
    """`contender`, contextually calibrated (Zhao et al. 2021): label shares are divided by those for content-free inputs.

    What a label gets after "N/A", "[MASK]" and nothing, it gets for nothing. Runs the model. Raises LabError where no
    content-free input can be run.
    """
    return replace(contender, name=f"{contender.name}, calibrated", offsets=content_free_shares(lm, contender, labels))


def snapped(lm: LanguageModel, learned: Contender) -> tuple[Contender, str]:
    """A soft prompt with the nearest token's embedding in place of each vector, and what those tokens read."""
    ids, words = snap(learned.prefix.array().detach().to(lm.device), lm.vocabulary)
    text = lm.decode(ids.tolist())
    return _untrained(learned, f"snapped: {learned.name}", prefix_of(METHODS["prompt"], words).to(lm.device)), text


def started(lm: LanguageModel, learned: Contender, start: np.ndarray) -> Contender:
    """The start of a run, untrained."""
    return _untrained(learned, f"the start of {learned.name}", prefix_of(learned.prefix.method, start).to(lm.device))


def moved(lm: LanguageModel, learned: Contender, start: np.ndarray, draw: int = 0) -> Contender:
    """The control of first choice: the start of a run, moved by the learned lengths in random directions."""
    values = array_moved_at_random(start, learned.prefix.snapshot(), draw)
    name = f"control {draw + 1}: {learned.name} moved at random"
    return _untrained(learned, name, prefix_of(learned.prefix.method, values).to(lm.device))


def drawn_at_random(lm: LanguageModel, learned: Contender, seed: int = 0) -> Contender:
    """Vectors drawn from a Gaussian with the vocabulary's own mean and covariance, as many as `learned` has."""
    values = like_vocabulary(lm.vocabulary.cpu().numpy(), learned.prefix.virtual_tokens, seed)
    return _untrained(learned, f"control: random vectors for {learned.name}", prefix_of(METHODS["prompt"], values).to(lm.device))


def like_vocabulary(vocabulary: Float[np.ndarray, "vocab d_model"], count: int, seed: int = 0) -> Float[np.ndarray, "count d_model"]:
    """`count` vectors from a Gaussian with the mean m and the covariance of `vocabulary`'s rows w_i.

    m + sum_i z_i (w_i - m) / sqrt(vocab - 1), z_i standard normal, has just that covariance, and needs no decomposition of it.
    """
    mean = vocabulary.mean(axis=0)
    weights = np.random.default_rng(seed).standard_normal((count, len(vocabulary)), dtype=np.float32)
    return mean + (weights @ (vocabulary - mean)) / np.float32((len(vocabulary) - 1) ** 0.5)


def _untrained(learned: Contender, name: str, prefix: Prefix) -> Contender:
    # Still without the rows that `learned` was trained on: its start or its words may come from them.
    return replace(learned, name=name, prefix=prefix, examples=0, seconds=0.0, group="")
