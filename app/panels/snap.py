"""Snap to words: the accuracy with the nearest tokens instead of the vectors, and the share of the gain that is left."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.bars import bars
from app.view.html import EMPTY, Html, note, tag
from core.events import Event, Finding, Progress
from core.inspection.snap import retention
from core.models.language_model import LanguageModel
from core.probes.vectors import Effect, what_each_does
from core.runs.contest import Scored, baselines, common_rows, contest
from core.scoring.derived_contenders import drawn_at_random, moved, snapped, started
from core.scoring.score import Score, learned_score
from core.ticket import Ticket

DRAWS = 3  # random controls that are scored
ALL, EACH = "all at once", "one at a time"


class SnapPanel(Panel):
    name, title, open, button = "snap", "Snap to words: are the nearest tokens enough?", True, "Snap and score"
    sees = (
        "The nearest word instead of each vector, scored on the held-out rows. If the words carried the meaning, the snapped prompt "
        "would answer like the learned one."
    )
    doubt = "that no words would work: these are the nearest words, not the best ones. The controls, which learned nothing, show what any such prompt gets."

    def make_settings(self) -> dict[str, Any]:
        return {"how": gr.Radio([ALL, EACH], value=ALL, label="snap", elem_id="snap-how", min_width=220)}

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        mine, task, start = look.soft_prompt, look.task, look.start
        if look.settings["how"] == EACH:
            yield from what_each_does(lm, task, mine, "snap", self.lab.book, start)
            return
        words, text = snapped(lm, mine)
        contenders = [mine, words]
        if start is not None:
            contenders += [started(lm, mine, start), *(moved(lm, mine, start, draw) for draw in range(DRAWS))]
        contenders += [drawn_at_random(lm, mine), *baselines(task, mine.template)]
        yield Progress(len(contenders) + 1)
        yield Finding(text)
        for event in contest(lm, task, contenders, common_rows(task.held_out, [mine]), self.lab.book, "held_out"):
            yield Finding(event.score) if isinstance(event, Scored) and event.final else None

    def view(self, look: Look, findings: Findings | None) -> View:
        if not look.soft:
            return View(note("A K/V prefix has no words to snap to."))
        if not findings:
            return View()
        found = [item for item in findings.items if isinstance(item, Effect)]
        if look.settings["how"] == EACH:
            count = look.run.recipe.virtual_tokens
            return View(figure=figures.effects([one for one in found if one.what == "snap"], "snap", count, look.chosen))
        texts = [item for item in findings.items if isinstance(item, str)]
        scores = {item.name: item for item in findings.items if isinstance(item, Score)}
        reads = note("Snapped, the prompt reads: ", tag("q", texts[0])) if texts else EMPTY
        return View(reads + kept(scores) + bars(scores.values(), "The same held-out rows for all", look.written))


def kept(scores: dict[str, Score]) -> Html:
    """The share of the gain over no prompt that the snapped words keep, as a sentence."""
    soft = learned_score(scores.values())
    words = next((score for score in scores.values() if score.name.startswith("snapped")), None)
    none = next((score for score in scores.values() if score.kind == "none"), None)
    if not (soft and words and none):
        return EMPTY
    before, after, whole = (np.array([result.correct for result in score.results]) for score in (none, words, soft))
    found = retention(before, after, whole)
    return note(tag("b", "Retention"), f", (snapped − no prompt) / (soft − no prompt): {found.words}")
