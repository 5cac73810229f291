"""run.json: what happened in a run, saved with its prompt. Written here; read back as data that anyone may have changed."""

from dataclasses import replace
from pathlib import Path

from core.errors import LabError, shown
from core.runs.adapter_files import RUN, unpack
from core.runs.record import RunRecord
from core.runs.record_json import record_from_json, record_to_json

LARGEST_RUN = 48 * 2**20
MOST_READ = 60_000  # vectors in all readings: with more of them, only the first and the last step's are written


def run_file(record: RunRecord) -> dict[str, bytes]:
    """{"run.json": bytes}. Of a very long run the readings between its two ends are left out."""
    if len(record.readings) > 2 and sum(len(reading.moved) for reading in record.readings) > MOST_READ:
        ends = [record.readings[0], record.readings[-1]]
        named = [row for reading in ends for row in (*reading.ids, *reading.control_ids, reading.by_l2)]
        kept = {token for row in [*named, record.cloud_ids, record.gaussian_ids] for token in row}
        record = replace(record, readings=ends, texts={token: text for token, text in record.texts.items() if token in kept})
    scores = [replace(score, results=()) for score in record.scores]  # the report needs no single results
    return {RUN: record_to_json(replace(record, scores=scores)).encode("utf-8", "replace")}


def read_run(data: bytes, name: str) -> RunRecord:
    """The record that `run_file` wrote. name: of the file, for messages. LabError for anything else."""
    bad = LabError(f"The {RUN} of {shown(name)} is not one that this program wrote: delete it, and the report does without.")
    if len(data) > LARGEST_RUN:
        raise bad
    try:
        record = record_from_json(data)
    except (ValueError, IndexError, OverflowError, LabError) as error:
        raise bad from error
    record.scores = [replace(score, results=()) for score in record.scores]
    return record


def saved_run(path: Path) -> RunRecord | None:
    """The record in a folder or zip that was saved here, or None where there is none. LabError for one that can't be read."""
    if path.is_file():
        found = unpack(path, {RUN: LARGEST_RUN})
        return read_run(found[RUN], path.name) if RUN in found else None
    file = path / RUN
    if not file.is_file():
        return None
    try:
        with file.open("rb") as opened:
            return read_run(opened.read(LARGEST_RUN + 1), path.name)
    except OSError as error:
        raise LabError(f"{shown(file)} can't be read ({error.strerror}): check who may read it.") from error
