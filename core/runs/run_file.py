"""run.json: what happened in a run, saved with its prompt. Written here; read back as data that anyone may have changed.

Every value is checked before a `RunRecord` is made of it, so that callers can rely on its types.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import LabError, shown
from core.methods import EARLIER_NAMES, METHODS
from core.recipe import Recipe
from core.runs.adapter_files import RUN, unpack
from core.runs.record import RunRecord

LARGEST_RUN = 48 * 2**20
MOST_READ = 60_000  # vectors in all readings: with more of them, only the first and the last step's are written
KINDS = (*METHODS, *EARLIER_NAMES, "none", "handcrafted", "majority")
Check = Callable[[Any], bool]


def run_file(record: RunRecord) -> dict[str, bytes]:
    """{"run.json": bytes}. Of a very long run the readings between its two ends are left out."""
    if len(record.readings) > 2 and sum(len(reading.moved) for reading in record.readings) > MOST_READ:
        ends = [record.readings[0], record.readings[-1]]
        named = [row for reading in ends for row in (*reading.ids, *reading.control_ids, reading.by_l2)]
        kept = {token for row in [*named, record.cloud_ids, record.gaussian_ids] for token in row}
        record = replace(record, readings=ends, texts={token: text for token, text in record.texts.items() if token in kept})
    scores = [replace(score, results=()) for score in record.scores]  # the report needs no single results
    data = json.loads(replace(record, scores=scores).to_json())
    return {RUN: json.dumps(without_nan(data), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")}


def without_nan(value: Any) -> Any:
    """`value` with null in place of NaN and infinity (of a run that diverged), which JSON doesn't have."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_run(data: bytes, name: str) -> RunRecord:
    """The record that `run_file` wrote. name: of the file, for messages. LabError for anything else."""
    bad = LabError(f"The {RUN} of {shown(name)} is not one that this program wrote: delete it, and the report does without.")
    if len(data) > LARGEST_RUN:
        raise bad
    try:
        value = _checked(json.loads(data))
        value["losses"] = [math.nan if loss is None else loss for loss in value["losses"]]
        value["recipe"] = Recipe.from_dict(value["recipe"]).to_dict()
        record = RunRecord.from_json(json.dumps(value))
        _check_shapes(record)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError, LabError) as error:
        raise bad from error
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


def _is(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18  # NaN is not below


def _list(check: Check, length: int | None = None) -> Check:
    return lambda value: isinstance(value, list) and (length is None or len(value) == length) and all(map(check, value))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _table(needed: Mapping[str, Check], more: Mapping[str, Check] | None = None) -> Check:
    """A table that has all of `needed`, may have `more`, and nothing else."""
    known = {**needed, **(more or {})}
    return lambda value: (
        isinstance(value, dict) and needed.keys() <= value.keys() <= known.keys() and all(known[name](item) for name, item in value.items())
    )


def _map(key: Check, check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(key(name) and check(item) for name, item in value.items())


def _share(value: Any) -> bool:
    return _number(value) and -1e-6 <= value <= 1 + 1e-6  # sums of float32


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | bool) or _number(value)


def _place(name: str) -> bool:
    return name.lstrip("-").isdecimal()


def _sample(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 4 and all(isinstance(cell, str) for cell in row[:3]) and isinstance(row[3], bool)


_text, _whole = _is(str), _is(int)
_row = _table(
    {
        "name": _text, "kind": lambda kind: kind in KINDS, "accuracy": _share, "interval": _list(_share, 2), "n": _whole,
        "loss": _or_none(_number), "first_choice": _or_none(_share), "token_loss": _or_none(_number), "positions": _whole,
        "parameters": _whole,
    },
    {
        "exact": _or_none(_share), "agreement": _or_none(_share), "examples": _whole, "seconds": _number, "group": _text,
        "samples": _list(_sample), "step": _whole, "final": _is(bool),
    },
)  # fmt: skip
_numbers, _ids = _list(_number), _list(_whole)
_reading = _table(
    {
        "place": _list(_numbers), "control_place": _list(_numbers), "moved": _numbers, "norm": _numbers, "hidden": _numbers,
        "ids": _list(_ids), "cosine": _list(_numbers), "by_l2": _ids, "distance": _numbers,
        "control_ids": _list(_ids), "control_cosine": _list(_numbers),
    }
)  # fmt: skip
_packed = _table({"shape": _list(_whole, 2), "float32": _text})
FIELDS: dict[str, Check] = {
    "recipe": _map(_text, _plain),
    "task": _table({
        "slug": _text, "name": _text, "labels": _or_none(_list(_text)), "held_out": _whole, "handcrafted": _list(_text),
    }),
    "base": _map(_text, _plain),
    "kind": lambda kind: kind in (*METHODS, *EARLIER_NAMES),
    "parameters": _whole,
    "losses": _list(_or_none(_number)),
    "readings": lambda value: _list(_reading)(value) and bool(value),
    "texts": _map(_place, _text),
    "cloud": _list(_list(_number, 3)),
    "cloud_ids": _ids,
    "explained": _list(_share),
    "usual": _or_none(_table({"cosine": _numbers, "l2": _numbers, "norms": _numbers})),
    "gaussian_ids": _ids,
    "gaussian_cosine": _numbers,
    "lines": _list(_row),
    "validation": lambda value: _list(_row)(value) and all("step" in row and "samples" in row for row in value),
    "scores": _list(_row),
    "difference": lambda value: value == {} or _table({
        "difference": _number, "interval": _list(_number, 2), "wins": _whole, "losses": _whole, "p": _share, "n": _whole,
    })(value),
    "skipped": _map(_text, _text),
    "seconds": _number,
    "finished": _is(bool),
    "stopped": _text,
    "loaded": _is(bool),
    "start_known": _is(bool),
    "recorded": _map(_text, _text),
    "vectors": _map(_place, _packed),
}  # fmt: skip


def _checked(value: Any) -> dict[str, Any]:
    """The fields of `value` that are known, found sane; what else a record has is as in an empty one. ValueError for others."""
    if not isinstance(value, dict):
        raise ValueError
    for name, check in FIELDS.items():
        if name not in value or not check(value[name]):
            raise ValueError(name)
    empty: dict[str, Any] = json.loads(RunRecord({}, {}, {}, "prompt").to_json())
    return empty | {name: value[name] for name in FIELDS}


def _check_shapes(record: RunRecord) -> None:
    """ValueError unless all readings are of the same vectors, and every token named in them has its text."""
    count = record.recipe["virtual_tokens"]
    per_vector = ("place", "control_place", "moved", "norm", "hidden")
    named = {token for token in (*record.cloud_ids, *record.gaussian_ids)}
    for reading in record.readings:
        words: list[Any] = [reading.ids, reading.cosine, reading.by_l2, reading.distance]
        wanted = {count} if record.method.in_embedding_space else {0}
        draws: list[Any] = [*reading.control_ids, *reading.control_cosine]
        if any(len(getattr(reading, name)) != count for name in per_vector) or {len(part) for part in words} != wanted:
            raise ValueError("readings")
        if reading.place.shape != (count, 3) or reading.control_place.shape != (count, 3) or any(len(draw) != count for draw in draws):
            raise ValueError("readings")
        pairs: list[Any] = [*zip(reading.ids, reading.cosine, strict=True), *zip(reading.control_ids, reading.control_cosine, strict=True)]
        if any(len(ids) != len(cosines) or not ids for ids, cosines in pairs) or (
            record.method.in_embedding_space and not reading.control_ids
        ):
            raise ValueError("readings")
        named |= {token for row in (*reading.ids, *reading.control_ids, reading.by_l2) for token in row}
    if not named <= record.texts.keys():
        raise ValueError("texts")
    if len(record.cloud) != len(record.cloud_ids) or len(record.explained) != 3 or len(record.readings) not in (1, 2, record.step + 1):
        raise ValueError("cloud")
    if record.gaussian_ids and not (len(record.gaussian_ids) == len(record.gaussian_cosine) == count):
        raise ValueError("gaussian")
