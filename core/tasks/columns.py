"""Which columns of a table go in, which comes out, and whether outputs are labels: decided from the cells, and open to change."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from core.errors import LabError, shown
from core.tasks.names import ABOUT_ROWS, ANSWER_NAMES, IDS, INPUT_NAMES, LABEL_NAMES, LABEL_TEXT_NAMES, TRANSLATIONS, has_word_of
from core.tasks.profile import ON, Profile, profiles
from core.tasks.table import Table
from core.tasks.template import places

NAMED = frozenset((*INPUT_NAMES, *LABEL_NAMES, *ANSWER_NAMES))
MOST_INPUTS = 4  # columns that go in, unless a person names more
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "trial"), "validation"),
    **dict.fromkeys(("test", "held_out", "held-out", "heldout", "eval"), "held_out"),
}


@dataclass(frozen=True)
class Columns:
    """How a task is made of a table. `decide` fills in what is empty.

    inputs, output: names of columns. kind: answers or labels. split: a column of train, validation or test ("": none;
    None: found). template: the text around {input}, or around {column} places; words: the word that the model must produce
    for a label. merge: labels that differ only in case and spaces are one label.
    """

    inputs: tuple[str, ...] = ()
    output: str = ""
    kind: str = ""
    split: str | None = None
    template: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    merge: bool = False


def decide(table: Table, chosen: Columns | None = None) -> Columns:
    """`chosen` with what is empty in it decided from the table's cells; names of columns break ties.

    Raises LabError for a column that is not there, is asked for twice, or holds lists or objects.
    """
    chosen = chosen or Columns()
    chosen = replace(
        chosen,
        inputs=tuple(table.columns[_place(table, name)] for name in chosen.inputs),
        output=table.columns[_place(table, chosen.output)] if chosen.output else "",
        split=table.columns[_place(table, chosen.split)] if chosen.split else chosen.split,
    )
    if chosen.kind not in ("", "answers", "labels"):
        raise LabError(f"The kind is {shown(chosen.kind)}: choose answers or labels.")
    if chosen.kind == "answers" and (chosen.words or chosen.merge):
        raise LabError("Words can only replace labels: set the kind to labels, or leave the words out.")
    if chosen.words:
        chosen = replace(chosen, kind="labels")
    named = places(chosen.template, table.columns)
    if named:
        chosen = replace(chosen, inputs=tuple(named))
    _check_usable(table, chosen)
    found = [profile for profile in profiles(table) if profile.name not in table.nested]
    split = chosen.split
    if split is None:
        split = next((one.name for one in found if one.name not in (*chosen.inputs, chosen.output) and _is_split(one)), "")
    rest = [one for one in found if one.name != split]
    told = [one.name for one in rest if not _is_id(one) and (one.kind not in ("empty", "constant") or one.name.casefold() in NAMED)]
    if len({*told, *chosen.inputs, chosen.output} - {""}) < 2:
        raise _too_few(table, told)
    candidates = [one for one in rest if one.name not in chosen.inputs]
    if not chosen.output and not candidates:
        raise LabError("Every column goes in: leave one to come out.")
    output = chosen.output or _output(candidates, rest)
    kind = chosen.kind or _kind(next(one for one in found if one.name == output))
    inputs = chosen.inputs or _inputs(rest, output, kind)
    if not chosen.inputs and table.nested and all(one.share_filled < 0.5 for one in rest if one.name in inputs):
        raise _too_few(table, [output])
    if not inputs:
        raise LabError(
            f"{shown(table.name)} has no column of text that could go in, only numbers, codes, dates, links or lists: add one, or choose "
            "what goes in yourself."
        )
    return replace(chosen, inputs=inputs, output=output, kind=kind, split=split)


def _too_few(table: Table, told: Sequence[str]) -> LabError:
    """The error of a table with fewer than two columns of plain text. told: those that it has."""
    what = next(iter(table.nested.items()), None)
    why = f" The column {shown(what[0])} holds {what[1]}." if what else ""
    return LabError(
        f"{shown(table.name)} has {f'one column of plain text ({shown(told[0], 50)})' if told else 'no column of plain text'}: "
        f"two are needed, what goes in and what should come out.{why}"
    )


def _place(table: Table, column: str) -> int:
    for wanted, found in ((column, table.columns), (column.casefold(), tuple(name.casefold() for name in table.columns))):
        if wanted in found:
            return found.index(wanted)
    raise LabError(f"{shown(table.name)} has no column {shown(column)}: its columns are {shown(', '.join(table.columns), 200)}.")


def _check_usable(table: Table, chosen: Columns) -> None:
    asked = [name for name in (*chosen.inputs, chosen.output, chosen.split) if name]
    twice = next((name for name, count in Counter(asked).items() if count > 1), None)
    if twice is not None:
        raise LabError(f"The column {shown(twice)} is asked for twice: choose another one.")
    nested = next((name for name in asked if name in table.nested), None)
    if nested is not None:
        raise LabError(
            f"The column {shown(nested)} of {shown(table.name)} holds {table.nested[nested]}: give one text or number in each row."
        )


def _is_split(column: Profile) -> bool:
    parts = {PART_NAMES.get(cell.casefold(), "") for cell in column.counts}
    known = sum(cell.casefold() in PART_NAMES for cell in column.filled)
    named = column.name.casefold() in ("split", "set", "partition", "fold", "part", "subset")
    return {"train", "held_out"} <= parts and (2 * known > len(column.cells) if named else known == len(column.cells))


# --- what comes out ---------------------------------------------------------------------------------------------------


def _output(candidates: Sequence[Profile], everything: Sequence[Profile]) -> str:
    scored = [(_points(one, everything), place, one.name) for place, one in enumerate(candidates)]
    points, place, best = max(scored)
    if candidates[place].is_flag:  # of several flags the first, which is often what the others say more about
        return next(name for found, at, name in scored if found == points and candidates[at].is_flag)
    texts = [one.name for one in candidates if one.is_text]
    if points <= 20 and len(texts) > 3 and best in texts:
        return texts[1]  # the same in several languages, or several answers to a question
    plain = [one for one in candidates if one.kind not in ("empty", "constant") and not _is_id(one)]
    unknown = points < 35 and best.casefold() not in ANSWER_NAMES
    if unknown and len(plain) == 2 and (plain[1].name.casefold() not in INPUT_NAMES or plain[0].name.casefold() in INPUT_NAMES):
        return plain[1].name  # of two columns of which nothing is known, the second comes out
    return best


def _points(column: Profile, everything: Sequence[Profile]) -> float:
    """How much speaks for a column as the output."""
    name, labels = column.name.casefold(), column.like_labels(named=True)
    if column.kind == "empty" or column.share_filled < 0.1:
        return -100.0
    if name in LABEL_TEXT_NAMES and labels:
        return 110.0
    if name in ("label", "labels", "gold_label") and labels:
        return 100.0
    doubtful = name in ("target", "summary") and any(
        other.name.casefold() in LABEL_NAMES and other.like_labels(named=True) for other in everything if other is not column
    )
    if name in ANSWER_NAMES and not doubtful:
        return 90.0 - ANSWER_NAMES.index(name) - (0 if column.kind != "constant" else 60)
    if has_word_of(column.name, ANSWER_NAMES) is not None and column.is_text and column.share_filled > 0.5 and _asks(column, everything):
        return 82.0
    if name in LABEL_NAMES and labels:
        return 80.0 - LABEL_NAMES.index(name) / 10
    if name in LABEL_NAMES:
        return 35 - LABEL_NAMES.index(name) / 10 if column.kind != "constant" else 5.0
    for place, names in ((60.0, LABEL_NAMES), (55.0, LABEL_TEXT_NAMES)):
        found = has_word_of(column.name, names)
        if found is not None and labels and column.share_filled > 0.5:
            # Confidence in a label is a number; so may a label be, but then with few values.
            return place - found / 10 - (10 if column.kind == "number" else 0) - len(column.counts) / 100
    if name in INPUT_NAMES and column.like_labels(strict=True) and any(other.is_text for other in everything if other is not column):
        return 40.0  # "q1" may be a question of a questionnaire, whose answers are a few words
    if column.like_labels() and name not in INPUT_NAMES:
        return 50 - len(column.counts) / 10 - (20 if has_word_of(column.name, ABOUT_ROWS) is not None else 0)
    if name in TRANSLATIONS and column.kind == "text":
        return 20.0
    if column.kind == "text" and name not in INPUT_NAMES:
        return 20.0
    of_kind = {"text": 10.0, "number": 8.0, "form": 5.0, "code": -5.0, "date": -5.0, "list": -10.0, "link": -20.0, "constant": -30.0}
    return of_kind[column.kind]


def _asks(answer: Profile, everything: Sequence[Profile]) -> bool:
    """Whether another column is named as a question."""
    asked = ("question", "prompt", "instruction", "query", "frage", "pregunta")
    return any(one is not answer and one.is_text and has_word_of(one.name, asked) is not None for one in everything)


def _kind(column: Profile) -> str:
    name = column.name.casefold()
    named = name in LABEL_NAMES or name in LABEL_TEXT_NAMES or has_word_of(name, LABEL_NAMES) is not None
    strict = name in ANSWER_NAMES and name not in LABEL_NAMES
    return "labels" if column.like_labels(named and not strict, strict) else "answers"


def flags(table: Table) -> list[str]:
    """Columns that hold 0 or 1 (or true and false) and of which some row has several: a row may have several labels."""
    found = [one for one in profiles(table) if one.is_flag]
    marked = [sum(cell.casefold() in ON for cell in cells) for cells in zip(*(one.cells for one in found), strict=True)]
    return [one.name for one in found] if len(found) > 2 and max(marked, default=0) > 1 else []


# --- what goes in -----------------------------------------------------------------------------------------------------


def _inputs(columns: Sequence[Profile], output: str, kind: str) -> tuple[str, ...]:
    out = next((one for one in columns if one.name == output), None)
    others = [one for one in columns if one.name != output]
    usable = [
        one
        for one in others
        if one.kind not in ("empty", "link", "constant")
        and (one.kind != "list" or one.name.casefold() in INPUT_NAMES)
        and not (out and _tells(one, out, kind))
    ]
    if len(usable) < 2:
        return tuple(one.name for one in usable or [one for one in others if one.kind != "list"][:1])
    named = [one for one in usable if one.name.casefold() in INPUT_NAMES and (one.kind not in ("number", "code", "date") or one.is_text)]
    named = [one for one in named if one.name.casefold() != "source" or one.words >= 2 or len(named) == 1]  # else where a text is from
    if named:
        return tuple(one.name for one in _without_copies(named)[: MOST_INPUTS + 2])
    sayings = [one for one in usable if one.kind in ("text", "form") and one.words >= 2 and not one.like_labels()]
    half_named = [one for one in sayings if has_word_of(one.name, INPUT_NAMES) is not None]
    texts = half_named or [one for one in usable if one.is_text]
    if len(texts) > 2 and kind == "answers" and out and out.is_text and out.name.casefold() not in ANSWER_NAMES:
        return (texts[0].name,)  # as `_output`: parallel texts
    if texts:
        texts = _without_copies(texts)
        longest = sorted(texts, key=lambda one: -one.words)[:MOST_INPUTS]
        return tuple(one.name for one in texts if one in longest)
    words = [one for one in usable if one.kind == "text" and len(one.counts) > 0.5 * len(one.filled)]
    if words and len(usable) <= 3:
        return (max(words, key=lambda one: len(one.counts) / len(one.cells)).name,)
    forms = _without_copies([one for one in usable if one.kind == "form" and one.words >= 2])
    if forms:
        return tuple(one.name for one in forms[:MOST_INPUTS])
    plain = [one for one in usable if one.kind in ("number", "text") and not _is_id(one)]
    if len(columns) > 2:  # numbers of users and files tell a row apart, whatever they are called beside that
        plain = [one for one in plain if one.kind != "number" or has_word_of(one.name, IDS) is None]
        return () if len(plain) < 2 and all(one.kind == "number" for one in plain) else tuple(one.name for one in plain[: 2 * MOST_INPUTS])
    return tuple(one.name for one in (plain or usable)[: 2 * MOST_INPUTS])


def _tells(column: Profile, out: Profile, kind: str) -> bool:
    """Whether a column would give the output away: another name of the label, or a text that ends with the answer."""
    pairs = [(cell, said) for cell, said in zip(column.cells, out.cells, strict=True) if cell and said]
    if not pairs:
        return False
    if kind == "labels":
        several = len(out.counts) > 1 and len(pairs) > 2 * len(out.counts)
        return several and len(set(pairs)) == len({cell for cell, _ in pairs}) == len({said for _, said in pairs})
    return sum(len(said) > 2 and len(cell) > len(said) and cell.rstrip().endswith(said) for cell, said in pairs) >= 0.8 * len(pairs)


def _without_copies(columns: Sequence[Profile]) -> list[Profile]:
    """Columns without those whose text is nearly always within that of an earlier one or around it."""
    kept: list[Profile] = []
    for column in columns:
        if not any(_within(column, other) or _within(other, column) for other in kept):
            kept.append(column)
    return kept


def _within(inner: Profile, outer: Profile) -> bool:
    pairs = [(a, b) for a, b in zip(inner.cells, outer.cells, strict=True) if len(a) > 5 and b]
    return len(pairs) > 3 and len(pairs) > 0.5 * len(inner.filled) and sum(a in b for a, b in pairs) >= 0.9 * len(pairs)


def _is_id(column: Profile) -> bool:
    """Whether a column only tells rows apart: it counts them, or is named so and has no value twice."""
    if column.name.casefold() in NAMED:
        return False
    if column.kind == "number" and _counts_up(column):
        return True
    return has_word_of(column.name, IDS) is not None and len(column.counts) == len(column.filled) and column.words < 2


def _counts_up(column: Profile) -> bool:
    """Whether the cells are numbers of rows."""
    if not all(re.fullmatch("[0-9]{1,18}", cell) for cell in column.filled[:1000]):
        return False
    numbers = [int(cell) for cell in column.filled[:1000]]
    steps = [b - a for a, b in pairwise(numbers)]
    return len(numbers) > 2 and min(steps) > 0 and max(steps) <= min(steps) + 1  # rows of a large file are looked at in even steps


# --- said in words ----------------------------------------------------------------------------------------------------


def unused(table: Table, columns: Columns) -> list[str]:
    """Columns that no part of the task uses."""
    used = {*columns.inputs, columns.output, columns.split}
    return [name for name in table.columns if name not in used]


def pieces(table: Table, columns: Columns, labels: Sequence[str] | None) -> list[tuple[str, bool]]:
    """What was decided, as a sentence in pieces: each with whether it is the name of a column."""
    kind = f"{len(labels)} labels" if labels else "free answers"
    the = "" if columns.output.startswith("column ") else "the column "  # a name that a file without a header gets
    said = [(f"Read as {kind} from {the}", False), (columns.output, True), ("; ", False), *_and(columns.inputs)]
    said.append((" goes in" if len(columns.inputs) == 1 else " go in", False))
    if columns.split:
        said += [("; ", False), (columns.split, True), (" says which rows are held out", False)]
    left = unused(table, columns)
    if left:
        many = len(left) > 7
        said += [("; ", False), *_and(left[:6] if many else left)]
        said.append(
            (f" and {len(left) - 6} more columns are not used" if many else f" {'is' if len(left) == 1 else 'are'} not used", False)
        )
    return [*said, (".", False)]


def sentence(table: Table, columns: Columns, labels: Sequence[str] | None) -> str:
    """What was decided, in one sentence."""
    return "".join(text for text, _ in pieces(table, columns, labels))


def _and(names: Sequence[str]) -> list[tuple[str, bool]]:
    said: list[tuple[str, bool]] = []
    for at, name in enumerate(names):
        said += [(name, True), ("" if at == len(names) - 1 else " and " if at == len(names) - 2 else ", ", False)]
    return said
