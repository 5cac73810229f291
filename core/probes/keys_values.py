"""Do the keys or the values of a K/V prefix carry its task? The keys of one prefix with the values of another, scored on the same rows."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.errors import LabError, shown
from core.events import Event, Progress
from core.inspection.control import of_equal_norm
from core.inspection.kv import KEYS, VALUES, with_part
from core.methods.kv_prefix import PARTS
from core.models.language_model import LanguageModel
from core.probes.attention import draw
from core.probes.between import arrays_of
from core.probes.vectors import Effect, effect, put_in
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.measures import wilson
from core.scoring.score import Score, finish
from core.tasks.task import Example, Task

DRAWS = 3  # of random keys or values, for all layers at once

Source = Literal["own", "other", "random"]
MIXES: tuple[tuple[Source, Source], ...] = (
    *(("own", "own"), ("own", "other"), ("other", "own"), ("other", "other")),
    *(("own", "random"), ("random", "own")),
)


@dataclass(frozen=True)
class Mixed(Event):
    """A prefix put together of two: whose keys and whose values it has, and its scores on the rows of one task.

    random: keys or values in random directions, each as long as the prefix's own in its layer, head and position. scores: one, or one for
    each draw of them. of_other: the rows are those of the other prefix's task.
    """

    keys: Source
    values: Source
    scores: tuple[Score, ...]
    of_other: bool = False

    @property
    def accuracy(self) -> float:
        """A share, the mean over draws."""
        return statistics.fmean(score.accuracy for score in self.scores)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy: Wilson, 95 %, over rows alone."""
        rows = self.scores[0].n
        return wilson(round(self.accuracy * rows), rows)

    @property
    def loss(self) -> float | None:
        """Nats per answer, the mean over draws."""
        found = [score.loss for score in self.scores if score.loss is not None]
        return statistics.fmean(found) if found else None


@dataclass(frozen=True)
class LayerSwap(Event):
    """What the other prefix's keys (or values) in one layer, from 0, change on the rows. part: 0 keys, 1 values.

    control: of random ones in their place, as long as the prefix's own.
    """

    layer: int
    part: int
    other: Effect
    control: Effect


def mix(lm: LanguageModel, tasks: tuple[Task, Task], a: Contender, b: Contender, book: Scorebook) -> Iterator[Progress | Mixed | None]:
    """The four combinations of the keys and values of `a` and `b`, and `a` with random keys or values: each of MIXES.

    tasks: those of `a` and of `b`. Scored on the validation rows of a's task, in a's template; where b's task is another one, on its
    rows in b's template too. Rows that the other prefix saw in its task don't count. Yields how many results come, then them; None
    between batches. LabError for prompts that are no K/V prefixes of one length and model, or where no row is left.
    """
    own, other = _arrays(a, b)
    homes = [(tasks[0], a, _rows(tasks, a, b))]
    if tasks[1] != tasks[0]:
        homes.append((tasks[1], b, _rows(tasks[::-1], b, a)))
    yield Progress(len(homes) * len(MIXES))
    for keys, values in MIXES:
        arrays = combined(own, other, keys, values)
        for number, (task, home, rows) in enumerate(homes):
            scores = []
            for array in arrays:
                made = put_in(lm, home.for_validation(), f"{keys} keys, {values} values", array)
                scores.append((yield from finish(book.score(lm, made, rows, task.labels))))
                yield None
            yield Mixed(keys, values, tuple(scores), number == 1)


def swap_layers(
    lm: LanguageModel, tasks: tuple[Task, Task], a: Contender, b: Contender, book: Scorebook, most: int = 32
) -> Iterator[Progress | LayerSwap | None]:
    """`a` with the keys, or the values, of `b` in one layer at a time, and with random ones of equal norm there: two results a layer.

    Scored on at most `most` validation rows of a's task, drawn evenly. Yields and raises as `mix` does.
    """
    own, other = _arrays(a, b)
    task, rows, a = tasks[0], draw(_rows(tasks, a, b), most), a.for_validation()
    random = of_equal_norm(own)
    yield Progress(2 * len(own))
    whole = yield from finish(book.score(lm, a, rows, task.labels))
    for layer in range(len(own)):
        for part, name in enumerate(PARTS):
            effects = []
            for source, array in (("other", other), ("random", random)):
                yield None
                made = put_in(lm, a, f"{source} {name} in layer {layer}", with_part(own, array, part, [layer]))
                score = yield from finish(book.score(lm, made, rows, task.labels))
                effects.append(effect(whole, score, f"{source} {name}"))
            yield LayerSwap(layer, part, *effects)


def carried(found: Sequence[Mixed]) -> Effect | None:
    """The own values with the other's keys, less the own keys with the other's values: paired, on a's rows. None until both are there.

    Above 0, the values keep more of the task than the keys do; below 0, the keys.
    """
    scores = {(one.keys, one.values): one.scores[0] for one in found if not one.of_other}
    keys, values = scores.get(("own", "other")), scores.get(("other", "own"))
    return effect(keys, values, "values instead of keys") if keys and values else None


def combined(own: np.ndarray, other: np.ndarray, keys: Source, values: Source) -> list[np.ndarray]:
    """The prefix with these keys and values; several where some are drawn at random."""
    made = []
    for number in range(DRAWS if "random" in (keys, values) else 1):
        sources = {"own": own, "other": other} | ({"random": of_equal_norm(own, number)} if "random" in (keys, values) else {})
        made.append(with_part(with_part(own, sources[keys], KEYS), sources[values], VALUES))
    return made


def _arrays(a: Contender, b: Contender) -> tuple[np.ndarray, np.ndarray]:
    arrays = arrays_of(a, b)
    if a.prefix.method.in_embedding_space:
        raise LabError(f"{shown(a.name)} has vectors, not keys and values: choose a K/V prefix.")
    return arrays


def _rows(tasks: tuple[Task, Task], a: Contender, b: Contender) -> list[Example]:
    """Validation rows of a's task, which `a` was not trained on, without those that `b` saw in another task."""
    task, other = tasks
    rows = [row for row in task.validation if task == other or not row.is_among(b.excluded)]
    if not rows:
        raise LabError(f"No validation row of {shown(task.name)} is left to score on: give the task more rows, or choose another prefix.")
    return rows
