"""What drives this answer: every token of the input and the prompt, by gradient and by leaving it out."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import figures
from app.view.html import EMPTY, Html, dim, join, note, table, tag, wide
from app.view.text import percent, token
from core import LabError
from core.events import Event
from core.inspection.salience import agreement, shares_of
from core.models.language_model import LanguageModel
from core.probes.salience import Salience, salience
from core.scoring.contender import Contender
from core.ticket import Ticket

MINE = "the learned prompt"
OWN, RIGHT = "the answer that it gives", "the right answer"
MOST_ROWS = 60  # held-out rows that are offered; any other input can be typed
WORDS = {"vector": "learned vectors", "words": "words of the prompt", "input": "input", "lead": "the model’s first token"}


class SaliencePanel(Panel):
    name, title, button, by_step = "salience", "What drives this answer?", "Explain", True
    text_first = True
    sees = (
        "For one answer: what its log-probability loses when a token of the input or a position of the prompt is hidden from all others, next to "
        "gradient × input, and the same after a random prompt of equal norm."
    )
    doubt = "that hidden positions explain the answer completely: what two positions say alike shows in neither, and a gradient is true only nearby."

    def make_settings(self) -> dict[str, Any]:
        return {
            "whose": gr.Dropdown([MINE], value=MINE, label="prompt", elem_id="salience-whose", min_width=180),
            "input": gr.Dropdown(
                [], value="", label="input: a held-out row, or your own", allow_custom_value=True, elem_id="salience-input", min_width=240
            ),
            "answer": gr.Dropdown([OWN, RIGHT], value=OWN, label="explain", elem_id="salience-answer", min_width=180),
        }

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        if not runs:
            return {}
        task, chosen = runs[0].task, self.settings(session)
        inputs = [row.input for row in task.held_out[:MOST_ROWS]]
        names = [MINE, *(one.name for one in runs[0].baselines)]
        return {
            "whose": gr.update(choices=names, value=chosen["whose"] if chosen["whose"] in names else MINE),
            "input": gr.update(choices=inputs, value=chosen["input"] or (inputs[0] if inputs else "")),
        }

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        task, text = look.task, str(look.settings["input"] or "") or next((row.input for row in look.task.held_out), "")
        right = ""
        if look.settings["answer"] == RIGHT:
            rows = (*task.held_out, *task.validation, *task.train)
            right = next((row.output for row in rows if row.input == text), "")
            if not right:
                raise LabError(
                    "The right answer to this input is not known: choose a row of the task, or explain the answer that it gives."
                )
        yield from salience(lm, contender_of(look), text, right, task.labels)

    def view(self, look: Look, findings: Findings | None) -> View:
        found = [item for item in findings.items if isinstance(item, Salience)] if findings else []
        if not found:
            return View()
        mine, control = found[0], next((one for one in found if one.control), None)
        return View(_told(mine, control) + _strip(mine) + _table(mine, control), figures.salience(mine, control, look.chosen))


def contender_of(look: Look) -> Contender:
    """The prompt that is chosen: the learned one, or a written one of the task."""
    whose = look.settings["whose"]
    written = next((one for one in look.run.baselines if one.name == whose), None)
    return written or look.learned


def _called(mine: Salience, place: int) -> Html:
    if mine.kinds[place] == "vector":
        return tag("b", f"vector {mine.names[place]}")
    return tag("span", token(mine.names[place]), class_="tok")


def signed(value: float) -> str:
    """A change with its sign.

    >>> signed(-2.04), signed(0.5)
    ('−2.0', '+0.5')
    """
    return f"{value:+.1f}".replace("-", "−")


def _told(mine: Salience, control: Salience | None) -> Html:
    order = sorted(range(len(mine.names)), key=lambda place: -mine.without[place])[:3]
    drivers = join((join([_called(mine, place), f" ({signed(-mine.without[place])} nats without it)"]) for place in order), ", ")
    words = Html("The answer {} depends most on {}.").format(tag("q", mine.answer), drivers)
    if control:
        fall = mine.log_probability - control.log_probability
        words += Html(" After a random prompt of equal norm this answer is {} likely, by <b>{:.1f} nats</b>.").format(
            "less" if fall > 0 else "more", abs(fall)
        )
    return tag("p", words, class_="note big")


def _strip(mine: Salience) -> Html:
    """All positions in their order, the stronger the effect the deeper the colour."""
    most = max((abs(float(value)) for value in mine.without), default=0.0) or 1.0
    pieces = []
    for place, value in enumerate(mine.without):
        depth, ink = round(55 * abs(float(value)) / most), "var(--right-ink)" if value > 0 else "var(--wrong-ink)"
        text = mine.names[place] if mine.kinds[place] == "vector" else token(mine.names[place])
        title = f"{WORDS[mine.kinds[place]]}: {float(value):+.2f} nats"
        style = f"background: color-mix(in srgb, {ink} {depth}%, transparent)"
        pieces.append(tag("span", text, class_="tok", title=title, style=style))
    return tag("p", join(pieces, " "), class_="strip")


def _table(mine: Salience, control: Salience | None) -> Html:
    rows: list[list[object]] = []
    for one in (mine, control):
        if one is not None:
            shares = shares_of(one.without, one.kinds)
            name = "random prompt of equal norm" if one.control else one.contender
            alike = agreement(one.gradient, one.without)
            rows.append(
                [name, f"{one.log_probability:.1f}", *(percent(shares[kind]) for kind in shares), "–" if alike != alike else f"{alike:.2f}"]
            )
    kinds = list(dict.fromkeys(mine.kinds))
    heads = ["prompt", "log-probability", *(WORDS[kind] for kind in kinds), "agreement"]
    caption = "Shares of the effects; agreement: rank correlation with gradient × input"
    least = note(dim("One answer says nothing of others: try several rows.")) if control else EMPTY
    return wide(table(heads, rows, caption, numbers=range(1, len(heads)))) + least
