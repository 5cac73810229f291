"""The effect of each vector: leave it out, replace it, keep it alone, scale or swap it, and measure the cost."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.html import EMPTY, Html, note, row, table, vector_button
from core.events import Event
from core.inspection.variants import KINDS
from core.models.language_model import LanguageModel
from core.probes.vectors import Effect, Removal, helpful_removals, what_each_does
from core.ticket import Ticket

WORDS = {
    "leave out": "leave one out",
    "mean": "replace one by the mean embedding",
    "start": "replace one by its start",
    "random token": "replace one by a random token",
    "snap": "replace one by its nearest token",
    "only": "keep only one",
    "scale": "scale the whole prompt",
    "swap": "swap the chosen one with another",
}
HELPFUL = "which could be left out?"


class VectorsPanel(Panel):
    name, title, open, button = "vectors", "What each vector does", True, "Change and score"
    sees = "One change at a time, scored on the same rows: how much the loss changes, and how many more or fewer answers are right."
    doubt = (
        "that a vector has a meaning of its own: vectors work together, and leaving one out also moves all later positions. So also try "
        "replacing it, for example by its own start."
    )

    def make_settings(self) -> dict[str, Any]:
        choices = [(WORDS[kind], kind) for kind in KINDS]
        return {
            "what": gr.Dropdown([*choices, (HELPFUL, HELPFUL)], value="leave out", label="change", elem_id="vectors-what", min_width=260)
        }

    def key(self, look: Look) -> tuple:
        what = look.settings["what"]
        return (what, look.chosen if what == "swap" else None)

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        what = look.settings["what"]
        if what == HELPFUL:
            yield from helpful_removals(lm, look.task, look.learned, self.lab.book)
        else:
            yield from what_each_does(lm, look.task, look.learned, str(what), self.lab.book, look.start, look.chosen)

    def view(self, look: Look, findings: Findings | None) -> View:
        if not findings:
            return View()
        if look.settings["what"] == HELPFUL:
            return View(_removals([item for item in findings.items if isinstance(item, Removal)], findings.complete, look.chosen))
        what = look.settings["what"]
        found = [item for item in findings.items if isinstance(item, Effect) and item.what != "whole"]
        still = "In a K/V prefix a swap changes nothing: attention has no order of its own, and the positions are in the keys."
        told = note(still) if what == "swap" and not look.soft else EMPTY
        return View(told, figures.effects(found, what, look.run.recipe.virtual_tokens, look.chosen))


def _removals(found: list[Removal], whole: bool, chosen: int | None) -> Html:
    if not found:
        return EMPTY
    latest = {one.vector: one for one in found}
    picked = [one for one in latest.values() if one.chosen]
    verdict = ""
    if whole and not picked:
        verdict = (
            f"No vector’s removal clearly lowers the loss on validation rows (Holm-corrected over {len(latest)}): no vector is harmful."
        )
    elif picked:
        held = "; ".join(
            f"without vector {one.vector + 1} the loss on held-out rows changes by {one.held_out.loss_change:+.2f} nats "
            f"({one.held_out.loss_interval[0]:+.2f} to {one.held_out.loss_interval[1]:+.2f})"
            for one in picked
            if one.held_out
        )
        verdict = f"Chosen on validation rows, scored once on held-out rows: {held}."
    rows = []
    for one in sorted(latest.values(), key=lambda one: one.vector):
        measured = [
            f"{one.validation.loss_change:+.3f}",
            f"{100 * one.validation.accuracy_change:+.0f}",
            f"{one.p:.3f}",
            f"{one.adjusted:.3f}",
        ]
        cells = [vector_button(one.vector), *measured, "yes" if one.chosen else "no"]
        rows.append(row(cells, numbers=range(1, 5), class_="lit" if chosen == one.vector else None))
    heads = ["vector", "loss, nats more", "% right, points", "p that it falls", "p, Holm", "chosen"]
    return note(verdict) + table(heads, rows, "Without this vector, on validation rows", numbers=range(1, 5))
