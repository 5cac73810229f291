"""Rows of a sheet of an .xlsx workbook, within limits of unpacked bytes, rows and columns."""

import datetime
import io
import warnings
import zipfile
from typing import Any

from core.errors import LabError, shown
from core.tasks.delimited import Record
from core.tasks.table import MOST_COLUMNS, MOST_READ

LARGEST_UNPACKED = 100 * 2**20  # bytes
MOST_PARTS = 2000
OTHERS = {  # a file in a zip archive, and what the archive is
    "word/document.xml": "is a Word document: paste its table, or save it as CSV",
    "ppt/presentation.xml": "is a presentation: give the table as CSV or .xlsx",
    "Index/Document.iwa": "is a Numbers spreadsheet: in Numbers, choose File, Export To, CSV or Excel",
    "Index.zip": "is a Numbers spreadsheet: in Numbers, choose File, Export To, CSV or Excel",
    "xl/workbook.bin": "is a binary workbook (.xlsb): save it as .xlsx or CSV",
}
OPEN_DOCUMENT = "is an OpenDocument file: in LibreOffice, choose File, Save As, and .xlsx or CSV"


def is_archive(data: bytes) -> bool:
    """Whether these are the bytes of a zip archive (.xlsx is one) or of an old or encrypted office file."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0"))


def read_workbook(data: bytes, name: str, sheet: str = "") -> tuple[list[Record], str, tuple[str, ...], tuple[str, ...]]:
    """Numbered rows of a sheet (its name, or empty for the first that has cells), the sheet's name, all names, and notes.

    The value that was saved for a formula is taken; a note counts the formulas without one.
    Raises LabError, saying what the file is, for any other file.
    """
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        secret = "EncryptedPackage".encode("utf-16-le") in data
        what = (
            "is protected by a password: save it without one" if secret else "is an old office file (.xls, .doc): save it as .xlsx or CSV"
        )
        raise LabError(f"{shown(name)} {what}.")
    _check_archive(data, name)
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            names = tuple(found.title for found in book.worksheets)
            if sheet and sheet not in names:
                raise LabError(f"{shown(name)} has no sheet {shown(sheet)}: it has {shown(', '.join(names), 200)}.")
            for chosen in [sheet] if sheet else names:
                rows = _rows(book[chosen], name)
                if rows:
                    return rows, chosen, names, (*_notes(rows, chosen, names, bool(sheet)), *_unsaved(data, chosen, rows))
    except LabError:
        raise
    except Exception as error:  # a damaged workbook raises errors of any type
        raise LabError(f"{shown(name)} can't be read as a workbook: open it in a spreadsheet program and save it as CSV.") from error
    raise LabError(f"{shown(name)} is empty: give a sheet with a header row and rows below it.")


def _check_archive(data: bytes, name: str) -> None:
    try:
        parts = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except Exception as error:  # zipfile raises errors of several types for damaged archives
        raise LabError(f"{shown(name)} is a damaged zip archive or workbook: save it again as .xlsx or CSV.") from error
    inside = {part.filename for part in parts}
    if "mimetype" in inside and "content.xml" in inside:
        raise LabError(f"{shown(name)} {OPEN_DOCUMENT}.")
    if any(found.endswith(".iwa") for found in inside):
        raise LabError(f"{shown(name)} {OTHERS['Index.zip']}.")
    for file, what in OTHERS.items():
        if file in inside:
            raise LabError(f"{shown(name)} {what}.")
    if not any(found.startswith("xl/") for found in inside):
        raise LabError(f"{shown(name)} is a zip archive: unpack it, and give the table that is in it.")
    if sum(part.file_size for part in parts) > LARGEST_UNPACKED or len(parts) > MOST_PARTS:
        raise LabError(f"{shown(name)} has more than {LARGEST_UNPACKED >> 20} MB when it is unpacked: save the rows that matter as CSV.")


def _rows(sheet: Any, name: str) -> list[Record]:
    if not hasattr(sheet, "iter_rows"):
        return []
    sheet.reset_dimensions()  # what the file says of its size need not be true
    rows: list[Record] = []
    for number, cells in enumerate(sheet.iter_rows(max_row=MOST_READ + MOST_COLUMNS, values_only=True), start=1):
        texts = [_text(cell) for cell in cells[: MOST_COLUMNS + 1]]
        while texts and not texts[-1].strip():
            texts.pop()
        if len(texts) > MOST_COLUMNS or any(cell is not None for cell in cells[MOST_COLUMNS + 1 :]):
            raise LabError(f"{shown(name)} has {len(cells):,} columns, more than {MOST_COLUMNS}: keep those that matter.")
        if texts:
            rows.append((number, texts))
    width = max((len(cells) for _, cells in rows), default=0)
    return [(number, cells + [""] * (width - len(cells))) for number, cells in rows]


def _notes(rows: list[Record], sheet: str, names: tuple[str, ...], asked: bool) -> tuple[str, ...]:
    notes = []
    if len(names) > 1 and not asked:
        notes.append(f"The workbook has {len(names)} sheets; {shown(sheet)} was read.")
    if rows[-1][0] >= MOST_READ:
        notes.append(f"Only the first {MOST_READ:,} rows of the sheet were read.")
    return tuple(notes)


def _unsaved(data: bytes, sheet: str, rows: list[Record]) -> tuple[str, ...]:
    """A note on formulas whose value the program that wrote the file did not save."""
    import openpyxl

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [part for part in archive.namelist() if part.startswith("xl/worksheets/") and part.endswith(".xml")]
        if not any(b"<f>" in (text := archive.read(part)) or b"<f " in text for part in sheets):
            return ()
    known = dict(rows)
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
    book[sheet].reset_dimensions()
    lost = 0
    for number, cells in enumerate(book[sheet].iter_rows(max_row=rows[-1][0]), start=1):
        texts = known.get(number, [])
        lost += sum(cell.data_type == "f" and not "".join(texts[at : at + 1]) for at, cell in enumerate(cells))
    if not lost:
        return ()
    many = "1 formula has" if lost == 1 else f"{lost:,} formulas have"
    return (f"{many} no saved value and count as empty: open the file in a spreadsheet program, save it, and give it again.",)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)
