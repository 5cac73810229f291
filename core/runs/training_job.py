"""The engine's job behind the Train button: it trains, scores, and writes everything into the run's record."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.events import Event
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.contest import Entered, Scored, Skipped
from core.runs.imitation import Imitation
from core.runs.readings import Vocabulary, reader_of
from core.runs.record import RunRecord
from core.runs.record_writer import add_reading, begin_record, replace_last_reading
from core.runs.run import Finished, RunEvent, run
from core.runs.scorebook import Scorebook
from core.scoring.score import best_handcrafted, compare, learned_score
from core.tasks.task import Task
from core.training.keep import Keeper
from core.training.memory import check
from core.training.start import Begun
from core.training.training import StepEvent, Training


@dataclass(frozen=True)
class Ready(Event):
    """The prompt is made, and the record has its start."""


def training_job(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe,
    vocabulary: Vocabulary,
    book: Scorebook,
    record: RunRecord,
    stopping: Any,
    begun: Begun | None = None,
    validate_every: int = 0,
) -> Iterator[RunEvent | Ready | None]:
    """Train and score `recipe`, writing everything into `record`: the engine's job behind the Train button. begun: see `Training`.
    validate_every: see `run`.

    LabError, with the numbers, where the device hasn't enough memory left for it.
    """
    Keeper(task, recipe)  # says at once where there is nothing to choose by
    training = Training(lm, task, recipe, begun)
    record.seen_before = sorted(begun.seen) if begun else []
    if lm.device_process is None:  # else both are done there, by the first slice
        yield from training.begin()
        check(training)
    state = training.start()
    start = training.show(state).snapshot()
    reader = reader_of(lm, vocabulary, training.prefix.method, start)
    begin_record(lm, record, training.prefix, reader, vocabulary, start)
    yield Ready()
    for event in run(lm, task, recipe, book, training=training, state=state, stopping=stopping, validate_every=validate_every):
        if isinstance(event, StepEvent):
            add_reading(lm, record, reader, event.step, event.vectors, recipe.steps)
            record.losses.append(event.loss)  # last: `step` counts these
        elif isinstance(event, Scored):
            _take(record, event)
        elif isinstance(event, Entered):
            record.derived = [*record.derived, event.contender]
        elif isinstance(event, Imitation):
            record.imitation = event
        elif isinstance(event, Skipped):
            record.skipped = {**record.skipped, event.name: event.reason}
        elif isinstance(event, Finished):
            record.vectors[-1] = training.prefix.snapshot()
            replace_last_reading(lm, record, reader, record.vectors[-1])
            learned, best = learned_score(record.scores), best_handcrafted(record.scores)
            if learned and best:
                record.difference = compare(learned, best)
            record.seconds, record.stopped, record.kept, record.finished = event.seconds, event.stopped, event.kept, True
        yield event


def _take(record: RunRecord, event: Scored) -> None:
    # New lists in one go: a page may be reading the old ones.
    score = event.score
    if event.part == "held_out":
        record.scores = [*(known for known in record.scores if known.name != score.name), score]
    elif event.step is None:
        record.lines = [*record.lines, score]
    else:
        record.validation = {**record.validation, event.step: score}
