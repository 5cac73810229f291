"""The engine's job behind the Train button: it trains, scores, and writes everything into the run's record."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import LabError
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
from core.training.training import State, StepEvent, Training

MOST_STATE_BYTES = 32 * 2**20  # of a state that a record holds: an MLP behind a prefix has more, and can't be gone on with


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
    state: State | None = None,
) -> Iterator[RunEvent | Ready | None]:
    """Train and score `recipe`, writing everything into `record`: the engine's job behind the Train button. begun: see `Training`.
    validate_every: see `run`. state: of `record`, to go on with a run that was interrupted; the same steps follow as without.

    LabError, with the numbers, where the device hasn't enough memory left for it, and for a state of another model's run.
    """
    if state is not None and record.base.get("weights") != lm.weights_hash:
        raise LabError("This run began on a model with other weights, so it can't be gone on with: train it anew.")
    Keeper(task, recipe)  # says at once where there is nothing to choose by
    training = Training(lm, task, recipe, begun)
    record.seen_before = sorted(begun.seen) if begun else []
    if lm.device_process is None:  # else both are done there, by the first slice
        yield from training.begin()
        check(training)
    new = state is None
    state = state or training.start()
    now = training.show(state).snapshot()
    start = now if new else record.vectors[0]
    reader = reader_of(lm, vocabulary, training.prefix.method, start, record.part)
    if new:
        begin_record(lm, record, training.prefix, reader, vocabulary, start)
    else:
        record.cut(state.step, now)
    yield Ready()
    for event in run(
        *(lm, task, recipe, book),
        training=training,
        state=state,
        seconds=record.seconds,
        stopping=stopping,
        validate_every=validate_every,
    ):
        if isinstance(event, StepEvent):
            add_reading(lm, record, reader, event.step, event.vectors, recipe.steps)
            record.losses.append(event.loss)  # last: `step` counts these
            if event.state is not None:
                record.state = event.state if event.state.size <= MOST_STATE_BYTES else None
                record.seconds = event.seconds
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
            record.state = None
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
