"""K/V prefixes: the keys of one with the values of another, in all layers or one at a time."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.sessions.contest import contender_at, prefix_of_run
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import figures
from app.view.html import EMPTY, Html, note, table, wide
from app.view.text import percent, span
from core import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.keys_values import LayerSwap, Mixed, mix, swap_layers
from core.probes.vectors import put_in
from core.ticket import Ticket

WHOLE, LAYERS = "all layers at once", "one layer at a time"
START = "its own start"


class KeysValuesPanel(Panel):
    name, title, button = "keysvalues", "Keys or values: which carry the task?", "Exchange them"
    sees = (
        "Accuracy on validation rows with this prefix’s keys and another prefix’s values, and the reverse, next to random keys or values of "
        "the same lengths."
    )
    doubt = (
        "that a part which fails with strange partners did nothing: keys and values were trained together, and a mix of two prefixes was not "
        "trained at all."
    )

    def make_settings(self) -> dict[str, Any]:
        return {
            "how": gr.Dropdown([WHOLE, LAYERS], value=WHOLE, label="exchange in", elem_id="keysvalues-how", min_width=200),
            "other": gr.Dropdown([START], value=START, label="the other prefix", elem_id="keysvalues-other", min_width=240, scale=2),
        }

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        choices = [START, *(run.name for run in _others(session, runs))]
        now = self.settings(session)["other"]
        return {"other": gr.update(choices=choices, value=now if now in choices else START)}

    def key(self, look: Look) -> tuple:
        other = _run(look)
        made = contender_at(other, other.last).prefix.snapshot().tobytes() if other else str(look.settings["other"])
        return (look.settings["how"], look.settings["other"], made)

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        if look.soft:
            return
        mine, run = look.learned, _run(look)
        if run is not None:
            other, tasks = contender_at(run, run.last), (look.task, run.task)
        elif look.settings["other"] != START:
            raise LabError("There is no such prefix here: choose one from the list.")
        elif look.start is None:
            raise LabError("This prefix’s start is not known: choose another prefix.")
        else:
            other, tasks = put_in(lm, mine, "its start", look.start), (look.task, look.task)
        way = swap_layers if look.settings["how"] == LAYERS else mix
        yield from way(lm, tasks, mine, other, self.lab.book)

    def view(self, look: Look, findings: Findings | None) -> View:
        if look.soft:
            return View(note("A soft prompt has no keys and values of its own. Train a K/V prefix to see it here."))
        items = findings.items if findings else []
        if look.settings["how"] == LAYERS:
            return View(figure=figures.layer_swaps([item for item in items if isinstance(item, LayerSwap)]))
        found, run = [item for item in items if isinstance(item, Mixed)], _run(look)
        tasks = (look.task.name, run.task.name if run else "")
        return View(_table(found, tasks), figures.mixes(found, tasks))


def _others(session: Session, runs: list[SessionRun]) -> list[SessionRun]:
    """Finished K/V prefixes of the session besides the one that is shown."""
    known = (run for run in session.runs_here if run not in runs[:1] and not run.record.method.in_embedding_space)
    return [run for run in known if prefix_of_run(run) is not None and not run.busy]


def _run(look: Look) -> SessionRun | None:
    return next((run for run in _others(look.session, [look.run]) if run.name == look.settings["other"]), None)


def _table(found: list[Mixed], tasks: tuple[str, str]) -> Html:
    if not found:
        return EMPTY
    several = any(one.of_other for one in found)
    rows = [
        [
            f"{one.keys} keys, {one.values} values",
            *([tasks[one.of_other]] if several else []),
            percent(one.accuracy),
            span(one.interval),
            "–" if one.loss is None else f"{one.loss:.2f}",
        ]
        for one in found
    ]
    heads = ["prefix", *(["rows of"] if several else []), "right", "95 %", "loss (nats)"]
    numbers = range(2 if several else 1, len(heads))
    return wide(table(heads, rows, "Each mix on validation rows; random: the mean of three draws", numbers))
