"""What the cells of a column are like: text, numbers, dates, links, codes, lists; and whether they may be labels."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from core.tasks.table import Table, spread

MOST_LABELS = 200
LOOKED_AT = 3000  # rows


@dataclass(frozen=True)
class Profile:
    """What the cells of a column are like."""

    name: str
    cells: tuple[str, ...]

    @cached_property
    def filled(self) -> tuple[str, ...]:
        return tuple(cell for cell in self.cells if cell)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.filled)

    @cached_property
    def share_filled(self) -> float:
        return len(self.filled) / len(self.cells) if self.cells else 0.0

    @cached_property
    def words(self) -> float:
        """Words in a cell, on average; a script without spaces has one for every two letters."""
        sizes = [max(len(cell.split()), len(re.findall("[\u0e00-\u0eff\u3040-\u9fff]", cell)) / 2) for cell in self.filled]
        return sum(sizes) / len(sizes) if sizes else 0.0

    @cached_property
    def kind(self) -> str:
        """empty, constant, number, date, link, list, code, form (lines that differ in a word or two) or text."""
        if not self.filled:
            return "empty"
        if len(self.counts) == 1 and len(self.filled) > 1:
            return "constant"
        for kind, pattern in KINDS.items():
            if sum(pattern.fullmatch(cell) is not None for cell in self.filled) >= 0.9 * len(self.filled):
                return kind
        distinct = len(self.counts) >= 0.98 * len(self.filled)
        if distinct and len(self.filled) > 3 and all(CODE.fullmatch(cell) for cell in self.filled):
            return "code"
        return "form" if len(self.filled) > 3 and self._from_one_form else "text"

    @cached_property
    def _from_one_form(self) -> bool:
        """Whether nearly all cells begin with the same half, as lines of attribution do."""
        half = sum(map(len, self.filled)) // len(self.filled) // 2
        return half > 8 and Counter(cell[:half] for cell in self.filled).most_common(1)[0][1] >= 0.9 * len(self.filled)

    @property
    def is_text(self) -> bool:
        """Whether the cells are sentences or longer, mostly different ones."""
        return self.kind == "text" and self.words >= 3 and len(self.counts) > 0.3 * len(self.filled)

    @property
    def is_flag(self) -> bool:
        """Whether every cell is 0 or 1, or true or false."""
        return len(self.filled) == len(self.cells) and {cell.casefold() for cell in self.counts} <= FLAGS

    def like_labels(self, named: bool = False, strict: bool = False) -> bool:
        """Whether the cells are labels: few, short, and each repeated. strict: more repetition is needed."""
        count, different = len(self.filled), len(self.counts)
        if not 2 <= different <= MOST_LABELS or self.kind in ("date", "link", "empty") or max(map(len, self.counts)) > 80:
            return False
        repeated = sum(number for number in self.counts.values() if number > 1)
        if self.kind == "number" and different > 20 and any("." in cell.removesuffix(".0") for cell in self.counts):
            return False  # a measure
        if self.kind == "number" and not named and (different > 20 or count < 10 * different) and different > 2:
            return False  # numbers that are no label's may repeat by chance
        if strict:
            return different <= 20 and count >= 4 * different and min(self.counts.values()) > 1
        if self.words > 6 or (not named and self.share_filled < 0.9):
            return False
        return repeated >= 0.8 * count and count >= (2 if named or count < 50 else 4) * different


KINDS = {
    "number": re.compile(r"[-+]?[$€£]?\s?\d[\d.,' ]*\s?[%€$]?|[-+]?\.?\d+(e[-+]?\d+)?|NaN|inf", re.IGNORECASE),
    "date": re.compile(
        r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d)?( ?[ap]m)?"
        r"|\w{3,9},? \d{1,2},? .*\d{4}|\w{3},? \w{3} \d{1,2} .*|\d{1,2} \w{3,9} \d{4}.*"
        r"|(\d+\s?(d|h|m|s|days?|hours?|hrs?|min|mins|minutes?|sec|secs|seconds?)\b[ ,]*)+",  # durations, too
        re.IGNORECASE,
    ),
    "link": re.compile(r"(https?://|www\.)\S+|[\w.+-]+@[\w-]+(\.[\w-]+)+|[^\s/]+/\S+\.\w{1,5}", re.IGNORECASE),  # and paths of files
    "list": re.compile(r"\[.*\]|\{.*\}", re.DOTALL),
}
ON = frozenset(("1", "1.0", "true"))
FLAGS = ON | {"0", "0.0", "false"}
CODE = re.compile(r"(?=.*\d)[\w./:#-]{1,80}")  # one word with a digit in it


def profiles(table: Table) -> list[Profile]:
    """A profile of each column, of up to 3,000 rows."""
    some = [table.rows[at] for at in spread(len(table.rows), LOOKED_AT)]
    return [Profile(name, tuple(row[place] for row in some)) for place, name in enumerate(table.columns)]
