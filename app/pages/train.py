"""The Train page: pick a task, train, watch, scrub back."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Any

import gradio as gr

from app.components.controls import applying, control, for_method, panel_rows, recipe_from, showing
from app.components.widgets import NEWEST, QUIET, Changes, begin_with, clicked, clicked_token, drawn, html, plot
from app.pages.train_parts import LESSONS, given_task, go_on_words, task_choices
from app.pages.try_it import TryIt, mutes
from app.sessions import trying
from app.sessions.contest import as_start, begun_from, prefix_of_run, start_of
from app.sessions.following import following
from app.sessions.jobs import Paint
from app.sessions.lab import Lab
from app.sessions.pace import Pace
from app.sessions.playing import play
from app.sessions.session import Session
from app.sessions.session_run import SessionRun, recorded_run
from app.view import code, figures, lesson
from app.view.bars import bars
from app.view.headline import headline, imitated
from app.view.html import EMPTY, Html, alert, tag
from app.view.ladder import ladder
from app.view.links import ON_PAGE
from app.view.nearest import chips
from app.view.progress import gallery, progress
from app.view.samples import samples, skipped, task_summary
from app.view.text import short_name
from core import LabError, load_task
from core.runs.recordings import recordings
from core.tasks.built_in import slugs
from core.tasks.task import Task

PAINT_GAP = 0.1  # seconds at least between two paints: a browser that gets more falls behind, and Pause with it
CURVES = 204  # height of the curves, in pixels: they are on the first screen
SETTLE = 0.15  # seconds from the last change of a run to its last paint


class TrainPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab, recording: SessionRun | None):
        self.lab, self.recording = lab, recording
        task = load_task(slugs()[0])
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=0, min_width=320, elem_classes="controls"):
                names = [(short_name(lab.name_of(model)), number) for number, model in enumerate(lab.models)]
                self.model = gr.Dropdown(choices=names, value=0, label="model", elem_id="model", visible=len(names) > 1)
                self.task = gr.Dropdown(choices=task_choices(), value=task.slug, label="task", elem_id="task")
                with gr.Row(elem_classes="buttons"):
                    self.train = gr.Button("Train", variant="primary", elem_id="train", min_width=80)
                    self.step = gr.Button("Step", elem_id="step", elem_classes="repeats", min_width=60)
                    self.pause = gr.Button("Pause", elem_id="pause", min_width=70, interactive=False)
                    self.stop = gr.Button("Stop", elem_id="stop", min_width=60, interactive=False)
                self.examples = html(task_summary(task), elem_id="examples")
                self.own = gr.Button("Your own task …", elem_id="own-task", size="sm")
                self.go_on = gr.Button("Train on from this prompt", elem_id="go-on", size="sm", visible=False)
                self.controls: dict[str, Any] = {}
                for row in panel_rows():
                    with gr.Row(elem_classes="settings"):
                        self.controls |= {setting.name: control(setting) for setting in row}
                    if row[0].name in LESSONS:
                        html(lesson.link(*LESSONS[row[0].name]))
                with gr.Accordion("more", open=False, elem_id="more"):
                    self.controls |= {name: control(setting) for name, setting in ON_PAGE.items() if name not in self.controls}
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="message")
                self.try_it = TryIt(lab, lambda session: session.shown or recording, self.message)
                with gr.Row(elem_classes="where"):
                    self.progress = html(elem_id="progress", scale=1, min_width=200)
                    self.live = gr.Button("▶ Run it live", elem_id="run-live", size="sm", visible=False, scale=0, min_width=140)
                with gr.Row(elem_classes="pair results-pair"):
                    self.curves = plot(elem_id="curves", min_width=320)
                    self.headline = html(elem_id="headline")
                with gr.Row(elem_classes="scrub"):
                    self.scrubber = gr.Slider(0, 60, value=0, step=1, label="step: go back through training", elem_id="scrubber", scale=5)
                    self.play = gr.Button("▶ Play", elem_id="play", min_width=80, scale=0)
                self.gallery = html(elem_id="gallery")
                with gr.Row(elem_classes="pair"):
                    self.plane = plot(elem_id="plane", min_width=320)
                    self.chips = html(elem_id="chips", min_width=320)
                with gr.Row(elem_classes="pair"):
                    self.bars = html(elem_id="bars", min_width=420, scale=3)
                    self.samples = html(elem_id="samples", min_width=320, scale=2)
                with gr.Accordion("Show me the code", open=False, elem_id="code"):
                    self.code = html()
                    self.get_task = gr.Button("Get the task file", visible=False, elem_id="get-task", size="sm")
                    self.task_file = html(elem_id="task-file")
        self.followed = [self.curves, self.plane, self.chips, self.samples, *self.try_it.outputs]  # what follows the scrubber
        self.marking = [self.plane, self.chips, self.try_it.picture, self.try_it.mute]  # where a chosen token is marked
        self.outputs = [
            self.message, self.headline, self.progress, self.bars, self.scrubber, *self.followed,
            self.train, self.step, self.pause, self.stop, self.go_on, self.gallery, self.live, self.code, self.get_task, self.model,
            *self.try_it.inputs,
        ]  # fmt: skip
        self.set_up_outputs = [self.task, self.examples, *self.controls.values()]
        if recording:
            begin_with(self.paint(Session(shown=recording)))

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, left: float | None = None, message: str = "") -> Changes:
        """Changes of `outputs` for the run that is shown, at the step that is chosen. left: seconds to the end of its training."""
        run = session.shown or self.recording
        busy, paused = run is not None and run.busy, run is not None and run.status == "paused"
        recorded = run is not None and bool(run.record.recorded)
        own = run is not None and run.learned is None and run.task.slug not in slugs()
        problem = message or (run.ticket.message if run and run.ticket else "")
        changes: Changes = {
            self.message: alert(problem),
            self.train: gr.update(interactive=not busy),
            self.step: gr.update(interactive=not busy or paused),
            self.pause: gr.update(value="Resume" if paused else "Pause", interactive=busy),
            self.stop: gr.update(interactive=busy),
            self.go_on: gr.update(visible=session.owns(run) and not busy and prefix_of_run(run) is not None, value=go_on_words(run)),
            self.gallery: gallery(recordings(), run.recipe if run and recorded else None),
            self.live: gr.update(visible=recorded),
            self.code: code.view(run.task, run.recipe, run.record) if run else "",
            self.get_task: gr.update(visible=own),
            self.model: gr.update(value=self.lab.models.index(session.model)),
        }
        return changes | self._paint_run(session, run, left) if run else changes

    def _paint_run(self, session: Session, run: SessionRun, left: float | None) -> Changes:
        record, step = run.record, session.step_of(run)
        ahead, wait = self.lab.engine.expected_wait(run.ticket) if run.ticket else (0, None)
        scores = record.scores or record.newest_scores
        part = f"held-out rows, scored once, at the end (n = {record.task['held_out']})" if record.scores else "validation rows, so far"
        return {
            self.headline: ladder(scores, run.task, record) + tag("div", headline(record), class_="headline") + imitated(record),
            self.progress: progress(record, run.status, ahead, left, wait),
            self.bars: bars(scores, f"Right answers: {part}", record.task["handcrafted"]) + skipped(record),
            self.scrubber: gr.update(maximum=max(record.recipe["steps"] if run.busy else run.last, 1), value=step),
            **self.try_it.paint_inputs(session, run),
            **self._paint_step(session, run),
        }

    def _paint_step(self, session: Session, run: SessionRun) -> Changes:
        """Changes of `followed`."""
        record, step = run.record, session.step_of(run)
        return {
            self.curves: drawn(figures.curves(record, step if session.step is not None else None, height=CURVES)),
            self.plane: drawn(figures.plane(record, step, session.chosen, control=record.method.in_embedding_space, live=run.busy)),
            self.chips: chips(record, step, session.chosen),
            self.samples: samples(record, step),
            **self.try_it.paint(session, run),
        }

    async def follow(self, session: Session) -> AsyncIterator[Changes]:
        """Paint the run that is shown as it trains, until it is over or paused. If the page goes away, the run pauses."""
        with session.streams.begin() as mine:
            run, status = session.shown, ""
            if run is None or run.ticket is None:
                yield self.paint(session)
                return
            run.ticket.tell()  # an older stream ends now
            await session.streams.alone(mine)
            async with contextlib.aclosing(self._news(session, run, lambda: session.streams.newest == mine)) as news:
                async for now, changes in news:
                    status = now
                    yield changes
            # What another handler sent a moment ago may still arrive: the last state is painted after it, in full.
            await asyncio.sleep(SETTLE)
            if session.streams.newest == mine and session.shown is run and run.status == status:
                yield self.paint(session)

    async def _news(self, session: Session, run: SessionRun, wanted: Callable[[], bool]) -> AsyncGenerator[tuple[str, Changes]]:
        """The status of a run and what has changed on the page, as it trains."""
        assert run.ticket
        sent: Changes = {}
        pace = Pace()
        with following(run.ticket, self.lab.engine.pause, wanted, PAINT_GAP) as news:
            async for item in news:
                trying.renew(self.lab, session, run)
                painted = self.paint(session, pace.left(run.record, paused=item.status == "paused"))
                if sent:  # someone may be typing
                    painted = {part: value for part, value in painted.items() if part not in self.try_it.inputs}
                yield item.status, {part: value for part, value in painted.items() if part is self.message or sent.get(part) != value}
                sent = painted
                if item.status == "failed" and not run.record.readings:  # it never began: show the run before it
                    session.runs = [known for known in session.runs if known is not run]
                    session.shown = run.previous
                    yield item.status, self.paint(session, message=run.ticket.message)
                    return
                if run.record.readings:
                    run.previous = None
                if item.settled:  # Resume and Step follow anew: an open stream would hold a place in the server's queue
                    return

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, paint_others: Paint, other_outputs: list[Any]) -> None:
        """Connect events. paint_others: what other pages show once a run is over or a task was chosen."""
        settings = [session, *self.controls.values()]
        picked = [*self.outputs, *self.set_up_outputs]
        presses = (
            (self.train, self.begin, settings), (self.step, self._step, settings),
            (self.pause, self._pause, [session]), (self.stop, self._stop, [session]), (self.go_on, self._go_on, settings),
        )  # fmt: skip
        events = [button.click(press, inputs, self.outputs, **QUIET) for button, press, inputs in presses]
        events += [
            self.gallery.click(self._pick_recording, [session], picked, **QUIET),
            self.live.click(self._live, [session], picked, **QUIET),
            self.task.input(self.pick_task, [session, self.task], [self.message, *self.set_up_outputs], **NEWEST),
        ]
        for event in events:
            event.then(*self.try_it.answering(session), **QUIET)
            event.then(paint_others, [session], other_outputs, **QUIET)
        scrubbed = self.scrubber.input(self._scrub, [session, self.scrubber], self.followed, **NEWEST)
        for event in (scrubbed, self.play.click(self._play, [session], self.outputs, **QUIET)):
            event.then(*self.try_it.answering(session), **QUIET)
        self.try_it.wire(session)
        self.get_task.click(self._give_task, [session], [self.task_file], **QUIET)
        controls = list(self.controls.values())
        for name, updates in (("init", applying), ("loss", applying), ("method", for_method)):
            self.controls[name].input(partial(self._update_controls, updates), controls, controls, **NEWEST)

    async def begin(
        self, session: Session, *values: Any, steps: int | None = None, start: SessionRun | None = None
    ) -> AsyncIterator[Changes]:
        """Train what the controls say. start: the run that is gone on with where it was interrupted; else training starts from its prompt."""
        try:
            if session.training:
                raise LabError("A run is training: stop it, or wait until it ends.")
            settings = dict(zip(self.controls, values, strict=True))
            if start is None:
                self.lab.start(session, recipe_from(settings, session.task), steps)
            elif start.record.resumable:
                self.lab.go_on(session, start, start_of(start))
            else:
                recipe = recipe_from(settings | as_start(start, settings, session.task), session.task).but(init_from=start.name)
                self.lab.start(session, recipe, steps, begun_from(session, start))
        except LabError as error:
            yield {self.message: alert(str(error))}
            return
        async for changes in self.follow(session):
            yield changes

    async def _go_on(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """Go on with the run that is shown, or train a new one that starts from its prompt."""
        run = session.shown
        if not session.owns(run):
            yield {self.message: alert("There is no prompt of yours here to start from: train one, or load one on Inspect.")}
            return
        async for changes in self.begin(session, *values, start=run):
            yield changes

    async def _step(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        run = session.shown
        if run and run.ticket and run.busy:
            self.lab.engine.resume(run.ticket, steps=1)
            steps = self.follow(session)
        else:
            steps = self.begin(session, *values, steps=1)
        async for changes in steps:
            yield changes

    async def _pause(self, session: Session) -> AsyncIterator[Changes]:
        """Pause the run that is shown, or resume it."""
        run = session.shown
        if run is None or run.ticket is None or not run.busy:
            yield self.paint(session)
            return
        if run.status == "paused":
            self.lab.engine.resume(run.ticket)
        else:
            self.lab.engine.pause(run.ticket)
        async for changes in self.follow(session):
            yield changes

    async def _stop(self, session: Session) -> AsyncIterator[Changes]:
        run = session.shown
        if run and run.ticket and run.busy:
            if run.ticket.stopping.is_set() or run.record.step == 0:
                self.lab.engine.cancel(run.ticket)
            else:
                self.lab.engine.stop(run.ticket)
        async for changes in self.follow(session):
            yield changes

    def _pick_recording(self, session: Session, event: gr.EventData) -> Changes:
        """Show a recorded run, with its task and settings in the controls: Train would run it again."""
        number = clicked(event, "cell", len(recordings()))
        if number is None:
            return gr.skip()
        if session.training:
            return {self.message: alert("A run is training: stop it, or wait until it ends, before you open a recording.")}
        run = recorded_run(recordings()[number].slug)
        assert run is not None
        session.streams.end()  # a recording that plays ends
        session.show(run)
        return {**self.paint(session), **self._as_in(session, run)}

    async def _live(self, session: Session) -> AsyncIterator[Changes]:
        """Run the recording that is shown, as it was made."""
        run = session.shown or self.recording
        if run is None or not run.record.recorded:
            yield self.paint(session)
            return
        yield self._as_in(session, run)
        try:
            self.lab.start(session, run.recipe)
        except LabError as error:
            yield {self.message: alert(str(error))}
            return
        async for changes in self.follow(session):
            yield changes

    def _scrub(self, session: Session, step: Any) -> Changes:
        run = session.shown or self.recording
        if run is None or not isinstance(step, int | float):
            return gr.skip()
        session.go_to(step, run)
        return self._paint_step(session, run)  # the scrubber itself is in the visitor's hand

    async def _play(self, session: Session) -> AsyncIterator[Changes]:
        async for _ in play(session, session.shown or self.recording):
            yield self.paint(session)

    def _give_task(self, session: Session) -> Html:
        return given_task(session.shown.task) if session.shown else EMPTY

    def choose(self, session: Session, event: gr.EventData) -> Changes:
        """Highlight the virtual token that was clicked: changes of `marking`."""
        if mutes(event):
            return gr.skip()
        session.choose(clicked_token(event))
        run = session.shown or self.recording
        changes = self._paint_step(session, run) if run else {}
        return {part: value for part, value in changes.items() if part in self.marking} or gr.skip()

    # --- the task and the settings ----------------------------------------------------------------------------------

    def restore(self, session: Session) -> Changes:
        """Changes of `set_up_outputs` for a session that came back: its task, and the settings of the run that it shows."""
        run, task = session.shown, session.task
        if run is None and not session.runs:
            return {}
        known = run is not None and not run.learned and run.task == task
        return self.set_up(session, run.recipe.to_dict() if run and known else {})

    def set_up(self, session: Session, settings: dict[str, Any]) -> Changes:
        """Changes of `set_up_outputs` for the session's task and for settings by their names; other controls stay as they are."""
        controls = {control: showing(name, settings) for name, control in self.controls.items() if name in settings}
        return {**self._task_changes(session), **controls}

    def take_task(self, session: Session, read: Callable[[], Task]) -> Changes:
        """Make the task that `read` brings the session's own: changes of the message and of `set_up_outputs`."""
        try:
            task = read()
        except LabError as error:
            return {self.message: alert(str(error))}
        session.task = task
        self.lab.prepare(session)
        if task.slug not in slugs():
            session.train.own_task = task
        controls = {control: gr.update(value=task.recipe[name]) for name, control in self.controls.items() if name in task.recipe}
        return {self.message: alert(""), **self._task_changes(session), **controls}

    def _as_in(self, session: Session, run: SessionRun) -> Changes:
        """Take up a run's task and settings."""
        self.take_task(session, lambda: run.task)
        return self.set_up(session, run.recipe.to_dict())

    def _task_changes(self, session: Session) -> Changes:
        return {
            self.task: gr.update(choices=task_choices(session.train.own_task), value=session.task.slug),
            self.examples: task_summary(session.task),
        }

    def pick_model(self, session: Session, number: Any) -> Changes:
        """Use another model on all pages: changes of `outputs` and `set_up_outputs`."""
        if number not in range(len(self.lab.models)):
            return gr.skip()
        if session.training or session.busy:
            return self.paint(
                session, message="Something is training or being scored: stop it, or wait until it ends, before you change the model."
            )
        session.use_model(self.lab.models[int(number)])
        self.lab.prepare(session)
        return {**self.paint(session), **self.restore(session)}

    def pick_task(self, session: Session, slug: Any) -> Changes:
        """Use a built-in task, or the session's own: changes of the message and of `set_up_outputs`."""
        own = session.train.own_task
        brought = own if own and own.slug == slug else session.task
        return self.take_task(session, lambda: load_task(str(slug)) if slug in slugs() else brought)

    def _update_controls(self, updates: Callable[[dict[str, Any]], dict[str, Any]], *values: Any) -> Changes:
        """Changes that `updates` makes of what the controls hold."""
        return {self.controls[name]: update for name, update in updates(dict(zip(self.controls, values, strict=True))).items()}
