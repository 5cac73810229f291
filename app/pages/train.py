"""The Train page: pick a task, train, watch, scrub back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import gradio as gr

from app.components.controls import IN_SIGHT, SETTINGS, WORDS, control, recipe_from
from app.components.widgets import QUIET, clicked, clicked_token, drawn, html, plot
from app.sessions.lab import Lab
from app.sessions.run import Run, recorded_run
from app.sessions.session import Session
from app.view import code, figures, show, tables
from core import LabError, load_task
from core.recipe import default_of
from core.runs.record import RunRecord
from core.runs.recordings import recordings
from core.tasks.task import Task, slugs, task_to_json

HEARTBEAT = 2.0  # seconds; Gradio notices that a visitor has left when something is sent
PAINT_GAP = 0.1  # seconds at least between two paints: a browser that gets more falls behind, and Pause with it
SETTLE = 0.15  # seconds
LESSONS = {  # below which control, which lesson says more about it
    "method": ("prefix", "prompt or prefix?"),
    "virtual_tokens": ("sizes", "how many numbers is that?"),
    "init": ("starts", "where to start, and what goes wrong"),
}


class TrainPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab, recording: Run | None):
        self.lab, self.recording = lab, recording
        task = load_task(slugs()[0])
        self.gallery = html(elem_id="gallery")
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=0, min_width=320, elem_classes="controls"):
                self.task = gr.Dropdown(choices=task_choices(), value=task.slug, label="task", elem_id="task")
                self.examples = html(task_summary(task), elem_id="examples")
                self.own = gr.Button("Your own task …", elem_id="own-task", size="sm")
                with gr.Row(elem_classes="buttons"):
                    self.train = gr.Button("Train", variant="primary", elem_id="train", min_width=80)
                    self.step = gr.Button("Step", elem_id="step", min_width=60)
                    self.pause = gr.Button("Pause", elem_id="pause", min_width=70, interactive=False)
                    self.stop = gr.Button("Stop", elem_id="stop", min_width=60, interactive=False)
                self.controls: dict[str, Any] = {}
                for names in IN_SIGHT:
                    with gr.Row(elem_classes="settings"):
                        self.controls |= {name: control(name) for name in names}
                    if names[0] in LESSONS:
                        html(show.lesson_link(*LESSONS[names[0]]))
                with gr.Accordion("more", open=False, elem_id="more"):
                    self.controls |= {name: control(name) for name in SETTINGS if name not in self.controls}
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="message")
                self.headline = html(elem_id="headline")
                with gr.Row(elem_classes="where"):
                    self.progress = html(elem_id="progress", scale=1, min_width=200)
                    self.live = gr.Button("▶ Run it live", elem_id="run-live", size="sm", visible=False, scale=0, min_width=140)
                with gr.Row(elem_classes="pair"):
                    self.curves = plot(elem_id="curves", min_width=320)
                    self.plane = plot(elem_id="plane", min_width=320)
                with gr.Row(elem_classes="scrub"):
                    self.scrubber = gr.Slider(
                        0, 60, value=0, step=1, label="step: scrub back through training", elem_id="scrubber", scale=5
                    )
                    self.play = gr.Button("▶ Play", elem_id="play", min_width=80, scale=0)
                self.chips = html(elem_id="chips")
                with gr.Row(elem_classes="pair"):
                    self.bars = html(elem_id="bars", min_width=420, scale=4)
                    self.samples = html(elem_id="samples", min_width=320, scale=3)
                with gr.Accordion("Show me the code", open=False, elem_id="code"):
                    self.code = html()
                    self.get_task = gr.Button("Get the task file", visible=False, elem_id="get-task", size="sm")
                    self.task_file = html(elem_id="task-file")
        self.outputs = [
            self.message, self.headline, self.progress, self.bars, self.curves, self.plane, self.scrubber, self.chips,
            self.samples, self.train, self.step, self.pause, self.stop, self.gallery, self.live, self.code, self.get_task,
        ]  # fmt: skip
        self.restored = [self.task, self.examples, *self.controls.values()]
        self.chosen = [self.message, self.task, self.examples, *self.controls.values()]
        if recording:
            first = self.paint(Session(shown=recording))
            for component, value in zip(self.outputs[1:9], first[1:9], strict=True):
                if component is self.scrubber:
                    component.value, component.maximum = recording.record.step, recording.record.step
                else:
                    component.value = value
            self.gallery.value, self.live.visible, self.code.value = first[-4], True, first[-2]

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, left: float | None = None, message: str = "") -> list[Any]:
        """The values of `outputs` for the run that is shown, at the step that is chosen."""
        run = session.shown or self.recording
        busy = run is not None and run.busy
        paused = run is not None and run.status == "paused"
        buttons = [
            gr.update(interactive=not busy),
            gr.update(interactive=not busy or paused),
            gr.update(value="Resume" if paused else "Pause", interactive=busy),
            gr.update(interactive=busy),
            show.gallery(recordings(), run.recipe if run and run.record.recorded else None),
            gr.update(visible=run is not None and bool(run.record.recorded)),
        ]
        own = run is not None and run.learned is None and run.task.slug not in slugs()
        again = [code.view(run), gr.update(visible=own)]
        if run is None:
            return [show.message(message), *[gr.skip()] * 8, *buttons, *again]
        record, done = run.record, max(len(run.record.readings) - 1, 0)
        step = done if session.step is None else min(session.step, done)
        problem = message or (run.ticket.message if run.ticket else "")
        others, wait = self.lab.engine.expected_wait(run.ticket) if run.ticket else (0, None)
        scores = record.scores or _latest(record)
        part = f"held-out rows, scored once, at the end (n = {record.task['held_out']})" if record.scores else "validation rows, so far"
        return [
            show.message(problem),
            f'<p class="headline">{show.headline(record)}</p>{show.ladder(scores, run.task, record)}',
            show.progress(record, run.status, others, left, wait),
            show.bars(scores, f"Right answers: {part}", record.task["handcrafted"]) + show.skipped(record),
            drawn(figures.curves(record, step if session.step is not None else None)),
            drawn(figures.plane(record, step, session.chosen, control=record.kind == "soft", live=busy)),
            gr.update(maximum=max(record.recipe["steps"] if busy else done, 1), value=step),
            show.chips(record, step, session.chosen),
            show.samples(record, step),
            *buttons,
            *again,
        ]

    async def follow(self, session: Session) -> AsyncIterator[list[Any]]:
        """Paint the shown run after every finished step until it is over. If the page goes away, the run pauses."""
        session.stream += 1
        mine, run = session.stream, session.shown
        if run is None or run.ticket is None:
            yield self.paint(session)
            return
        run.ticket.tell()  # an older stream ends now
        sent: list[Any] = []
        stamp: Any = None
        beat = 0.0
        pace: tuple[float, int] | None = None
        try:
            while session.stream == mine:
                record = run.record
                changes = run.ticket.changes  # before all else: what comes later wakes us again
                over = not run.busy
                still = not run.ticket.working  # read before painting: what is painted then is the last of a paused run
                now = (
                    record.step,
                    len(record.lines),
                    len(record.validation),
                    len(run.ticket.events),
                    run.status,
                    session.chosen,
                    session.step,
                    run.status == "paused" and not still,
                )
                since = time.monotonic() - beat
                ended = over or run.status == "paused"
                if (now != stamp and (ended or since >= PAINT_GAP)) or since >= HEARTBEAT:
                    beat = time.monotonic()
                    if record.step and (pace is None or run.status == "paused"):
                        pace = (time.monotonic(), record.step)
                    values = self.paint(session, _time_left(record, pace))
                    rest = (
                        [gr.skip() if value == old else value for value, old in zip(values[1:], sent[1:], strict=True)]
                        if sent
                        else values[1:]
                    )
                    yield [values[0], *rest]
                    sent, stamp = values, now
                if run.status == "failed" and not run.record.readings:  # it never began: what was shown before stays
                    session.runs = [known for known in session.runs if known is not run]
                    session.shown = run.previous
                    yield self.paint(session, message=run.ticket.message)
                    return
                if run.record.readings:
                    run.previous = None
                # Resume and Step follow anew: an open stream would hold a place in the server's queue.
                if over or (still and run.status == "paused"):
                    # What another handler sent a moment ago may still arrive: the last word is said after it, in full.
                    await asyncio.sleep(SETTLE)
                    if session.stream == mine and session.shown is run and run.status == now[4]:
                        yield self.paint(session)
                    return
                due = (PAINT_GAP if now != stamp else HEARTBEAT) - (time.monotonic() - beat)
                await (asyncio.sleep(due) if now != stamp else run.ticket.changed(changes, due))
        finally:
            if session.stream == mine and run.busy and run.status != "paused":
                self.lab.engine.pause(run.ticket)

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, after_run: Any, after_run_outputs: list[Any]) -> None:
        """Connect events. after_run: what other pages do once a run is over or a task was chosen."""
        settings = [session, *self.controls.values()]
        # "multiple": the answer to a press follows the run, and until it ends Gradio's page would drop the next press of that button.
        presses = (
            (self.train, self._train, settings), (self.step, self._step, settings),
            (self.pause, self._pause, [session]), (self.stop, self._stop, [session]),
        )  # fmt: skip
        for button, handler, inputs in presses:
            button.click(handler, inputs, self.outputs, trigger_mode="multiple", **QUIET).then(
                after_run, [session], after_run_outputs, **QUIET
            )
        self.scrubber.input(self._scrub, [session, self.scrubber], self.outputs, trigger_mode="always_last", **QUIET)
        self.play.click(self._play, [session], self.outputs, **QUIET)
        picked = [*self.outputs, *self.chosen[1:]]  # the message is in both
        self.gallery.click(self._pick_recording, [session], picked, **QUIET).then(after_run, [session], after_run_outputs, **QUIET)
        self.live.click(self._live, [session], picked, **QUIET).then(after_run, [session], after_run_outputs, **QUIET)
        self.get_task.click(self._give_task, [session], [self.task_file], **QUIET)
        self.task.input(self._pick_task, [session, self.task], self.chosen, **QUIET).then(after_run, [session], after_run_outputs, **QUIET)
        self.controls["init"].input(
            lambda init: gr.update(visible=init == "text"), [self.controls["init"]], [self.controls["init_text"]], **QUIET
        )
        self.controls["method"].input(
            _for_method, [self.controls["method"]], [self.controls["learning_rate"], self.controls["init"]], **QUIET
        )

    async def _train(self, session: Session, *values: Any, steps: int | None = None) -> AsyncIterator[list[Any]]:
        try:
            if session.shown and session.shown.busy:
                raise LabError("A run is going on: stop it, or wait for its end.")
            recipe = recipe_from(dict(zip(self.controls, values, strict=True)), session.task)
            self.lab.start(session, recipe, steps)
        except LabError as error:
            yield self._only_message(str(error))
            return
        async for update in self.follow(session):
            yield update

    async def _step(self, session: Session, *values: Any) -> AsyncIterator[list[Any]]:
        run = session.shown
        if run and run.ticket and run.busy:
            self.lab.engine.resume(run.ticket, steps=1)
            async for update in self.follow(session):
                yield update
            return
        async for update in self._train(session, *values, steps=1):
            yield update

    def _pick_recording(self, session: Session, event: gr.EventData) -> list[Any]:
        """Show a recorded run, with its task and settings in the controls: Train would run it again."""
        number = clicked(event, "cell", len(recordings()))
        if number is None:
            return [gr.skip()] * (len(self.outputs) + len(self.chosen) - 1)
        if session.shown and session.shown.busy:
            return [
                *self._only_message("A run is going on: stop it, or wait for its end, before looking at a recording."),
                *[gr.skip()] * (len(self.chosen) - 1),
            ]
        run = recorded_run(recordings()[number].slug)
        assert run is not None
        session.stream += 1  # a recording that plays ends
        session.shown, session.step, session.chosen = run, None, None
        return [*self.paint(session), *self._as_in(session, run)]

    async def _live(self, session: Session) -> AsyncIterator[list[Any]]:
        """Run the recording that is shown, as it was made."""
        run = session.shown or self.recording
        chosen = self._as_in(session, run) if run and run.record.recorded else [gr.skip()] * (len(self.chosen) - 1)
        if run is None or not run.record.recorded:
            yield [*self.paint(session), *chosen]
            return
        try:
            self.lab.start(session, run.recipe)
        except LabError as error:
            yield [*self._only_message(str(error)), *chosen]
            return
        async for update in self.follow(session):
            yield [*update, *chosen]
            chosen = [gr.skip()] * len(chosen)

    def _as_in(self, session: Session, run: Run) -> list[Any]:
        """Take up a run's task and settings. Returns the values of `chosen` without the message."""
        settings = run.recipe.to_dict()
        first = self.take_task(session, lambda: run.task)[1:3]
        return [*first, *(self._setting(name, settings) for name in self.controls)]

    @staticmethod
    def _setting(name: str, settings: dict[str, Any]) -> Any:
        """A control's update, as `_for_method` and the choice of a start leave it."""
        value = settings[name]
        if name == "init":
            return gr.update(choices=_starts(settings["method"]), value=value)
        return gr.update(value=value, visible=settings["init"] == "text") if name == "init_text" else gr.update(value=value)

    async def _pause(self, session: Session) -> AsyncIterator[list[Any]]:
        run = session.shown
        if run is None or run.ticket is None or not run.busy:
            yield self.paint(session)
        elif run.status == "paused":
            self.lab.engine.resume(run.ticket)
            async for update in self.follow(session):
                yield update
        else:
            self.lab.engine.pause(run.ticket)
            async for update in self.follow(session):
                yield update

    async def _stop(self, session: Session) -> AsyncIterator[list[Any]]:
        run = session.shown
        if run and run.ticket and run.busy:
            if run.ticket.stopping.is_set() or run.record.step == 0:
                self.lab.engine.cancel(run.ticket)
            else:
                self.lab.engine.stop(run.ticket)
        async for update in self.follow(session):
            yield update

    def _scrub(self, session: Session, step: Any) -> list[Any]:
        run = session.shown or self.recording
        if run is None or not isinstance(step, int | float):
            return [gr.skip()] * len(self.outputs)
        session.step = None if step >= len(run.record.readings) - 1 else max(int(step), 0)
        moving = (self.curves, self.plane, self.chips, self.samples)  # the scrubber itself is in the visitor's hand
        return [value if part in moving else gr.skip() for part, value in zip(self.outputs, self.paint(session), strict=True)]

    async def _play(self, session: Session) -> AsyncIterator[list[Any]]:
        run = session.shown or self.recording
        if run is None or run.busy:
            return
        session.stream += 1
        mine = session.stream
        last = len(run.record.readings) - 1
        for step in [*range(0, last, max(1, last // 60)), last]:
            if session.stream != mine:
                return
            session.step = None if step == last else step
            yield self.paint(session)
            await asyncio.sleep(0.12)

    def _give_task(self, session: Session) -> str:
        if session.shown is None:
            return ""
        task = session.shown.task
        return f"<p>{tables.download(code.file_name(task), task_to_json(task), code.file_name(task), 'application/json')}</p>"

    def choose(self, session: Session, event: gr.EventData) -> list[Any]:
        """Light a virtual token up, everywhere; the same one again: none."""
        token = clicked_token(event)
        session.chosen = None if token == session.chosen else token
        values = dict(zip(map(id, self.outputs), self.paint(session), strict=True))
        return [values[id(self.plane)], values[id(self.chips)]]

    def restore(self, session: Session) -> list[Any]:
        """The values of `restored` for a session that came back: its task, and the settings of the run that it shows."""
        run, task = session.shown, session.task
        if run is None and not session.runs:
            return [gr.skip()] * len(self.restored)
        known = run is not None and not run.learned and run.task == task
        return self.set_up(session, run.recipe.to_dict() if run and known else {})

    def set_up(self, session: Session, settings: dict[str, Any]) -> list[Any]:
        """The values of `restored` for a session's task and settings by their names; controls that these don't name stay as they are."""
        values = [self._setting(name, settings) if name in settings else gr.skip() for name in self.controls]
        return [gr.update(choices=self._choices(session), value=session.task.slug), task_summary(session.task), *values]

    def _pick_task(self, session: Session, slug: Any) -> list[Any]:
        own = session.train.own_task if session.train.own_task and session.train.own_task.slug == slug else session.task
        return self.take_task(session, lambda: load_task(str(slug)) if slug in slugs() else own)

    def take_task(self, session: Session, read: Callable[[], Task]) -> list[Any]:
        """Make the task that `read` brings the session's own. Returns the values of `chosen`."""
        try:
            task = read()
        except LabError as error:
            return [show.message(str(error)), *[gr.skip()] * (2 + len(self.controls))]
        session.task = task
        self.lab.prepare(task)
        session.train.own_task = session.train.own_task if task.slug in slugs() else task
        changes = [gr.update(value=task.recipe[name]) if name in task.recipe else gr.skip() for name in self.controls]
        return [show.message(""), gr.update(choices=self._choices(session), value=task.slug), task_summary(task), *changes]

    @staticmethod
    def _choices(session: Session) -> list[tuple[str, str]]:
        """The built-in tasks, and the visitor's own."""
        own = session.train.own_task
        return [*task_choices(), *([(f"yours: {own.name}", own.slug)] if own else [])]

    def _only_message(self, text: str) -> list[Any]:
        return [show.message(text), *[gr.skip()] * (len(self.outputs) - 1)]


def _for_method(method: str) -> list[Any]:
    return [gr.update(value=default_of("learning_rate", method)), gr.update(choices=_starts(method), value="vocab")]


def _starts(method: str) -> list[tuple[str, str]]:
    return [(WORDS[start], start) for start in ("random", "vocab", "text", *(("labels",) if method == "prompt" else ()))]


def task_choices() -> list[tuple[str, str]]:
    """(name, slug) of the built-in tasks."""
    return [(load_task(slug).name, slug) for slug in slugs()]


def task_summary(task: Task) -> str:
    """A task's first examples, what it teaches, and how its rows are parted."""
    rows: Iterable[Any] = task.train[:4]
    if task.labels:  # one of each label first
        found = (next((e for e in task.train if e.output == label), None) for label in task.labels)
        rows = [example for example in found if example][:6]
    kind = f"labels: {', '.join(task.labels)}" if task.labels else "answers are free text"
    counts = f"{len(task.train)} rows to train on, {len(task.validation)} to steer by, {len(task.held_out)} held out; {kind}."
    return show.examples([(e.input, e.output) for e in rows], task.teaches, counts, task.notes)


def _time_left(record: RunRecord, pace: tuple[float, int] | None) -> float | None:
    """Seconds to the last step, by this run's own pace since (time, step), or None before it has one."""
    if pace is None or record.step <= pace[1]:
        return None
    return (time.monotonic() - pace[0]) / (record.step - pace[1]) * (record.recipe["steps"] - record.step)


def _latest(record: Any) -> list[dict[str, Any]]:
    """The learned prompt's newest validation score with the handcrafted ones' on the same rows."""
    learned = [{**record.validation[-1], "name": "learned"}] if record.validation else []
    return [*learned, *record.lines]
