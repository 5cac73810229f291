"""A race: several recipes on one task, a step of each in turn, then all scored on the same held-out rows. What costs what?"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from core.errors import LabError
from core.events import Event, Progress
from core.models.language_model import LanguageModel
from core.models.mistakes import Mistaken
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import Score, finish, score_steps
from core.tasks.task import Example, Task
from core.training.memory import check
from core.training.training import State, Training


@dataclass(frozen=True)
class Entry:
    """Who runs: a name and a recipe. mistake: of `core.models.mistakes`, or "". rows: train on the first so many only; 0: all."""

    name: str
    recipe: Recipe
    mistake: str = ""
    rows: int = 0


@dataclass(frozen=True)
class Lap(Event):
    """One step of one entry. loss: nats per answer token, before the step's change. stopped: why it ends here, or ""."""

    name: str
    step: int
    loss: float
    parameters: int
    stopped: str = ""


@dataclass(frozen=True)
class Placed(Event):
    """An entry at its end. held_out: its score on the task's held-out rows. seen: on (some of) the rows that it was trained on.

    misused: for a mistake, the held-out score of what an earlier entry of the same recipe learned without it, used with it.
    parameters: numbers that were trained, an MLP's included.
    """

    name: str
    held_out: Score
    seen: Score
    parameters: int
    misused: Score | None = None


MOST_SEEN = 100  # training rows that an entry is scored on, too


def race(lm: LanguageModel, task: Task, entries: Sequence[Entry], book: Scorebook) -> Iterator[Progress | Lap | Placed | None]:
    """Train all `entries`, a step of each in turn, then score each: on held-out rows, and on rows that it was trained on.

    Yields first how many laps and placings there will be; None: a piece of work with nothing to show. A mistake is made in
    training and in scoring alike. Raises LabError for a recipe that doesn't fit, before anything is trained.
    """
    if len({entry.name for entry in entries}) < len(entries):
        raise LabError("Two entries of the race have one name: give each its own.")
    runners = [_runner(lm, task, entry) for entry in entries]
    yield Progress(sum(entry.recipe.steps + 1 for entry in entries))
    states: list[State] = [training.start() for training in runners]
    while True:
        still = [number for number, state in enumerate(states) if state.step < runners[number].recipe.steps and not state.stopped]
        if not still:
            break
        for number in still:
            events, states[number] = runners[number].advance(states[number])
            parameters = runners[number].prefix.parameter_count()
            for event in events:
                yield Lap(entries[number].name, event.step, event.loss, parameters, event.stopped)
    right: list[tuple[Recipe, int, Contender]] = []  # what was learned without a mistake
    for entry, training, state in zip(entries, runners, states, strict=True):
        training.show(state, best=True)
        learned = training.contender(entry.name)
        score = partial(_score, training.lm, labels=task.labels, book=None if entry.mistake else book)
        held_out = yield from score(learned, rows=task.held_out)
        seen = yield from score(replace(learned, excluded=frozenset()), rows=training.task.train[:MOST_SEEN])
        twin = next((known for recipe, rows, known in right if (recipe, rows) == (entry.recipe, entry.rows)), None)
        misused = (yield from score(replace(twin, name=entry.name), rows=task.held_out)) if entry.mistake and twin else None
        if not entry.mistake:
            right.append((entry.recipe, entry.rows, learned))
        yield Placed(entry.name, held_out, seen, learned.prefix.parameter_count(), misused)


def _runner(lm: LanguageModel, task: Task, entry: Entry) -> Training:
    if entry.rows:
        task = replace(task, train=task.train[: entry.rows])
    if entry.mistake:
        before = len(lm.lead) if entry.recipe.placement == "after" else 0
        lm = Mistaken(lm, entry.mistake, entry.recipe.virtual_tokens, before)
    training = Training(lm, task, entry.recipe)
    check(training)
    return training


def _score(
    lm: LanguageModel, contender: Contender, *, rows: Sequence[Example], labels: Sequence[str] | None, book: Scorebook | None
) -> Generator[None, None, Score]:
    """Score a batch at a time. book: None for runs with a mistake, whose scores are not shared."""
    return finish(book.score(lm, contender, rows, labels) if book else score_steps(lm, contender, rows, labels))
