"""Tables: rows of text under named columns, whatever file they came from."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.errors import LabError, shown

LARGEST_FILE = 2 * 2**20  # bytes of text that a task's rows may have
LARGEST_TASK = 4 * LARGEST_FILE  # a task file written from a table (and a test table) repeats them with quotes and brackets
LARGEST_READ = 32 * 2**20  # bytes of a table; its rows are sampled
MOST_ROWS = 5000
MOST_READ = 50_000  # rows of a table; of these a task takes at most MOST_ROWS
MOST_COLUMNS = 200
LONGEST_COLUMN = 100  # characters of a column's name, which messages repeat
LISTED = 8
NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of surrogate pairs
LONG_ROWS = {"end": "their end was cut", "beginning": "their beginning was cut", "leave out": "they were left out"}  # what becomes of them


@dataclass(frozen=True)
class Format:
    """How bytes became cells. What is empty in a person's choice is found from the file; header is "yes" or "no"."""

    encoding: str = ""
    separator: str = ""
    header: str = ""
    sheet: str = ""


@dataclass(frozen=True)
class Table:
    """Cells of text, without spaces around them; no row is blank, and all rows have as many cells as there are columns.

    numbers: each row's number in the file, for messages (CSV: the header is row 1; JSON Lines: the line).
    notes: sentences about what was left out while reading. format: how the file was read. sheets: of a workbook.
    nested: columns that hold lists or objects, which no task can use, and what they hold.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()
    format: Format = Format()
    sheets: tuple[str, ...] = ()
    nested: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {', '.join(self.columns)}, {len(self.rows)} rows)"

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


def check_size(data: bytes, name: str, most: int) -> None:
    """LabError where `data` has more than `most` bytes."""
    if len(data) > most:
        raise LabError(f"The file {shown(name)} is larger than {most >> 20} MB: keep some rows of it.")


def make_table(name: str, header: Sequence[str], records: Iterable[tuple[int, Sequence[str]]]) -> Table:
    """A table of numbered rows, blank ones left out; short rows are filled up, and rows with more cells than the header left out.

    Spaces and line breaks within a column's name become one space, its braces round brackets (templates have {column} places), and
    columns of one name get a number.
    Raises LabError for too many columns, or where more than half of the rows are left out.
    """
    columns, notes = _names(name, header)
    rows, numbers, long, odd, short = [], [], [], [], 0
    for number, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            long.append(number)
            continue
        row = tuple(cell.strip() for cell in cells[: len(columns)])
        if any(_problem(cell) for cell in row):
            odd.append(number)
            continue
        short += len(row) < len(columns)
        rows.append(row + ("",) * (len(columns) - len(row)))
        numbers.append(number)
    left_out = [
        *([(long, "more cells than there are columns: check the separators and quotes")] if long else []),
        *([(odd, f"a character that is no text, or a cell of more than {csv.field_size_limit():,} characters")] if odd else []),
    ]
    if not rows and not left_out:
        raise LabError(f"{shown(name)} has a header and no rows: add rows below it.")
    if len(long) + len(odd) > len(rows):
        many, what = max(left_out, key=lambda item: len(item[0]))
        raise LabError(f"{len(many):,} of {len(rows) + len(long) + len(odd):,} rows of {shown(name)} have {what}.")
    notes += [f"{counted(len(many))} left out, with {what} ({listed(many)})." for many, what in left_out]
    if short:
        notes.append(f"{counted(short)} filled up: {'it has' if short == 1 else 'they have'} fewer cells than there are columns.")
    kept = spread(len(rows), MOST_READ)
    if len(kept) < len(rows):
        notes.append(f"{len(rows):,} rows, of which {MOST_READ:,}, spread evenly, were read.")
    return Table(name, columns, tuple(rows[i] for i in kept), tuple(numbers[i] for i in kept), tuple(notes))


def _names(name: str, header: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    if len(header) > MOST_COLUMNS:
        raise LabError(f"{shown(name)} has {len(header):,} columns, more than {MOST_COLUMNS}: keep those that matter.")
    columns, seen, notes = [], Counter[str](), []
    for number, cell in enumerate(header, start=1):
        column = (
            " ".join(re.sub("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]", "", cell).replace("{", "(").replace("}", ")").split())
            or f"column {number}"
        )
        if len(column) > LONGEST_COLUMN:
            column = column[: LONGEST_COLUMN - 1] + "…"
        seen[column.casefold()] += 1
        if seen[column.casefold()] > 1:
            again = f"{column[: LONGEST_COLUMN - 6]} ({number})"
            notes.append(f"Two columns are named {shown(column)}: the later one is called {shown(again)} here.")
            column = again
            seen[column.casefold()] += 1
        columns.append(column)
    return tuple(columns), notes


def counted(count: int, what: str = "") -> str:
    """A number of rows as the beginning of a sentence. what: which rows.

    >>> counted(1), counted(1200), counted(2, "test")
    ('1 row was', '1,200 rows were', '2 test rows were')
    """
    kind = f"{what} row" if what else "row"
    return f"{count:,} {kind} was" if count == 1 else f"{count:,} {kind}s were"


def listed(numbers: Sequence[int]) -> str:
    """Numbers of rows, the first few of them.

    >>> listed([3]), listed(range(1, 12))
    ('row 3', 'rows 1, 2, 3, 4, 5, 6, 7, 8 and 3 more')
    """
    first = ", ".join(map(str, numbers[:LISTED]))
    more = f" and {len(numbers) - LISTED:,} more" if len(numbers) > LISTED else ""
    return f"row{'s' if len(numbers) > 1 else ''} {first}{more}"


def spread(count: int, most: int) -> list[int]:
    """Indices of at most `most` of `count` items, evenly spaced.

    >>> spread(10, 4)
    [0, 2, 5, 7]
    """
    return [i * count // most for i in range(most)] if count > most else list(range(count))


def fitting(sizes: Sequence[int], rows: int = MOST_ROWS, most: int = LARGEST_FILE) -> list[int]:
    """Indices of the items to keep, evenly spaced: at most `rows`, whose sizes (bytes) add up to at most `most`."""
    kept = spread(len(sizes), rows)
    while (size := sum(sizes[i] for i in kept)) > most and len(kept) > 1:
        kept = spread(len(sizes), min(len(kept) - 1, len(kept) * most // size))
    return kept


def _problem(text: str) -> bool:
    return len(text) > csv.field_size_limit() or NOT_TEXT.search(text) is not None


def check_text(text: str, where: str) -> None:
    """LabError where `text` has half a surrogate pair or NUL, or is longer than a cell of CSV may be."""
    if NOT_TEXT.search(text):
        raise LabError(f"{where} has a character that is no text ({shown(text, 30)}): delete it.")
    if len(text) > csv.field_size_limit():
        raise LabError(f"{where} has a cell of more than {csv.field_size_limit():,} characters: shorten it.")
