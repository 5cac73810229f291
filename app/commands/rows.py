"""Options for rows of your own, and the task that they make."""

import argparse
import csv

from app.commands.options import tell
from core.errors import LabError, as_path, shown
from core.tasks.columns import Columns
from core.tasks.delimited import ARROWS
from core.tasks.load import Reading, reading_of, tested
from core.tasks.load import load_reading as load_local
from core.tasks.reader import read_bytes, read_table
from core.tasks.table import LONG_ROWS, Format
from core.tasks.task import Task
from core.tasks.template import names_columns

TASKS = "a built-in task; a table (CSV, TSV, .xlsx, JSON, Markdown, a -> b); a task file (JSON); or hub:owner/name[:config]"


def add_rows(made: argparse.ArgumentParser) -> None:
    """How rows of one's own are to be read."""
    rows = made.add_argument_group("rows of your own", "for tables and datasets; what is left out is decided from the rows")
    rows.add_argument(
        "--columns", metavar="INPUT,…,OUTPUT", help="the columns that go in (one or more), and last the one that should come out"
    )
    rows.add_argument("--kind", help="answers (free text) or labels (one of a few words)")
    rows.add_argument("--words", metavar="LABEL=WORD,…", help='words for labels, as in "0=negative,1=positive" or "1,2=bad,3,4,5=good"')
    rows.add_argument("--merge-labels", action="store_true", help="labels that differ only in case and spaces are one label")
    rows.add_argument("--split-column", metavar="NAME", help="the column that says train, validation or test; none: no column does")
    rows.add_argument("--header", choices=("yes", "no"), default="", help="whether the first row names the columns")
    rows.add_argument("--separator", default="", metavar="SIGN", help="the sign between cells, as ; or tab")
    rows.add_argument("--encoding", default="", help="as in utf-8, cp1252, gb18030")
    rows.add_argument("--sheet", default="", help="of an .xlsx workbook")
    rows.add_argument(
        "--long-rows", choices=tuple(LONG_ROWS), default="end", help="what is cut of rows longer than the model's window (default end)"
    )


def load_task(options: argparse.Namespace) -> Task:
    """The task that `--task` names, with the rows of `--test`, read as the other options say."""
    return load_reading(options).task


def load_reading(options: argparse.Namespace) -> Reading:
    """The same with how it was read. `options.template` is taken for that of a table where it has {column} places."""
    columns, chosen = _columns(options), _format(options)
    if not options.task.startswith("hub:"):
        return load_local(options.task, options.test, columns, chosen)
    from core.tasks.hub_rows import load_hub_table

    tell("reading the dataset …")
    made = reading_of(load_hub_table(options.task.removeprefix("hub:"), token=None), columns)
    if options.test is None:
        return made
    return tested(made, read_table(read_bytes(as_path(options.test)), as_path(options.test).name, chosen), columns)


def _columns(options: argparse.Namespace) -> Columns | None:
    """What the options say of columns, or None where they say nothing."""
    names = _cells("--columns", options.columns) if options.columns is not None else []
    if options.columns is not None and (len(names) < 2 or not all(names)):
        raise LabError(f"--columns is {shown(options.columns)}: name two columns or more, as in --columns question,answer.")
    if options.kind not in (None, "answers", "labels"):
        raise LabError(f"--kind is {shown(options.kind)}: choose answers or labels.")
    if options.split_column == "":
        raise LabError("--split-column is empty: name a column, or leave it out.")
    split = "" if options.split_column == "none" else options.split_column
    template = getattr(options, "template", None) or ""
    if options.command != "read" and not names_columns(template):
        template = ""  # that of the recipe or of a saved prompt, not of the table
    columns = Columns(
        tuple(names[:-1]), names[-1] if names else "", options.kind or "", split, template, read_words(options.words), options.merge_labels
    )
    return None if columns == Columns() else columns


def _format(options: argparse.Namespace) -> Format:
    separator = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}.get(options.separator, options.separator)
    if separator not in ("", *ARROWS) and (len(separator) != 1 or separator in '"\r\n'):
        raise LabError(f"--separator is {shown(options.separator)}: give one sign, or the word tab.")
    return Format(options.encoding, separator, options.header, options.sheet)


def read_words(text: str | None) -> dict[str, str]:
    """Labels and their words from `label=word,label=word` (quotes as in CSV where one holds a comma). Several labels may share a word.

    Raises LabError for other text.

    >>> read_words('0=negative,"1, or more=positive"')
    {'0': 'negative', '1, or more': 'positive'}
    >>> read_words("1,2=bad,3=good")
    {'1': 'bad', '2': 'bad', '3': 'good'}
    """
    words: dict[str, str] = {}
    waiting: list[str] = []
    for cell in _cells("--words", text) or [""] if text is not None else []:
        label, sign, word = cell.rpartition("=")
        waiting.append(label.strip() if sign else cell.strip())
        if not all(waiting) or any(name in words for name in waiting) or len(set(waiting)) < len(waiting):
            raise LabError(f"--words is {shown(text)}: name each label once, as in --words 0=negative,1=positive.")
        if sign:
            words.update(dict.fromkeys(waiting, word.strip()))
            waiting = []
    if waiting:
        raise LabError(f"--words is {shown(text)}: name each label once, as in --words 0=negative,1=positive.")
    return words


def _cells(flag: str, text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise LabError(f"{flag} is {shown(text)}: check its quotes.") from error
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else []
