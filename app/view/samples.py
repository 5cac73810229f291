"""Rows of a task, and what the model says on them."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.view.html import Cell, Html, join, note, row, table, tag, td
from app.view.text import cut
from core.runs.record import RunRecord
from core.scoring.row_results import RowResult
from core.scoring.score import best_handcrafted
from core.tasks.evidence import in_words
from core.tasks.task import Task


def examples(rows: Sequence[tuple[str, str]], teaches: str, counts: str, notes: Sequence[str]) -> Html:
    """A task's first rows."""
    first = [row([td(cut(a, 90)), td("→ ", cut(b, 40))]) for a, b in rows]
    return tag(
        "div", tag("p", teaches), tag("table", tag("tbody", *first)), tag("p", counts, class_="dim"), *map(note, notes), class_="examples"
    )


def task_summary(task: Task) -> Html:
    """A task's first examples, what it teaches, and how its rows are split."""
    rows: Iterable[Any] = task.train[:4]
    if task.labels:  # one of each label first
        found = (next((e for e in task.train if e.output == label), None) for label in task.labels)
        rows = [example for example in found if example][:6]
    kind = f"labels: {', '.join(task.labels)}" if task.labels else "answers are free text"
    counts = f"{len(task.train)} rows to train on, {len(task.validation)} for validation, {len(task.held_out)} held out; {kind}. "
    counts += in_words(len(task.held_out))
    return examples([(e.input, e.output) for e in rows], task.teaches, counts, task.notes)


def skipped(record: RunRecord) -> Html:
    """Handcrafted prompts that could not be scored, and why."""
    return join(note(f"“{name}” was not scored: {reason}") for name, reason in record.skipped.items())


def samples(record: RunRecord, step: int) -> Html:
    """Answers on validation rows at a step, with those of the best handcrafted prompt."""
    seen = [(scored_at, score) for scored_at, score in record.validation.items() if scored_at <= step]
    if not seen:
        return tag("p", "Answers on validation rows appear after the first few steps.", class_="dim")
    (scored_at, now), line = seen[-1], best_handcrafted(record.lines)
    other = {result.input: result for result in line.results} if line else {}
    rows = []
    for result in now.results[:8]:
        baseline = [said(other[result.input]) if result.input in other else td()] if line else []
        rows.append([td(cut(result.input, 70)), td(cut(result.output, 30), class_="dim"), said(result), *baseline])
    heads = ["input", "right answer", "learned", *([line.name] if line else [])]
    return table(heads, rows, f"What it says on validation rows, step {scored_at}", class_="said")


def said(result: RowResult) -> Cell:
    """An answer as a cell that says whether it is right."""
    mark, name = ("✓", "right") if result.correct else ("✗", "wrong")
    return td(tag("span", mark, aria_label=name), f" {cut(result.said, 30) or '∅'}", class_=name)
