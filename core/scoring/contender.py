"""Contenders: a prefix with its template, as all prompts are scored."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.methods import METHODS
from core.prefix import Prefix, no_prefix
from core.recipe import Recipe, default_of
from core.tasks.task import UNSPACED, Example, Handcrafted, Task, template_of

DEFAULT_SCORE: str = default_of("label_score")  # of comparisons


@dataclass(frozen=True, eq=False)
class Contender:
    """A prefix with its template. kind: none, handcrafted, or the name of the method that trained it.

    excluded: keys of rows that don't count for it, because they are in its prompt or its training rows. offsets: for a calibrated one, the
    natural log of each label's share where there is nothing to go by; they are taken off. label_score: by what labels are compared, the
    recipe's; one for all contenders. examples, seconds: what it cost:
    training examples that it shows or was trained on, and seconds of training. group: contenders of one group (orders, seeds) are
    shown as their mean and range.
    """

    name: str
    kind: str
    template: str
    prefix: Prefix
    placement: str = "before"
    excluded: frozenset[str] = frozenset()
    offsets: tuple[float, ...] = ()
    label_score: str = "sum"
    examples: int = 0
    seconds: float = 0.0
    group: str = ""

    def counted(self, examples: Iterable[Example]) -> list[Example]:
        """Those of `examples` that count for it."""
        return [example for example in examples if not example.is_among(self.excluded)]

    @property
    def learned(self) -> bool:
        """Whether it has a trained method; controls have that of the prompt that they are compared with."""
        return self.kind in METHODS

    def for_validation(self) -> "Contender":
        """The same on validation rows: a learned prompt is not trained on them, so all of them count for it."""
        return replace(self, excluded=frozenset()) if self.learned else self


def contender_of_run(name: str, task: Task, recipe: Recipe, prefix: Prefix, seconds: float = 0.0, seen: Iterable[str] = ()) -> Contender:
    """What a run of `recipe` on `task` learned. The rows that it was trained on don't count for it.

    seen: keys of the rows that the prompt which it started from was trained on.
    """
    template = template_of(task, recipe.template)
    made = Contender(name, prefix.kind, template, prefix, recipe.placement, task.seen.union(seen))
    return replace(made, examples=len(task.train), seconds=seconds, label_score=recipe.label_score)


def by_one_score(contenders: Iterable[Contender], label_score: str) -> list[Contender]:
    """The same contenders, whose labels are all compared by `label_score`."""
    return [replace(contender, label_score=label_score) for contender in contenders]


def bare(task: Task, template: str = "") -> Contender:
    """No prompt: the bare template and nothing before it."""
    return Contender("no prompt", "none", template_of(task, template), no_prefix())


def handcrafted(name: str, template: str, examples: Sequence[Example] = ()) -> Contender:
    """A handcrafted prompt. Rows of `examples` that it shows as worked examples don't count for it."""
    text = _plain(template)
    inside = [e for e in examples if _stands_in(e.input, text) and _stands_in(e.output, text)]
    return Contender(name, "handcrafted", template, no_prefix(), excluded=frozenset(example.key for example in inside))


def written(task: Task, prompt: Handcrafted) -> Contender:
    """A handcrafted prompt on `task`: rows that it shows don't count for it; their number is its cost in examples."""
    made = handcrafted(prompt.name, prompt.template, (*task.validation, *task.held_out))
    shown = handcrafted(prompt.name, prompt.template, task.train).excluded
    return replace(made, examples=len(made.excluded) + len(shown))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def _stands_in(words: str, text: str) -> bool:
    """Whether `text` (plain) has `words` as words of their own; where a script puts no spaces between words, anywhere."""
    words = _plain(words)
    start = text.find(words)
    while start >= 0:
        end = start + len(words)
        if _apart(text[max(start - 1, 0) : start], words[:1]) and _apart(words[-1:], text[end : end + 1]):
            return True
        start = text.find(words, start + 1)
    return False


def _apart(one: str, other: str) -> bool:
    return not (one.isalnum() and other.isalnum()) or bool(UNSPACED.match(one) or UNSPACED.match(other))
