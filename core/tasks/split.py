"""Which rows are the same, nearly the same, and on which side of a split each stands. All of it derives from content alone."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import block_diag, csr_array, vstack
from scipy.sparse.csgraph import connected_components

HELD_OUT_SHARE = 0.3
VALIDATION_SHARE = 0.2
VALIDATION_MOST = 32
ENDS = " .,!?;:\"'"

# Cosines above which two texts nearly repeat each other: tuned on pairs with a word or a comma changed (0.81 and more where
# they have 60 characters) against questions with another word in their slot (up to 0.89, and shorter). See test_split.py.
SHORTEST = 20
LONG = 60
NEAR_SHORT = 0.9
NEAR_LONG = 0.78
FEW = 1000  # rows of a block that are all compared exactly
DIMENSIONS = 1024  # of a sketch, whose cosines are off by 1 / sqrt(1024), about 0.03, one time in three
UNSURE = 0.12  # four times that: so near to the bound, a pair is looked at exactly
MOST_LOOKED_AT = 200_000  # pairs of 500 rows with all others; where more are near the bound, the sketch has the last word


@dataclass(frozen=True)
class Example:
    """An input and the answer (or label word) that should follow it."""

    input: str
    output: str

    @property
    def key(self) -> str:
        """A hash of the input that its variants share: the same key must never be on both sides of a split."""
        return key(self.input)


def key(text: str) -> str:
    """A hash of `text` that ignores case, spacing, and .,!?;:"' at its ends.

    >>> key("Good  film!") == key("good film"), key("C++") == key("C"), key("résumé") == key("resume")
    (True, False, False)
    """
    plain = _plain(text)
    return _hash(plain.strip(ENDS) or plain)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def near_repeats(examples: Sequence[Example]) -> dict[str, int]:
    """Rows that nearly repeat another one: from their key to a number that they share with those that they repeat.

    Two rows do where they have the same output, the same numbers in them, 20 characters or more, and nearly the same
    runs of 2 to 4 characters (TF-IDF cosine). What is like something that is like a third goes with both.
    """
    blocks: dict[tuple[str, ...], list[Example]] = {}
    for example in {example.key: example for example in examples}.values():
        if len(example.input) >= SHORTEST:
            blocks.setdefault((example.output, *re.findall(r"\d+", example.input)), []).append(example)
    compared = [block for block in blocks.values() if len(block) > 1]
    if not compared:
        return {}
    rows = [example for block in compared for example in block]
    vectors = _vectors([example.input for example in rows])  # (rows, features), each of length 1
    needed = np.array([NEAR_LONG if len(example.input) >= LONG else NEAR_SHORT for example in rows], dtype=np.float32)
    links, start = [], 0
    for block in compared:
        links.append(_links(vectors[start : start + len(block)], needed[start : start + len(block)]))
        start += len(block)
    _, numbers = connected_components(block_diag(links, format="csr"), directed=False)
    sizes = np.bincount(numbers)
    return {example.key: int(number) for example, number in zip(rows, numbers, strict=True) if sizes[number] > 1}


def _vectors(texts: Sequence[str]) -> csr_array:
    from sklearn.feature_extraction.text import TfidfVectorizer  # here: it takes a second that the page's start hasn't

    try:
        weights = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), dtype=np.float32).fit_transform(texts)
    except ValueError:  # nothing but spaces in all of them
        return csr_array((len(texts), 1), dtype=np.float32)
    shared = np.bincount(weights.indices, minlength=weights.shape[1]) > 1  # what stands in one row only is like nothing
    return csr_array(weights[:, shared])


def _links(vectors: csr_array, needed: np.ndarray) -> csr_array:
    """A 1 for each pair of rows (above the diagonal) whose cosine is at least what both need.

    Thousands of rows are compared in a sketch first (each feature added to or taken from one of `DIMENSIONS` numbers, drawn
    at random: Charikar, Chen & Farach-Colton 2002), which takes the same time whatever stands in them.
    """
    quick = _sketch(vectors) if len(needed) > FEW else None
    parts = []
    for start in range(0, len(needed), 500):  # 500 rows at a time, so that memory stays small
        some = slice(start, start + 500)
        bound = np.maximum(needed[some, None], needed)  # (500, rows)
        if quick is None:
            near = (vectors[some] @ vectors.T).toarray() >= bound
        else:
            alike = quick[some] @ quick.T
            near = alike >= bound
            one, other = np.nonzero(np.triu(np.abs(alike - bound) < UNSURE, start + 1))
            if len(one) <= MOST_LOOKED_AT:
                near[one, other] = _cosines(vectors, start + one, other) >= bound[one, other]
        parts.append(csr_array(np.triu(near, start + 1)))
    return vstack(parts, format="csr")


def _sketch(vectors: csr_array) -> np.ndarray:
    draw, features = np.random.default_rng(0), vectors.shape[1]
    signs = draw.choice(np.array([-1, 1], dtype=np.float32), features)
    places = csr_array((signs, (np.arange(features), draw.integers(DIMENSIONS, size=features))), shape=(features, DIMENSIONS))
    return (vectors @ places).toarray()  # (rows, DIMENSIONS)


def _cosines(vectors: csr_array, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    parts = [slice(start, start + 5000) for start in range(0, len(one), 5000)]
    return np.concatenate([np.asarray((vectors[one[p]] * vectors[other[p]]).sum(axis=1)).ravel() for p in parts] or [np.zeros(0)])


def keep_together(examples: Sequence[Example], labelled: bool) -> tuple[dict[str, int], list[str]]:
    """What `near_repeats` finds, as far as it can be kept on one side of a split; and notes that say so."""
    groups = near_repeats(examples)
    if not groups:
        return {}, []
    sizes = Counter(groups.values())
    if max(sizes.values()) > len(examples) / 4:
        return {}, [
            f"{max(sizes.values()):,} rows nearly repeat each other, as if written from one template, so such rows may stand on "
            f"both sides of the split."
        ]
    notes = []
    if labelled:  # a label that is one such group could not be both trained on and tested on: it is parted all the same
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


def part(
    examples: Iterable[Example], share: float, labelled: bool, most: int | None = None, groups: Mapping[str, int] | None = None
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Part `share` of the rows off, chosen by a hash of their inputs (so by content, not by order or seed).

    Labelled rows are taken in turn over the labels, each label keeping at least one row; both parts keep the file's order.
    groups: from key to group (see `keep_together`): a group goes as a whole, and never if it is all that a label has.
    """
    rows = list(examples)
    wanted = min(max(1, round(share * len(rows))), most or len(rows))
    # The hash that orders rows knows punctuation: the built-in tasks were parted by it.
    ordered = sorted(rows, key=lambda example: _hash(_plain(example.input)))
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
    """`rows` without those that repeat one of `known`, or nearly (by `groups`); and notes that count them, as `what` rows."""
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
