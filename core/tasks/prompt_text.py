"""The text of a prompt: the template around an input, and the gap before the answer; worked examples of training rows."""

import random
from collections.abc import Sequence

from core.errors import LabError
from core.tasks.task import UNSPACED, Example, Task


def join(template: str, input: str) -> tuple[str, str]:
    """The prompt's text, and what stands between it and the answer (see `gap`).

    Spaces that end the template are dropped: they belong to the answer's first token.

    >>> join("The past tense of {input} is ", "go"), join('"{input}" becomes "', "go")
    (('The past tense of go is', ' '), ('"go" becomes "', ''))
    """
    text = template.replace("{input}", input).rstrip(" ")
    bare = template.rstrip(" ").endswith("{input}") and UNSPACED.match(text[-1:])
    return text, "" if bare else gap(template)


def gap(template: str) -> str:
    """What stands before an answer: what the template's own worked examples have there, else a space.

    No space after a line break, an opening quote or bracket, or a script without spaces between words. The same for every input.

    >>> gap("{input} ->"), gap("go:went\\n{input}:"), gap("苹果是水果，{input}是")
    (' ', '', '')
    """
    end = template.rstrip(" ")
    before, _, cue = end.partition("{input}")
    if (shown := _after_cue(before, cue)) is not None:
        return shown
    last = end[-1:]
    opened = last in ("(", "[", "{", "“", "«") or (last == '"' and template.count('"') % 2 == 1)
    return "" if last.isspace() or opened or UNSPACED.match(last) else " "


def _after_cue(before: str, cue: str) -> str | None:
    """What follows the words after {input} where they stand in the text before it, in its last worked example; None where they don't."""
    at = before.rfind(cue) if cue.strip() else -1
    while at >= 0:
        left, right = before[at - 1 : at] if at else "", before[at + len(cue) : at + len(cue) + 1]
        inside = _one_word(cue[-1], right) or _one_word(left, cue[0]) or (left.isdigit() and right.isdigit())
        if right and not inside:
            return right if right in (" ", "\n") else ""
        at = before.rfind(cue, 0, at + len(cue) - 1)
    return None


def _one_word(one: str, other: str) -> bool:
    return one.isalnum() and other.isalnum() and not UNSPACED.match(one) and not UNSPACED.match(other)


def around(task: Task) -> str:
    """The template that worked examples are written in: the task's own, or `input -> answer` where that is the bare input."""
    return task.template if task.template.strip() != "{input}" else "{input} ->"


def worked_example(template: str, example: Example) -> str:
    """The prompt for an example with its answer."""
    return "".join((*join(template, example.input), example.output))


def with_examples(template: str, examples: Sequence[Example]) -> str:
    """A template that begins with worked examples."""
    return between(template).join([*(worked_example(template, example) for example in examples), template])


def between(template: str) -> str:
    """What stands between worked examples, and between the last one and the input's own template."""
    return "\n\n" if "\n" in template else "\n"


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
