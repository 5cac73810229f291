"""Tasks made of tables: which columns hold what, label words, and the split into training, validation and held-out rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import LabError, shown
from core.recipe import check_template
from core.tasks.split import HELD_OUT_SHARE, VALIDATION_MOST, VALIDATION_SHARE, keep_together, part, unseen
from core.tasks.table import ANSWER_NAMES, INPUT_NAMES, LABEL_NAMES, Table, read_table
from core.tasks.task import Example, Task, marked, stem_of
from core.tasks.task_file import LONGEST_TEXT, MOST_LABELS

SIDES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "held_out", "held-out", "heldout", "eval"), "held_out"),
}
Sides = dict[str, dict[str, Example]]
Parts = tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what. kind: answers or labels. split: the column that says train, validation or test."""

    input: str
    output: str
    kind: str
    split: str = ""


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
