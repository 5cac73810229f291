"""The result of a run at a glance."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import colours
from app.view.html import EMPTY, Html, bold, join, share_bar, tag
from app.view.text import cut, percent
from core.methods import METHODS
from core.runs.record import RunRecord, best_handcrafted
from core.tasks.task import Task

MOST_SQUARES = 12  # vectors drawn as squares
TITLE = "Accuracy with each kind of prompt"


def ladder(rows: Sequence[Mapping[str, Any]], task: Task, record: RunRecord) -> Html:
    """Accuracy with no prompt, the best instruction, the best worked examples, and the learned prompt, each with its text.

    rows: scores on the same rows.
    """
    written = [row for row in rows if row["kind"] == "handcrafted"]
    count = record.recipe["virtual_tokens"]
    shown = [
        ("no prompt", next((row for row in rows if row["kind"] == "none"), None)),
        ("the best instruction", best_handcrafted([row for row in written if not row.get("examples")])),
        ("the best with examples", best_handcrafted([row for row in written if row.get("examples")])),
        (record.method.described(count), next(filter(_learned, rows), None)),
    ]
    known = [(told, row) for told, row in shown if row]
    if not any(_learned(row) for _, row in known):
        return EMPTY
    colour = colours(rows, record.task["handcrafted"])
    rungs = [
        tag(
            "li",
            tag("strong", percent(row["accuracy"])),
            tag("span", told, class_="told"),
            share_bar(row["accuracy"], row["interval"]),
            _as_it_reads(row, task, record),
            class_="rung mine" if _learned(row) else "rung",
            style=f"--c:{colour[row['name']]}",
        )
        for told, row in known
    ]
    return tag("p", TITLE, class_="ladder-name") + tag("ol", *rungs, class_="ladder", aria_label=TITLE)


def _learned(row: Mapping[str, Any]) -> bool:
    return row["kind"] in METHODS


def _as_it_reads(row: Mapping[str, Any], task: Task, record: RunRecord) -> Html:
    """The text before and after an input, on one line; a learned prompt as squares."""
    template = next((prompt.template for prompt in task.handcrafted if prompt.name == row["name"]), "")
    template = template or record.recipe["template"] or task.template
    before, _, after = template.partition("{input}")
    text = task.held_out[0].input if task.held_out else "…"
    count = record.recipe["virtual_tokens"]
    squares = "■" * min(count, MOST_SQUARES) + ("…" if count > MOST_SQUARES else "")
    gaps = [" " if edge.isspace() else "" for edge in (before[-1:], after[:1])]  # line breaks, too
    words = join([cut(before, 40), gaps[0], bold(cut(text, 36)), gaps[1], cut(after, 24)])
    vectors = (tag("i", squares, class_="squares"), " ") if _learned(row) else ()
    return tag("code", *vectors, words, title=template.replace("{input}", text))
