"""One whole run, in small pieces: train, score validation rows along the way, score all contenders on held-out rows once.

A run is an iterator of events. The caller decides when the next piece runs (the command line at once, the engine when it is
this session's turn), so nothing here depends on threads or an interface.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from core.events import Event
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.contest import (
    Entered,
    Scored,
    Skipped,
    baselines,
    common_rows,
    contest,
    enter_calibrated,
    score_validation,
    with_model,
)
from core.runs.imitation import Imitation, measure, teacher_of
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, by_one_score
from core.scoring.derived_contenders import started
from core.scoring.score import majority
from core.tasks.task import Task
from core.training import slices
from core.training.keep import Keeper
from core.training.start import Begun, create
from core.training.training import State, StepEvent, Training

SCORING_SHARE = 0.15  # of the time since the start, while steps remain


LINES_PAUSE = 10  # steps after which the learned prompt's own validation goes before a handcrafted prompt's


@dataclass(frozen=True, eq=False)
class Trained(Event):
    """What a run without scoring learned."""

    contender: Contender


@dataclass(frozen=True)
class Finished(Event):
    """The end of a run. seconds: of training alone. stopped: why it ended early, or "". kept: the step whose vectors it ends with."""

    state: State
    seconds: float
    stopped: str
    kept: int


Item = TypeVar("Item")
END = object()
RunEvent = StepEvent | Entered | Scored | Skipped | Imitation | Finished


def run(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe,
    book: Scorebook | None = None,
    *,
    training: Training | None = None,
    state: State | None = None,
    seconds: float = 0.0,
    stopping: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
    validate_every: int = 0,
) -> Iterator[RunEvent | None]:
    """Train `recipe` on `task` and score it: yields after every step and every scored batch (None: nothing to show yet).

    Scoring along the way takes at most 15 % of the time. Held-out rows are scored once, after the last step. A teacher that is imitated
    is one of the contenders, and how like it the learned prompt became is measured on the same rows.
    state: where training continues, after so many seconds of it. stopping: called between steps; True ends training, and scoring
    follows. validate_every: score the learned prompt on validation rows after every so many steps, whatever that costs, so that no clock
    decides which steps have a score; 0: as often as the share of time allows. A recipe that keeps the best step says itself how often
    (see `training.keep`).
    """
    book = book or Scorebook()
    training = training or Training(lm, task, recipe)
    state = state or training.start()
    keeper = Keeper(task, recipe)
    validate_every = keeper.every or validate_every
    if lm.device_process is None:
        yield from training.begin()
    stepping, scoring = Stopwatch(clock, seconds), Stopwatch(clock)
    guess = 0.0
    plain = baselines(task, recipe.template)
    teacher = teacher_of(task, recipe, plain)
    new = [teacher] if teacher and teacher not in plain else []
    entered = by_one_score([*with_model(lm, task), *new], recipe.label_score)
    yield from map(Entered, entered)
    others = [*by_one_score(plain, recipe.label_score), *entered]
    if task.labels and task.validation:
        yield Scored("validation", majority(task, task.validation))
    waiting = list(others) if task.validation else []
    waiting.reverse()  # tasks list their best prompts last, and those are shown first
    validated = 0
    while state.step < recipe.steps and not state.stopped and not stopping():
        with stepping:
            most = max(1, validated + validate_every - state.step) if validate_every else slices.MOST_STEPS
            events, state = slices.advance(training, state, most)
        *earlier, newest = events
        yield from earlier
        yield replace(newest, state=state, seconds=stepping.seconds)
        for baseline in list(waiting):  # a cached score costs no time
            known = book.get(lm, baseline, task.validation, task.labels)
            if known:
                waiting.remove(baseline)
                yield Scored("validation", known, known=True)
        if not guess:  # the first scoring is taken to cost a step for every batch of sequences
            sequences = len(task.validation) * (len(task.labels) if task.labels else 1)
            guess = stepping.seconds * max(1.0, sequences / recipe.batch_size / 2)
        affordable = scoring.seconds + guess <= SCORING_SHARE * (stepping.seconds + scoring.seconds)
        due = state.step - validated >= validate_every if validate_every else affordable
        if task.validation and due and state.step < recipe.steps:
            before = scoring.seconds
            mine = bool(validate_every) or not waiting or state.step - validated >= LINES_PAUSE
            contender = training.contender() if mine else waiting.pop(0)
            validated = state.step if mine else validated
            for event in scoring.over(score_validation(lm, task, contender, book, state.step if mine else None)):
                if mine and isinstance(event, Scored):
                    keeper.offer(state, event.score)
                yield event
            guess = scoring.seconds - before
    stopped = state.stopped or ("" if state.step >= recipe.steps else f"stopped by hand after step {state.step}")
    training.show(state, best=True)
    if task.validation:
        for event in score_validation(lm, task, training.contender(), book, state.step):
            if isinstance(event, Scored):
                keeper.offer(state, event.score)
            yield event
        for baseline in waiting:
            yield from score_validation(lm, task, baseline, book, None)
    for entering in enter_calibrated(lm, task, others, book):
        yield entering
        if isinstance(entering, Entered):
            yield from score_validation(lm, task, entering.contender, book, None)
            others.append(entering.contender)
    chosen = keeper.chosen(state)
    training.show(chosen, best=True)
    learned = training.contender()
    contenders = [learned, *others]
    yield from contest(lm, task, contenders, task.held_out, book, "held_out", chosen.step)
    yield Scored("held_out", majority(task, common_rows(task.held_out, contenders)))
    if teacher:
        start = started(lm, learned, create(lm, task, recipe, training.begun).snapshot())
        measured = measure(lm, task, teacher, [learned, start, plain[0]], common_rows(task.held_out, contenders), book)
        yield (yield from measured)
    yield Finished(state, stepping.seconds, stopped, chosen.step)


def repeat(lm: LanguageModel, task: Task, recipe: Recipe, name: str, begun: Begun | None = None) -> Iterator[StepEvent | Trained]:
    """Train `recipe` on `task`: yields every step, then the learned prompt. begun: see `Training`.

    Nothing is scored along the way, unless the recipe keeps the best step.
    """
    training, keeper = Training(lm, task, recipe, begun), Keeper(task, recipe)
    state, watch = training.start(), Stopwatch(time.perf_counter)
    while state.step < recipe.steps and not state.stopped:
        with watch:
            events, state = slices.advance(training, state, keeper.every - state.step % keeper.every if keeper.every else slices.MOST_STEPS)
        yield from events
        if keeper.every and (state.step % keeper.every == 0 or state.step == recipe.steps or state.stopped):
            training.show(state, best=True)
            *_, score = slices.score_steps(lm, training.contender().for_validation(), task.validation, task.labels)
            keeper.offer(state, score)
    training.show(keeper.chosen(state), best=True)
    yield Trained(replace(training.contender(name), seconds=watch.seconds))


class Stopwatch:
    """Adds up the seconds spent inside: of a `with` block, or of making each item of an iterator (not of using it)."""

    def __init__(self, clock: Callable[[], float], seconds: float = 0.0):
        """seconds: spent before."""
        self.seconds = seconds
        self._clock = clock
        self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = self._clock()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._clock() - self._begun

    def over(self, items: Iterator[Item]) -> Iterator[Item]:
        while True:
            with self:
                item = next(items, END)
            if item is END:
                return
            yield item  # type: ignore[misc]
