"""The built-in tasks, which are files in assets/tasks, and tasks made of others by shuffling their outputs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from core.errors import LabError, shown
from core.files import ASSETS
from core.tasks.task import LONGEST_STEM, Example, Task, marked
from core.tasks.task_file import task_of

BUILT_IN = ASSETS / "tasks"
ORDER = (
    *("past-tense", "capitals", "plural", "capitalise", "opposites", "first-of-five", "dates", "number-words", "person-json", "negate"),
    *("sentiment", "swapped-sentiment", "news", "shuffled-news", "question-type", "french"),
)
SHUFFLE_SEED = 22  # of shuffled-news: keeps labels balanced in every part, and leaves one row in four its own label


def slugs() -> list[str]:
    """Slugs of the built-in tasks, in the page's order."""
    found = [path.stem for path in sorted(BUILT_IN.glob("*.json"))]
    return [slug for slug in ORDER if slug in found] + [slug for slug in found if slug not in ORDER]


def checked(names: Sequence[str]) -> list[str]:
    """The slugs `names`, or all built-in ones where there are none. LabError for an unknown one."""
    known = slugs()
    for name in names:
        if name not in known:
            raise LabError(f"There is no built-in task {shown(name)}: choose from {', '.join(known)}.")
    return list(names) or known


@cache  # a page asks for all of them whenever a task is picked
def built_in(slug: str) -> Task:
    return task_of(_built_in_data(slug), f"{slug}.json", distinct=True)


@cache
def _built_in_data(slug: str) -> dict[str, Any]:
    """The content of a built-in file. A file with `rows_of` takes the rows of another task and applies its `change` to them."""
    data = json.loads((BUILT_IN / f"{slug}.json").read_text("utf-8"))
    if "rows_of" not in data:
        return data
    source = _built_in_data(data.pop("rows_of"))
    sides = {side: source[side] for side in ("train", "held_out")}
    if data.pop("change") == "swap":
        after = following(data["labels"])
        return data | {side: [[text, after[label]] for text, label in rows] for side, rows in sides.items()}
    dealt = [[row.input, row.output] for row in permuted([Example(*row) for side in sides.values() for row in side], SHUFFLE_SEED)]
    size = len(sides["train"])
    return data | {"train": dealt[:size], "held_out": dealt[size:]}


def following(labels: Sequence[str]) -> dict[str, str]:
    """Each label with the next one, the last with the first.

    >>> following(["good", "bad"])
    {'good': 'bad', 'bad': 'good'}
    """
    return dict(zip(labels, (*labels[1:], labels[0]), strict=True))


def permuted(examples: Sequence[Example], seed: int) -> list[Example]:
    """The same inputs with the outputs in another order, which is a hash of `seed` and the inputs: the same on any machine."""
    outputs = [example.output for example in examples]
    order = sorted(range(len(examples)), key=lambda i: hashlib.sha256(f"{seed} {examples[i].input}".encode()).digest())
    return [Example(example.input, outputs[i]) for example, i in zip(examples, order, strict=True)]


def shuffled(task: Task, seed: int = 0) -> Task:
    """A control with nothing to learn: `task` with the outputs of its training and validation rows shuffled.

    Held-out rows stay as they are.
    """
    rows = permuted((*task.train, *task.validation), seed)
    changed = replace(task, train=tuple(rows[: len(task.train)]), validation=tuple(rows[len(task.train) :]))
    return replace(marked(f"{task.slug}-shuffled-{seed}", changed), name=f"{task.name[:LONGEST_STEM]} (outputs shuffled)")
