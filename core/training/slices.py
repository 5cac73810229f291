"""Slices of work that another process can do: plain data is sent there, and plain data comes back.

Where a GPU is lent for seconds to a forked process, a run is trained several steps in one call, and a score is all its rows in
one call. Tasks, recipes, bytes and numpy arrays cross the fork, never a tensor. A slice depends only on its fields, so a lost one
can be done again. `LanguageModel.device_process` does slices; without one, the work is done in this process.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from core.methods import ALL
from core.models.language_model import LanguageModel
from core.prefix import prefix_of
from core.recipe import Recipe
from core.scoring.contender import Contender
from core.scoring.row_results import BATCH
from core.scoring.score import Score, score
from core.scoring.score import score_steps as scored_here
from core.tasks.task import Example, Task
from core.training.memory import check
from core.training.start import Begun
from core.training.training import State, StepEvent, Training, longest_sequence

MOST_STEPS = 10  # in a slice, so that a page is updated and other runs get turns between slices
WANTED_SECONDS = 5.0  # of a slice
START_SECONDS = 10.0  # of a new worker: the device starts, and the model is moved to it
MOST_SECONDS = 60  # for one request; lenders refuse much longer times
LAUNCHES = 0.1  # seconds of a pass that don't depend on how many tokens it has: some thousand small kernels
SPEED = 5e12  # multiplications and additions a second in float32, well below that of GPUs of 2020 and later
MOST_KNOWN = 4  # runs that are kept tokenised

_known: list[Training] = []  # in the process that does the slices; the newest last


@dataclass(frozen=True)
class TrainingSlice:
    """`steps` more steps of the run of `recipe` on `task`. state: as `State.to_bytes` gives it. seconds: to ask for.

    begun: see `Training`.
    """

    task: Task
    recipe: Recipe
    state: bytes
    steps: int
    seconds: int
    begun: Begun | None = None

    def do(self, lm: LanguageModel) -> tuple[list[StepEvent], bytes]:
        """The steps, and the state after them as bytes. LabError where the run doesn't fit the model or the memory."""
        training = _training(lm, self.task, self.recipe, self.begun)
        state = State.from_bytes(self.state)
        for _ in training.begin():
            pass
        if state.step == 0:
            check(training)
        events, state = training.advance(state, self.steps)
        return events, state.to_bytes()


@dataclass(frozen=True, eq=False)
class ScoringSlice:
    """A contender's score on `examples`. made: the contender's fields without its prefix, of which `values` is the array."""

    made: dict[str, Any]
    method: str
    values: np.ndarray
    examples: tuple[Example, ...]
    labels: tuple[str, ...] | None
    seconds: int

    def do(self, lm: LanguageModel) -> Score:
        """The whole score. LabError where a row can't be used."""
        prefix = prefix_of(ALL[self.method], self.values).to(lm.device)
        return score(lm, Contender(prefix=prefix, **self.made), self.examples, self.labels)


def advance(training: Training, state: State, most: int = MOST_STEPS) -> tuple[list[StepEvent], State]:
    """Train on: one step here, or a slice of at most `most` steps elsewhere. The prefix of `training` is as after it."""
    lm, recipe = training.lm, training.recipe
    if lm.device_process is None:
        return training.advance(state)
    sequences = recipe.batch_size * (len(training.task.labels or "-") if recipe.loss == "labels" else 1)
    tokens = sequences * longest_sequence(training.prepared.rows) + training.prepared.positions + training.frame_tokens
    step = 2 * _pass_seconds(lm, tokens)  # forward, and backward: the weights themselves have no gradient
    steps = min(MOST_STEPS, most, max(1, int(WANTED_SECONDS / step)), recipe.steps - state.step)
    events, data = lm.device_process(TrainingSlice(training.task, recipe, state.to_bytes(), steps, _asked(steps * step), training.begun))
    state = State.from_bytes(data)
    training.show(state, best=True)
    return events, state


def score_steps(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Iterator[Score]:
    """As in scoring.py: the score so far, batch by batch. From elsewhere it comes whole."""
    if lm.device_process is None:
        yield from scored_here(lm, contender, examples, labels)
        return
    characters = sum(len(example.input) + len(example.output) for example in examples) + len(contender.template) * len(examples)
    seconds = _pass_seconds(lm, characters * len(labels or "-") // 2) + LAUNCHES * len(examples) / BATCH
    made = {field.name: getattr(contender, field.name) for field in fields(Contender) if field.name != "prefix"}
    labels = tuple(labels) if labels else None
    prefix = contender.prefix
    work = ScoringSlice(made, prefix.kind, prefix.snapshot(), tuple(examples), labels, _asked(seconds))
    found: Score = lm.device_process(work)
    # The slice has the MLP's output, not the MLP, so its parameter count differs.
    yield replace(found, parameters=prefix.parameter_count())


def _training(lm: LanguageModel, task: Task, recipe: Recipe, begun: Begun | None) -> Training:
    """The run's Training, kept for its next slice: tokenising takes longer than some steps do."""
    for known in _known:
        same = (known.begun and known.begun.array.tobytes()) == (begun and begun.array.tobytes())
        if known.lm is lm and known.recipe == recipe and known.task == task and same:
            return known
    _known.append(Training(lm, task, recipe, begun))
    del _known[:-MOST_KNOWN]
    return _known[-1]


def _pass_seconds(lm: LanguageModel, tokens: int) -> float:
    return LAUNCHES + lm.model.num_parameters() * tokens / SPEED


def _asked(seconds: float) -> int:
    """Whole seconds to ask for: twice what is expected, and a worker's start."""
    return min(MOST_SECONDS, math.ceil(START_SECONDS + 2 * seconds))
