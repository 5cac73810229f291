"""Attention of the answer position, and whether a prefix changes the proportions of the other tokens' attention."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from core.errors import LabError
from core.events import Event
from core.inspection.attention import Shares, mean, petrov_residual, shares
from core.models.language_model import LanguageModel
from core.models.past import expand
from core.prefix import Prefix
from core.scoring.contender import Contender
from core.scoring.prepared import Prepared, prepare
from core.tasks.task import Example

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Attention(Event):
    """Attention of the answer position (the prompt's last token, from which the answer's first is predicted), mean over n rows.

    tokens: what the P positions of the prompt are called: a number from 1 for a learned vector, the text of a real token.
    """

    name: str
    shares: Shares
    tokens: tuple[str, ...]
    n: int


def attention_of(
    lm: LanguageModel,
    contender: Contender,
    examples: Sequence[Example],
    labels: Sequence[str] | None,
    most: int = 16,
    count: int | None = None,
) -> Iterator[Attention]:
    """Attention to a contender's prompt, row by row: yields the mean so far after each of at most `most` drawn rows. float32.

    The prompt is its virtual tokens; of a handcrafted one the start that all of `examples` share, or the last `count` tokens
    of it (all, where there are fewer), to compare a learned prompt with as many real tokens. The first position of all is
    always reported separately. Raises LabError where no row is left, or a row can't be used.
    """
    lm = lm.for_scoring
    counted = contender.counted(examples)
    if not counted:
        raise LabError(f"No rows are left to look at {contender.name!r} on: all are in its prompt or its training rows.")
    lm.check_attention()
    prepared = prepare(lm, contender, counted, labels)  # of all rows: few of them may share more than the template
    first, tokens = _prompt(lm, prepared, count)
    with torch.inference_mode():
        cache = prepared.fill(lm)
    found: list[Shares] = []
    for row in draw(prepared.rows, most):
        ids = torch.tensor(row.prompt, device=lm.device)
        with torch.inference_mode():  # the last token alone has its weights read: no map of all tokens to all is made
            before = lm.prefill(ids[:-1], past=expand(cache, 1))
            weights = lm.attentions(before, ids[-1:])[:, :, 0]  # (layers, heads, keys)
        found.append(shares(weights.cpu().numpy(), first, len(tokens)))
        yield Attention(contender.name, mean(found), tokens, len(found))


def _prompt(lm: LanguageModel, prepared: Prepared, count: int | None) -> tuple[int, tuple[str, ...]]:
    """The first position of the prompt, and the names of all its tokens."""
    virtual = prepared.prefix.virtual_tokens
    if virtual:
        return prepared.lead if prepared.placement == "after" else 0, tuple(str(i + 1) for i in range(virtual))
    length = len(prepared.shared)
    first = length - min(length if count is None else count, length)
    return first, tuple(lm.token_text(token) for token in prepared.shared[first:])


def draw(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of `items`, drawn evenly, the same ones at every call, in their order.

    >>> draw("abcdef", 6), len(draw(range(100), 3))
    (['a', 'b', 'c', 'd', 'e', 'f'], 3)
    """
    picks = random.Random(0).sample(range(len(items)), min(most, len(items)))  # not every n-th: labels may take turns
    return [items[i] for i in sorted(picks)]


def petrov(lm: LanguageModel, prefix: Prefix, ids: Sequence[int]) -> Float[np.ndarray, " layers"]:
    """`petrov_residual` of each layer for the tokens `ids` after `prefix`, compared with them at the same positions without it.

    In the first layer it is rounding error for every prefix and model: its tokens' queries and keys are the same in both. The
    layers above get inputs that the prefix has changed; there an untrained prefix's is large too (it becomes the attention sink
    in place of the first token), so read a learned one's against its start's. float32. Raises LabError where there are no
    tokens, or more than the model has positions for.
    """
    lm = lm.for_scoring
    count = prefix.virtual_tokens
    if not ids:
        raise LabError("There are no tokens to run after the prefix: give a text.")
    if count + len(ids) > lm.window:
        raise LabError(f"The text and the prefix need {count + len(ids)} positions, the model has {lm.window}: use a shorter text.")
    lm.check_attention()
    tokens = torch.tensor(list(ids), device=lm.device)
    with torch.inference_mode():
        after = lm.attentions(prefix.fill(lm), tokens)  # (layers, heads, T, count + T)
        alone = lm.attentions(lm.nothing(), tokens, offset=count)  # (layers, heads, T, T)
    return petrov_residual(after.cpu().numpy(), alone.cpu().numpy(), count)
