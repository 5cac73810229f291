"""Tasks made of tables: which columns hold what, label words, and the split into training, validation and held-out rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import LabError, shown
from core.recipe import check_template
from core.tasks.split import HELD_OUT_SHARE, VALIDATION_MOST, VALIDATION_SHARE, keep_together, split_off, unseen
from core.tasks.table import ANSWER_NAMES, INPUT_NAMES, LABEL_NAMES, Table, read_table
from core.tasks.task import Example, Task, marked, stem_of
from core.tasks.task_file import LONGEST_TEXT, MOST_LABELS

PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "held_out", "held-out", "heldout", "eval"), "held_out"),
}
RowsByPart = dict[str, dict[str, Example]]
Parts = tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]


@dataclass(frozen=True)
class Columns:
    """The columns of a table that a task uses. kind: answers or labels. split: a column of train, validation or test."""

    input: str
    output: str
    kind: str
    split: str = ""


def guess_columns(table: Table) -> Columns:
    """The columns whose names are known (`input` and `output`, `text` and `label`, or others like them).

    Raises LabError where fewer than two are.
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
    """A task from a table, split by a split column, or else by the rows' content alone.

    columns: None has them guessed. template: the text around an input. words: the word that the model must produce for a
    label of the table; a label without one is its own word.
    Raises LabError, naming the row.
    """
    columns = columns or guess_columns(table)
    labelled = columns.kind == "labels"
    parts, notes = _rows_by_part(table, columns, words)
    rows = [example for part in parts.values() for example in part.values()]
    different = len({example.key for example in rows})
    if different < 4:
        raise LabError(f"{shown(table.name)} has {different} different rows: at least 4 are needed (training, validation, held-out).")
    labels = _labels_of(rows, table.name, bool(columns.split)) if labelled else None
    if len({example.output for example in rows}) == 1:
        raise LabError(f"Every row of {shown(table.name)} has the same output: there is nothing to learn; add rows with others.")
    template = template or ("{input}\nLabel:" if labelled else "{input}")
    check_template(template)
    if len(template) > LONGEST_TEXT:
        raise LabError(f"The template has {len(template):,} characters, more than {LONGEST_TEXT:,}: shorten it.")
    split, more = _split_by_column(parts, table.name, columns.split, labelled) if columns.split else _split_by_content(rows, labelled)
    stem = stem_of(table.name)
    task = Task("", stem, template, *split, labels=labels, notes=(*table.notes, *notes, *more))
    return marked(stem, task)


def with_test(
    task: Task, data: bytes, name: str, reuse_held_out: bool, columns: Columns | None = None, words: Mapping[str, str] | None = None
) -> Task:
    """`task` with another table as its held-out rows, without those that repeat (or nearly repeat) a training row.

    reuse_held_out: train on the rows that `task` held out so far: right for rows that `split_off` chose, wrong for rows that
    a person marked as test rows. columns, words: as in `load_task`; a split column is ignored.
    """
    table = read_table(data, name)
    filled = replace(fill_columns(table, columns), split="")
    present = {row[_column_index(table, filled.output)] for row in table.rows}
    parts, notes = _rows_by_part(table, filled, {label: word for label, word in (words or {}).items() if label.strip() in present})
    examples = tuple(parts["train"].values())
    labelled = filled.kind == "labels"
    if labelled != (task.labels is not None):
        other = "input and output" if labelled else "text and label"
        raise LabError(f"{shown(name)} has the columns {filled.input} and {filled.output}, the task {other}: give both the same.")
    unknown = sorted({example.output for example in examples} - set(task.labels or ())) if task.labels else []
    if unknown:
        raise LabError(f"{shown(name)} has the label {shown(unknown[0])}, which no training row has: use the same labels in both.")
    train, validation = task.train, task.validation
    known = (*train, *validation, *(task.held_out if reuse_held_out else ()))
    groups, why = keep_together((*known, *examples), False)
    held_out, more = unseen(examples, known, groups)
    if not held_out:
        raise LabError(f"Every row of {shown(name)} is among the training rows: nothing is left to test on.")
    if reuse_held_out:
        train, validation = split_off(known, VALIDATION_SHARE, labelled, VALIDATION_MOST, groups)
    notes = [*table.notes, *notes, *([] if groups else why), *more]
    return replace(task, train=train, validation=validation, held_out=held_out, notes=(*task.notes, *notes))


def _split_by_content(rows: Sequence[Example], labelled: bool) -> tuple[Parts, list[str]]:
    groups, notes = keep_together(rows, labelled)
    train, held_out = split_off(rows, HELD_OUT_SHARE, labelled, groups=groups)
    train, validation = split_off(train, VALIDATION_SHARE, labelled, VALIDATION_MOST, groups)
    return (train, validation, held_out), notes


def _split_by_column(parts: RowsByPart, name: str, column: str, labelled: bool) -> tuple[Parts, list[str]]:
    train, validation, held_out = (tuple(parts[part].values()) for part in ("train", "validation", "held_out"))
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
        train, validation = split_off(train, VALIDATION_SHARE, labelled, VALIDATION_MOST, groups)
    return (train, validation, held_out), [*([] if groups else notes), *left_out, *more]


def _rows_by_part(table: Table, columns: Columns, words: Mapping[str, str] | None) -> tuple[RowsByPart, list[str]]:
    """The different rows of each part, by key and in the file's order (without a split column all are `train`), and notes."""
    if columns.kind not in ("answers", "labels"):
        raise LabError(f"The kind is {shown(columns.kind)}: choose answers or labels.")
    input_at, output_at = _column_index(table, columns.input), _column_index(table, columns.output)
    split_at = _column_index(table, columns.split) if columns.split else None
    if len({input_at, output_at, split_at}) < 3:
        raise LabError(
            f"The column {shown(columns.input if input_at == output_at else columns.split)} is asked for twice: choose another one."
        )
    words = _checked_words(table, output_at, columns.kind, words)
    parts: RowsByPart = {"train": {}, "validation": {}, "held_out": {}}
    repeated = 0
    for number, row in zip(table.numbers, table.rows, strict=True):
        where = f"Row {number} of {shown(table.name)}"
        for index in (input_at, output_at):
            if not row[index]:
                raise LabError(f"{where} has no {table.columns[index].lower()}: fill it in, or delete the row.")
        part = "train" if split_at is None else PART_NAMES.get(row[split_at].casefold(), "")
        if split_at is not None and not part:
            raise LabError(f"{where} has {shown(row[split_at])} in the column {shown(columns.split)}: write train, validation or test.")
        example = Example(row[input_at], words.get(row[output_at], row[output_at]))
        earlier = parts[part].setdefault(example.key, example)
        if earlier is not example:
            if columns.kind == "labels" and earlier.output != example.output:
                raise LabError(f"{where} repeats an earlier {table.columns[input_at].lower()} with another label: keep one of them.")
            repeated += 1
    return parts, [f"{repeated} rows that repeat an earlier input were dropped."] if repeated else []


def _column_index(table: Table, column: str) -> int:
    for wanted, found in ((column, table.columns), (column.casefold(), tuple(name.casefold() for name in table.columns))):
        if wanted in found:
            return found.index(wanted)
    raise LabError(f"{shown(table.name)} has no column {shown(column)}: its columns are {shown(', '.join(table.columns), 200)}.")


def _checked_words(table: Table, place: int, kind: str, words: Mapping[str, str] | None) -> Mapping[str, str]:
    if not words:
        return {}
    if kind != "labels":
        raise LabError("Words can only replace labels: set the kind to labels, or leave the words out.")
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


def _labels_of(examples: Sequence[Example], name: str, has_split: bool) -> tuple[str, ...]:
    counts = Counter(example.output for example in examples)
    labels = tuple(sorted(counts))
    if len(labels) == 1:
        raise LabError(f"{shown(name)} has one label only ({shown(labels[0])}): there is nothing to tell apart; add rows of another.")
    if len(labels) > MOST_LABELS:
        raise LabError(
            f"{shown(name)} has {len(labels)} different labels, more than {MOST_LABELS}: call the columns input and output instead."
        )
    rare = next((label for label in labels if counts[label] < 2), None)
    if rare is not None and not has_split:
        raise LabError(f"The label {shown(rare)} of {shown(name)} has one row: each label needs at least 2, to train on and to test on.")
    return labels
