"""The Inspect page: one toolbar (run, step, virtual token) and a panel for each analysis, all following it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, QUIET, Changes, clicked_token, html
from app.pages.train import TrainPage
from app.panels import PANELS
from app.panels.findings import Shelf
from app.panels.panel import SLOTS, Panel
from app.serving.private_files import offer
from app.sessions.contest import adapter_files, learned_contender, prefix_of_run
from app.sessions.jobs import side_job
from app.sessions.lab import Lab
from app.sessions.playing import play
from app.sessions.session import Session
from app.sessions.session_run import SessionRun, recording_name, recording_named
from app.view import lesson
from app.view.html import alert
from app.view.nearest import numbers
from app.view.report import report
from app.view.text import short_name
from core import LabError, Recipe, load_task
from core.errors import shown
from core.events import Event, Finding
from core.models.language_model import LanguageModel
from core.recipe import check_template
from core.runs.adapter_config import base_of, same_base
from core.runs.adapter_files import SeveralPrompts, pack
from core.runs.contest import Scored, contest
from core.runs.embedding_projector import projector_files
from core.runs.record_writer import loaded_record
from core.runs.recordings import recordings
from core.runs.saved_adapter import load
from core.tasks.built_in import slugs
from core.ticket import Ticket

SEVERAL = "This file holds several prompts: choose one."
TEMPLATE_UNKNOWN = "This prompt has no recipe.json, so its template is not known: type it below, with {input} once."


class InspectPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab, recording: SessionRun | None):
        self.lab, self.recording = lab, recording
        shelf = Shelf()
        self.panels: list[Panel] = [panel(lab, shelf) for panel in PANELS]
        self.message = html(elem_id="inspect-message")
        html(lesson.link("reading", "can you read a soft prompt?"))
        with gr.Row(elem_classes="picker"):
            self.run = gr.Dropdown(label="run", choices=[], elem_id="inspect-run", scale=3)
            self.beside = gr.Dropdown(
                label="compare with", choices=[], multiselect=True, max_choices=SLOTS - 1, elem_id="inspect-beside", scale=3
            )
            self.save = gr.Button("Save", elem_id="save", scale=0, min_width=90)
            self.report = gr.Button("Report", elem_id="report", scale=0, min_width=90)
            self.file = gr.DownloadButton("Download", elem_id="download", visible=False, scale=0, min_width=230)
            self.vectors = gr.Button("Vectors as TSV", elem_id="vectors", scale=0, min_width=170)
            self.upload = gr.UploadButton("Load", elem_id="load-prompt", scale=0, min_width=90)
        self.which = gr.Dropdown(choices=[], visible=False, label="prompt in this file", elem_id="which-prompt")
        with gr.Row(visible=False, elem_classes="ask") as self.template_row:
            self.template = gr.Textbox(
                label="the template of this prompt", info="The text around {input}", max_length=2000, elem_id="load-template", scale=4
            )
            self.use = gr.Button("Use this template", elem_id="use-template", scale=0, min_width=160)
        with gr.Row(elem_classes="toolbar"):
            self.numbers = html(elem_id="numbers", min_width=200)
            self.scrubber = gr.Slider(0, 60, value=0, step=1, label="step", elem_id="inspect-scrubber", min_width=220)
            self.play = gr.Button("▶ Play", elem_id="inspect-play", min_width=80, scale=0)
        for panel in self.panels:
            panel.build()
        self.toolbar = [self.numbers, self.scrubber]
        self.panel_outputs = [*self.toolbar, *(output for panel in self.panels for output in panel.outputs)]
        self.step_panels = [panel for panel in self.panels if panel.follows]
        self.step_outputs = [output for panel in self.step_panels for output in panel.followed]
        head = [self.message, self.run, self.beside, self.file, self.upload, self.which, self.template_row, self.template]
        self.outputs = [*head, *self.panel_outputs]

    # --- what the page shows ----------------------------------------------------------------------------------------

    def runs(self, session: Session) -> list[SessionRun]:
        """The run that is shown, and those compared with it."""
        run = session.shown or self.recording
        others = [known for known in session.runs_here if known.name in session.inspect.beside and known is not run]
        return [run, *others][:SLOTS] if run else []

    def paint(self, session: Session, message: str = "") -> Changes:
        """Changes of `outputs`."""
        run, inspect = session.shown or self.recording, session.inspect
        names = [*(known.name for known in session.runs), *map(recording_name, recordings())]
        beside = [known.name for known in session.runs_here if known is not run]
        return {
            self.message: alert(message),
            self.run: gr.update(choices=names, value=run.name if run else None),
            self.beside: gr.update(choices=beside, value=[name for name in inspect.beside if name in beside], visible=bool(beside)),
            # Nothing of the file where none was offered: this paint may be on its way while one is.
            **({self.file: gr.update(visible=run is inspect.offered)} if inspect.offered else {}),
            # A file that comes while something is scored would be dropped by Gradio without a word.
            self.upload: gr.update(interactive=not session.busy),
            self.template_row: gr.update(visible=inspect.template_unknown),
            self.which: gr.update(visible=len(inspect.several) > 1, choices=list(inspect.several)),
            **self.paint_panels(session),
        }

    def paint_panels(self, session: Session) -> Changes:
        """Changes of `panel_outputs`: all that follows the token, the step and the run."""
        runs = self.runs(session)
        changes = self._toolbar(session)
        for panel in self.panels:
            changes |= panel.paint(session, runs, working=session.busy)
        return changes

    def _toolbar(self, session: Session) -> Changes:
        run = session.shown or self.recording
        if run is None or not run.record.readings:
            return {self.numbers: ""}
        count = len(run.record.readings[0].place)
        return {
            self.numbers: numbers(count, session.chosen),
            self.scrubber: gr.update(maximum=max(run.last, 1), value=session.step_of(run)),
        }

    def _paint_step(self, session: Session) -> Changes:
        """Changes of `step_outputs`: what follows the scrubber while it moves."""
        runs = self.runs(session)
        changes: Changes = {}
        for panel in self.step_panels:
            changes |= panel.follow(session, runs)
        return changes or gr.skip()

    def forget(self, session: str) -> None:
        """Drop the unfinished experiments of a session that has ended."""
        for panel in self.panels:
            panel.forget(session)

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, train: TrainPage) -> None:
        """train: the Train page, whose plots show the same run."""

        def choose(session: Session, event: gr.EventData) -> Changes:
            session.choose(clicked_token(event))
            return self.paint_panels(session)

        def then_train(event: Any) -> None:
            event.then(train.paint, [session], train.outputs, **QUIET)

        def then_panels(event: Any) -> Any:
            return event.then(self.paint_panels, [session], self.panel_outputs, **QUIET)

        for control in (self.run, self.beside):
            then_train(control.input(self._pick, [session, self.run, self.beside], self.outputs, **NEWEST))
        # One event for all that show tokens: Gradio's page walks through every event for every component as it opens.
        tokens = [self.numbers, *(source for panel in self.panels for source in (*panel.texts, *panel.plots))]
        then_train(gr.on([source.click for source in tokens], choose, [session], self.panel_outputs, **QUIET))
        for source in (train.chips, train.plane, train.try_it.picture):  # a token that is chosen there is highlighted here
            then_panels(source.click(train.choose, [session], train.marking, **QUIET))
        self.scrubber.input(self._scrub, [session, self.scrubber], self.step_outputs, **NEWEST)
        then_train(self.scrubber.release(self.paint_panels, [session], self.panel_outputs, **QUIET))
        train.scrubber.release(self.paint_panels, [session], self.panel_outputs, **QUIET)
        then_train(then_panels(self.play.click(self._play, [session], [*self.toolbar, *self.step_outputs], **QUIET)))
        for panel in self.panels:
            panel.wire(session, self)
        for button, handler in ((self.save, self._save), (self.report, self._report), (self.vectors, self._vectors)):
            button.click(handler, [session], [self.message, self.file], **QUIET)
        for event, inputs in (
            (self.upload.upload, [session, self.upload]),
            (self.which.input, [session, self.upload, self.which]),
            (self.use.click, [session, self.upload, self.which, self.template]),
        ):
            then_train(event(self._load, inputs, self.outputs, **QUIET))

    def _pick(self, session: Session, name: Any, beside: Any) -> Changes:
        found = next((run for run in session.runs if run.name == name), None) or recording_named(str(name))
        session.inspect.beside = [str(other) for other in beside][: SLOTS - 1] if isinstance(beside, list) else []
        session.inspect.offered = None
        if found is session.shown:
            return self.paint(session)
        if session.training:
            return self.paint(session, "A run is training: stop it, or wait until it ends, before you open another.")
        session.show(found)
        return self.paint(session)

    def _scrub(self, session: Session, step: Any) -> Changes:
        run = session.shown or self.recording
        if run is not None and isinstance(step, int | float):
            session.go_to(step, run)
        return self._paint_step(session)

    async def _play(self, session: Session) -> AsyncIterator[Changes]:
        async for _ in play(session, session.shown or self.recording):
            yield {**self._toolbar(session), **self._paint_step(session)}

    async def _give(self, session: Session, request: gr.Request, job: Any, name: str) -> AsyncIterator[Changes]:
        """Offer what `job` makes (bytes) as a file to download."""
        async for data, problem, _ in side_job(self.lab, session, job, lambda event: event.value):
            if problem:
                yield {self.message: alert(problem)}
            if data:
                offered = self._offer(session, request.cookies, data, name)
                while (changes := await asyncio.to_thread(next, offered, None)) is not None:  # it writes a file
                    yield changes

    def _offer(self, session: Session, cookies: Mapping[str, str], data: bytes, name: str) -> Iterator[Changes]:
        """What the page shows when a file is there to download, for the browser with these cookies."""
        try:
            path = offer(data, name, cookies)
        except OSError:
            yield {self.message: alert("The server's disk is full, so no file can be written: please tell its administrator.")}
            return
        session.inspect.offered = session.shown or self.recording
        yield {self.message: alert(""), self.file: gr.update(value=str(path), visible=True, label=f"Download {name}")}

    def _report(self, session: Session, request: gr.Request) -> Iterator[Changes]:
        """The run that is shown as one HTML file. All of it is in its record, so this needs no device."""
        run = session.shown or self.recording
        if run is None or run.busy or not run.record.readings:
            yield {self.message: alert("There is nothing to report yet: finish or stop a run.")}
            return
        yield from self._offer(session, request.cookies, report(run.record).encode("utf-8", "replace"), "report.html")

    async def _save(self, session: Session, request: gr.Request) -> AsyncIterator[Changes]:
        run = session.shown
        if run is None or prefix_of_run(run) is None or run.busy:
            yield {self.message: alert("There is nothing to save yet: finish or stop a run.")}
            return

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            yield Finding(pack(adapter_files(lm, run)))

        async for update in self._give(session, request, job, "soft-prompt.zip"):
            yield update

    async def _vectors(self, session: Session, request: gr.Request) -> AsyncIterator[Changes]:
        """The vectors of the runs in sight, with real words around them, for the TensorFlow Embedding Projector."""
        runs = [run for run in self.runs(session) if prefix_of_run(run) is not None and not run.busy]
        if not runs:
            yield {self.message: alert("There are no vectors to save yet: finish a run, or load a prompt.")}
            return

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            yield Finding(pack(projector_files(lm, self.lab.vocabulary(lm), {run.name: run.record for run in runs})))

        async for update in self._give(session, request, job, "vectors.zip"):
            yield update

    async def _load(self, session: Session, path: Any, which: Any = None, template: Any = None) -> AsyncIterator[Changes]:
        """Load a prompt, and score it. which: the one of several in the file. template: what a prompt without our recipe was asked for."""
        if session.training:
            yield self.paint(session, "A run is training: stop it, or wait until it ends, before you load a prompt.")
            return

        told: list[str] = []
        model = session.model
        chosen = which if which in session.inspect.several else ""
        own = None
        if path and len(self.lab.models) > 1:
            own = self.lab.model_of(await asyncio.to_thread(base_of, Path(path), chosen))
        if own is not None and not same_base(self.lab.name_of(own), self.lab.name_of(model)):
            session.use_model(own)
            model = own
            told.append(f"It was trained on {short_name(self.lab.name_of(own))}, which all pages use now.")

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            if not path:
                raise LabError("No file arrived: choose a zip that was saved here.")
            if template is not None:
                check_template(str(template))
            if which is None:
                session.inspect.several = ()
            place = Path(path) / chosen
            try:
                learned = load(place, lm, str(template or ""))
            except SeveralPrompts as error:
                session.inspect.several, session.inspect.template_unknown = error.names, False
                return
            session.inspect.template_unknown = not learned.record and not template
            if session.inspect.template_unknown:
                return
            made_for = learned.made_for
            task = load_task(made_for) if made_for in slugs() else session.task
            if made_for and made_for != task.slug:
                told.append(f"It was trained on another task ({shown(made_for)}) than {shown(task.name)}, on which it is scored here.")
            record = loaded_record(lm, task, learned, self.lab.vocabulary(lm))
            number = 1 + sum(run.learned is not None for run in session.runs)
            run = SessionRun(
                f"loaded {number}: {place.stem[:40]}", record, task, Recipe.from_dict(record.recipe), learned=learned, model=model
            )
            yield Finding(run)
            yield from contest(lm, task, [learned_contender(run)], task.held_out, self.lab.book, "held_out")

        loaded: list[SessionRun] = []

        def take(event: Event) -> None:
            if isinstance(event, Finding):
                loaded.append(event.value)
                session.add(event.value)
            elif isinstance(event, Scored) and event.final:
                loaded[0].record.scores = [event.score]

        async for _, problem, _ in side_job(self.lab, session, job, take):
            warnings = loaded[0].learned.warnings if loaded and loaded[0].learned else ()
            unknown = session.inspect.template_unknown
            asked = TEMPLATE_UNKNOWN if unknown else SEVERAL if session.inspect.several and not loaded else ""
            changes = self.paint(session, problem or asked or " ".join((*warnings, *told)))
            yield changes | ({self.template: session.task.template} if unknown else {})
