"""Cells between separators: which separator, which lines are rows, and where the header is. Quotes that are text do no harm."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from core.errors import LabError, shown
from core.tasks.names import is_known
from core.tasks.table import Format, Table, make_table

SEPARATORS = ("\t", "|", ";", ",")  # of equals, the one that is rarer in prose
BARS = ("|||", "||")
ARROWS = ("->", "→", "=>", *BARS)
MOST_TITLES = 12  # lines above the header
SAMPLE = 400  # rows by which separator and header are decided
STRAY = 50  # unclosed quotes after which quotes are text
Record = tuple[int, list[str]]


def read_text(text: str, name: str, chosen: Format) -> Table:
    """The rows of a text: a Markdown table, lines like `France -> Paris`, or cells between separators. LabError where there are none."""
    text, separator = _said(text, chosen.separator)
    if not separator and _is_tagged(text):
        raise LabError(
            f"{shown(name)} has a token and its tag on each line, and blank lines between sentences: give a whole text and its label or "
            "answer in each row."
        )
    found = _markdown(text) if separator in ("", "|") else []
    if found:
        return table_of(found, name, Format(separator="|", header=chosen.header or "yes"))
    arrow = separator if separator in ARROWS else "" if separator else _arrow(text)
    if arrow:
        return table_of(_sides(text, arrow), name, Format(separator=arrow, header=chosen.header))
    separator = separator or _separator(text)
    if not separator:
        raise LabError(f"{shown(name)} has no two cells in a row: write lines like France -> Paris, or a table with two columns or more.")
    return table_of(records(text, separator), name, Format(separator=separator, header=chosen.header))


def _said(text: str, separator: str) -> tuple[str, str]:
    """The text without a first line like `sep=;`, and the separator that it or the person names."""
    first = re.match(r"\s*\"?sep=(.)\"?[ \t]*\r?(\n|$)", text, re.IGNORECASE)
    return (text[first.end() :], separator or first[1]) if first else (text, separator)


def _markdown(text: str) -> list[Record]:
    """The rows of the first Markdown table."""
    lines = text.split("\n")
    rule = next((at for at, line in enumerate(lines) if at and re.fullmatch(r"\s*\|?(\s*:?-+:?\s*\|)+(\s*:?-+:?\s*)?\s*", line)), None)
    if rule is None or "|" not in lines[rule - 1]:
        return []
    rows = [(rule, lines[rule - 1])]
    for number, line in enumerate(lines[rule + 1 :], start=rule + 2):
        if "|" not in line:
            break
        rows.append((number, line))
    cells = [(number, re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))) for number, line in rows]
    return [(number, [cell.replace("\\|", "|") for cell in row]) for number, row in cells]


def _first_lines(text: str) -> list[str]:
    """The first SAMPLE lines, without a look at the others of a large file."""
    return text.split("\n", SAMPLE)[:SAMPLE]


def _arrow(text: str) -> str:
    """The arrow that nearly every line has, if there is one."""
    lines = [line for line in _first_lines(text) if line.strip()]
    first = lines[0]
    arrows = [arrow for arrow in ARROWS if arrow in first and sum(arrow in line for line in lines) >= 0.8 * len(lines)]
    if len({line.count("|") for line in lines}) == 1 and not all(first.count("|") == len(bars) for bars in BARS if bars in arrows):
        arrows = [arrow for arrow in arrows if arrow not in BARS]  # cells between single bars, some of them empty
    return min(arrows, key=first.index, default="")


def _is_tagged(text: str) -> bool:
    """Whether the lines are tokens with their tags, and blank lines part the sentences, as in the files of CoNLL's tasks."""
    lines = [line.split() for line in _first_lines(text) if not line.startswith(("#", "-DOCSTART-"))]
    rows = [cells for cells in lines if cells]
    sentences = sum(bool(cells) and not before for before, cells in zip([[], *lines], lines, strict=False))
    width = len(rows[0]) if rows else 0
    if sentences < 3 or len(rows) < 4 * sentences or width < 2 or sum(len(cells) == width for cells in rows) < 0.98 * len(rows):
        return False
    tags = Counter(cells[-1] for cells in rows)
    return len(tags) <= 60 and len(tags) < len(rows) / 4


def _sides(text: str, arrow: str) -> list[Record]:
    lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    return [(number, [side.strip() for side in line.split(arrow)]) for number, line in lines]


def _separator(text: str) -> str:
    """The separator by which most rows have equally many cells, two or more; known names in the first row count, too."""
    sample = "".join(islice(io.StringIO(text, newline=""), SAMPLE))

    def fit(separator: str) -> float:
        rows = [cells for _, cells in records(sample, separator) if any(cell.strip() for cell in cells)]
        sizes = Counter(len(cells) for cells in rows)
        size, count = max(sizes.items(), key=lambda item: (item[1], item[0])) if sizes else (1, 0)
        if size < 2:
            size, count = max(((s, c) for s, c in sizes.items() if s > 1), key=lambda item: item[1], default=(1, 0))
        if size < 2 or not rows:
            return 0.0
        names = max(sum(map(is_known, cells)) for cells in rows[:3])
        return count / len(rows) + 0.2 * min(names, 3) + 0.05 * (len(rows[0]) == size)

    best = max(SEPARATORS, key=fit)
    return best if fit(best) else ""


# --- rows ---------------------------------------------------------------------------------------------------------------


def records(text: str, separator: str) -> list[Record]:
    """Rows of cells, each with the number of its first line.

    Read as CSV wherever that is consistent. A line is taken by itself, its quotes as text, if its quotes don't close or if a
    quote would join lines each of which has as many cells as the other rows.
    """
    lines = list(io.StringIO(text, newline=""))
    spans = list(_spans(lines, separator))
    single = Counter(len(cells) for first, last, cells in spans if last - first == 1 and cells)
    width = max(single.items(), key=lambda item: (item[1], item[0]))[0] if single else max((len(c) for *_, c in spans), default=0)
    found: list[Record] = []
    for first, last, cells in spans:
        if last - first > 1 and width > 1 and _joined_by_mistake(lines[first:last], separator, width, len(cells)):
            found += [(first + at + 1, _plain(line, separator)) for at, line in enumerate(lines[first:last])]
        else:
            found.append((first + 1, cells))
    return found


def _spans(lines: Sequence[str], separator: str) -> Iterator[tuple[int, int, list[str]]]:
    """(first line, line after the last, cells) of each record; the quotes of a line that is not well-formed CSV are text."""
    at = stray = 0
    while at < len(lines):
        start = at
        reader = csv.reader(islice(lines, start, None), delimiter=separator, strict=True)
        try:
            for cells in reader:
                yield at, start + reader.line_num, cells
                at = start + reader.line_num
        except csv.Error:
            stray += 1
            yield at, at + 1, _plain(lines[at], separator)
            at += 1
        if stray > STRAY:
            yield from ((n, n + 1, _plain(line, separator)) for n, line in enumerate(lines[at:], start=at))
            return


def _joined_by_mistake(lines: Sequence[str], separator: str, width: int, cells: int) -> bool:
    whole = all(len(_plain(line, separator)) == width for line in lines)
    # Tabs are hardly ever inside quotes; commas often are, so there more lines, or a wrong number of cells, must speak for it.
    return whole and (separator == "\t" or len(lines) > 3 or cells != width)


def _plain(line: str, separator: str) -> list[str]:
    cells = line.rstrip("\r\n").split(separator)
    return [cell[1:-1].replace('""', '"') if re.fullmatch(r'"(?:[^"]|"")*"', cell) else cell for cell in cells]


# --- the header -------------------------------------------------------------------------------------------------------


def table_of(found: Sequence[Record], name: str, chosen: Format) -> Table:
    """A table of rows of which the first may be titles and a header. `chosen` becomes its format, with what was found."""
    rows = [(number, list(cells)) for number, cells in found if any(cell.strip() for cell in cells)]
    if not rows:
        raise LabError(f"{shown(name)} is empty: give a header row (input,output or text,label) and rows below it.")
    titles = _titles([cells for _, cells in rows])
    notes = []
    if titles:
        said = " ".join(cell for cell in rows[0][1] if cell.strip())
        notes.append(f"{titles} line{'s' if titles > 1 else ''} above the table left out ({shown(' '.join(said.split()), 50)}).")
        rows = rows[titles:]
    width = max(Counter(len(cells) for _, cells in rows).items(), key=lambda item: (item[1], item[0]))[0]
    header = chosen.header or ("yes" if has_header([cells for _, cells in rows[:SAMPLE]]) else "no")
    if header == "yes":
        first, rows = rows[0][1], rows[1:]
        if not rows:
            raise LabError(f"{shown(name)} has a header and no rows: add rows below it.")
        if _has_row_names(first, rows):
            first = ["", *first]
        elif len(first) == 2 and chosen.separator in SEPARATORS:
            rows = _two_cells(rows, chosen.separator)
    if header == "no":
        arrow = chosen.separator in ARROWS
        first = ["input", "output"] if arrow else [f"column {number}" for number in range(1, width + 1)]
        if not chosen.header and not arrow:
            notes.append("Row 1 was read as data, not as names of columns.")
    table = make_table(name, first, rows)
    return replace(table, notes=(*notes, *table.notes), format=replace(chosen, header=header))


def _has_row_names(header: Sequence[str], rows: Sequence[Record]) -> bool:
    """Whether rows begin with a name of their own that the header has no cell for, as R writes them."""
    longer = [cells[0].strip() for _, cells in rows if len(cells) == len(header) + 1]
    return len(longer) > len(rows) / 2 and len(set(longer)) == len(longer) and not any(" " in name for name in longer) and all(header)


def _two_cells(rows: Sequence[Record], separator: str) -> list[Record]:
    """Rows of two columns: one with more cells is a text with separators in it beside a label, the side with fewer different values."""
    label_first = len({cells[0].strip() for _, cells in rows}) < len({cells[-1].strip() for _, cells in rows})
    made = []
    for number, cells in rows:
        if len(cells) > 2 and any(cell.strip() for cell in cells[2:]):
            cells = [cells[0], separator.join(cells[1:])] if label_first else [separator.join(cells[:-1]), cells[-1]]
        made.append((number, cells))
    return made


def _titles(rows: Sequence[Sequence[str]]) -> int:
    """How many rows above the table are titles: they fill far fewer cells than the others do."""
    filled = [sum(1 for cell in cells if cell.strip()) for cells in rows[:SAMPLE]]
    usual = Counter(filled).most_common(1)[0][0]
    if max(filled) < 2:
        return 0
    usual = usual if usual > 1 else max(filled)
    for at, count in enumerate(filled[:MOST_TITLES]):
        if count > 1 and 2 * count >= usual:
            at += _is_group_header(rows[at : at + 2])
            return at if at + 1 < len(rows) else 0
    return 0


def _is_group_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of two rows names groups of the columns that the second one names: some of its cells are merged."""
    if len(rows) < 2:
        return False
    groups, names = ([cell.strip() for cell in cells] for cells in rows)
    merged = "" in groups[1:] and len(names) > 2 and all(names) and len(set(names)) == len(names)
    return merged and not any(_is_number(name) or len(name) > 40 for name in names) and sum(map(is_known, names)) > 0


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of these rows names the columns: it is unlike what stands below it.

    >>> has_header([["v1", "v2"], ["ham", "hello"], ["spam", "win now"]]), has_header([["ham", "hi"], ["spam", "win"], ["ham", "ok"]])
    (True, False)
    """
    first, rest = rows[0], rows[1:]
    if any(_is_number(cell) or len(cell) > 150 for cell in first):
        return False
    known = sum(map(is_known, first))
    points = 2.0 * known if known > 1 or known == len([cell for cell in first if cell.strip()]) else float(known)
    for place, cell in enumerate(first):
        below = [row[place].strip() for row in rest if place < len(row) and row[place].strip()]
        if cell.strip() and below:
            points += _unlike(cell.strip(), below)
    return points > 0


def _unlike(cell: str, below: Sequence[str]) -> float:
    """Points for a first cell that is unlike the cells below it, negative for one that is like them."""
    if sum(map(_is_number, below)) >= 0.9 * len(below):
        return 2.0
    counts = Counter(below)
    repeated = sum(count for count in counts.values() if count > 1) >= 0.9 * len(below)
    if repeated and len(counts) <= len(below) / 2 and max(map(len, counts)) <= 60:
        # Among many rows of few labels a first row of data has one of them, almost surely.
        return -3.0 if cell in counts else 2.5 if len(below) >= 10 * len(counts) else 1.5
    points = -1.0 if cell in counts and len(below) > 3 else 0.0
    shapes = Counter(map(_shape, below))
    shape, many = shapes.most_common(1)[0]
    if len(below) >= 3:
        if _shape(cell) != shape and many >= 0.9 * len(below):
            points += 1
        elif _shape(cell) == shape and cell[-1] in ".!?。！？":
            points -= 1
        if 2 * len(cell) <= min(map(len, below)) and cell[-1] not in ".!。！":
            points += 1
    return points


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.,:/-]*\d%?", cell.strip()) is not None


def _shape(cell: str) -> tuple[str, bool, bool]:
    """What a cell looks like: how it begins, whether it ends like a sentence, whether it has several words."""
    start = cell[0]
    kind = "upper" if start.isupper() else "lower" if start.islower() else "digit" if start.isdigit() else "other"
    return "capitals" if len(cell) > 1 and cell.isupper() else kind, cell[-1] in ".!?。！？", " " in cell
