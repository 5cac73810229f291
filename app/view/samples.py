"""Rows of a task, and what the model says on them."""

from collections.abc import Sequence

from app.view.html import Cell, Html, join, note, row, table, tag, td
from app.view.text import cut
from core.runs.record import RunRecord
from core.scoring.row_results import RowResult
from core.scoring.score import best_handcrafted


def examples(rows: Sequence[tuple[str, str]], teaches: str, counts: str, notes: Sequence[str]) -> Html:
    """A task's first rows."""
    first = [row([td(cut(a, 90)), td("→ ", cut(b, 40))]) for a, b in rows]
    return tag(
        "div", tag("p", teaches), tag("table", tag("tbody", *first)), tag("p", counts, class_="dim"), *map(note, notes), class_="examples"
    )


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
