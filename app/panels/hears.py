"""What the prompt alone makes the model say: next tokens layer by layer, and continuations."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.html import EMPTY, Html, table
from app.view.text import visible
from core.events import Event, Progress
from core.models.language_model import LanguageModel
from core.probes.hears import Continuation, Lens, hear, said_alone
from core.scoring.derived_contenders import moved, started
from core.ticket import Ticket

MOST, SAMPLES = 24, 3  # tokens, and continuations drawn by chance
MINE, START, RANDOM = "the learned prompt", "its start, untrained", "its start, moved at random"


class HearsPanel(Panel):
    name, title, open, button = "hears", "What the model hears", True, "Listen"
    sees = "Without any input: the next word that the model would say at each position of the prompt, read after every layer, and how it would continue."
    doubt = "that this is what the prompt means: only the last layer was trained to be read this way, and the prompt was trained to be followed by an input."

    def make_settings(self) -> dict[str, Any]:
        return {"whose": gr.Dropdown([MINE, START, RANDOM], value=MINE, label="prompt", elem_id="hears-whose", min_width=240)}

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        mine, whose = look.learned, look.settings["whose"]
        if whose != MINE:
            start = look.known_start
            mine = started(lm, mine, start) if whose == START else moved(lm, mine, start)
        yield Progress(1 + (1 + SAMPLES) * MOST)
        yield from hear(lm, mine)
        yield from said_alone(lm, mine, MOST, SAMPLES)

    def view(self, look: Look, findings: Findings | None) -> View:
        if not findings:
            return View()
        lens = next((item for item in findings.items if isinstance(item, Lens)), None)
        said: dict[tuple[str, int], Continuation] = {}
        for item in findings.items:
            if isinstance(item, Continuation):
                said[item.kind, item.number] = item
        return View(_said(list(said.values())), figures.lens(lens, look.chosen) if lens else None)


def _said(found: list[Continuation]) -> Html:
    if not found:
        return EMPTY
    rows = [["most likely" if one.kind == "greedy" else f"sampled, {one.number + 1}", visible(one.text)] for one in found]
    return table([], rows, "How the model continues from the prompt alone")
