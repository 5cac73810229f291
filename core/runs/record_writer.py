"""Writes a model's readings of a prompt into a run's record: while it trains, or once for a prompt that came from a file."""

from collections.abc import Sequence

import numpy as np

from core.models.language_model import LanguageModel
from core.prefix import Prefix
from core.recipe import Recipe
from core.runs.readings import DRAWS, Reader, Reading, Vocabulary, reader_of
from core.runs.record import RunRecord, new_record
from core.runs.saved_adapter import Learned
from core.tasks.task import Task
from core.training.memory import MOST_SNAPSHOT_BYTES
from core.training.start import create


def loaded_record(lm: LanguageModel, task: Task, learned: Learned, vocabulary: Vocabulary) -> RunRecord:
    """The record of a prompt that came from a file, without steps.

    Its start is made again where its recipe says how (the same weights, a known task): then there is a control. Else the
    one reading is its own start, and `start_known` is False.
    """
    prefix = learned.prefix
    recipe = learned.recipe or Recipe(method=prefix.kind, virtual_tokens=prefix.virtual_tokens)
    record = new_record(task, recipe)
    record.loaded, record.finished = True, True
    vectors = prefix.snapshot()
    same = not learned.warnings and recipe.task == task.slug and recipe.virtual_tokens == prefix.virtual_tokens
    record.start_known = same and recipe.method == prefix.kind and not recipe.init_from
    start = create(lm, task, recipe).snapshot() if record.start_known else vectors
    reader = reader_of(lm, vocabulary, prefix.method, start, record.part)
    begin_record(lm, record, prefix, reader, vocabulary, start)
    if record.start_known:
        add_reading(lm, record, reader, 1, vectors, 1)
        replace_last_reading(lm, record, reader, vectors)
    record.vectors[-1] = vectors
    return record


def begin_record(lm: LanguageModel, record: RunRecord, prefix: Prefix, reader: Reader, vocabulary: Vocabulary, start: np.ndarray) -> None:
    """Fill in what is known before the first step: the model, the plane with its cloud, and the reading of the start."""
    record.base = {"name": lm.name, "weights": lm.weights_hash, "device": lm.device_name, "dtype": lm.dtype_name, "layers": lm.layers}
    record.kind, record.parameters = prefix.kind, prefix.parameter_count()
    record.cloud, record.cloud_ids = reader.cloud, list(reader.cloud_ids)
    record.explained = [float(share) for share in reader.plane.explained]
    if prefix.method.in_embedding_space:
        count = prefix.virtual_tokens
        record.usual = vocabulary.usual
        record.gaussian_ids, cosine = vocabulary.gaussian.ids[:count, 0].tolist(), vocabulary.gaussian.cosine[:count, 0]
        record.gaussian_cosine = [round(value, 4) for value in cosine.tolist()]
        _name(lm, record, record.gaussian_ids)
    _name(lm, record, record.cloud_ids)
    add_reading(lm, record, reader, 0, start, record.recipe["steps"])


def add_reading(lm: LanguageModel, record: RunRecord, reader: Reader, step: int, vectors: np.ndarray, steps: int) -> None:
    """Append the reading after `step`, and keep the vectors of as many steps as fit. Non-finite vectors repeat the last reading."""
    finite = bool(np.isfinite(vectors).all())
    reading = _reading(lm, record, reader, vectors, 1 if step else DRAWS) if finite else record.readings[-1]
    every = max(1, -(-steps * vectors.nbytes // MOST_SNAPSHOT_BYTES))
    if step % every == 0 or step == steps:
        record.vectors[step] = vectors
    record.readings.append(reading)


def replace_last_reading(lm: LanguageModel, record: RunRecord, reader: Reader, vectors: np.ndarray) -> None:
    """Put a reading of `vectors` with all random controls in place of the newest one."""
    record.readings[-1] = _reading(lm, record, reader, vectors, DRAWS)


def _reading(lm: LanguageModel, record: RunRecord, reader: Reader, vectors: np.ndarray, draws: int) -> Reading:
    reading = reader.read(vectors, draws)
    named = (*reading.ids, *reading.control_ids, reading.by_l2)
    _name(lm, record, [token for row in named for token in row])
    return reading


def _name(lm: LanguageModel, record: RunRecord, ids: Sequence[int]) -> None:
    for token in ids:
        if token not in record.texts:
            record.texts[token] = lm.token_text(token)
