"""K/V prefixes layer by layer: the length of their keys and values, and the cost of leaving out each layer."""

from collections.abc import Iterator

import numpy as np

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.html import EMPTY, Html, details, note, table
from core.events import Event, Finding, Progress
from core.inspection.kv import against
from core.models.language_model import LanguageModel
from core.probes.layers import LayerEffect, leave_layers_out
from core.ticket import Ticket


class LayersPanel(Panel):
    name, title, button = "layers", "A K/V prefix, layer by layer", "Leave layers out"
    sees = "The length of the prefix’s keys and values compared with those of real words, and the cost of leaving out one layer at a time."
    doubt = "that a long key or value matters: its length says nothing about its direction. And layers can replace each other, so single costs don’t add up."

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        mine = look.learned
        values = mine.prefix.snapshot()
        if not look.soft:
            yield Progress(lm.layers + 1)
            real = self.lab.vocabulary(lm).keys_values(values.shape[2]).numpy()
            yield Finding(against(values, real))
            for event in leave_layers_out(lm, look.task, mine, self.lab.book, look.start):
                if not isinstance(event, Progress):
                    yield event

    def view(self, look: Look, findings: Findings | None) -> View:
        if look.soft:
            return View(note("A soft prompt has vectors only before the first layer. Train a K/V prefix to see it here."))
        if not findings:
            return View()
        ratio = next((item for item in findings.items if isinstance(item, np.ndarray)), None)
        found = [item for item in findings.items if isinstance(item, LayerEffect)]
        if found:
            return View(_norms(ratio) if ratio is not None else EMPTY, figures.layer_effects(found))
        return View(figure=figures.layer_norms(ratio) if ratio is not None else None)


def _norms(ratio: np.ndarray) -> Html:
    keys, values = ratio[:, 0].mean(axis=1), ratio[:, 1].mean(axis=1)
    rows = [[i, f"{k:.2f}", f"{v:.2f}"] for i, (k, v) in enumerate(zip(keys, values, strict=True))]
    made = table(["layer", "keys, times", "values, times"], rows, numbers=(1, 2))
    return details("Norms against real words’, by layer (mean over heads)", made)
