"""Any table that people have, from its bytes: CSV and its kin, .xlsx, JSON in its usual forms, Markdown, `France -> Paris`."""

import re
from dataclasses import replace
from pathlib import Path

from core.errors import LabError, shown
from core.tasks.decode import decoded
from core.tasks.delimited import read_text, table_of
from core.tasks.json_rows import read_json
from core.tasks.table import LARGEST_READ, Format, Table, check_size
from core.tasks.workbook import is_archive, read_workbook

JSON = re.compile(r'\s*(\[\s*[\[{"\]]|\{\s*["}])')  # typed lines may begin with a bracket, too


def read_bytes(path: Path) -> bytes:
    """A file's bytes; LabError where it is missing or larger than 32 MB."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_READ + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise LabError(f"The file {shown(path)} can't be read: check its name.") from error
    check_size(data, path.name, LARGEST_READ)
    return data


def read_table(data: bytes, name: str, chosen: Format | None = None) -> Table:
    """The rows of a file or of pasted text. What `chosen` leaves empty is found from the bytes; the table says how it was read.

    Raises LabError in one sentence for what can't be read.
    """
    check_size(data, name, LARGEST_READ)
    chosen = chosen or Format()
    if name.casefold().endswith((".numbers", ".ods")):
        raise LabError(f"{shown(name)} is a spreadsheet of another program: export it from there as CSV or .xlsx.")
    if is_archive(data):
        found, sheet, sheets, notes = read_workbook(data, name, chosen.sheet)
        table = table_of(found, name, Format("xlsx", "", chosen.header, sheet))
        return replace(table, sheets=sheets, notes=(*notes, *table.notes))
    if name.casefold().endswith((".xlsx", ".xlsm")) and b"\0" in data:
        raise LabError(f"{shown(name)} is no workbook, though it is named so (a lock file, or damaged): save it anew as .xlsx.")
    text, encoding, notes = decoded(data, name, chosen.encoding)
    table = read_json(text, name) if JSON.match(text) else read_text(text, name, chosen)
    return replace(table, notes=(*notes, *table.notes), format=replace(table.format, encoding=encoding))
