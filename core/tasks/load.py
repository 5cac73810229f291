"""A task by its name, or from a file: a built-in task, a task file or a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import LabError, as_path, shown
from core.tasks.built_in import built_in, slugs
from core.tasks.from_table import Columns, fill_columns, task_from_table, with_test
from core.tasks.table import Table, read_bytes, read_table
from core.tasks.task import Task, marked
from core.tasks.task_file import task_data, task_of


def load_task(name: str, test: str | Path | None = None, columns: Columns | None = None, words: Mapping[str, str] | None = None) -> Task:
    """A built-in task by its slug, or any file that `read_task` reads.

    test: another table with the same columns, whose rows become the held-out rows. columns: the columns of tables to use;
    empty fields are guessed. words: see `task_from_table`.
    Raises LabError, naming the row, for a file that can't be used.
    """
    path = as_path(name)
    test_data = None if test is None else read_bytes(as_path(test))
    if name in slugs():
        _refuse_columns(f"{name} is a built-in task", columns, words, test)
        task, reuse = built_in(name), False
    elif path.is_file():
        data = read_bytes(path)
        found = task_data(data, path.name)
        if found is not None:
            _refuse_columns(f"{shown(path.name)} is a task file", columns, words, test)
            task, reuse = _from_file(found, path.name), False
        else:
            table = read_table(data, path.name)
            filled = fill_columns(table, columns)
            task, reuse = task_from_table(table, filled, words=words), not filled.split
    elif path.is_dir():
        raise LabError(f"{shown(name)} is a folder: name a file, or one of the tasks {', '.join(slugs())}.")
    else:
        raise LabError(f"There is no task or file {shown(name)}: choose one of {', '.join(slugs())}, or a file.")
    if test is None or test_data is None:
        return task
    return with_test(task, test_data, Path(test).name, reuse, columns, words)


def read_task(
    data: bytes,
    name: str,
    columns: Columns | None = None,
    template: str = "",
    words: Mapping[str, str] | None = None,
    pasted: bool = False,
) -> Task:
    """A task from the bytes of a table (see `read_table`) or of a task file (a JSON object with `train`).

    Raises LabError, naming the row, for bytes that can't be used, or for columns, a template or words given with a task file.
    """
    found = task_data(data, name)
    if found is None:
        return task_from_table(read_table(data, name, pasted), columns, template, words)
    _refuse_columns(f"{shown(name)} is a task file", columns, words)
    if template:
        raise LabError(f"{shown(name)} is a task file, which has a template of its own: leave this one out.")
    return _from_file(found, name)


def table_or_task(data: bytes, name: str) -> Table | Task:
    """The task of a task file, or the table of any other file, whose columns are still to be chosen. LabError for neither."""
    found = task_data(data, name)
    return read_table(data, name) if found is None else _from_file(found, name)


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
    return marked(task.slug, task)  # so that no file takes the slug of a built-in task or of an earlier file


def _refuse_columns(what: str, columns: Columns | None, words: Mapping[str, str] | None, test: object = None) -> None:
    if test is None and (columns is not None or words):
        raise LabError(f"{what}, whose rows need no columns and no words: leave these out.")
