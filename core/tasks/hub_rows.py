"""Rows of a dataset on the Hugging Face Hub, through the optional package `datasets`: streamed, limited in size and in time."""

import datetime
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from core.errors import LabError, shown
from core.tasks.columns import Columns
from core.tasks.table import LARGEST_FILE, MOST_ROWS, Table, fitting, make_table

SECONDS = 30.0
# Many datasets are sorted by label, so rows are taken evenly from more than are kept.
READ_AHEAD = 6
PLAIN = str | bool | int | float | datetime.date | datetime.time | None
Made = TypeVar("Made")


def load_hub_table(
    name: str, columns: Columns | None = None, split: str = "train", rows: int = MOST_ROWS, token: bool | None = False
) -> Table:
    """Up to `rows` rows (5,000 at most) and 2 MB of text of `owner/name` or `owner/name:config`, class numbers as their names.

    They are spread evenly over the first 6 times as many (or 12 MB of text). columns: only these are read; None reads every
    column of plain values. token: False reads public datasets only; None uses the Hub token of this machine's user.
    Raises LabError without the package, the network, the dataset, the split or a column, and after 30 seconds.
    """
    path, _, config = name.strip().partition(":")
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", path) or ":" in config:
        raise LabError(f"{shown(name)} names no dataset: write owner/name or owner/name:config.")
    if Path(path).exists():  # `datasets` would read the folder instead of the Hub
        raise LabError(f"{shown(path)} is a folder here, not a dataset of the Hub: give one of its files.")
    return _within(SECONDS, name, lambda: read_dataset(name, path, config, columns, split, rows, token))


def _within(seconds: float, name: str, job: Callable[[], Made]) -> Made:
    """The result of `job`, or LabError after `seconds`. It runs in a thread, because a download can't be interrupted."""
    made: list[Made] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(job())
        except BaseException as error:  # raised again by the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, name=f"hub {name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not made:
        raise LabError(f"The dataset {shown(name)} was not there after {seconds:g} seconds: try again, or bring a file of its rows.")
    return made[0]


def read_dataset(name: str, path: str, config: str, columns: Columns | None, split: str, rows: int, token: bool | None = False) -> Table:
    """The table of the dataset at `path` (on the Hub, or a local folder). name: for messages. See `load_hub_table`."""
    try:
        import datasets
    except ImportError as error:
        raise LabError("Datasets of the Hub need a package that is not here: install datasets (pip install datasets).") from error
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        found = datasets.load_dataset(path, config or None, streaming=True, token=token)
        if split not in found:
            raise LabError(f"The dataset {shown(name)} has no split {shown(split)}: it has {shown(', '.join(found))}.")
        return _table_of(found[split], name, columns, split, max(1, min(rows, MOST_ROWS)))
    except LabError:
        raise
    except Exception as error:  # networks, servers and files of any origin raise errors of any type
        reason = shown(" ".join(str(error).split()) or type(error).__name__, 160)[1:-1]
        raise LabError(f"The dataset {shown(name)} can't be read ({reason}): check owner/name:config and the network.") from error


def _table_of(stream: Any, name: str, columns: Columns | None, split: str, rows: int) -> Table:
    features = stream.features or {}  # unknown for files that have no schema
    asked = [column for column in (*columns.inputs, columns.output, columns.split) if column] if columns else []
    if features:
        plain = [column for column, feature in features.items() if _is_plain(feature)]
        _check_asked(asked, plain, name)
        if not plain:
            raise _no_rows(split, name)
        stream = stream.select_columns(asked or plain)  # so that no picture is downloaded and decoded
    names = {column: feature.int2str for column, feature in features.items() if hasattr(feature, "int2str")}
    read, whole = _read(stream, names, asked, rows * READ_AHEAD)
    if not read:
        raise _no_rows(split, name)
    header = list(dict.fromkeys(column for row in read for column in row))
    _check_asked(asked, header, name)
    kept = fitting([_size(cells) for cells in read], rows)
    table = make_table(name, header, [(number + 1, [read[number].get(column, "") for column in header]) for number in kept])
    if whole and len(kept) == len(read):
        return table
    first = "" if whole else "The first "
    note = f"{first}{len(read):,} rows, of which {len(kept):,}, spread evenly, were kept."
    return replace(table, notes=(note, *table.notes))


def _no_rows(split: str, name: str) -> LabError:
    return LabError(f"The split {shown(split)} of {shown(name)} has no rows of plain text and numbers: choose another dataset.")


def _is_plain(feature: Any) -> bool:
    kind = type(feature).__name__  # by name, because the package is optional
    return kind == "ClassLabel" or (kind == "Value" and "binary" not in feature.dtype)


def _check_asked(asked: Iterable[str], found: Iterable[str], name: str) -> None:
    columns = list(found)
    missing = next((column for column in asked if column not in columns), None)
    if missing is not None:
        there = shown(", ".join(columns), 180)
        raise LabError(f"The dataset {shown(name)} has no column {shown(missing)} of plain values: its columns are {there}.")


def _read(stream: Any, names: dict[str, Any], asked: list[str], most: int) -> tuple[list[dict[str, str]], bool]:
    """Rows of plain values as text, and whether the stream ended there."""
    read: list[dict[str, str]] = []
    size = 0
    for number, row in enumerate(stream):
        if number == most or size > LARGEST_FILE * READ_AHEAD:
            return read, False
        cells = {
            column: _text(value, names.get(column))
            for column, value in row.items()
            if isinstance(value, PLAIN) and (not asked or column in asked)
        }
        if cells:
            read.append(cells)
            size += _size(cells)
    return read, True


def _text(value: Any, name_of: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name_of is not None:
        return str(name_of(value)) if value >= 0 else ""  # -1: no label, as in the test rows of a benchmark
    return str(value)


def _size(cells: dict[str, str]) -> int:
    return sum(len(cell.encode("utf-8", "replace")) for cell in cells.values())
