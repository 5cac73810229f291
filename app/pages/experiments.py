"""The Experiments page: choose a question or one's own settings to vary, see what it costs, run it, open any of its runs."""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from app.components.controls import recipe_from
from app.components.widgets import NEWEST, QUIET, Changes, begin_with, clicked, drawn, html, plot
from app.pages.train import TrainPage
from app.pages.train_parts import task_choices
from app.sessions.experiments import open_run, start
from app.sessions.following import following
from app.sessions.jobs import Paint, side_job
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_sweep import SessionSweep
from app.sessions.streams import Streams
from app.view import experiments as view
from app.view import figures
from app.view.html import EMPTY, Html, alert
from core import LabError
from core.errors import shown
from core.events import Event
from core.models.language_model import LanguageModel
from core.sweeps.estimate import Estimated, estimate_steps
from core.sweeps.grid import MODEL, VARIABLES, Grid, word_of
from core.sweeps.models import named
from core.sweeps.outcome import SweepResult
from core.sweeps.questions import QUESTIONS, Question
from core.sweeps.recorded import recorded
from core.sweeps.typed import read_values, usual_values
from core.ticket import Ticket

PAINT_GAP = 0.3  # seconds at least between two paints of a running experiment
NOTHING = "nothing"
FIRST = ("virtual_tokens", "1, 5, 20")  # what an experiment of one's own varies at first


class ExperimentsPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab = lab
        with gr.Row(elem_classes=["split", "experiments"]):
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self.questions = html(elem_id="questions")
                self.task = gr.Dropdown(task_choices(), label="task", elem_id="experiment-task", min_width=120)
                with gr.Column(visible=False) as self.form:
                    self.vary = [self._vary("vary", FIRST[0]), self._vary("and", NOTHING, ("nothing else", NOTHING))]
                    self.values = [self._values("values", FIRST[1]), self._values("values of the second", "")]
                with gr.Row(elem_classes="settings"):
                    # Text fields: an empty number field would show 0.
                    self.seeds = gr.Textbox(
                        "", label="seeds", info="empty: as usual", max_length=10, elem_id="experiment-seeds", min_width=90
                    )
                    self.steps = gr.Textbox(
                        "", label="steps", info="empty: as on Train", max_length=10, elem_id="experiment-steps", min_width=90
                    )
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="experiment-message")
                self.head = html(elem_id="experiment-head", elem_classes="prose")
                self.plan = html(elem_id="experiment-plan")
                with gr.Row(elem_classes="buttons"):
                    self.go = gr.Button("Run it", variant="primary", elem_id="experiment-run", scale=0, min_width=120)
                    self.pause = gr.Button("Pause", elem_id="experiment-pause", interactive=False, scale=0, min_width=80)
                    self.stop = gr.Button("Stop", elem_id="experiment-stop", interactive=False, scale=0, min_width=80)
                self.progress = html(elem_id="experiment-progress")
                self.finding = html(elem_id="experiment-finding", elem_classes="prose")
                self.plot = plot(elem_id="experiment-plot")
                self.table = html(elem_id="experiment-table")
                self.failed = html(elem_id="experiment-failed")
        self.given = [*self.vary, *self.values, self.seeds, self.steps]
        self.live = [self.message, self.go, self.pause, self.stop, self.progress, self.finding, self.plot, self.table, self.failed]
        self.outputs = [*self.live, self.questions, self.head, self.form, self.task, *self.given]
        begin_with(self.paint(Session()))

    def _vary(self, label: str, value: str, *more: tuple[str, str]) -> gr.Dropdown:
        offered = [(setting.label, name) for name, setting in VARIABLES.items() if name != MODEL or len(self.lab.models) > 1]
        return gr.Dropdown([*more, *offered], value=value, label=label, elem_id=f"vary-{label}", min_width=120)

    @staticmethod
    def _values(label: str, value: str) -> gr.Textbox:
        shown = bool(value)
        name = label.replace(" ", "-")
        return gr.Textbox(value, label=label, info="with commas between them", max_length=500, elem_id=name, visible=shown)

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint_opened(self, session: Session) -> Changes:
        """Changes of `live` and the task, which other pages may have changed, where the tab is opened. `plan_then` follows."""
        session.experiments.planned = session.experiments.planning.newest
        choices = task_choices(session.train.own_task)
        return {**self.paint_live(session), self.task: gr.update(choices=choices, value=session.task.slug)}

    def paint(self, session: Session) -> Changes:
        """Changes of `outputs` but the fields."""
        asked = question_of(session)
        return {
            **self.paint_opened(session),
            self.questions: view.questions(QUESTIONS, session.experiments.question),
            self.head: view.head(asked),
            self.form: gr.update(visible=asked is None),
        }

    def restore(self, session: Session) -> Changes:
        """Changes of `outputs` for a page that was opened anew. On an open page the fields are the visitor's, who may be typing."""
        fields = dict(zip(self.given, session.experiments.fields, strict=False))
        changes: Changes = {component: gr.update(value=value) for component, value in fields.items()}
        if fields:
            changes[self.values[1]] = gr.update(value=fields[self.values[1]], visible=fields[self.vary[1]] != NOTHING)
        return {**self.paint(session), **changes}

    def paint_live(self, session: Session, message: str = "") -> Changes:
        """Changes of `live`: all that changes while an experiment runs."""
        sweep = shown_sweep(session)
        busy = sweep is not None and sweep.busy
        problem = message or (sweep.ticket.message if sweep and sweep.ticket else "")
        left = sweep is not None and 0 < sweep.finished < sweep.runs and not busy
        changes: Changes = {
            self.message: alert(problem),
            self.go: gr.update(value="Continue" if left else "Run it", interactive=not busy),
            self.pause: gr.update(value="Resume" if sweep and sweep.status == "paused" else "Pause", interactive=busy),
            self.stop: gr.update(interactive=busy),
            self.progress: self._progress(sweep) if sweep else EMPTY,
        }
        result = sweep.result() if sweep else None
        if sweep is None or result is None or not (result.runs or result.failed):
            return changes | self._paint_recorded(session, empty=sweep is not None)
        asked = question_of(session)
        said = view.measured(asked.reading(result)) if asked and sweep.complete and not busy else EMPTY
        numbers = {key: number for number, key in enumerate(sweep.opened)}
        return changes | self._paint_result(result, said, numbers)

    def _progress(self, sweep: SessionSweep) -> Html:
        ahead = self.lab.engine.expected_wait(sweep.ticket)[0] if sweep.ticket else 0
        return view.progress(sweep.finished, sweep.runs, sweep.words(ahead), sweep.share)

    def _paint_recorded(self, session: Session, empty: bool) -> Changes:
        """What was recorded for the question, with the task that it was recorded on. empty: a run of one's own has begun."""
        asked = question_of(session)
        found = recorded(asked.slug) if asked and not empty else None
        if asked is None or found is None:
            return {self.finding: EMPTY, self.plot: "", self.table: EMPTY, self.failed: EMPTY}
        return self._paint_result(found.result, view.recorded(found, asked.reading(found.result)), {})

    def _paint_result(self, result: SweepResult, said: Html, numbers: dict[str, int]) -> Changes:
        figure = figures.sweep(result)
        return {
            self.finding: said,
            self.plot: drawn(figure) if figure else "",
            self.table: view.results(result, numbers),
            self.failed: view.failures(result),
        }

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(
        self,
        session: gr.State,
        train: TrainPage,
        tabs: gr.Tabs,
        paint_others: Paint,
        others: list[Any],
    ) -> None:
        """train: the Train page, whose settings are those that do not vary, and which opens a run. paint_others: of other pages then."""
        self.train, self.tabs = train, tabs
        given = [session, *self.given, *train.controls.values()]
        planned = [self.plan, self.message]
        picked = self.questions.click(self._choose, [session], [self.plan, *self.outputs], **QUIET)
        task = self.task.input(self._pick_task, [session, self.task], [train.message, *train.set_up_outputs, *self.outputs], **NEWEST)
        for event in (picked, task):
            event.then(self.plan_then, given, planned, **QUIET)
        for place, chosen in enumerate(self.vary):
            suggest = partial(self._suggest, place)
            chosen.input(suggest, [chosen], [self.values[place]], **NEWEST).then(self.plan_now, given, planned, **QUIET)
        for text in (*self.values, self.seeds, self.steps):  # change, since a text that is put in at once counts as no input
            text.change(self.plan_now, given, planned, **QUIET)
        self.go.click(self._run, given, [self.plan, *self.live], **QUIET)
        self.pause.click(self._pause, [session], self.live, **QUIET)
        self.stop.click(self._stop, [session], self.live, **QUIET)
        opened = self.table.click(self._open, [session], [tabs, self.message, *train.outputs, *train.set_up_outputs], **QUIET)
        opened.then(paint_others, [session], others, **QUIET)

    def _choose(self, session: Session, event: gr.EventData) -> Changes:
        """Choose a question, or an experiment of one's own."""
        number = clicked(event, "cell", len(QUESTIONS) + 1)
        if number is None:
            return gr.skip()
        session.experiments.question = QUESTIONS[number].slug if number < len(QUESTIONS) else ""
        return {**self.paint(session), self.plan: EMPTY}

    def _pick_task(self, session: Session, slug: Any) -> Changes:
        return {**self.train.pick_task(session, slug), **self.paint(session)}

    def _suggest(self, place: int, setting: Any) -> Changes:
        """Show a field with usual values of the chosen setting."""
        known = isinstance(setting, str) and setting in VARIABLES
        usual = (
            ", ".join(word_of(MODEL, name) for name in self.lab.loaded()) if setting == MODEL else usual_values(setting) if known else ""
        )
        return {self.values[place]: gr.update(visible=known, value=usual)}

    def _grid(self, session: Session, values: Sequence[Any]) -> Grid:
        """What the page's fields say. LabError where they can't be used."""
        count = len(self.given)
        session.experiments.fields = tuple(values[:count])
        first, second, first_values, second_values, seeds, steps = values[:count]
        base = recipe_from(dict(zip(self.train.controls, values[count:], strict=True)), session.task)
        if str(steps or "").strip():
            base = base.but(steps=whole("steps", steps))
        base = base.but(model=self.lab.name_of(session.model), dtype=self.lab.dtype)
        many = whole("seeds", seeds) if str(seeds or "").strip() else None
        asked = question_of(session)
        if asked:
            lm = self.lab.lm(session)
            if lm is None:
                raise LabError("The model is still loading: try again in a few seconds.")
            return asked.grid(session.task, base, lm.shape, many)
        vary = {name: read_values(name, text) for name, text in ((first, first_values), (second, second_values)) if name != NOTHING}
        if MODEL in vary:
            vary[MODEL] = tuple(self.lab.name_of(self.lab.offered(name)) for name in vary[MODEL])
            for name in vary[MODEL]:
                named(self.lab.loaded(), name)
            base = base.but(model=self.lab.name_of(""))
        grid = Grid(base, vary, 3 if many is None else many)
        grid.check(session.task)
        return grid

    async def plan_then(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """`plan_now` after the page was painted, unless a field was changed meanwhile, whose plan has newer values."""
        if session.experiments.planned == session.experiments.planning.newest:
            async for changes in self.plan_now(session, *values):
                yield changes

    async def plan_now(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """Say how much work the experiment is, with the time that measured steps give."""
        sweep = shown_sweep(session)
        if (sweep and sweep.busy) or self.lab.lm(session) is None:
            return
        try:
            grid = self._grid(session, values)
        except LabError as error:
            yield {self.plan: EMPTY, self.message: alert(str(error))}
            return
        with session.experiments.planning.begin() as mine:
            async for changes in self._measure(session, grid, sweep, mine):
                yield changes

    async def _measure(self, session: Session, grid: Grid, sweep: SessionSweep | None, mine: int) -> AsyncIterator[Changes]:
        """Paint the plan, and once steps are measured its time. A newer plan ends this one. mine: its number among plans."""
        state, task = session.experiments, session.task
        if state.measuring:  # for an older plan
            self.lab.engine.cancel(state.measuring)
        await state.planning.alone(mine)
        if state.planning.newest != mine:
            return
        measurable = not (session.busy or session.training)
        yield {self.plan: view.planned(grid, task.name, None, measurable), self.message: EMPTY}
        if not measurable:
            return
        found: list[Estimated] = []

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            return estimate_steps(lm, task, grid, sweep.done if sweep else {}, self.lab.loaded())

        def take(event: Event) -> None:
            if isinstance(event, Estimated):
                found.append(event)

        async for news in side_job(self.lab, session, job, take):
            state.measuring = news.ticket  # a plan that can't be measured still says its runs
        if state.planning.newest == mine:
            yield {self.plan: view.planned(grid, task.name, found[-1] if found else None, False)}

    async def _run(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """Start the experiment, or continue it where it was stopped."""
        state, known = session.experiments, shown_sweep(session)
        try:
            if known and known.busy:
                raise LabError("This experiment is running: stop it, or wait until it ends.")
            grid = self._grid(session, values)
            sweep = known
            model = "" if MODEL in grid.vary else session.model
            if sweep is None or (sweep.task, sweep.grid, sweep.model) != (session.task, grid, model) or sweep.complete:
                sweep = SessionSweep(session.task, grid, state.question, model)
            state.planning.end()
            if state.measuring:
                self.lab.engine.cancel(state.measuring)
            start(self.lab, session, sweep)
            state.sweeps[state.question] = sweep
        except LabError as error:
            yield {self.message: alert(str(error))}
            return
        yield {self.plan: view.planned(grid, session.task.name, None, False)}
        async for changes in self.follow(session):
            yield changes

    async def follow(self, session: Session) -> AsyncIterator[Changes]:
        """Paint the experiment that is shown until it is over or paused. If the page goes away, it pauses."""
        sweep, streams = shown_sweep(session), session.experiments.streams
        if sweep is None or sweep.ticket is None:
            yield self.paint_live(session)
            return
        with streams.begin() as mine:
            sweep.ticket.tell()  # an older stream ends now
            await streams.alone(mine)
            with following(sweep.ticket, self.lab.engine.pause, partial(_wanted, session, sweep, streams, mine), PAINT_GAP) as news:
                async for item in news:
                    yield self.paint_live(session)
                    if item.settled:
                        break
            if streams.newest == mine and shown_sweep(session) is sweep:
                yield self.paint_live(session)

    async def _pause(self, session: Session) -> AsyncIterator[Changes]:
        sweep = shown_sweep(session)
        if sweep and sweep.ticket and sweep.busy:
            (self.lab.engine.resume if sweep.status == "paused" else self.lab.engine.pause)(sweep.ticket)
        async for changes in self.follow(session):
            yield changes

    async def _stop(self, session: Session) -> AsyncIterator[Changes]:
        """End the experiment. What it has found stays, and it can be continued."""
        sweep = shown_sweep(session)
        if sweep and sweep.ticket and sweep.busy:
            self.lab.engine.cancel(sweep.ticket)
        async for changes in self.follow(session):
            yield changes

    def _open(self, session: Session, event: gr.EventData) -> Changes:
        """Open the run that was pressed on the other pages."""
        sweep = shown_sweep(session)
        keys = list(sweep.opened) if sweep else []
        number = clicked(event, "cell", len(keys))
        if sweep is None or number is None:
            return gr.skip()
        if session.training:
            return {self.message: alert("A run is training: stop it, or wait until it ends, before you open another.")}
        open_run(self.lab, session, sweep, keys[number])
        return {**self.train.paint(session), **self.train.restore(session), self.tabs: gr.Tabs(selected="train")}


def question_of(session: Session) -> Question | None:
    """The chosen question, or None for an experiment of one's own."""
    return next((one for one in QUESTIONS if one.slug == session.experiments.question), None)


def shown_sweep(session: Session) -> SessionSweep | None:
    """The session's newest sweep for what is chosen, on its task and model."""
    found = session.experiments.sweeps.get(session.experiments.question)
    if found is None or found.task != session.task:
        return None
    return found if found.model == session.model or MODEL in found.grid.vary else None


def _wanted(session: Session, sweep: SessionSweep, streams: Streams, mine: int) -> bool:
    return streams.newest == mine and shown_sweep(session) is sweep


def whole(name: str, text: Any) -> int:
    """A whole number that was typed. LabError for anything else."""
    try:
        return int(str(text).strip())
    except ValueError as error:
        raise LabError(f"{name} is {shown(text)}: give a whole number.") from error
