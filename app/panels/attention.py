"""Attention: how much of it goes to the prompt, layer by layer and head by head; and Petrov's identity, checked live."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.sessions.contest import best_written
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import figures
from app.view.html import EMPTY, Html, join, note, table, tokens, wide
from app.view.text import percent
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.probes.attention import Attention, attention_of, petrov
from core.runs.contest import common_rows
from core.scoring.derived_contenders import started
from core.ticket import Ticket

ROWS = 16
CHECKED = 24  # tokens that Petrov's identity is checked on


class AttentionPanel(Panel):
    name, title, button = "attention", "Attention to the prompt", "Look"
    sees = "From the token just before the answer: the share of attention on the prompt, for every layer and head, compared with a handcrafted prompt."
    doubt = "that attention means importance: a position may get attention and change nothing. In most heads the first position does, whatever it holds, so it has its own column."

    def make_settings(self) -> dict[str, Any]:
        return {
            "layer": gr.Dropdown([("all", -1)], value=-1, label="layer", elem_id="attention-layer", min_width=90),
            "head": gr.Dropdown([("all", -1)], value=-1, label="head", elem_id="attention-head", min_width=90),
        }

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        lm = self.lab.lm(session)
        if lm is None:
            return {}
        heads = lm.shape.heads
        return {
            "layer": gr.update(choices=[("all", -1), *((str(i), i) for i in range(lm.layers))]),
            "head": gr.update(choices=[("all", -1), *((str(i), i) for i in range(heads))]),
        }

    def key(self, look: Look) -> tuple:
        return ()

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        mine, task = look.learned, look.task
        best = best_written(look.run)
        rows = common_rows(task.held_out, [mine, *([best] if best else [])])[:ROWS]
        start = started(lm, mine, look.start) if look.start is not None else None
        contenders = [one for one in (mine, start, best) if one]
        yield Progress(len(contenders) * len(rows) + 1)
        for contender in contenders:
            yield from attention_of(lm, contender, rows, task.labels, most=ROWS, count=mine.prefix.virtual_tokens)
        ids = lm.tokenise(" ".join(row.input for row in rows))[:CHECKED]
        yield Finding((petrov(lm, mine.prefix, ids), petrov(lm, start.prefix, ids) if start else None))

    def view(self, look: Look, findings: Findings | None) -> View:
        found = {item.name: item for item in findings.items if isinstance(item, Attention)} if findings else {}
        if look.learned.name not in found:
            return View()
        learned, *others = found.values()
        written = next((one for one in others if not one.name.startswith("the start")), None)
        layer, head = look.settings["layer"], look.settings["head"]
        one = (layer, head) if layer >= 0 and head >= 0 else None
        told = join(identity(*item) for item in findings.items if isinstance(item, tuple)) if findings else EMPTY
        return View(_table([learned, *others]) + told, figures.attention(learned, written, one, look.chosen))


def _table(found: list[Attention]) -> Html:
    rows: list[list[object]] = []
    for one in found:
        shares = [one.shares.prefix, one.shares.sink, one.shares.rest]
        numbered = one.tokens == tuple(str(i + 1) for i in range(len(one.tokens)))  # vectors, which have no words
        positions = join([len(one.tokens), *([] if numbered else [": ", tokens(one.tokens)])])
        rows.append([one.name, positions, *(percent(float(share.mean())) for share in shares)])
    heads = ["prompt", "its positions", "to the prompt", "to the first position", "to the rest"]
    caption = f"Where attention goes, mean over all layers and heads, {found[0].n} rows"
    return wide(table(heads, rows, caption, numbers=(2, 3, 4))) + note(
        "The start is the control: it has learned nothing. Longer prompts get more attention, so compare prompts of equal length."
    )


def identity(residual: np.ndarray, start: np.ndarray | None) -> Html:
    """Petrov's identity by layer, in words. start: the same for the untrained start."""
    deeper = f"{residual[1:].max():.2f}" if len(residual) > 1 else "0"
    beside = (
        f" (the untrained start’s by {start[1:].max():.2f}, so this alone does not show learning)"
        if start is not None and len(start) > 1
        else ""
    )
    words = Html(
        "<b>What a prefix can’t change</b> (Petrov et al. 2023): given the same inputs and positions, it only takes attention "
        "from the input’s tokens and keeps their proportions, A′<sub>ij</sub> = A<sub>ij</sub> (1 − Σ<sub>p</sub> A′<sub>ip</sub>). "
        "Checked here on a few inputs joined together: in layer 0 the two sides differ by at most {:.1e}; in deeper layers by up to {}{}, "
        "since their inputs have already changed."
    )
    return note(words.format(float(residual[0]), deeper, beside))
