"""Splits: which rows repeat each other and which part each belongs to, derived from their content alone."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.tasks.table import counted
from core.tasks.task import Example, normalised, short_hash, worded

HELD_OUT_SHARE = 0.3
VALIDATION_SHARE = 0.2
VALIDATION_MOST = 32  # of tasks that say their held-out rows themselves
# Fewest and most rows of a part of a table, and the bytes of text up to which a prompt's score takes about a minute on two CPU cores.
VALIDATION_SIZE = (32, 128, 25_000)
HELD_OUT_SIZE = (100, 400, 100_000)
Parts = tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]  # training, validation, held-out rows
EACH_LABEL = 2  # rows of each label in validation and held-out rows, if it has four times as many
SHORTEST = 20  # characters of a text that can nearly repeat another one


def near_repeats(examples: Sequence[Example]) -> dict[str, int]:
    """Rows that nearly repeat another row, from key to the number of their group.

    Two rows nearly repeat each other if they have the same output, the same numbers in their text, at least 20 characters,
    and nearly the same runs of 2 to 4 characters (TF-IDF cosine; see `worded` for Chinese and Japanese). Groups are closed:
    if a is like b and b is like c, the three are one group.
    """
    blocks: dict[tuple[str, ...], list[Example]] = {}
    for example in {example.key: example for example in examples}.values():
        text = worded(example.input)
        if len(text) >= SHORTEST:
            blocks.setdefault((example.output, *re.findall(r"\d+", text)), []).append(example)
    compared = [block for block in blocks.values() if len(block) > 1]
    if not compared:
        return {}
    from core.tasks.similar_texts import groups  # here: scipy and scikit-learn take a second to import

    return groups(compared)


def keep_together(examples: Sequence[Example], labelled: bool) -> tuple[dict[str, int], list[str]]:
    """The groups of `near_repeats` that can be kept in one part of a split, and notes about them."""
    groups = near_repeats(examples)
    if not groups:
        return {}, []
    sizes = Counter(groups.values())
    if max(sizes.values()) > len(examples) / 4:
        return {}, [
            f"{max(sizes.values()):,} rows nearly repeat each other, as if written from one template, so such rows may be on "
            f"both sides of the split."
        ]
    notes = []
    if labelled:  # a label that is one group could not be both trained on and tested on, so that group is split
        units: dict[str, set[object]] = {}
        for example in examples:
            units.setdefault(example.output, set()).add(groups.get(example.key, example.key))
        whole = {next(iter(found)) for found in units.values() if len(found) == 1}
        parted = [name for name, group in groups.items() if group in whole]
        groups = {name: group for name, group in groups.items() if group not in whole}
        if parted:
            notes.append(f"{len(parted):,} rows nearly repeat each other and are all that their label has: they were parted all the same.")
    if groups:
        count = len(groups) - len(set(groups.values()))
        said = "1 row nearly repeats another one and is" if count == 1 else f"{count:,} rows nearly repeat another one and are"
        notes.append(f"{said} in the same part as that one.")
    return groups, notes


def split_table(rows: Sequence[Example], labelled: bool) -> tuple[Parts, list[str]]:
    """Training, validation and held-out rows of a table, and notes about them. Sizes follow the number and length of the rows."""
    groups, notes = keep_together(rows, labelled)
    most = _most(rows, labelled, HELD_OUT_SIZE)
    train, held_out = split_off(rows, HELD_OUT_SHARE, labelled, most, groups, EACH_LABEL)
    if round(HELD_OUT_SHARE * len(rows)) > most:
        notes = [
            *notes,
            f"{len(held_out):,} of {len(rows):,} rows are held out, so that scoring a prompt takes about a minute; the others train.",
        ]
    train, validation = split_validation(train, labelled, groups)
    return (train, validation, held_out), notes


def split_validation(rows: Sequence[Example], labelled: bool, groups: Mapping[str, int]) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Training and validation rows of a table's rows that are not held out."""
    return split_off(rows, VALIDATION_SHARE, labelled, _most(rows, labelled, VALIDATION_SIZE), groups, EACH_LABEL)


def spare(rows: Sequence[Example], labelled: bool, size: tuple[int, int, int], what: str) -> tuple[tuple[Example, ...], list[str]]:
    """`rows` of a part that the file names itself, or as many of them as that part may have (see `HELD_OUT_SIZE`), and a note."""
    most = _most(rows, labelled, size)
    if len(rows) <= most:
        return tuple(rows), []
    kept = split_off(rows, most / len(rows), labelled, most, each=EACH_LABEL)[1]
    return kept, [f"{len(kept):,} of {len(rows):,} {what} rows are used, so that scoring a prompt takes about a minute."]


def _most(rows: Sequence[Example], labelled: bool, size: tuple[int, int, int]) -> int:
    """The most rows of a part. size: see `HELD_OUT_SIZE`. Every label is scored on every row, so label words count as text."""
    fewest, most, text = size
    labels = sorted({example.output for example in rows}) if labelled else []
    words = sum(len(label.encode("utf-8", "replace")) for label in labels)
    mean = words + sum(len(example.input.encode("utf-8", "replace")) for example in rows) / max(1, len(rows))
    return max(EACH_LABEL * len(labels), min(most, max(fewest, int(text / max(1.0, mean)))))


def split_off(
    examples: Iterable[Example],
    share: float,
    labelled: bool,
    most: int | None = None,
    groups: Mapping[str, int] | None = None,
    each: int = 1,
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The rows that stay, and about `share` of them that are split off, chosen by a hash of their inputs.

    So the choice depends on content, not on order or seed. Each label gives its share and keeps at least one row; both
    results keep the file's order. groups: from key to group (see `keep_together`): a group is split off as a whole or stays.
    each: the fewest rows that a label with four times as many gives.
    """
    rows = list(examples)
    wanted = min(max(1, round(share * len(rows))), most or len(rows))
    # Unlike `key`, this hash depends on punctuation: the built-in tasks were split by it.
    ordered = sorted(rows, key=lambda example: short_hash(normalised(example.input)))
    by_label: dict[str, dict[object, list[Example]]] = {}
    for example in ordered:
        units = by_label.setdefault(example.output if labelled else "", {})
        units.setdefault((groups or {}).get(example.key, example.key), []).append(example)
    taken: set[str] = set()
    for _, found in sorted(by_label.items()):
        units_here = list(found.values())
        size = sum(map(len, units_here))
        count = min(max(round(wanted * size / len(rows)), each if size >= 4 * each else 1), size - 1)
        chosen: list[Example] = []
        for unit in units_here:
            if len(chosen) + len(unit) <= count:
                chosen += unit
        if not chosen and len(units_here) > 1:
            chosen = min(units_here, key=len)
        taken.update(example.key for example in chosen)
    kept = tuple(example for example in rows if example.key not in taken)
    return kept, tuple(example for example in rows if example.key in taken)


def unseen(
    rows: Iterable[Example], known: Iterable[Example], groups: Mapping[str, int], what: str = "test"
) -> tuple[tuple[Example, ...], list[str]]:
    """`rows` without those that repeat, or by `groups` nearly repeat, a row of `known`; and notes that count them as `what` rows."""
    seen = {example.key for example in known}
    near = {groups[name] for name in seen if name in groups}
    given = list(rows)
    new = [example for example in given if example.key not in seen]
    kept = tuple(example for example in new if groups.get(example.key) not in near)
    notes = []
    if len(new) < len(given):
        notes.append(f"{counted(len(given) - len(new), what)} left out: training has the same inputs.")
    if len(kept) < len(new):
        near_ones = len(new) - len(kept)
        notes.append(
            f"{counted(near_ones, what)} left out: {'it nearly repeats' if near_ones == 1 else 'they nearly repeat'} rows of training."
        )
    return kept, notes
