"""What all panels of the Inspect page share: layout, up to three runs side by side, and experiments that fill in as they go.

A panel is one file of app.panels: what it shows of one run (`view`), and, where that needs the model, the experiment behind its
button (`job`). Findings are kept by prompt, task and settings, so an experiment runs only once.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, QUIET, Changes, drawn, html, plot
from app.panels.findings import Findings, Shelf
from app.panels.look import Look, View
from app.sessions.jobs import side_job
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view.headline import recipe_line
from app.view.html import EMPTY, Html, alert, bold, note, tag
from core import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.ticket import Ticket

SLOTS = 3  # runs side by side


class Panel(ABC):
    """One analysis on the page. sees: what it shows; doubt: what it does not show; each one sentence.

    button: the label of the button that starts its experiment; "" where there is none. follows: it is painted anew while the
    scrubber moves. text_first: its text is above its figure. automatic: its experiment starts by itself when a setting is changed
    and it is needed. by_step: the experiment is about the prompt at one step, not about a run. of_run: it is about a run at all; else about
    the model alone, and is shown once.
    """

    name: str
    title: str
    sees: str
    doubt: str
    open = False
    button = ""
    follows = False
    text_first = False
    automatic = False
    by_step = True
    of_run = True

    def __init__(self, lab: Lab, shelf: Shelf):
        self.lab, self.shelf = lab, shelf
        self.found: dict[str, dict[tuple, Findings]] = {}  # unfinished ones, by session

    # --- what a panel says of itself --------------------------------------------------------------------------------

    def make_settings(self) -> dict[str, Any]:
        """The panel's own controls, made inside its row. Their names are keys of `Look.settings`."""
        return {}

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        """Updates of those controls that depend on the runs (choices of layers, of other runs)."""
        return {}

    def needed(self, look: Look) -> bool:
        """Whether the experiment has anything to add to what is known."""
        return True

    @abstractmethod
    def view(self, look: Look, findings: Findings | None) -> View:
        """What to show. findings: of the experiment, as far as it has come; None where it wasn't done for this look."""

    def key(self, look: Look) -> tuple:
        """What the experiment's findings depend on, besides the prompt and the task."""
        return tuple(sorted((name, str(value)) for name, value in look.settings.items()))

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        """The experiment: yields `Progress` with the number of findings (and `Done`s), then these, and None between pieces."""
        raise NotImplementedError

    # --- layout -----------------------------------------------------------------------------------------------------

    def build(self) -> None:
        with gr.Accordion(self.title, open=self.open, elem_id=f"panel-{self.name}", elem_classes="panel"):
            html(tag("p", self.sees, " ", bold("Don’t conclude"), " ", self.doubt, class_="note sees"))
            with gr.Row(elem_classes="panel-controls"):
                self.controls = self.make_settings()
                if self.button:
                    self.go = gr.Button(self.button, elem_id=f"go-{self.name}", scale=0, min_width=200)
                    self.halt = gr.Button("Stop", elem_id=f"halt-{self.name}", scale=0, min_width=90, interactive=False)
            self.message = html(elem_id=f"message-{self.name}")
            self.columns: list[Any] = []
            self.texts: list[Any] = []
            self.plots: list[Any] = []
            with gr.Row(elem_classes="slots"):
                for number in range(SLOTS):
                    with gr.Column(visible=number == 0, min_width=300) as column:
                        for made in (html, plot) if self.text_first else (plot, html):
                            where, kind = (self.texts, "text") if made is html else (self.plots, "plot")
                            where.append(made(elem_id=f"{self.name}-{kind}-{number + 1}"))
                    self.columns.append(column)
        self.followed = [self.texts[0], self.plots[0]]
        buttons = [self.go, self.halt] if self.button else []
        self.outputs = [self.message, *self.columns, *self.texts, *self.plots, *self.controls.values(), *buttons]
        self.defaults = {name: control.value for name, control in self.controls.items()}

    # --- painting ---------------------------------------------------------------------------------------------------

    def settings(self, session: Session) -> dict[str, Any]:
        return {**self.defaults, **session.inspect.settings.get(self.name, {})}

    def paint(self, session: Session, runs: list[SessionRun], message: str = "", working: bool = False) -> Changes:
        """Changes of `outputs`: one slot for each of `runs`. working: an experiment is running."""
        runs = runs if self.of_run else runs[:1]
        changes: Changes = {self.message: alert(message)}
        for number, (column, text, figure) in enumerate(zip(self.columns, self.texts, self.plots, strict=True)):
            changes[column] = gr.update(visible=number < len(runs) or number == 0)
            changes[text], changes[figure] = self._slot(session, runs[number], runs) if number < len(runs) else ("", "")
        changes |= {self.controls[name]: update for name, update in self.refresh(session, runs).items()}
        if self.button:
            changes |= {self.go: gr.update(interactive=not working), self.halt: gr.update(interactive=working)}
        return changes

    def follow(self, session: Session, runs: list[SessionRun]) -> Changes:
        """Changes of `followed`, for another step: only the first of `runs` has one."""
        return dict(zip(self.followed, self._slot(session, runs[0], runs), strict=True)) if runs else {}

    def _slot(self, session: Session, run: SessionRun, runs: list[SessionRun]) -> tuple[Html, str]:
        """HTML and figure of one of `runs`, under its name where there are several."""
        view = self._view(session, run, runs)
        name = tag("p", run.name, class_="slot-name") if len(runs) > 1 else EMPTY
        return name + view.html, drawn(view.figure, recipe_line(run.record)) if view.figure else ""

    def _view(self, session: Session, run: SessionRun, runs: list[SessionRun]) -> View:
        if not run.record.readings:
            return View(note("Train a prompt first."))
        look = self.look(session, run, runs)
        try:
            findings = self.known(look) if self.button or self.automatic else None
            shown = self.view(look, findings)
        except LabError as error:
            return View(note(error))
        if findings and not findings.complete:
            return View(note(findings.words(), role="status") + shown.html, shown.figure)
        return shown

    def look(self, session: Session, run: SessionRun, runs: list[SessionRun]) -> Look:
        """`run` at the session's step (of the run that is shown; others at their end)."""
        step = session.step_of(run) if run is runs[0] else run.last
        return Look(session, run, step, self.settings(session), tuple(other for other in runs if other is not run))

    # --- experiments ------------------------------------------------------------------------------------------------

    def _key(self, look: Look) -> tuple:
        if not self.of_run:
            return (self.name, look.session.model, *self.key(look))
        about = look if self.by_step else replace(look, step=look.run.last)
        return (self.name, *about.key(self.key(look)))

    def known(self, look: Look) -> Findings | None:
        """What is known for this look: whole, or what was found before it was stopped. None, too, where nothing can be found."""
        try:
            key = self._key(look)
        except LabError:
            return None
        return self.shelf.get(key) or self.found.get(look.session.id, {}).get(key)

    async def run(self, session: Session, runs: list[SessionRun]) -> AsyncIterator[Changes]:
        """Do the experiment for each of `runs` that lacks it, painting as it fills in."""
        mine = self.found.setdefault(session.id, {})
        for run in runs if self.of_run else runs[:1]:
            try:
                if run.busy and self.of_run:
                    raise LabError("This run is still training: wait until it ends, or stop it.")
                look = self.look(session, run, runs)
                key = self._key(look)
            except LabError as error:
                yield self.paint(session, runs, str(error))
                return
            if self.shelf.get(key) or not self.needed(look):
                continue
            findings = Findings()

            def job(lm: LanguageModel, ticket: Ticket, look: Look = look) -> Iterator[Event | None]:
                if self.of_run and look.record.recorded and look.record.base.get("weights") != lm.weights_hash:
                    raise LabError("This recording used other weights than the loaded model: train a prompt live for this.")
                yield from self.job(lm, look, ticket)

            def take(event: Event, findings: Findings = findings, key: tuple = key) -> None:
                mine[key] = findings  # only now: an experiment that can't begin leaves what was found before
                findings.take(event)

            try:
                async for news in side_job(self.lab, session, job, take):
                    yield self.paint(session, runs, news.problem, working=True)
            finally:
                findings.running = False
            if news.status != "done":
                yield self.paint(session, runs, news.problem)
                return
            findings.complete = True
            self.shelf.put(key, findings)
            mine.pop(key, None)
        yield self.paint(session, runs)

    def stop(self, session: Session) -> None:
        if session.side_job:
            self.lab.engine.cancel(session.side_job)

    def forget(self, session: str) -> None:
        """A session has left: what it had begun goes with it."""
        self.found.pop(session, None)

    def wire(self, session: gr.State, page: Any) -> None:
        """page: the Inspect page, which knows which runs are laid side by side, and paints all panels."""

        def keep(session: Session, *values: Any) -> Changes:
            self._take(session, values)
            return self.paint(session, page.runs(session), working=session.busy)

        async def go(session: Session, *values: Any) -> AsyncIterator[Changes]:
            self._take(session, values)
            async for changes in self.run(session, page.runs(session)):
                yield changes

        inputs = [session, *self.controls.values()]
        events = [part.change if isinstance(part, gr.Textbox) else part.input for part in self.controls.values()]
        if events:
            gr.on(events, go if self.automatic else keep, inputs, self.outputs, **NEWEST)
        if self.button:
            self.go.click(go, inputs, self.outputs, **QUIET)
            self.halt.click(self.stop, [session], None, **QUIET)

    def _take(self, session: Session, values: Sequence[Any]) -> None:
        """Keep what the controls hold. In place of a list where none belongs, or a table, which a browser may send: the default."""
        kept = {}
        for (name, default), value in zip(self.defaults.items(), values, strict=True):
            if not isinstance(value, dict) and isinstance(value, list) == isinstance(default, list):
                kept[name] = value
        session.inspect.settings[self.name] = kept
