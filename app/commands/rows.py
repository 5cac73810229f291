"""Options for rows of your own, and the task that they make."""

import argparse
import csv
from pathlib import Path

from app.commands.options import tell
from core.errors import LabError, as_path, shown
from core.tasks.from_table import Columns, fill_columns, task_from_table, with_test
from core.tasks.load import load_task as load_local
from core.tasks.table import read_bytes
from core.tasks.task import Task

TASKS = "a built-in task; a CSV, TSV or JSON Lines file; a task file (JSON); or hub:owner/name[:config]"


def add_rows(made: argparse.ArgumentParser) -> None:
    """How rows of one's own are to be read."""
    rows = made.add_argument_group("rows of your own", "for tables and datasets; what is left out is guessed from the column names")
    rows.add_argument("--columns", metavar="INPUT,OUTPUT", help="the columns that hold what goes in and what should come out")
    rows.add_argument("--kind", help="answers (free text) or labels (one of a few words)")
    rows.add_argument("--words", metavar="LABEL=WORD,…", help='words for labels, as in "0=negative,1=positive"')
    rows.add_argument("--split-column", metavar="NAME", help="the column that says train, validation or test")


def load_task(options: argparse.Namespace) -> Task:
    """The task that `--task` names, with the rows of `--test`, read as the other options say."""
    words = read_words(options.words)
    columns = None
    if options.columns is not None or options.kind is not None or options.split_column is not None:
        names = _cells("--columns", options.columns) if options.columns is not None else ["", ""]
        if len(names) != 2 or (options.columns is not None and not all(names)):
            raise LabError(f"--columns is {shown(options.columns)}: name two columns, as in --columns question,answer.")
        if options.kind not in (None, "answers", "labels"):
            raise LabError(f"--kind is {shown(options.kind)}: choose answers or labels.")
        if options.split_column == "":
            raise LabError("--split-column is empty: name a column, or leave it out.")
        columns = Columns(names[0], names[1], options.kind or "", options.split_column or "")
    if not options.task.startswith("hub:"):
        return load_local(options.task, options.test, columns, words)
    from core.tasks.hub_rows import load_hub_table

    tell("reading the dataset …")
    table = load_hub_table(options.task.removeprefix("hub:"), token=None)
    filled = fill_columns(table, columns)
    made = task_from_table(table, filled, words=words)
    if options.test is None:
        return made
    return with_test(made, read_bytes(as_path(options.test)), Path(options.test).name, not filled.split, columns, words)


def read_words(text: str | None) -> dict[str, str]:
    """Labels and their words from `label=word,label=word` (quotes as in CSV where one holds a comma). LabError for other text.

    >>> read_words('0=negative,"1, or more=positive"')
    {'0': 'negative', '1, or more': 'positive'}
    """
    words: dict[str, str] = {}
    for cell in _cells("--words", text) or [""] if text is not None else []:
        label, sign, word = cell.rpartition("=")
        if not sign or not label.strip() or label.strip() in words:
            raise LabError(f"--words is {shown(text)}: name each label once, as in --words 0=negative,1=positive.")
        words[label.strip()] = word.strip()
    return words


def _cells(flag: str, text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise LabError(f"{flag} is {shown(text)}: check its quotes.") from error
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else []
