"""A task: examples, their split, the template around an input, and handcrafted prompts to compare with."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import LabError, as_path, shown
from .recipe import check_template

BUILT_IN = Path(__file__).resolve().parent.parent / "assets" / "tasks"
HELD_OUT_SHARE = 0.3
VALIDATION_SHARE = 0.2
VALIDATION_MOST = 32
LARGEST_FILE = 2 * 2**20
MOST_LABELS = 50


@dataclass(frozen=True)
class Example:
    """An input and the answer (or label word) that should follow it."""

    input: str
    output: str

    @property
    def key(self) -> str:
        """A hash of the input that ignores case and spacing: the same key must never be on both sides of a split."""
        return hashlib.sha256(" ".join(self.input.casefold().split()).encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True)
class Handcrafted:
    """A prompt that a person wrote: a name and a template with {input} once."""

    name: str
    template: str


@dataclass(frozen=True)
class Task:
    """Rows to learn from (`train`), to steer by (`validation`) and to report on (`held_out`): no input is in two of them.

    labels: the label words in order, or None where answers are free. template: what stands around a bare input.
    notes: what was dropped or cut while reading, in words.
    """

    slug: str
    name: str
    template: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    held_out: tuple[Example, ...]
    labels: tuple[str, ...] | None = None
    handcrafted: tuple[Handcrafted, ...] = ()
    teaches: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        kind = f"{len(self.labels)} labels" if self.labels else "answers"
        rows = f"{len(self.train)} train, {len(self.validation)} validation, {len(self.held_out)} held out"
        return f"Task({self.slug!r}, {kind}, {rows})"

    @property
    def seen(self) -> frozenset[str]:
        """Keys of every row that training can see, validation included."""
        return frozenset(example.key for example in (*self.train, *self.validation))

    @property
    def majority(self) -> str:
        """The most common answer of the rows that training can see (the first of equals)."""
        return Counter(example.output for example in (*self.train, *self.validation)).most_common(1)[0][0]


def load_task(name: str, test: str | Path | None = None) -> Task:
    """A built-in task by its slug, or any CSV file with the columns `input,output` or `text,label`.

    test: another CSV of the same columns, used as the held-out rows in place of a split.
    Raises LabError, naming the row, for a file that can't be used.
    """
    path = as_path(name)
    built_in = name in slugs()
    if built_in:
        task = _built_in(json.loads((BUILT_IN / f"{name}.json").read_text("utf-8")))
    elif path.is_file():
        task = task_from_csv(read_bytes(path), path.name)
    elif path.is_dir():
        raise LabError(f"{shown(name)} is a folder: name a CSV file, or one of the tasks {', '.join(slugs())}.")
    else:
        raise LabError(f"There is no task or file {shown(name)}: choose one of {', '.join(slugs())}, or a CSV file.")
    if test is None:
        return task
    return with_test(task, read_bytes(as_path(test)), Path(test).name, spare=not built_in)


def slugs() -> list[str]:
    """The built-in tasks' names, in the order in which the page shows them."""
    order = ["past-tense", "capitals", "plural", "capitalise", "sentiment", "news", "french"]
    found = [path.stem for path in sorted(BUILT_IN.glob("*.json"))]
    return [slug for slug in order if slug in found] + [slug for slug in found if slug not in order]


def _built_in(data: dict[str, Any]) -> Task:
    labels = tuple(data["labels"]) if data["labels"] else None
    rows = [Example(*row) for row in data["train"]]
    train, validation = _part(rows, VALIDATION_SHARE, labels is not None, VALIDATION_MOST)
    return Task(
        slug=data["slug"],
        name=data["name"],
        template=data["template"],
        train=train,
        validation=validation,
        held_out=tuple(Example(*row) for row in data["held_out"]),
        labels=labels,
        handcrafted=tuple(Handcrafted(**prompt) for prompt in data["handcrafted"]),
        teaches=data["teaches"],
        recipe=data["recipe"],
    )


# --- files that people bring ------------------------------------------------------------------------------------------


def read_bytes(path: Path) -> bytes:
    """A file's bytes; LabError where it is missing or larger than 2 MB."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise LabError(f"The file {shown(path)} can't be read: check its name.") from error
    if len(data) > LARGEST_FILE:
        raise LabError(f"The file {shown(path.name)} is larger than 2 MB: keep some rows of it.")
    return data


def task_from_csv(data: bytes, name: str) -> Task:
    """A task from a CSV's bytes; the split derives from the rows' content alone."""
    examples, labelled, notes = parse_csv(data, name)
    if len(examples) < 4:
        raise LabError(f"{shown(name)} has {len(examples)} different rows: at least 4 are needed (training, validation, held-out).")
    labels = _label_words(examples, name) if labelled else None
    if len({example.output for example in examples}) == 1:
        raise LabError(f"Every row of {shown(name)} has the same output: there is nothing to learn; add rows with others.")
    train, held_out = _part(examples, HELD_OUT_SHARE, labelled)
    train, validation = _part(train, VALIDATION_SHARE, labelled, VALIDATION_MOST)
    return Task(
        slug=f"{Path(name).stem}-{hashlib.sha256(data).hexdigest()[:8]}",  # two files of one name are two tasks
        name=Path(name).stem,
        template="{input}\nLabel:" if labelled else "{input}",
        train=train,
        validation=validation,
        held_out=held_out,
        labels=labels,
        notes=tuple(notes),
    )


def with_test(task: Task, data: bytes, name: str, spare: bool) -> Task:
    """`task` with another CSV as its held-out rows, without those whose input is among the training rows.

    spare: the rows that `task` held out itself are free for training now (a file's are; a built-in task's never are).
    """
    examples, labelled, notes = parse_csv(data, name)
    if labelled != (task.labels is not None):
        pairs = ("input and output", "text and label")
        raise LabError(f"{shown(name)} has the columns {pairs[labelled]}, the task {pairs[not labelled]}: give both the same.")
    unknown = sorted({example.output for example in examples} - set(task.labels or ())) if task.labels else []
    if unknown:
        raise LabError(f"{shown(name)} has the label {shown(unknown[0])}, which no training row has: use the same labels in both.")
    rows = (*task.train, *task.validation, *(task.held_out if spare else ()))
    known = {example.key for example in rows}
    held_out = tuple(example for example in examples if example.key not in known)
    if not held_out:
        raise LabError(f"Every row of {shown(name)} is among the training rows: nothing is left to test on.")
    if len(held_out) < len(examples):
        notes.append(f"{len(examples) - len(held_out)} test rows were left out: training has the same inputs.")
    train, validation = _part(rows, VALIDATION_SHARE, task.labels is not None, VALIDATION_MOST)
    return replace(task, train=train, validation=validation, held_out=held_out, notes=(*task.notes, *notes))


def parse_csv(data: bytes, name: str) -> tuple[list[Example], bool, list[str]]:
    """Examples, whether they are labelled (`text,label`) and notes on what was dropped. LabError names the row at fault."""
    text = _decode(data, name)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise LabError(f"{shown(name)} is not a well-formed CSV file ({error}): check its quotes.") from error
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise LabError(f"{shown(name)} is empty: give a header row (input,output or text,label) and rows below it.")
    header = [cell.strip().lower() for cell in rows[0]]
    pair = next((pair for pair in (("input", "output"), ("text", "label")) if set(pair) <= set(header)), None)
    if pair is None:
        raise LabError(f"{shown(name)} has the columns {shown(', '.join(rows[0]))}: it needs input and output, or text and label.")
    if any(header.count(column) > 1 for column in pair):
        raise LabError(f"{shown(name)} has two columns of the same name: keep one each of {pair[0]} and {pair[1]}.")
    first, second = header.index(pair[0]), header.index(pair[1])
    examples: dict[str, Example] = {}
    repeated = 0
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise LabError(f"Row {number} of {shown(name)} has {len(row)} cells, the header {len(header)}: check its commas and quotes.")
        example = Example(row[first].strip(), row[second].strip())
        for column, cell in zip(pair, (example.input, example.output), strict=True):
            if not cell:
                raise LabError(f"Row {number} of {shown(name)} has no {column}: fill it in, or delete the row.")
        if example.key in examples:
            if pair[1] == "label" and examples[example.key].output != example.output:
                raise LabError(f"Row {number} of {shown(name)} repeats an earlier text with another label: keep one of them.")
            repeated += 1
            continue
        examples[example.key] = example
    if not examples:
        raise LabError(f"{shown(name)} has a header and no rows: add rows below it.")
    notes = [f"{repeated} rows that repeat an earlier input were dropped."] if repeated else []
    return list(examples.values()), pair[1] == "label", notes


def _decode(data: bytes, name: str) -> str:
    if not data.strip():
        raise LabError(f"{shown(name)} is empty: give a header row (input,output or text,label) and rows below it.")
    if data[:2] in (b"\x1f\x8b",) or data[:4] in (b"PK\x03\x04", b"BZh9", b"\xd0\xcf\x11\xe0", b"\xfd7zX", b"%PDF"):
        raise LabError(f"{shown(name)} is a compressed or office file, not plain text: export it as CSV (UTF-8).")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise LabError(f"{shown(name)} is UTF-16: save it as CSV in UTF-8.")
    if b"\0" in data:
        raise LabError(f"{shown(name)} is a binary file (it has NUL bytes): give a CSV file in UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabError(f"{shown(name)} is not UTF-8 text (line {line}): save it as CSV in UTF-8.") from error


def _label_words(examples: Sequence[Example], name: str) -> tuple[str, ...]:
    counts = Counter(example.output for example in examples)
    labels = tuple(sorted(counts))
    if len(labels) == 1:
        raise LabError(f"{shown(name)} has one label only ({shown(labels[0])}): there is nothing to tell apart; add rows of another.")
    if len(labels) > MOST_LABELS:
        raise LabError(
            f"{shown(name)} has {len(labels)} different labels, more than {MOST_LABELS}: call the columns input and output instead."
        )
    rare = next((label for label in labels if counts[label] < 2), None)
    if rare is not None:
        raise LabError(f"The label {shown(rare)} of {shown(name)} has one row: each label needs at least 2, to train on and to test on.")
    return labels


def _part(
    examples: Iterable[Example], share: float, labelled: bool, most: int | None = None
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Part `share` of the rows off, chosen by a hash of their inputs (so by content, not by order or seed).

    Labelled rows are taken in turn over the labels, each label keeping at least one row; both parts keep the file's order.
    """
    rows = list(examples)
    wanted = min(max(1, round(share * len(rows))), most or len(rows))
    groups: dict[str, list[Example]] = {}
    for example in sorted(rows, key=lambda example: example.key):
        groups.setdefault(example.output if labelled else "", []).append(example)
    taken: set[str] = set()
    for _, group in sorted(groups.items()):
        count = round(wanted * len(group) / len(rows))
        taken.update(example.key for example in group[: min(max(count, 1), len(group) - 1)])
    kept = tuple(example for example in rows if example.key not in taken)
    return kept, tuple(example for example in rows if example.key in taken)


def template_of(task: Task, template: str) -> str:
    """The template that a learned prompt gets: the recipe's, else the task's. LabError unless it holds {input} once."""
    chosen = template or task.template
    check_template(chosen)
    return chosen
