"""Rows that are longer than the model's window: cut at one end, or left out, and said so."""

from dataclasses import replace

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.tasks.table import LONG_ROWS, counted
from core.tasks.task import Example, Task, marked

SPARE = 128  # positions for the vectors that will stand before a row, in a window that has several times as many


def fitted(lm: LanguageModel, task: Task, way: str = "end") -> Task:
    """`task` with inputs that fit the model's window together with the template, the answer and some vectors, and a note on the others.

    way: what becomes of a longer one: its "end" or its "beginning" is cut, or "leave out". Raises LabError where too few rows fit.
    """
    outputs = {example.output for part in (task.train, task.validation, task.held_out) for example in part}
    longest = max(map(len, map(lm.tokenise, sorted(outputs, key=len)[-20:])), default=0)
    most = lm.window - min(SPARE, lm.window // 4) - longest - len(lm.lead) - len(lm.tokenise(task.template)) - 1
    if most < 1:
        raise LabError(f"The template and the longest answer fill the model's window of {lm.window:,} tokens: shorten them.")
    changed = 0
    parts = []
    for part in (task.train, task.validation, task.held_out):
        kept = []
        for example in part:
            made = _shortened(lm, example, most, way)
            changed += made is not example
            if made is not None:
                kept.append(made)
        parts.append(tuple(kept))
    if not changed:
        return task
    if not parts[0] or not parts[2]:
        raise LabError(f"All rows of a part are longer than the model's window of {lm.window:,} tokens: cut one end of them.")
    note = f"{counted(changed)} longer than the model's window of {lm.window:,} tokens: {LONG_ROWS[way]}."
    train, validation, held_out = parts
    shorter = replace(task, train=train, validation=validation, held_out=held_out, notes=(*task.notes, note))
    return marked(task.slug.rpartition("-")[0] or task.slug, shorter)


def _shortened(lm: LanguageModel, example: Example, most: int, way: str) -> Example | None:
    text = example.input
    if len(text.encode("utf-8", "replace")) <= most:  # a token has a byte or more
        return example
    ids = lm.tokenise(text)
    if len(ids) <= most:
        return example
    if way == "leave out":
        return None
    kept = ids[:most] if way == "end" else ids[-most:]
    cut = lm.decode(kept).strip("\ufffd").strip()
    return Example(cut, example.output) if cut else None
