"""Tables: rows of text from CSV, TSV, semicolons, JSON Lines, a JSON list, or lines typed into a box."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import LabError, shown

LARGEST_FILE = 2 * 2**20
LARGEST_TASK = 4 * LARGEST_FILE  # a task file written from a table (and a test table) repeats them with quotes and brackets
MOST_ROWS = 5000
MOST_COLUMNS = 200
LONGEST_COLUMN = 100  # characters of a column's name, which messages repeat
ARROWS = ("->", "→", "=>")

# Known column names. Where a file has two of a kind, the one listed earlier is used.
INPUT_NAMES = ("input", "text", "sentence", "question", "prompt", "review", "content", "document", "title", "word", "source")
LABEL_NAMES = ("label", "class", "category", "topic", "sentiment", "intent")
ANSWER_NAMES = ("output", "answer", "target", "completion", "response", "translation")
KNOWN_NAMES = frozenset((*INPUT_NAMES, *LABEL_NAMES, *ANSWER_NAMES))

COMPRESSED = (b"PK\x03\x04", b"BZh9", b"\xd0\xcf\x11\xe0", b"\xfd7zX", b"7z\xbc\xaf", b"Rar!", b"%PDF", b"PAR1")


@dataclass(frozen=True)
class Table:
    """Cells of text, without spaces around them; no row is blank, and all rows have as many cells as there are columns.

    numbers: each row's number in the file, for messages (CSV: the header is row 1; JSON Lines: the line).
    notes: sentences about what was left out while reading.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {', '.join(self.columns)}, {len(self.rows)} rows)"


def read_bytes(path: Path) -> bytes:
    """A file's bytes; LabError where it is missing or larger than 2 MB (a .json file: 8 MB)."""
    most = LARGEST_TASK if path.suffix.lower() == ".json" else LARGEST_FILE
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise LabError(f"The file {shown(path)} can't be read: check its name.") from error
    check_size(data, path.name, most)
    return data


def check_size(data: bytes, name: str, most: int) -> None:
    """LabError where `data` has more than `most` bytes."""
    if len(data) > most:
        raise LabError(f"The file {shown(name)} is larger than {most >> 20} MB: keep some rows of it.")


def text_of(data: bytes, name: str) -> str:
    """`data` as text. LabError where it is empty, not UTF-8, or not text at all."""
    if data[:2] == b"\x1f\x8b" or data[:4] in COMPRESSED:
        raise LabError(f"{shown(name)} is a compressed or office file, not plain text: export it as CSV (UTF-8).")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise LabError(f"{shown(name)} is UTF-16: save it as CSV in UTF-8.")
    if b"\0" in data:
        raise LabError(f"{shown(name)} is a binary file (it has NUL bytes): give a CSV file in UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabError(f"{shown(name)} is not UTF-8 text (line {line}): save it as CSV in UTF-8.") from error
    if not text.strip():
        raise LabError(f"{shown(name)} is empty: give a header row (input,output or text,label) and rows below it.")
    return text


def read_table(data: bytes, name: str, pasted: bool = False) -> Table:
    """The rows of a CSV, TSV, semicolon-separated or JSON file; above 5,000, as many spread evenly over the file.

    pasted: the text comes from a box, so lines like `France -> Paris`, and two columns without a header, are rows too.
    Raises LabError, naming the row, for what can't be read.
    """
    check_size(data, name, LARGEST_FILE)
    text = text_of(data, name)
    # JSON begins with a list or an object. Typed lines may begin with a bracket too, so there the next character must be JSON's as well.
    if re.match(r'\s*(\[\s*[\[{"\]]|\{\s*["}])' if pasted else r'\s*(\[\s*[\[{"\]]|\{)', text):
        return _from_json(text, name)
    if pasted:
        return _from_lines(text, name)
    return _with_header(list(enumerate(_records(text, _delimiter(text), name), start=1)), name)


# --- cells between separators -----------------------------------------------------------------------------------------


def _records(text: str, delimiter: str, name: str) -> list[list[str]]:
    try:
        return list(_reader(text, delimiter))
    except csv.Error as error:
        if delimiter == "\t" and "limit" not in str(error):  # most programs that write tabs give quotes no meaning
            return [line.rstrip("\r").split("\t") for line in text.split("\n")]
        problem = " ".join(str(error).split())
        raise LabError(f"{shown(name)} is not a well-formed CSV file ({problem}): check its quotes.") from error


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _tolerant(text: str, delimiter: str) -> Iterator[list[str]]:
    """Records up to the first that is not well formed."""
    try:
        yield from _reader(text, delimiter)
    except csv.Error:
        return


def _delimiter(text: str) -> str:
    """The separator with the most known names in the header; of equals, one that fits the next row, then one with more cells."""

    def found(delimiter: str) -> tuple[int, bool, int]:
        header, row = [*islice(_tolerant(text, delimiter), 2), [], []][:2]
        return sum(map(_is_known, header)), 1 < len(header) == len(row), len(header)

    return max(",\t;", key=found)


def _is_known(cell: str) -> bool:
    return cell.strip().casefold() in KNOWN_NAMES


def _with_header(records: Sequence[tuple[int, Sequence[str]]], name: str) -> Table:
    if not records or not any(cell.strip() for cell in records[0][1]):
        raise LabError(f"{shown(name)} is empty: give a header row (input,output or text,label) and rows below it.")
    return make_table(name, records[0][1], records[1:])


def make_table(name: str, header: Sequence[str], records: Sequence[tuple[int, Sequence[str]]]) -> Table:
    """A table of numbered rows, blank ones left out. LabError for columns of one name, or rows that are not as long as the header.

    Spaces and line breaks within a column's name become one space.
    """
    columns = tuple(" ".join(cell.split()) or f"column {number}" for number, cell in enumerate(header, start=1))
    twice = next((column for column, count in Counter(column.casefold() for column in columns).items() if count > 1), None)
    if twice is not None:
        raise LabError(f"{shown(name)} has two columns of the same name ({shown(twice)}): rename one of them.")
    if len(columns) > MOST_COLUMNS:
        raise LabError(f"{shown(name)} has {len(columns):,} columns, more than {MOST_COLUMNS}: keep the two that matter.")
    longest = max(map(len, columns), default=0)
    if longest > LONGEST_COLUMN:
        raise LabError(f"{shown(name)} has a column name of {longest:,} characters: begin with a row of short names (input,output).")
    rows, numbers = [], []
    for number, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise LabError(
                f"Row {number} of {shown(name)} has {len(cells)} cells, the header {len(columns)}: check its separators and quotes."
            )
        for cell in cells:
            check_text(cell, f"Row {number} of {shown(name)}")
        rows.append(tuple(cell.strip() for cell in cells))
        numbers.append(number)
    if not rows:
        raise LabError(f"{shown(name)} has a header and no rows: add rows below it.")
    kept = spread(len(rows), MOST_ROWS)
    notes = (f"{len(rows):,} rows, of which {MOST_ROWS:,}, spread evenly, were kept.",) if len(kept) < len(rows) else ()
    return Table(name, columns, tuple(rows[i] for i in kept), tuple(numbers[i] for i in kept), notes)


def spread(count: int, most: int) -> list[int]:
    """Indices of at most `most` of `count` items, evenly spaced.

    >>> spread(10, 4)
    [0, 2, 5, 7]
    """
    return [i * count // most for i in range(most)] if count > most else list(range(count))


# --- typed lines -------------------------------------------------------------------------------------------------


def _from_lines(text: str, name: str) -> Table:
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    first = lines[0][1]
    arrow = min((arrow for arrow in ARROWS if arrow in first), key=first.index, default=None)
    if arrow:
        records = [(number, _two_sides(line, arrow, number, name)) for number, line in lines]
        # A header with an arrow is rare and `word -> Wort` may be a row, so both names must be known.
        has_header = all(_is_known(cell) for cell in records[0][1])
    else:
        delimiter = _delimiter(text.lstrip())
        has_header = any(_is_known(cell) for cell in next(_tolerant(text.lstrip(), delimiter), []))
        delimiter = delimiter if has_header else _two_columns(text, name)
        numbered = enumerate(_records(text, delimiter, name), start=1)
        records = [(number, cells) for number, cells in numbered if any(cell.strip() for cell in cells)]
    if has_header:
        return _with_header(records, name)
    return make_table(name, ("input", "output"), records)


def _two_sides(line: str, arrow: str, number: int, name: str) -> list[str]:
    sides = line.split(arrow)
    if len(sides) != 2:
        times = len(sides) - 1
        raise LabError(f"Row {number} of {shown(name)} has {arrow} in it {times} times: write it once, as in France {arrow} Paris.")
    return sides


def _two_columns(text: str, name: str) -> str:
    """The separator that makes two cells of every line, or at least of the first one."""
    sizes = {delimiter: [len(cells) for cells in _tolerant(text, delimiter) if cells] for delimiter in "\t;,"}
    for fits in (lambda counts: set(counts) == {2}, lambda counts: counts[:1] == [2]):
        chosen = next((delimiter for delimiter, counts in sizes.items() if fits(counts)), None)
        if chosen:
            return chosen
    raise LabError(f"The first row of {shown(name)} has no two cells: write lines like France -> Paris, or a header and rows below it.")


# --- JSON -------------------------------------------------------------------------------------------------------------


def _from_json(text: str, name: str) -> Table:
    objects: list[tuple[int, str, Any]]
    if text.lstrip().startswith("["):
        found = _parsed(text, f"{shown(name)} is not a well-formed JSON list")
        objects = [(number, f"Row {number} of {shown(name)}", item) for number, item in enumerate(found, start=1)]
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        objects = []
        for number, line in lines:
            where = f"Line {number} of {shown(name)}"
            objects.append((number, where, _parsed(line, f"{where} is not a JSON object")))
    columns: dict[str, None] = {}
    rows: list[tuple[int, dict[str, str]]] = []
    for number, where, item in objects:
        if not isinstance(item, tuple):
            raise LabError(f'{where} is not a JSON object: write each row like {{"input": "France", "output": "Paris"}}.')
        keys = [key.strip() for key, _ in item]
        twice = next((key for key, count in Counter(keys).items() if count > 1), None)
        if twice is not None:
            raise LabError(f"{where} has {shown(twice)} twice: keep one of them.")
        row = {key: _cell(value, key, where) for key, (_, value) in zip(keys, item, strict=True)}
        columns.update(dict.fromkeys(row))
        if len(columns) > MOST_COLUMNS:
            raise LabError(f"{where} brings the number of columns above {MOST_COLUMNS}: use the same keys in every row.")
        rows.append((number, row))
    if not columns:
        raise LabError(f"{shown(name)} is empty: give rows with the keys input and output, or text and label.")
    return make_table(name, list(columns), [(number, [row.get(column, "") for column in columns]) for number, row in rows])


def _parsed(text: str, problem: str) -> Any:
    """JSON with objects as tuples of pairs, so that a repeated key is seen, and with numbers as the text that was written."""
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deeply nested"
        raise LabError(f"{problem} ({reason}): put one object on each line, or all of them into one list.") from error


def _cell(value: Any, key: str, where: str) -> str:
    if isinstance(value, list | tuple):
        raise LabError(f"{where} has a list or an object under {shown(key)}: give a text or a number.")
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    check_text(key + text, where)
    return text


def check_text(text: str, where: str) -> None:
    """LabError where `text` has half a surrogate pair or NUL, or is longer than a cell of CSV may be."""
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        raise LabError(f"{where} has a character that is no text ({shown(text, 30)}): delete it.")
    if len(text) > csv.field_size_limit():
        raise LabError(f"{where} has a cell of more than {csv.field_size_limit():,} characters: shorten it.")
