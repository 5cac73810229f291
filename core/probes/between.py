"""Between two learned prompts: the scores along the line that joins them, and of one with vectors of the other in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from core.errors import LabError, shown
from core.events import Event, Progress
from core.inspection.between import interpolate, patch
from core.models.language_model import LanguageModel
from core.probes.vectors import array_of, put_in
from core.recipe import check_template
from core.runs.contest import common_rows
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import Score, finish
from core.tasks.task import Task


@dataclass(frozen=True)
class Along(Event):
    """The score at a place on the line between two prompts. share: 0 is the first, 1 the second."""

    share: float
    score: Score


@dataclass(frozen=True)
class Patched(Event):
    """One prompt with vectors of another in it. which: their numbers, () for none. source: learned, or control.

    into_task: the score on the patched prompt's own task. from_task: on the task that the vectors come from.
    """

    which: tuple[int, ...]
    source: str
    into_task: Score
    from_task: Score


def path_between(
    lm: LanguageModel, task: Task, a: Contender, b: Contender, book: Scorebook, points: int = 11
) -> Iterator[Progress | Along | None]:
    """Scores at evenly spaced places on the line from `a` to `b`: yields how many, then each one; None between batches.

    On the held-out rows that count for both. Every place has `a`'s template and placement, the end at `b` too. The
    losses in their order are what `inspection.between.barrier` takes. LabError where the two differ in kind or length.
    """
    first, second = arrays_of(a, b)
    if points < 2:
        raise LabError(f"A line of {points} points has no two ends: ask for 2 or more.")
    shares = np.linspace(0, 1, points).tolist()
    rows = common_rows(task.held_out, [a, b])
    yield Progress(points)
    for share, values in zip(shares, interpolate(first, second, shares), strict=True):
        contender = put_in(lm, a, f"{share:.0%} of the way from {a.name} to {b.name}", values)
        yield Along(share, (yield from finish(book.score(lm, contender, rows, task.labels))))


def written_prefix(lm: LanguageModel, template: str, count: int) -> Float[np.ndarray, "count d_model"]:
    """The embeddings of the words before {input} in a handcrafted prompt, float32, as a start or an end of a line.

    They are cut after `count` tokens, or repeated from the first until there are as many. LabError where there are no words.
    """
    check_template(template)
    ids = lm.tokenise(template.split("{input}")[0].rstrip(" "))  # the space belongs to the input's first token
    if not ids:
        raise LabError(f"No words come before {{input}} in {shown(template)}: choose a prompt that begins with some.")
    repeated = [ids[i % len(ids)] for i in range(count)]
    with torch.no_grad():
        embeddings: np.ndarray = lm.for_scoring.embed_ids(repeated).cpu().numpy()
    return embeddings


def transplant(
    lm: LanguageModel,
    tasks: tuple[Task, Task],
    a: Contender,
    b: Contender,
    book: Scorebook,
    sets: Sequence[Sequence[int]] | None = None,
    control: Float[np.ndarray, "..."] | None = None,
) -> Iterator[Progress | Patched | None]:
    """Which of `a`'s vectors carry its task? Puts them into `b`'s prompt at the same places, and scores both tasks.

    tasks: those of `a` and of `b`. sets: the vectors that are put in together; by default each one alone, then the first two,
    three, … P. First comes `b` as it is, last all of `a`. Rows of a task are scored in the template of that task's own prompt,
    and only those that count for both prompts. control: an untrained array in the shape of `a`'s (its start, moved
    at random by the learned lengths); every set is filled from it too, and an effect that it shows as well is no effect of learning.
    Yields how many results will come, then them; None between batches.

    Raises LabError where the two differ in kind or length, or a set names a vector that isn't there.
    """
    source, into = arrays_of(a, b)
    count = a.prefix.virtual_tokens
    if sets is None:
        sets = [*((i,) for i in range(count)), *(tuple(range(k)) for k in range(2, count + 1))]
    if not all(0 <= i < count for which in sets for i in which):
        raise LabError(f"There are {count} vectors: number them from 0 to {count - 1}.")
    chosen = list(dict.fromkeys([(), *(tuple(sorted(set(which))) for which in sets), tuple(range(count))]))
    chosen.sort(key=lambda which: len(which) == count)  # all of `a` last
    fillings = {"learned": source} | ({} if control is None else {"control": control})
    plan = [(which, name) for which in chosen for name in fillings if which or name == "learned"]
    yield Progress(len(plan))
    excluded = a.excluded | b.excluded
    homes = [(task, replace(home, excluded=excluded)) for task, home in ((tasks[1], b), (tasks[0], a))]
    for which, name in plan:
        values = patch(into, fillings[name], which, b.prefix.method.token_axis)
        scores = []
        for task, home in homes:
            contender = put_in(lm, home, f"{b.name} with {len(which)} of {a.name}", values)
            scores.append((yield from finish(book.score(lm, contender, task.held_out, task.labels))))
        yield Patched(which, name, *scores)


def arrays_of(a: Contender, b: Contender) -> tuple[np.ndarray, np.ndarray]:
    """Both prompts' numbers. LabError where they can't be mixed."""
    first, second = array_of(a), array_of(b)
    if a.prefix.method.in_embedding_space != b.prefix.method.in_embedding_space:
        kinds = [f"{shown(contender.name)} is a {contender.prefix.method.label}" for contender in (a, b)]
        raise LabError(f"{kinds[0]}, {kinds[1]}: choose two of one kind.")
    lengths = a.prefix.virtual_tokens, b.prefix.virtual_tokens
    if lengths[0] != lengths[1]:
        raise LabError(
            f"{shown(a.name)} has {lengths[0]} virtual tokens, {shown(b.name)} has {lengths[1]}: choose two prompts of one length."
        )
    if first.shape != second.shape:
        raise LabError(f"{shown(a.name)} and {shown(b.name)} were made for different models: choose two of one model.")
    return first, second
