"""What a contender answers to one text, and what it would say next: with vectors of it left out, or all of them scaled."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.events import Event
from core.models.language_model import LanguageModel
from core.prefix import prefix_of
from core.scoring.answering import answer, label_probabilities, next_tokens
from core.scoring.contender import Contender
from core.tasks.task import Task, normalised

LIKELIEST = 3  # next tokens


@dataclass(frozen=True)
class Tried(Event):
    """One answer, which may still grow. likeliest: the next tokens, or labels, with their probabilities. problem: why there is none.
    right: where a record says so."""

    said: str
    likeliest: tuple[tuple[str, float], ...] = ()
    problem: str = ""
    right: bool | None = None


def try_on(lm: LanguageModel, contender: Contender, text: str, labels: Sequence[str] | None, most: int) -> Iterator[Tried]:
    """The answer of `contender` to `text`, growing token by token, up to `most` tokens. float32. LabError as `answer` raises it."""
    if labels:
        shares = label_probabilities(lm, contender, text, labels)
        best = sorted(zip(labels, shares, strict=True), key=lambda pair: -pair[1])
        yield Tried(best[0][0], tuple(best[:LIKELIEST]))
        return
    likeliest = tuple(next_tokens(lm, contender, text, LIKELIEST))
    yield Tried("", likeliest)
    for said in answer(lm, contender, text, most):
        yield Tried(said, likeliest)


def altered(contender: Contender, muted: Collection[int] = (), strength: float = 1.0) -> Contender:
    """The contender without the vectors `muted` (counted from 0), and with the others multiplied by `strength`.

    A muted vector is left out: later ones move one position forward, while the keys of a K/V prefix keep their rotation. A strength
    of 0 makes every vector zero, which still has its positions, so that is not "no prompt".
    """
    prefix = contender.prefix
    axis, count = prefix.method.token_axis, prefix.virtual_tokens
    gone = sorted(number for number in set(muted) if 0 <= number < count)
    if not gone and strength == 1.0:
        return contender
    with torch.no_grad():
        array = np.delete(prefix.snapshot(), gone, axis) * np.float32(strength)
    return replace(contender, prefix=prefix_of(prefix.method, array))


def right_answer(task: Task, text: str) -> str | None:
    """The right answer to `text`, where it is a row of `task`."""
    rows = (*task.held_out, *task.validation, *task.train)
    return next((row.output for row in rows if normalised(row.input) == normalised(text)), None)


def is_right(said: str, output: str) -> bool:
    """Whether an answer begins with the right one, as whole words: the page scores the answer's tokens, not what follows them.

    >>> is_right("went home", "went"), is_right("wentx", "went"), is_right("Went.", "went")
    (True, False, True)
    """
    mine, right = normalised(said), normalised(output)
    rest = mine[len(right) :]
    return bool(right) and mine.startswith(right) and not (rest[:1].isalnum() and right[-1].isalnum())
