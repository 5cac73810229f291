"""A task by its name, or from a file: a built-in task, a task file or a table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import LabError, as_path, shown
from core.tasks.built_in import built_in, slugs
from core.tasks.columns import Columns, decide, sentence
from core.tasks.from_table import task_from_table, with_test
from core.tasks.own_prompts import own_prompts
from core.tasks.reader import read_bytes, read_table
from core.tasks.table import Format, Table
from core.tasks.task import Task, marked
from core.tasks.task_file import task_data, task_of
from core.tasks.template import usual_template


@dataclass(frozen=True)
class Reading:
    """A task, and how it was read: from a table with these columns, or (both None) as it is in a task file."""

    task: Task
    table: Table | None = None
    columns: Columns | None = None

    @property
    def sentence(self) -> str:
        """What was decided about the file, in one sentence."""
        if self.table is None or self.columns is None:
            return f"Read as a whole task, with {f'{len(self.task.labels)} labels' if self.task.labels else 'free answers'}."
        return sentence(self.table, self.columns, self.task.labels)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        columns = self.columns or Columns(("input",), "output", template=self.task.template)
        task, table = self.task, self.table
        return {
            "kind": "labels" if task.labels else "answers",
            "input_columns": list(columns.inputs),
            "output_column": columns.output,
            "template": columns.template or usual_template(columns.inputs, task.labels is not None),
            "labels": list(task.labels) if task.labels else None,
            "rows": {"train": len(task.train), "validation": len(task.validation), "held_out": len(task.held_out)},
            "encoding": table.format.encoding if table else "utf-8",
            "notes": list(task.notes),
        }


def reading_of(table: Table, columns: Columns | None = None) -> Reading:
    """The task of a table. What `columns` leaves open is decided. LabError where the table makes none."""
    decided = decide(table, columns)
    return Reading(task_from_table(table, decided), table, decided)


def read(data: bytes, name: str, columns: Columns | None = None, chosen: Format | None = None) -> Reading:
    """What the bytes of a table (see `read_table`) or of a task file (a JSON object with `train`) are as a task.

    Raises LabError for bytes that can't be used, or for columns given with a task file.
    """
    found = task_data(data, name)
    if found is not None:
        _refuse_columns(f"{shown(name)} is a task file", columns)
    return _read(found, data, name, columns, chosen)


def _read(found: Mapping[str, Any] | None, data: bytes, name: str, columns: Columns | None, chosen: Format | None) -> Reading:
    """The same where it is known what `task_data` found."""
    return reading_of(read_table(data, name, chosen), columns) if found is None else Reading(_from_file(found, name))


def load_reading(name: str, test: str | Path | None = None, columns: Columns | None = None, chosen: Format | None = None) -> Reading:
    """A built-in task by its slug, or any file that `read` reads.

    test: another table with the same columns, whose rows become the held-out rows. Raises LabError for a file that can't be used.
    """
    path = as_path(name)
    test_data = None if test is None else read_bytes(as_path(test))
    if name in slugs():
        if test is None:
            _refuse_columns(f"{name} is a built-in task", columns)
        made = Reading(built_in(name))
    elif path.is_file():
        data = read_bytes(path)
        found = task_data(data, path.name)
        if found is not None and test is None:
            _refuse_columns(f"{shown(path.name)} is a task file", columns)
        made = _read(found, data, path.name, columns, chosen)
    elif path.is_dir():
        raise LabError(f"{shown(name)} is a folder: name a file, or one of the tasks {', '.join(slugs())}.")
    else:
        raise LabError(f"There is no task or file {shown(name)}: choose one of {', '.join(slugs())}, or a file.")
    if test is None or test_data is None:
        return made
    return tested(made, read_table(test_data, Path(test).name, chosen), columns)


def tested(made: Reading, table: Table, columns: Columns | None = None) -> Reading:
    """`made` with the rows of another table as its held-out rows. columns: for a task that is not of a table."""
    reuse = made.columns is not None and not made.columns.split
    return Reading(with_test(made.task, table, reuse, made.columns or columns), made.table, made.columns)


def load_task(name: str, test: str | Path | None = None, columns: Columns | None = None, chosen: Format | None = None) -> Task:
    """The task of `load_reading`."""
    return load_reading(name, test, columns, chosen).task


def read_task(data: bytes, name: str, columns: Columns | None = None, chosen: Format | None = None) -> Task:
    """The task of `read`."""
    return read(data, name, columns, chosen).task


def table_or_task(data: bytes, name: str, chosen: Format | None = None) -> Table | Task:
    """The task of a task file, or the table of any other file, whose columns are still to be chosen. LabError for neither."""
    found = task_data(data, name)
    return read_table(data, name, chosen) if found is None else _from_file(found, name)


def task_from_json(data: bytes, name: str) -> Task:
    """The task of a task file. LabError, naming the file and the row, for any other bytes."""
    found = task_data(data, name)
    if found is None:
        raise LabError(f"{shown(name)} is no task file: give a JSON object with the lists train and held_out.")
    return _from_file(found, name)


def _from_file(found: Mapping[str, Any], name: str) -> Task:
    task = task_of(found, name)
    if task.slug in slugs() and task == built_in(task.slug):
        return task
    task = marked(task.slug, task)  # so that no file takes the slug of a built-in task or of an earlier file
    return task if task.handcrafted else replace(task, handcrafted=own_prompts(task))


def _refuse_columns(what: str, columns: Columns | None) -> None:
    if columns is not None and replace(columns, template="") != Columns():
        raise LabError(f"{what}, whose rows need no columns and no words: leave these out.")
