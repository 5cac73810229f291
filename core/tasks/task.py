"""A task as plain data: examples in three parts, the template around an input, and handcrafted prompts to compare with."""

import hashlib
import html
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.display import html_table
from core.recipe import check_template

LONGEST_STEM = 120
ENDS = " .,!?;:\"'"
MORE_ENDS = ENDS + "。、…“”‘’„‚«»‹›「」『』¡¿؟،؛।॥។"  # of other scripts; full-width ones are the same as those above after NFKC
CHINESE = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # and Japanese
IDEOGRAPH = re.compile(f"[{CHINESE}]")  # says about as much as a word
# Of a script without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Chinese and Japanese with their punctuation.
UNSPACED = re.compile(f"[{CHINESE}\u0e00-\u109f\u1780-\u17ff\u3000-\u303f\uff00-\uffef]")


@dataclass(frozen=True)
class Example:
    """An input and the answer (or label word) that should follow it."""

    input: str
    output: str

    @property
    def key(self) -> str:
        """A hash of the input that its variants share: two parts of a split never share a key."""
        return key(self.input)

    def is_among(self, keys: Collection[str]) -> bool:
        """Whether its key is one of `keys`, which may be of a prompt that was saved before keys were the same in all scripts."""
        return self.key in keys or (not self.input.isascii() and _earlier_key(self.input) in keys)


def key(text: str) -> str:
    """A hash of `text` that ignores case, spacing, width, and punctuation at its ends, in any script.

    >>> key("Good  film!") == key("good film"), key("C++") == key("C"), key("résumé") == key("resume")
    (True, False, False)
    >>> key("ＯＫ！") == key("ok"), key("「好」。") == key("好")
    (True, True)
    """
    plain = normalised(unicodedata.normalize("NFKC", text))
    return short_hash(plain.strip(MORE_ENDS) or plain)


def _earlier_key(text: str) -> str:
    plain = normalised(text)
    return short_hash(plain.strip(ENDS) or plain)


def worded(text: str) -> str:
    """`text` for comparing texts by runs of characters: a Chinese or Japanese character counts as a word of four letters does.

    >>> worded("a 好 b"), worded("ＡＢ１")
    ('a  好好好好  b', 'AB1')
    """
    return IDEOGRAPH.sub(lambda found: f" {4 * found[0]} ", unicodedata.normalize("NFKC", text))


def normalised(text: str) -> str:
    """`text` without differences of case and spacing."""
    return " ".join(text.casefold().split())


def short_hash(text: str) -> str:
    """16 hexadecimal digits that depend on `text` alone."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True)
class Handcrafted:
    """A prompt that a person wrote: a name and a template with {input} once."""

    name: str
    template: str


@dataclass(frozen=True)
class Task:
    """Rows to train on, to validate on and to report on (`held_out`); no input is in two of the three parts.

    labels: the label words in order, or None for free answers. template: the text around an input.
    notes: sentences about rows that were left out while reading.
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

    def _repr_html_(self) -> str:
        rows = [(example.input, example.output) for example in self.train[:6]]
        return f"<p>{html.escape(repr(self))}</p>{html_table(('input', 'label' if self.labels else 'answer'), rows)}"

    @property
    def seen(self) -> frozenset[str]:
        """Keys of every row that training can see, validation included."""
        return frozenset(example.key for example in (*self.train, *self.validation))

    @property
    def majority(self) -> str:
        """The most common answer of training and validation rows (of equals, the first)."""
        return Counter(example.output for example in (*self.train, *self.validation)).most_common(1)[0][0]


def repeats(rows: Iterable[tuple[str, Example]]) -> list[bool]:
    """Whether each (part, row) repeats an earlier row of its part: in its text, or nearly (in its key) with the same output.

    >>> repeats([("", Example(text, output)) for text, output in (("a", "x"), ("A.", "x"), ("A", "y"), ("a ", "z"))])
    [False, True, False, True]
    """
    seen: set[tuple[str, ...]] = set()
    found = []
    for part, example in rows:
        marks = {(part, " ".join(example.input.split())), (part, example.key, example.output)}
        found.append(bool(marks & seen))
        seen |= marks
    return found


def marked(slug: str, task: Task) -> Task:
    """`task` with `slug` and a hash of its content as its slug, so that two tasks of one name stay two tasks.

    A slug that ends in the hash of the content without handcrafted prompts is kept: a table's task gets its prompts after its slug.
    """
    marks = [_mark(task), _mark(replace(task, handcrafted=()))]
    return task if task.slug.endswith(tuple(f"-{mark}" for mark in marks)) else replace(task, slug=f"{slug[:LONGEST_STEM]}-{marks[0]}")


def _mark(task: Task) -> str:
    about = asdict(replace(task, slug="", name="", teaches="", notes=()))
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]


def stem_of(name: str) -> str:
    """A file's name without its ending, fit to name a task.

    >>> stem_of("folder/My pets.csv"), stem_of("")
    ('My pets', 'task')
    """
    return Path(name).stem[:LONGEST_STEM].encode("utf-8", "replace").decode() or "task"


def template_of(task: Task, template: str) -> str:
    """The template that a learned prompt gets: the recipe's, else the task's. LabError unless it holds {input} once."""
    chosen = template or task.template
    check_template(chosen)
    return chosen
