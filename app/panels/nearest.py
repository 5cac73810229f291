"""Nearest tokens of each vector, now and at every step, next to those of the control, moved equally far at random."""

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.html import note
from app.view.nearest import nearest_table

NO_WORDS = note(
    "A K/V prefix is keys and values inside every layer, not word embeddings, so it has no nearest tokens. "
    "See where its keys and values lie among those of real words instead."
)


class NearestPanel(Panel):
    name, title, open, follows, text_first = "nearest", "Nearest tokens", True, True, True
    sees = (
        "The words whose embeddings are nearest to each vector, how near that is for this vocabulary, and whether the nearest word ever "
        "changed during training."
    )
    doubt = (
        "that these words say what a vector does: the control (violet) starts at the same words, moves equally far at random, has learned "
        "nothing, and mostly has the same nearest words."
    )

    def view(self, look: Look, findings: Findings | None) -> View:
        if not look.soft:
            return View(NO_WORDS)
        return View(nearest_table(look.record, look.step, look.chosen), figures.strip(look.record, look.step, look.chosen))
