"""The handcrafted prompts of a task of one's own: an instruction made of its columns and labels, and worked examples."""

import random
import re
from collections.abc import Sequence

from core.tasks.prompt_text import around, drawn, with_examples, worked_example
from core.tasks.task import Example, Handcrafted, Task

FEWEST_EXAMPLES = 4
ORDERS = 3
MOST_BYTES = 12_000  # of the worked examples in one prompt, about 3,000 tokens of English
LONGEST_PART = 44  # characters of a prompt that its name shows
MEANINGLESS = {"input", "output", "x", "y", "v1", "v2", "text", "label", "target", "answer", "class", "column 1", "column 2"}


def own_prompts(task: Task, input_name: str = "", output_name: str = "") -> tuple[Handcrafted, ...]:
    """An instruction, and worked examples of training rows in three orders, at least one of each label where that fits.

    input_name, output_name: the columns of its table. The same task gives the same prompts. Everything in them comes from
    training rows, columns and labels, so they can be compared on all other rows.
    """
    instruction = _instruction(task, _word(input_name, "text"), _word(output_name, "label" if task.labels else "answer"))
    made = [Handcrafted(shortened(instruction), instruction)]
    examples = _examples(task)
    if len(examples) > 1:
        for order in range(ORDERS):
            template = with_examples(around(task), random.Random(order).sample(examples, len(examples)))
            made.append(Handcrafted(f"{len(examples)} examples, order {order + 1}: {shortened(template)}", template))
    return tuple(made)


def shortened(template: str) -> str:
    """The beginning of a prompt, on one line."""
    text = " ".join(template.split())
    return text if len(text) <= LONGEST_PART else f"{text[: LONGEST_PART - 1].rstrip()}…"


def _word(name: str, usual: str) -> str:
    """A column's name as a noun in a sentence, or `usual` where it says nothing."""
    words = " ".join(re.sub(r"[_\s]+", " ", name).split())
    meaningless = words.casefold() in MEANINGLESS or "{" in words or len(words) > 40 or not any(map(str.isalpha, words))
    return usual if meaningless else words


def _instruction(task: Task, text: str, answer: str) -> str:
    if task.labels:
        choices = [label for label in task.labels if "{input}" not in label]
        listed = f" It is one of: {', '.join(choices)}." if len(", ".join(choices).encode("utf-8", "replace")) <= MOST_BYTES else ""
        return f"Give the {answer} of this {text}.{listed}\n\n{_with_cue(task, text, answer)}"
    return f"Give the {answer} for this {text}.\n\n{_with_cue(task, text, answer)}"


def _with_cue(task: Task, text: str, answer: str) -> str:
    """The task's template, or where that is the bare input, both columns by name."""
    return task.template if task.template.strip() != "{input}" else f"{_begun(text)}: {{input}}\n{_begun(answer)}:"


def _begun(words: str) -> str:
    return words[:1].upper() + words[1:]


def _examples(task: Task) -> list[Example]:
    """Training rows for worked examples: as many of each label, four at least, within the bytes that a prompt may have."""
    labels = task.labels or ()
    k = max(FEWEST_EXAMPLES, len(labels) * -(-FEWEST_EXAMPLES // max(1, len(labels))))
    room = MOST_BYTES // k
    sizes = {row: len(worked_example(around(task), row).encode("utf-8", "replace")) for row in task.train}
    rows: Sequence[Example] = [row for row in task.train if sizes[row] <= max(room, MOST_BYTES // FEWEST_EXAMPLES)]
    usable = [row for row in rows if "{input}" not in row.input + row.output]
    chosen: list[Example] = []
    for row in drawn(usable, labels, min(k, len(usable)), seed=0):
        if sum(sizes[one] for one in (*chosen, row)) <= MOST_BYTES:
            chosen.append(row)
    return chosen
