"""What each method forgets: prompts against LoRA, adapters and full fine-tuning, recorded, and measured on a session's own task."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from app.components.controls import recipe_from
from app.components.widgets import QUIET, Changes, begin_with, drawn, html, plot
from app.pages.train import TrainPage
from app.sessions.experiments import SPECTRUM_SEEDS, start_spectrum
from app.sessions.following import following
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_spectrum import SessionSpectrum
from app.view import figures, methods_table
from app.view.html import EMPTY, alert, note, tag
from app.view.progress import track
from core import LabError
from core.finetuning.recorded import recorded

PAINT_GAP = 0.5  # seconds at least between two paints
ASKED = "What does each method forget?"
TEXTBOOK = (
    "Training every weight overwrites what a model knew (catastrophic forgetting). LoRA learns less and forgets less (Biderman et al. "
    "2024). A prompt leaves the weights alone, so it can be taken away (Li & Liang 2021)."
)


class SpectrumPart:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab = lab
        with gr.Column(elem_id="spectrum", elem_classes="results"):
            html(tag("h2", ASKED) + tag("p", tag("b", "The textbook: "), TEXTBOOK), elem_classes="prose")
            self.message = html(elem_id="spectrum-message")
            with gr.Row(elem_classes="buttons"):
                self.go = gr.Button("Measure your task", elem_id="spectrum-run", scale=0, min_width=160)
                self.stop = gr.Button("Stop", elem_id="spectrum-stop", interactive=False, scale=0, min_width=80)
            self.progress = html(elem_id="spectrum-progress")
            self.finding = html(elem_id="spectrum-finding", elem_classes="prose")
            self.plot = plot(elem_id="spectrum-plot")
            self.table = html(elem_id="spectrum-table")
        self.outputs = [self.message, self.go, self.stop, self.progress, self.finding, self.plot, self.table]
        begin_with(self.paint(Session()))

    def paint(self, session: Session) -> Changes:
        """Changes of `outputs`."""
        own = shown(session)
        busy = own is not None and own.busy
        problem = own.ticket.message if own and own.ticket else ""
        result = own.result if own else None
        found = result if result and result.methods else recorded() if own is None else None
        made: Changes = {
            self.message: alert(problem),
            self.go: gr.update(value="Measure" if own else "Measure your task", interactive=not busy),
            self.stop: gr.update(interactive=busy),
            self.progress: EMPTY,
            self.finding: EMPTY,
            self.plot: "",
            self.table: EMPTY,
        }
        if own and own.ticket:
            ahead = self.lab.engine.expected_wait(own.ticket)[0]
            made[self.progress] = track(own.done / max(own.total, 1), own.words(ahead))
        if found:
            said = tag("p", tag("b", "Measured: "), methods_table.forgotten(found))
            if own is None:
                said += note(
                    methods_table.origin(found), f" Your task is measured with {SPECTRUM_SEEDS} seeds and the settings of the Train page."
                )
            made |= {self.finding: said, self.plot: drawn(figures.methods(found)), self.table: methods_table.methods_table(found)}
        return made

    def wire(self, session: gr.State, train: TrainPage) -> None:
        """train: the Train page, whose settings are used."""
        self.controls = train.controls
        self.go.click(self._run, [session, *train.controls.values()], self.outputs, **QUIET)
        self.stop.click(self._stop, [session], self.outputs, **QUIET)

    async def _run(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        try:
            recipe = recipe_from(dict(zip(self.controls, values, strict=True)), session.task)
            own = start_spectrum(self.lab, session, recipe.but(model=self.lab.name_of(session.model), dtype=self.lab.dtype))
        except LabError as error:
            yield {self.message: alert(str(error))}
            return
        assert own.ticket
        with following(own.ticket, self.lab.engine.cancel, lambda: shown(session) is own, PAINT_GAP) as news:
            async for _ in news:
                yield self.paint(session)

    async def _stop(self, session: Session) -> AsyncIterator[Changes]:
        own = shown(session)
        if own and own.ticket and own.busy:
            self.lab.engine.cancel(own.ticket)
            with following(own.ticket) as news:
                async for _ in news:
                    pass
        yield self.paint(session)


def shown(session: Session) -> SessionSpectrum | None:
    """The session's own comparison, on its present task and model."""
    found = session.experiments.spectrum
    return found if found and (found.task, found.model) == (session.task, session.model) else None
