"""Splits: which rows repeat each other and which part each belongs to, derived from their content alone."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.tasks.task import Example, normalised, short_hash

HELD_OUT_SHARE = 0.3
VALIDATION_SHARE = 0.2
VALIDATION_MOST = 32
SHORTEST = 20  # characters of a text that can nearly repeat another one


def near_repeats(examples: Sequence[Example]) -> dict[str, int]:
    """Rows that nearly repeat another row, from key to the number of their group.

    Two rows nearly repeat each other if they have the same output, the same numbers in their text, at least 20 characters,
    and nearly the same runs of 2 to 4 characters (TF-IDF cosine). Groups are closed: if a is like b and b is like c, the
    three are one group.
    """
    blocks: dict[tuple[str, ...], list[Example]] = {}
    for example in {example.key: example for example in examples}.values():
        if len(example.input) >= SHORTEST:
            blocks.setdefault((example.output, *re.findall(r"\d+", example.input)), []).append(example)
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
        notes.append(f"{len(groups) - len(set(groups.values())):,} rows nearly repeat another one and were kept on its side of the split.")
    return groups, notes


def split_off(
    examples: Iterable[Example], share: float, labelled: bool, most: int | None = None, groups: Mapping[str, int] | None = None
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The rows that stay, and about `share` of them that are split off, chosen by a hash of their inputs.

    So the choice depends on content, not on order or seed. Each label gives its share and keeps at least one row; both
    results keep the file's order. groups: from key to group (see `keep_together`): a group is split off as a whole or stays.
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
        count = min(max(round(wanted * size / len(rows)), 1), size - 1)
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
        notes.append(f"{len(given) - len(new):,} {what} rows were left out: training has the same inputs.")
    if len(kept) < len(new):
        notes.append(f"{len(new) - len(kept):,} {what} rows were left out: they nearly repeat rows of training.")
    return kept, notes
