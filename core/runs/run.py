"""One whole run, in small pieces: train, score validation rows along the way, score all contenders on held-out rows once.

A run is an iterator of events. The caller decides when the next piece runs (the command line at once, the engine when it is
this session's turn), so nothing here depends on threads or an interface.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from core.errors import LabError
from core.events import Event
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.scoring.score import Contender, Score, bare, majority, written
from core.tasks.task import Example, Task
from core.training import slices
from core.training.training import State, StepEvent, Training

SCORING_SHARE = 0.15  # of the time since the start, while steps remain
LINES_PAUSE = 10  # steps after which the learned prompt's own validation goes before a handcrafted prompt's

Part = Literal["validation", "held_out"]


@dataclass(frozen=True)
class Scored(Event):
    """A score on the validation rows (for the live curve) or the held-out rows (to report). step: the learned prompt's, else None.

    final: False for a growing score, with more batches to come.
    """

    part: Part
    score: Score
    step: int | None = None
    final: bool = True
    known: bool = False


@dataclass(frozen=True)
class Skipped(Event):
    """A handcrafted prompt that can't be scored with this model (too long for it, say), and why. Other contenders are unaffected."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Trained(Event):
    """What a run without scores learned."""

    contender: Contender


@dataclass(frozen=True)
class Finished(Event):
    """The end of a run. seconds: of training alone. stopped: why it ended early, or ""."""

    state: State
    seconds: float
    stopped: str


Item = TypeVar("Item")
END = object()

RunEvent = StepEvent | Scored | Skipped | Finished


@dataclass
class _Going:
    """A scoring that is under way, batch by batch, and how many want it."""

    parts: Iterator[Score]
    wanted: int = 0


class Scorebook:
    """Scores by what was scored (template, numbers, rows), kept so that nothing is scored twice. Shared by all sessions.

    Nor is anything scored twice at once: of several jobs that want the same score, whichever has its turn does the next batch.
    """

    def __init__(self, most: int = 512):
        self._scores: OrderedDict[tuple, Score] = OrderedDict()
        self._going: dict[tuple, _Going] = {}
        self._most = most
        self._lock = threading.Lock()

    @staticmethod
    def _key(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> tuple:
        rows = tuple((e.input, e.output) for e in examples if e.key not in contender.excluded)
        numbers = hashlib.sha256(contender.prefix.snapshot().tobytes()).digest() if contender.prefix.virtual_tokens else b""
        made = (contender.template, contender.placement, contender.offsets, contender.kind in METHODS, numbers)
        return id(lm.float32), made, hash(rows), len(rows), tuple(labels or ())

    def get(self, lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Score | None:
        """The score from an earlier time, under this contender's name, or None."""
        found = self._find(self._key(lm, contender, examples, labels))
        return _under_name(found, contender) if found else None

    def score(self, lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Iterator[Score]:
        """The score so far, batch by batch (one item where it is known); the last one is the whole."""
        key = self._key(lm, contender, examples, labels)  # now: a learned prompt may be trained on before the last batch
        found = self._find(key)
        done = 0
        if not found:
            with self._lock:
                going = self._going.setdefault(key, _Going(self._fill(key, slices.score_steps(lm, contender, examples, labels))))
                going.wanted += 1
            try:
                while part := next(going.parts, None):
                    done = part.n
                    yield _under_name(part, contender)
                found = self._find(key)
            finally:
                with self._lock:
                    going.wanted -= 1
                    if not going.wanted and self._going.get(key) is going:  # no caller is left to finish it
                        del self._going[key]
        if found and found.n != done:
            yield _under_name(found, contender)

    def _find(self, key: tuple) -> Score | None:
        with self._lock:
            found = self._scores.get(key)
            if found:
                self._scores.move_to_end(key)  # what is asked for stays; an old run's scores go first
            return found

    def _fill(self, key: tuple, parts: Iterator[Score]) -> Iterator[Score]:
        latest = None
        for latest in parts:
            yield latest
        if latest:
            with self._lock:
                self._scores[key] = latest
                while len(self._scores) > self._most:
                    self._scores.popitem(last=False)


def _under_name(score: Score, contender: Contender) -> Score:
    """A shared score under this contender's name."""
    return replace(score, **{name: getattr(contender, name) for name in ("name", "kind", "examples", "seconds", "group")})


def baselines(task: Task, template: str = "") -> list[Contender]:
    """The baselines of a learned prompt: no prompt, and the task's handcrafted ones."""
    nothing = bare(task, template)
    if template and template != task.template:
        nothing = replace(nothing, name="no prompt, own template")
    return [nothing, *(written(task, prompt) for prompt in task.handcrafted)]


def lines(lm: LanguageModel, task: Task, book: Scorebook) -> Iterator[None]:
    """Fill `book` with what every run on `task` will ask for: its baselines' scores on validation and held-out rows."""
    contenders = baselines(task)
    parts: list[tuple[Part, Sequence[Example]]] = [("validation", task.validation), ("held_out", common_rows(task.held_out, contenders))]
    for part, rows in parts:
        for baseline in reversed(contenders):
            for _ in contest(lm, task, [baseline], rows, book, part):
                yield None


def common_rows(examples: Sequence[Example], contenders: Sequence[Contender]) -> list[Example]:
    """The rows that count for every contender, so that all are scored on the same rows."""
    excluded = frozenset().union(*(contender.excluded for contender in contenders))
    return [example for example in examples if example.key not in excluded]


def contest(
    lm: LanguageModel,
    task: Task,
    contenders: Sequence[Contender],
    examples: Sequence[Example],
    book: Scorebook,
    part: Part,
    step: int | None = None,
) -> Iterator[Scored | Skipped]:
    """Score `contenders` one after another, batch by batch, on the rows of `examples` that count for all of them.

    A handcrafted prompt that can't be scored is skipped, with its reason; a learned one raises its LabError.
    """
    rows = common_rows(examples, contenders) if part == "held_out" else list(examples)
    for contender in contenders:
        if found := book.get(lm, contender, rows, task.labels):
            yield Scored(part, found, step, known=True)
            continue
        latest = None
        try:
            for score in book.score(lm, contender, rows, task.labels):
                if latest:
                    yield Scored(part, latest, step, final=False)
                latest = score
        except LabError as error:
            if contender.kind != "handcrafted":
                raise
            yield Skipped(contender.name, str(error))
            continue
        if latest:
            yield Scored(part, latest, step)


def run(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe,
    book: Scorebook | None = None,
    *,
    training: Training | None = None,
    state: State | None = None,
    stopping: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[RunEvent | None]:
    """Train `recipe` on `task` and score it: yields after every step and every scored batch (None: nothing to show yet).

    Scoring along the way takes at most 15 % of the time. Held-out rows are scored once, after the last step.
    state: go on from here. stopping: asked between steps; True ends training, and scoring follows.
    """
    book = book or Scorebook()
    training = training or Training(lm, task, recipe)
    state = state or training.start()
    stepping, scoring = Stopwatch(clock), Stopwatch(clock)
    guess = 0.0
    waiting = baselines(task, recipe.template) if task.validation else []
    waiting.reverse()  # the strongest handcrafted prompts stand last, and are the lines to beat
    validated = 0
    while state.step < recipe.steps and not state.stopped and not stopping():
        with stepping:
            events, state = slices.advance(training, state)
        yield from events
        for baseline in list(waiting):  # what is known already costs nothing: show it at once
            known = book.get(lm, baseline, task.validation, task.labels)
            if known:
                waiting.remove(baseline)
                yield Scored("validation", known, known=True)
        if not guess:  # the first scoring is taken to cost a step for every batch of sequences
            sequences = len(task.validation) * (len(task.labels) if task.labels else 1)
            guess = stepping.seconds * max(1.0, sequences / recipe.batch_size / 2)
        affordable = scoring.seconds + guess <= SCORING_SHARE * (stepping.seconds + scoring.seconds)
        if task.validation and affordable and state.step < recipe.steps:
            before = scoring.seconds
            mine = not waiting or state.step - validated >= LINES_PAUSE
            contender = training.contender() if mine else waiting.pop(0)
            validated = state.step if mine else validated
            yield from scoring.over(_validation(lm, task, contender, book, state.step if mine else None))
            guess = scoring.seconds - before
    stopped = state.stopped or ("" if state.step >= recipe.steps else f"stopped by hand after step {state.step}")
    training.show(state, best=True)
    learned = training.contender()
    if task.validation:
        yield from _validation(lm, task, learned, book, state.step)
        for baseline in waiting:
            yield from _validation(lm, task, baseline, book, None)
    contenders = [learned, *baselines(task, recipe.template)]
    yield from contest(lm, task, contenders, task.held_out, book, "held_out", state.step)
    yield Scored("held_out", majority(task, common_rows(task.held_out, contenders)))
    yield Finished(state, stepping.seconds, stopped)


def repeat(lm: LanguageModel, task: Task, recipe: Recipe, name: str) -> Iterator[StepEvent | Trained]:
    """Train `recipe` on `task` without scoring along the way: yields every step, then the learned prompt."""
    training = Training(lm, task, recipe)
    state, watch = training.start(), Stopwatch(time.perf_counter)
    while state.step < recipe.steps and not state.stopped:
        with watch:
            events, state = slices.advance(training, state)
        yield from events
    training.show(state, best=True)
    yield Trained(replace(training.contender(name), seconds=watch.seconds))


class Stopwatch:
    """Adds up the seconds spent inside: of a `with` block, or of making each item of an iterator (not of using it)."""

    def __init__(self, clock: Callable[[], float]):
        self.seconds = 0.0
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


def _validation(
    lm: LanguageModel, task: Task, contender: Contender, book: Scorebook, step: int | None
) -> Iterator[Scored | Skipped | None]:
    # A learned prompt steers by the validation rows; it is not trained on them, so they count here.
    seen = replace(contender, excluded=frozenset() if contender.prefix.virtual_tokens else contender.excluded)
    for event in contest(lm, task, [seen], task.validation, book, "validation", step):
        yield event if isinstance(event, Skipped) or event.final else None
