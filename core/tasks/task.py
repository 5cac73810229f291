"""Tasks from wherever they come: the built-in ones, any table, a task file; and what is made of a task."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import LabError, as_path, shown
from core.files import ASSETS
from core.recipe import check_template
from core.tasks.split import HELD_OUT_SHARE, VALIDATION_MOST, VALIDATION_SHARE, Example, keep_together, part, unseen
from core.tasks.table import ANSWER_NAMES, INPUT_NAMES, LABEL_NAMES, Table, read_bytes, read_table
from core.tasks.task_file import (
    LONGEST_STEM,
    LONGEST_TEXT,
    MOST_LABELS,
    Handcrafted,
    Task,
    marked,
    stem_of,
    task_data,
    task_of,
    task_to_json,
)

__all__ = [
    "BUILT_IN",
    "Columns",
    "Example",
    "Handcrafted",
    "Task",
    "check_template",
    "fill_columns",
    "guess_columns",
    "load_task",
    "read_bytes",
    "read_task",
    "shuffled",
    "slugs",
    "table_or_task",
    "task_from_csv",
    "task_from_json",
    "task_from_table",
    "task_to_json",
    "template_of",
    "with_test",
]

BUILT_IN = ASSETS / "tasks"
ORDER = (
    *("past-tense", "capitals", "plural", "capitalise", "opposites", "first-of-five", "dates", "number-words", "person-json", "negate"),
    *("sentiment", "swapped-sentiment", "news", "shuffled-news", "question-type", "french"),
)
SIDES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "held_out", "held-out", "heldout", "eval"), "held_out"),
}
SHUFFLE_SEED = 22  # leaves each label about as frequent on every side, and one row in four with its own
Sides = dict[str, dict[str, Example]]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what. kind: answers or labels. split: the column that says train, validation or test."""

    input: str
    output: str
    kind: str
    split: str = ""


def load_task(name: str, test: str | Path | None = None, columns: Columns | None = None, words: Mapping[str, str] | None = None) -> Task:
    """A built-in task by its slug, or any file that `read_task` reads.

    test: another table of the same columns, used as the held-out rows in place of a split. columns: what holds what in
    tables; empty fields are guessed. words: see `task_from_table`.
    Raises LabError, naming the row, for a file that can't be used.
    """
    path = as_path(name)
    test_data = None if test is None else read_bytes(as_path(test))
    if name in slugs():
        _refuse_columns(f"{name} is a built-in task", columns, words, test)
        task, spare = _built_in(name), False
    elif path.is_file():
        data = read_bytes(path)
        found = task_data(data, path.name)
        if found is not None:
            _refuse_columns(f"{shown(path.name)} is a task file", columns, words, test)
            task, spare = _brought(found, path.name), False
        else:
            table = read_table(data, path.name)
            filled = fill_columns(table, columns)
            task, spare = task_from_table(table, filled, words=words), not filled.split
    elif path.is_dir():
        raise LabError(f"{shown(name)} is a folder: name a file, or one of the tasks {', '.join(slugs())}.")
    else:
        raise LabError(f"There is no task or file {shown(name)}: choose one of {', '.join(slugs())}, or a file.")
    if test is None or test_data is None:
        return task
    return with_test(task, test_data, Path(test).name, spare, columns, words)


def _refuse_columns(what: str, columns: Columns | None, words: Mapping[str, str] | None, test: object = None) -> None:
    if test is None and (columns is not None or words):
        raise LabError(f"{what}, whose rows need no columns and no words: leave these out.")


def slugs() -> list[str]:
    """The built-in tasks' names, in the order in which the page shows them."""
    found = [path.stem for path in sorted(BUILT_IN.glob("*.json"))]
    return [slug for slug in ORDER if slug in found] + [slug for slug in found if slug not in ORDER]


@cache  # a page asks for all of them whenever a task is picked
def _built_in(slug: str) -> Task:
    return task_of(_built_in_data(slug), f"{slug}.json")


@cache
def _built_in_data(slug: str) -> dict[str, Any]:
    """A built-in file's content. One with `rows_of` takes its rows from another task and makes the `change` named there."""
    data = json.loads((BUILT_IN / f"{slug}.json").read_text("utf-8"))
    if "rows_of" not in data:
        return data
    source = _built_in_data(data.pop("rows_of"))
    sides = {side: source[side] for side in ("train", "held_out")}
    if data.pop("change") == "swap":
        labels = data["labels"]
        following = dict(zip(labels, (*labels[1:], labels[0]), strict=True))
        return data | {side: [[text, following[label]] for text, label in rows] for side, rows in sides.items()}
    dealt = [[row.input, row.output] for row in permuted([Example(*row) for side in sides.values() for row in side], SHUFFLE_SEED)]
    size = len(sides["train"])
    return data | {"train": dealt[:size], "held_out": dealt[size:]}


def permuted(examples: Sequence[Example], seed: int) -> list[Example]:
    """The same inputs with the outputs dealt out anew: by a hash of `seed` and the inputs, so the same on any machine."""
    outputs = [example.output for example in examples]
    order = sorted(range(len(examples)), key=lambda i: hashlib.sha256(f"{seed} {examples[i].input}".encode()).digest())
    return [Example(example.input, outputs[i]) for example, i in zip(examples, order, strict=True)]


def shuffled(task: Task, seed: int = 0) -> Task:
    """`task` with the outputs of its training and validation rows dealt out anew: a control that has nothing to learn from.

    Held-out rows stay as they are.
    """
    rows = permuted((*task.train, *task.validation), seed)
    changed = replace(task, train=tuple(rows[: len(task.train)]), validation=tuple(rows[len(task.train) :]))
    return replace(marked(f"{task.slug}-shuffled-{seed}", changed), name=f"{task.name[:LONGEST_STEM]} (outputs shuffled)")


# --- files that people bring ------------------------------------------------------------------------------------------


def read_task(
    data: bytes,
    name: str,
    columns: Columns | None = None,
    template: str = "",
    words: Mapping[str, str] | None = None,
    pasted: bool = False,
) -> Task:
    """A task from the bytes of a table (see `read_table`) or of a task file (JSON with `train`, which needs no more said).

    Raises LabError, naming the row, for bytes that can't be used, or for columns, a template or words beside a task file.
    """
    found = task_data(data, name)
    if found is None:
        return task_from_table(read_table(data, name, pasted), columns, template, words)
    _refuse_columns(f"{shown(name)} is a task file", columns, words)
    if template:
        raise LabError(f"{shown(name)} is a task file, which has a template of its own: leave this one out.")
    return _brought(found, name)


def table_or_task(data: bytes, name: str) -> Table | Task:
    """What a file holds: a task (see `task_to_json`), or a table whose columns are still to be chosen. LabError for neither."""
    found = task_data(data, name)
    return read_table(data, name) if found is None else _brought(found, name)


def task_from_json(data: bytes, name: str) -> Task:
    """The task of a file that `task_to_json` wrote, or a person. LabError, naming the file and the row, for any other."""
    found = task_data(data, name)
    if found is None:
        raise LabError(f"{shown(name)} is no task file: give a JSON object with the lists train and held_out.")
    return _brought(found, name)


def _brought(found: Mapping[str, Any], name: str) -> Task:
    task = task_of(found, name)
    if task.slug in slugs() and task == _built_in(task.slug):
        return task
    return marked(task.slug, task)  # nobody's file passes for a built-in task, or for an earlier file


def task_from_csv(data: bytes, name: str) -> Task:
    """A task from a table's bytes, its columns guessed."""
    return task_from_table(read_table(data, name))


def guess_columns(table: Table) -> Columns:
    """The columns that their names give away (`input` and `output`, `text` and `label`, or others like them).

    Raises LabError where no two of them do.
    """
    names = {column.casefold(): column for column in table.columns}
    split = names.get("split", "")
    for first, second, kind in (("input", "output", "answers"), ("text", "label", "labels")):
        if first in names and second in names:
            return Columns(names[first], names[second], kind, split)
    first = next((name for name in INPUT_NAMES if name in names), "")
    second = next((name for name in (*LABEL_NAMES, *ANSWER_NAMES) if name in names), "")
    if not first or not second:
        raise LabError(
            f"{shown(table.name)} has the columns {shown(', '.join(table.columns))}: it needs input and output, or text and label, "
            "or the names of the two columns to use."
        )
    return Columns(names[first], names[second], "labels" if second in LABEL_NAMES else "answers", split)


def fill_columns(table: Table, columns: Columns | None = None) -> Columns:
    """`columns` with its empty fields guessed from the table's column names. LabError where that can't be done."""
    if columns is None or not (columns.input and columns.output):
        guessed = guess_columns(table)
    else:
        split = next((column for column in table.columns if column.casefold() == "split"), "")
        guessed = Columns("", "", "labels" if columns.output.casefold() in LABEL_NAMES else "answers", split)
    if columns is None:
        return guessed
    return Columns(*(getattr(columns, name) or getattr(guessed, name) for name in ("input", "output", "kind", "split")))


def task_from_table(table: Table, columns: Columns | None = None, template: str = "", words: Mapping[str, str] | None = None) -> Task:
    """A task from a table; the split derives from the rows' content alone, or from a split column.

    columns: what holds what (None: guessed). template: what stands around an input. words: for labels, from a label as it
    stands in the table to the word that the model must produce; labels that it doesn't name stay as they are.
    Raises LabError, naming the row.
    """
    columns = columns or guess_columns(table)
    labelled = columns.kind == "labels"
    sides, notes = _sides(table, columns, words)
    rows = [example for side in sides.values() for example in side.values()]
    different = len({example.key for example in rows})
    if different < 4:
        raise LabError(f"{shown(table.name)} has {different} different rows: at least 4 are needed (training, validation, held-out).")
    labels = _label_words(rows, table.name, bool(columns.split)) if labelled else None
    if len({example.output for example in rows}) == 1:
        raise LabError(f"Every row of {shown(table.name)} has the same output: there is nothing to learn; add rows with others.")
    template = template or ("{input}\nLabel:" if labelled else "{input}")
    check_template(template)
    if len(template) > LONGEST_TEXT:
        raise LabError(f"The template has {len(template):,} characters, more than {LONGEST_TEXT:,}: shorten it.")
    parts, more = _marked_parts(sides, table.name, columns.split, labelled) if columns.split else _parts(rows, labelled)
    stem = stem_of(table.name)
    task = Task("", stem, template, *parts, labels=labels, notes=(*table.notes, *notes, *more))
    return marked(stem, task)


Parts = tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]


def _parts(rows: Sequence[Example], labelled: bool) -> tuple[Parts, list[str]]:
    groups, notes = keep_together(rows, labelled)
    train, held_out = part(rows, HELD_OUT_SHARE, labelled, groups=groups)
    train, validation = part(train, VALIDATION_SHARE, labelled, VALIDATION_MOST, groups)
    return (train, validation, held_out), notes


def _marked_parts(sides: Sides, name: str, column: str, labelled: bool) -> tuple[Parts, list[str]]:
    train, validation, held_out = (tuple(sides[side].values()) for side in ("train", "validation", "held_out"))
    for rows, word in ((train, "train"), (held_out, "test")):
        if not rows:
            raise LabError(f"The column {shown(column)} of {shown(name)} marks no row as {word}: mark some, or rename the column.")
    groups, notes = keep_together((*train, *validation, *held_out), False)
    validation, left_out = unseen(validation, train, groups, "validation")
    held_out, more = unseen(held_out, (*train, *validation), groups)
    if not held_out:
        raise LabError(f"Every test row of {shown(name)} is among the training rows: nothing is left to test on.")
    foreign = sorted({example.output for example in (*validation, *held_out)} - {example.output for example in train})
    if labelled and foreign:
        raise LabError(f"{shown(name)} has the label {shown(foreign[0])}, which no training row has: use the same labels in both.")
    if not validation:
        train, validation = part(train, VALIDATION_SHARE, labelled, VALIDATION_MOST, groups)
    return (train, validation, held_out), [*([] if groups else notes), *left_out, *more]


def _sides(table: Table, columns: Columns, words: Mapping[str, str] | None) -> tuple[Sides, list[str]]:
    """The different rows of each side, by key and in the file's order (without a split column all are `train`), and notes."""
    if columns.kind not in ("answers", "labels"):
        raise LabError(f"The kind is {shown(columns.kind)}: choose answers or labels.")
    first, second = _place(table, columns.input), _place(table, columns.output)
    third = _place(table, columns.split) if columns.split else None
    if len({first, second, third}) < 3:
        raise LabError(f"The column {shown(columns.input if first == second else columns.split)} is asked for twice: choose another one.")
    words = _checked_words(table, second, columns.kind, words)
    sides: Sides = {"train": {}, "validation": {}, "held_out": {}}
    repeated = 0
    for number, row in zip(table.numbers, table.rows, strict=True):
        where = f"Row {number} of {shown(table.name)}"
        for place in (first, second):
            if not row[place]:
                raise LabError(f"{where} has no {table.columns[place].lower()}: fill it in, or delete the row.")
        side = "train" if third is None else SIDES.get(row[third].casefold(), "")
        if third is not None and not side:
            raise LabError(f"{where} has {shown(row[third])} in the column {shown(columns.split)}: write train, validation or test.")
        example = Example(row[first], words.get(row[second], row[second]))
        earlier = sides[side].setdefault(example.key, example)
        if earlier is not example:
            if columns.kind == "labels" and earlier.output != example.output:
                raise LabError(f"{where} repeats an earlier {table.columns[first].lower()} with another label: keep one of them.")
            repeated += 1
    return sides, [f"{repeated} rows that repeat an earlier input were dropped."] if repeated else []


def _place(table: Table, column: str) -> int:
    for wanted, found in ((column, table.columns), (column.casefold(), tuple(name.casefold() for name in table.columns))):
        if wanted in found:
            return found.index(wanted)
    raise LabError(f"{shown(table.name)} has no column {shown(column)}: its columns are {shown(', '.join(table.columns), 200)}.")


def _checked_words(table: Table, place: int, kind: str, words: Mapping[str, str] | None) -> Mapping[str, str]:
    if not words:
        return {}
    if kind != "labels":
        raise LabError("Words can stand for labels only: set the kind to labels, or leave the words out.")
    labels = dict.fromkeys(row[place] for row in table.rows)
    made = {label.strip(): word.strip() for label, word in words.items()}
    unknown = next((label for label in made if label not in labels), None)
    if unknown is not None:
        raise LabError(f"{shown(table.name)} has no label {shown(unknown)}: its labels are {shown(', '.join(labels), 120)}.")
    empty = next((label for label, word in made.items() if not word), None)
    if empty is not None:
        raise LabError(f"The label {shown(empty)} of {shown(table.name)} is given no word: write one.")
    twice = next((word for word, count in Counter(made.get(label, label) for label in labels).items() if count > 1), None)
    if twice is not None:
        raise LabError(f"Two labels of {shown(table.name)} become the word {shown(twice)}: give each its own.")
    return made


def _label_words(examples: Sequence[Example], name: str, parted: bool) -> tuple[str, ...]:
    counts = Counter(example.output for example in examples)
    labels = tuple(sorted(counts))
    if len(labels) == 1:
        raise LabError(f"{shown(name)} has one label only ({shown(labels[0])}): there is nothing to tell apart; add rows of another.")
    if len(labels) > MOST_LABELS:
        raise LabError(
            f"{shown(name)} has {len(labels)} different labels, more than {MOST_LABELS}: call the columns input and output instead."
        )
    rare = next((label for label in labels if counts[label] < 2), None)
    if rare is not None and not parted:
        raise LabError(f"The label {shown(rare)} of {shown(name)} has one row: each label needs at least 2, to train on and to test on.")
    return labels


def with_test(
    task: Task, data: bytes, name: str, spare: bool, columns: Columns | None = None, words: Mapping[str, str] | None = None
) -> Task:
    """`task` with another table as its held-out rows, without those that repeat (or nearly repeat) a training row.

    spare: the rows that `task` held out itself are free for training now (those that we parted off are; those that a task or
    a split column names never are). columns, words: as in `load_task`; a split column is not looked at.
    """
    table = read_table(data, name)
    filled = replace(fill_columns(table, columns), split="")
    there = {row[_place(table, filled.output)] for row in table.rows}
    sides, notes = _sides(table, filled, {label: word for label, word in (words or {}).items() if label.strip() in there})
    examples = tuple(sides["train"].values())
    labelled = filled.kind == "labels"
    if labelled != (task.labels is not None):
        other = "input and output" if labelled else "text and label"
        raise LabError(f"{shown(name)} has the columns {filled.input} and {filled.output}, the task {other}: give both the same.")
    unknown = sorted({example.output for example in examples} - set(task.labels or ())) if task.labels else []
    if unknown:
        raise LabError(f"{shown(name)} has the label {shown(unknown[0])}, which no training row has: use the same labels in both.")
    train, validation = task.train, task.validation
    known = (*train, *validation, *(task.held_out if spare else ()))
    groups, why = keep_together((*known, *examples), False)
    held_out, more = unseen(examples, known, groups)
    if not held_out:
        raise LabError(f"Every row of {shown(name)} is among the training rows: nothing is left to test on.")
    if spare:
        train, validation = part(known, VALIDATION_SHARE, labelled, VALIDATION_MOST, groups)
    notes = [*table.notes, *notes, *([] if groups else why), *more]
    return replace(task, train=train, validation=validation, held_out=held_out, notes=(*task.notes, *notes))


def template_of(task: Task, template: str) -> str:
    """The template that a learned prompt gets: the recipe's, else the task's. LabError unless it holds {input} once."""
    chosen = template or task.template
    check_template(chosen)
    return chosen
