"""Tasks made of tables: rows rendered as inputs, label words, rows that can't be used, and the split into three parts."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.errors import LabError, shown
from core.tasks.columns import PART_NAMES, Columns, decide, flags, unused
from core.tasks.own_prompts import own_prompts
from core.tasks.profile import MOST_LABELS
from core.tasks.split import HELD_OUT_SIZE, VALIDATION_SIZE, Parts, keep_together, spare, split_table, split_validation, unseen
from core.tasks.table import LARGEST_FILE, MOST_ROWS, Table, counted, fitting, listed
from core.tasks.task import Example, Task, marked, repeats, stem_of
from core.tasks.template import compiled, usual_template


@dataclass(frozen=True)
class Row:
    """A row of a table that can be used. part: train, validation or held_out; number: in the file."""

    part: str
    number: int
    example: Example

    @property
    def text(self) -> tuple[str, str]:
        """Its part and its input without differences of spacing: two rows of one text must agree."""
        return self.part, " ".join(self.example.input.split())


def task_from_table(table: Table, columns: Columns | None = None) -> Task:
    """A task from a table, split by a split column, or else by the rows' content alone. What `columns` leaves open is decided.

    Rows that can't be used are left out and listed in the task's notes, up to half of them. Raises LabError.
    """
    columns = decide(table, columns)
    labelled = columns.kind == "labels"
    template = compiled(columns.template or usual_template(columns.inputs, labelled), columns.inputs, table.columns)
    rows, notes = _usable(table, columns, template.render)
    rows, more = _sampled(rows)
    notes += more
    if labelled:
        rows, more = _with_labels(rows, table.name, bool(columns.split))
        notes += more
    if len(rows) < 4 or len({row.example.key for row in rows}) < 3:
        said = f"{len(rows)} different row{'' if len(rows) == 1 else 's'}"
        raise LabError(f"{shown(table.name)} has {said}: at least 4 are needed (training, validation, held-out).")
    outputs = sorted({row.example.output for row in rows})
    if len(outputs) == 1:
        raise LabError(f"Every row of {shown(table.name)} has the same output: there is nothing to learn; add rows with others.")
    examples = [row.example for row in rows]
    split, more = _split_by_column(rows, table.name, columns.split, labelled) if columns.split else split_table(examples, labelled)
    if not split[0] or not split[2]:
        raise LabError(f"{shown(table.name)} has too few different rows for three parts (training, validation, held-out): add rows.")
    stem = stem_of(table.name)
    labels = tuple(outputs) if labelled else None
    task = Task("", stem, template.around, *split, labels=labels, notes=(*table.notes, *_about(table, columns, labels), *notes, *more))
    task = marked(stem, task)
    return replace(task, handcrafted=own_prompts(task, columns.inputs[0] if len(columns.inputs) == 1 else "", columns.output))


def with_test(task: Task, table: Table, reuse_held_out: bool, columns: Columns | None = None) -> Task:
    """`task` with the rows of another table as its held-out rows, without those that repeat (or nearly repeat) a training row.

    reuse_held_out: train on the rows that `task` held out so far: right for rows that `split_off` chose, wrong for rows that
    a person marked as test rows. columns: how the task's own table was read; names that this one lacks are found anew.
    """
    labelled = task.labels is not None
    chosen = replace(columns or Columns(), split="", kind="labels" if labelled else "answers")
    if any(name not in table.columns for name in (*chosen.inputs, chosen.output) if name):
        chosen = replace(chosen, inputs=(), output="")
    filled = decide(table, replace(chosen, words={}, merge=False))
    present = set(table.column(filled.output))
    words = {label: word for label, word in chosen.words.items() if label in present}
    template = compiled(filled.template or usual_template(filled.inputs, labelled), filled.inputs, table.columns)
    rows, notes = _usable(table, replace(filled, words=words, merge=chosen.merge and labelled), template.render)
    examples = [row.example for row in rows]
    if labelled:
        notes += _untaught(examples, task.labels or (), table.name)
        examples = [example for example in examples if example.output in (task.labels or ())]
    train, validation = task.train, task.validation
    known = (*train, *validation, *(task.held_out if reuse_held_out else ()))
    groups, why = keep_together((*known, *examples), False)
    held_out, more = unseen(examples, known, groups)
    if not held_out:
        raise LabError(f"Every row of {shown(table.name)} is among the training rows: nothing is left to test on.")
    if reuse_held_out:
        train, validation = split_validation(known, labelled, groups)
    held_out, fewer = spare(held_out, labelled, HELD_OUT_SIZE, "test")
    notes = [*table.notes, *notes, *([] if groups else why), *more, *fewer]
    return replace(task, train=train, validation=validation, held_out=held_out, notes=(*task.notes, *notes))


def _about(table: Table, columns: Columns, labels: Sequence[str] | None) -> list[str]:
    """Notes on columns that are not used, and on labels that look like one."""
    notes = []
    several = flags(table)
    if columns.output in several:
        notes.append(
            f"{', '.join(several)}: each holds 0 or 1, and a row may have several of them. Only {columns.output} comes out; choose another."
        )
    left = unused(table, columns)
    if left:
        notes.append(f"Not used: {', '.join(f'{name} ({table.nested[name]})' if name in table.nested else name for name in left)}.")
    variants = [names for names in same_but_for_case(labels or ()) if len(names) > 1]
    if variants:
        notes.append(f"These labels differ only in case or spaces and can be merged: {'; '.join(', '.join(names) for names in variants)}.")
    return notes


def same_but_for_case(labels: Iterable[str]) -> list[list[str]]:
    """Labels in groups whose members differ only in case, spaces and width.

    >>> same_but_for_case(["Bug", "bug ", "idea"])
    [['Bug', 'bug '], ['idea']]
    """
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(" ".join(unicodedata.normalize("NFKC", label).casefold().split()), []).append(label)
    return list(groups.values())


def merged(cells: Iterable[str]) -> dict[str, str]:
    """For each label in `cells`, the most common one that it differs from only in case, spaces and width.

    >>> merged(["Bug", "bug", "bug", "idea"])
    {'Bug': 'bug', 'bug': 'bug', 'idea': 'idea'}
    """
    counts = Counter(filter(None, cells))
    return {name: max(names, key=lambda one: counts[one]) for names in same_but_for_case(counts) for name in names}


# --- rows -------------------------------------------------------------------------------------------------------------


@dataclass
class LeftOut:
    """Numbers of rows that can't be used, by the reason."""

    by_reason: dict[str, list[int]] = field(default_factory=dict)

    def add(self, number: int, reason: str) -> None:
        self.by_reason.setdefault(reason, []).append(number)

    def notes(self, name: str, rows: int) -> list[str]:
        """A note for each reason. LabError where more than half of the rows are left out."""
        if 2 * sum(map(len, self.by_reason.values())) > rows:
            reason, numbers = max(self.by_reason.items(), key=lambda item: len(item[1]))
            raise LabError(
                f"{len(numbers):,} of {rows:,} rows of {shown(name)} can't be used: {reason} ({listed(numbers)}): "
                f"correct them, or choose other columns."
            )
        return [f"{counted(len(numbers))} left out: {reason} ({listed(numbers)})." for reason, numbers in self.by_reason.items()]


def _usable(table: Table, columns: Columns, render: Callable[[Mapping[str, str]], str]) -> tuple[list[Row], list[str]]:
    """The different rows that can be used, in the file's order (without a split column all are `train`), and notes on the others."""
    labelled = columns.kind == "labels"
    places = {name: place for place, name in enumerate(table.columns)}
    words = _checked_words(table, columns)
    left_out, rows = LeftOut(), []
    what = "label" if labelled else "answer"
    for number, cells in zip(table.numbers, table.rows, strict=True):
        output = cells[places[columns.output]]
        part = PART_NAMES.get(cells[places[columns.split]].casefold(), "") if columns.split else "train"
        if not output:
            left_out.add(number, f"no {what} in the column {shown(columns.output)}")
        elif not any(cells[places[name]] for name in columns.inputs):
            left_out.add(number, f"nothing in the column {shown(columns.inputs[0])}")
        elif not part:
            left_out.add(number, f"neither train, validation nor test in the column {shown(columns.split)}")
        else:
            given = {name: cells[place] for name, place in places.items()}
            rows.append(Row(part, number, Example(render(given), words.get(output, output))))
    if labelled:
        outputs: dict[tuple[str, str], set[str]] = {}
        for row in rows:
            outputs.setdefault(row.text, set()).add(row.example.output)
        for row in rows:
            if len(outputs[row.text]) > 1:
                left_out.add(row.number, "the same text has another label in another row")
        rows = [row for row in rows if len(outputs[row.text]) == 1]
    notes = left_out.notes(table.name, len(table.rows))
    again = repeats((row.part, row.example) for row in rows)
    kept = [row for row, repeated in zip(rows, again, strict=True) if not repeated]
    if len(kept) < len(rows):
        dropped = len(rows) - len(kept)
        notes.append(f"{counted(dropped)} dropped: {'it repeats' if dropped == 1 else 'they repeat'} an earlier input.")
    return kept, notes


def _sampled(rows: list[Row]) -> tuple[list[Row], list[str]]:
    sizes = [len((row.example.input + row.example.output).encode("utf-8", "replace")) for row in rows]
    kept = fitting(sizes)
    if len(kept) == len(rows):
        return rows, []
    most = f"a task has at most {MOST_ROWS:,} rows and {LARGEST_FILE >> 20} MB"
    return [rows[at] for at in kept], [f"{len(rows):,} rows, of which {len(kept):,}, spread evenly, were kept: {most}."]


def _with_labels(rows: list[Row], name: str, has_split: bool) -> tuple[list[Row], list[str]]:
    """The rows whose label has two rows or more: one to train on and one to test on."""
    counts = Counter(row.example.output for row in rows)
    if len(counts) == 1:
        raise LabError(
            f"{shown(name)} has one label only ({shown(next(iter(counts)))}): there is nothing to tell apart; add rows of another."
        )
    if len(counts) > MOST_LABELS:
        raise LabError(f"{shown(name)} has {len(counts)} different labels, more than {MOST_LABELS}: read them as free answers.")
    rare = [] if has_split else [row for row in rows if counts[row.example.output] < 2]
    if 2 * len(rare) > len(rows):
        raise LabError(f"{len(rare)} of {len(counts)} labels of {shown(name)} have one row each: read them as free answers, or add rows.")
    if not rare:
        return rows, []
    labels = ", ".join(shown(row.example.output, 30) for row in rare[:5]) + (" …" if len(rare) > 5 else "")
    note = f"{counted(len(rare))} left out: a label of one row can't be both trained on and tested on ({labels})."
    return [row for row in rows if counts[row.example.output] > 1], [note]


def _checked_words(table: Table, columns: Columns) -> Mapping[str, str]:
    """The output that each label of the table becomes, where that is another one."""
    if columns.kind != "labels":
        return {}
    labels = Counter(cell for cell in table.column(columns.output) if cell)
    made = {label.strip(): word.strip() for label, word in columns.words.items()}
    unknown = next((label for label in made if label not in labels), None)
    if unknown is not None:
        raise LabError(f"{shown(table.name)} has no label {shown(unknown)}: its labels are {shown(', '.join(labels), 120)}.")
    empty = next((label for label, word in made.items() if not word), None)
    if empty is not None:
        raise LabError(f"The label {shown(empty)} of {shown(table.name)} is given no word: write one.")
    if columns.merge:
        made = {name: made.get(usual, usual) for name, usual in merged(table.column(columns.output)).items()} | made
    return made


# --- the split --------------------------------------------------------------------------------------------------------


def _split_by_column(rows: Sequence[Row], name: str, column: str, labelled: bool) -> tuple[Parts, list[str]]:
    train, validation, held_out = (tuple(row.example for row in rows if row.part == part) for part in ("train", "validation", "held_out"))
    for part, word in ((train, "train"), (held_out, "test")):
        if not part:
            raise LabError(f"The column {shown(column)} of {shown(name)} marks no row as {word}: mark some, or choose no split column.")
    left_out: list[str] = []
    if labelled:  # a label that training does not have can't be tested on
        taught = {example.output for example in train}
        left_out += _untaught((*validation, *held_out), taught, name)
        validation, held_out = (tuple(example for example in part if example.output in taught) for part in (validation, held_out))
    groups, notes = keep_together((*train, *validation, *held_out), False)
    validation, more = unseen(validation, train, groups, "validation")
    left_out += more
    held_out, more = unseen(held_out, (*train, *validation), groups)
    if not held_out:
        raise LabError(f"Every test row of {shown(name)} is among the training rows: nothing is left to test on.")
    if not validation:
        train, validation = split_validation(train, labelled, groups)
    validation, few = spare(validation, labelled, VALIDATION_SIZE, "validation")
    held_out, fewer = spare(held_out, labelled, HELD_OUT_SIZE, "test")
    return (train, validation, held_out), [*([] if groups else notes), *left_out, *more, *few, *fewer]


def _untaught(examples: Sequence[Example], taught: Collection[str], name: str) -> list[str]:
    """A note on the examples whose label is not among `taught`, which are left out. LabError where most are such."""
    foreign = [example for example in examples if example.output not in taught]
    if 2 * len(foreign) > len(examples):
        raise LabError(f"{shown(name)} has the label {shown(foreign[0].output)}, which no training row has: use the same labels in both.")
    return [f"{counted(len(foreign))} left out: no training row has their label."] if foreign else []
