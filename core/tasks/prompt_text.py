"""The text of a prompt: the template around an input, and the gap before the answer; worked examples of training rows."""

import random
from collections.abc import Sequence

from core.errors import LabError
from core.tasks.task import Example, Task


def join(template: str, input: str) -> tuple[str, str]:
    """The prompt's text, and what stands between it and the answer: a space, or nothing after a line break or an opening quote.

    Spaces that end the template are dropped: they belong to the answer's first token.

    >>> join("The past tense of {input} is ", "go"), join('"{input}" becomes "', "go")
    (('The past tense of go is', ' '), ('"go" becomes "', ''))
    """
    last = template.rstrip(" ")[-1:]  # of the template, so that it is the same for every input
    opened = last in ("(", "[", "{", "“", "«") or (last == '"' and template.count('"') % 2 == 1)
    return template.replace("{input}", input).rstrip(" "), "" if last.isspace() or opened else " "


def around(task: Task) -> str:
    """The template that worked examples are written in: the task's own, or `input -> answer` where that is the bare input."""
    return task.template if task.template.strip() != "{input}" else "{input} ->"


def worked_example(template: str, example: Example) -> str:
    """The prompt for an example with its answer."""
    return "".join((*join(template, example.input), example.output))


def with_examples(template: str, examples: Sequence[Example]) -> str:
    """A template that begins with worked examples."""
    gap = "\n\n" if "\n" in template else "\n"
    return gap.join([*(worked_example(template, example) for example in examples), template])


def drawn(rows: Sequence[Example], labels: Sequence[str] | None, k: int, seed: int) -> list[Example]:
    """`k` of `rows`, drawn by `seed`. Label words take turns in an order that is drawn too, so that each is drawn as often as can be.

    LabError where there are fewer rows.
    """
    usable = [row for row in rows if "{input}" not in row.input + row.output]
    if k > len(usable):
        raise LabError(f"{k} worked examples were asked for, the task has {len(usable)} training rows: ask for fewer.")
    draw = random.Random(seed)
    draw.shuffle(usable)
    if not labels:
        return usable[:k]
    by_label = [[row for row in usable if row.output == label] for label in draw.sample(list(labels), len(labels))]
    turns = [group[turn] for turn in range(max(map(len, by_label))) for group in by_label if turn < len(group)]
    return turns[:k]
