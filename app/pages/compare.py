"""The Compare page: every contender on the same held-out rows, who wins where, and answers side by side."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import gradio as gr

from app.components.widgets import QUIET, clicked, drawn, html, plot
from app.sessions.contest import (
    all_prompts,
    entrants,
    grid_columns,
    known_scores,
    learned_contender,
    learned_runs,
    prompt_named,
    recorded_scores,
    run_named,
    scores_in_sight,
    seeds_of,
    written_names,
)
from app.sessions.jobs import Progress, side_job
from app.sessions.lab import Lab
from app.sessions.run import Run
from app.sessions.session import Session
from app.view import figures, show, tables
from core import LabError
from core.engine import Ticket
from core.models.language_model import LanguageModel
from core.recipe import check_template
from core.runs.run import Scored, Skipped, contest, repeat
from core.scoring.answering import answer, label_probabilities, next_tokens
from core.scoring.contenders import MOST_EXAMPLES, calibrated, drawn_at_random, few_shot, in_chat, moved, snapped
from core.scoring.measures import confusion, expected_calibration_error, reliability
from core.scoring.score import Contender, Score, majority, written
from core.tasks.task import Handcrafted, Task, shuffled

MOST_TYPED = 4000  # characters
MOST_PROMPTS = 12
MOST_ADDED = 40
MOST_ORDERS = 10
SEEDS = 2  # more seeds of a run
ALL = "all rows"
RECORDED = (
    "<p class='note'>From a <b>recording</b>. Press <b>Score all</b> to score the written prompts here, or train a prompt of your own.</p>"
)


class ComparePage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab = lab
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=0, min_width=320, elem_classes="controls"):
                self.task_name = html(elem_id="compare-task")
                with gr.Row(elem_classes="buttons"):
                    self.all = gr.Button("Score all", variant="primary", elem_id="score-all", min_width=120)
                    self.cancel = gr.Button("Stop", elem_id="stop-scoring", interactive=False, min_width=60)
                self.prompt = gr.Textbox(
                    label="your own prompt",
                    info="Write it around {input}. Worked examples are fair: put some in.",
                    lines=4,
                    max_length=MOST_TYPED,
                    elem_id="own-prompt",
                )
                self.add = gr.Button("Score it", elem_id="score-prompt", min_width=120)
                with gr.Accordion("worked examples from the training rows", open=False):
                    with gr.Row(elem_classes="settings"):
                        self.k = gr.Number(4, label="examples", elem_id="few-k", min_width=70)
                        self.draw = gr.Number(0, label="draw", elem_id="few-draw", min_width=70)
                        self.orders = gr.Number(3, label="orders", elem_id="few-orders", min_width=70)
                    self.few = gr.Button("Score them", elem_id="score-few", min_width=120)
                with gr.Accordion("a written prompt, two other ways", open=False):
                    self.base = gr.Dropdown(label="prompt", choices=[], elem_id="base-prompt")
                    with gr.Row(elem_classes="buttons"):
                        self.chat = gr.Button("As a chat", elem_id="score-chat", min_width=110)
                        self.calibrate = gr.Button("Calibrated", elem_id="score-calibrated", min_width=110)
                with gr.Accordion("a learned prompt: seeds and controls", open=False):
                    self.run = gr.Dropdown(label="run", choices=[], elem_id="control-run")
                    with gr.Row(elem_classes="buttons"):
                        self.controls = gr.Button("Snapped, moved, random", elem_id="score-controls", min_width=190)
                    with gr.Row(elem_classes="buttons"):
                        self.seeds = gr.Button(f"{SEEDS} more seeds", elem_id="more-seeds", min_width=110)
                        self.shuffle = gr.Button("Shuffled answers", elem_id="train-shuffled", min_width=110)
                self.written = html(elem_id="written")
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="compare-message")
                self.progress = html(elem_id="compare-progress")
                self.table = html(elem_id="contenders")
                self.look = gr.Dropdown(label="look closer at", choices=[], elem_id="look")
                with gr.Tabs():
                    with gr.Tab("Pairs", id="pairs"):
                        self.verdict = html(elem_id="verdict")
                    with gr.Tab("Rows", id="rows"):
                        with gr.Row(elem_classes="settings"):
                            self.label = gr.Dropdown(label="right answer", choices=[ALL], value=ALL, elem_id="grid-label", min_width=140)
                            self.disputed = gr.Checkbox(True, label="most disputed first", elem_id="grid-disputed", min_width=140)
                            self.only = gr.Checkbox(False, label="only learned is right", elem_id="grid-only", min_width=140)
                        self.grid = html(elem_id="grid")
                        with gr.Row(elem_classes="buttons"):
                            self.export = gr.Button("All rows as CSV", elem_id="export-rows", scale=0, min_width=150, size="sm")
                            self.exported = html(elem_id="exported")
                        self.cell = html(elem_id="cell")
                    with gr.Tab("Measures", id="measures-tab"):
                        self.reliability = plot(elem_id="reliability")
                        self.measures = html(elem_id="measures")
                    with gr.Tab("Confusion", id="confusion") as self.confusion_tab:
                        self.confusion = plot(elem_id="confusion")
                    with gr.Tab("Plot", id="plot"):
                        self.intervals = plot(elem_id="intervals")
                with gr.Row(elem_classes="ask"):
                    self.text = gr.Textbox(label="Try your own input", max_length=MOST_TYPED, elem_id="ask-text", scale=4)
                    self.ask = gr.Button("Ask all", elem_id="ask", min_width=120, scale=0)
                self.answers = html(elem_id="answers")
        self.closer = [self.look, self.verdict, self.reliability, self.measures, self.confusion_tab, self.confusion]
        self.rows = [self.label, self.grid, self.cell]
        self.outputs = [
            self.message, self.progress, self.task_name, self.table, self.written, self.cancel, self.base, self.run, self.intervals,
            *self.closer, *self.rows,
        ]  # fmt: skip

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, message: str = "", growing: Score | None = None, progress: str = "") -> list[Any]:
        """The values of `outputs` for the session's task. While a score grows, only the table does."""
        task = session.task
        busy = session.side_job is not None and not session.side_job.over
        known = known_scores(session)
        scores = known or ({} if busy else recorded_scores(session))
        names = written_names(task)
        shown = {**scores, growing.name: growing} if growing else scores
        rows = [{**row, "final": growing is None or growing.name not in row.get("members", [row["name"]])} for row in tables.grouped(shown)]
        n = len(task.held_out)
        table = show.bars(rows, f"Right answers on the {n} held-out rows, which no learned prompt has seen", names, full=True)
        first = [
            show.message(message),
            f'<div class="progress" role="status"><span>{show.safe(progress)}</span></div>' if busy and progress else "",
            f"<p><b>Task: {show.safe(task.name)}</b><br><span class='dim'>{n} held-out rows. Choose another one on the Train page.</span></p>",
        ]
        if busy and progress:
            quiet = [gr.skip()] * (len(self.outputs) - 6)
            return [*first, table, gr.skip(), gr.update(interactive=True), *quiet]
        prompts = [prompt.name for prompt in (*task.handcrafted, *session.compare.on(task).prompts)]
        runs = [run.name for run in learned_runs(session)]
        empty = "<p class='note'>Nothing is scored yet on this task: press <b>Score all</b>, or train a prompt on the Train page.</p>"
        return [
            *first,
            ("" if known else RECORDED) + table + tables.how_counted(task) + _saved(scores) if rows else empty,
            tables.prompts(all_prompts(session)),
            gr.update(interactive=busy),
            gr.update(choices=prompts, value=_still(session.compare.base_prompt, prompts, -1)),
            gr.update(choices=runs, value=_still(session.compare.control_run, runs, 0)),
            drawn(figures.intervals(rows, names)),
            *self._closer(session, scores),
            gr.update(choices=[ALL, *(task.labels or ())], value=_still(session.compare.label, [ALL, *(task.labels or ())], 0)),
            self._grid(session, session.compare.label, session.compare.disputed, session.compare.only_learned),
            "",
        ]

    def _closer(self, session: Session, scores: dict[str, Score]) -> list[Any]:
        """The values of `closer`: pairs, calibration and confusion of the contender that is looked at."""
        task = session.task
        known = [score for score in scores.values() if score.results]
        if not known:
            return [gr.update(choices=[], value=None), "", drawn(EMPTY), "", gr.update(visible=bool(task.labels)), drawn(EMPTY)]
        newest = next((score for score in reversed(known) if score.name in {run.name for run in session.runs}), None)
        best = max(known, key=lambda score: score.accuracy)
        looked = scores.get(session.compare.detailed) or newest or best
        told = tables.verdicts(looked, known)
        drawing, matrix = EMPTY, EMPTY
        if looked.kind != "majority":
            sure, right = [r.confidence for r in looked.results], [r.correct for r in looked.results]
            drawing = figures.reliability(looked.name, reliability(sure, right), expected_calibration_error(sure, right))
        if task.labels:
            said = [tables.label_said(result, task) for result in looked.results]
            counts = confusion([result.output for result in looked.results], said, task.labels)
            matrix = figures.confusion(looked.name, counts, task.labels)
        return [
            gr.update(choices=[score.name for score in known], value=looked.name),
            told,
            drawn(drawing),
            tables.measures(scores, bool(task.labels)),
            gr.update(visible=bool(task.labels)),
            drawn(matrix),
        ]

    def _grid(self, session: Session, label: Any, disputed: Any, only: Any) -> str:
        scores = grid_columns(session)
        label = label if label in (session.task.labels or ()) else ALL
        session.compare.label, session.compare.disputed, session.compare.only_learned = label, bool(disputed), bool(only)
        chosen = tables.ordered_rows(scores, "" if label == ALL else label, bool(only), bool(disputed))
        session.compare.listed = chosen
        return tables.grid(scores, chosen, written_names(session.task))

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State) -> None:
        for button, handler, inputs in (
            (self.add, self._add, [self.prompt]),
            (self.all, self._all, []),
            (self.few, self._few, [self.k, self.draw, self.orders]),
            (self.chat, self._chat, [self.base]),
            (self.calibrate, self._calibrate, [self.base]),
            (self.controls, self._controls, [self.run]),
            (self.seeds, self._seeds, [self.run]),
            (self.shuffle, self._shuffle, [self.run]),
        ):
            button.click(handler, [session, *inputs], self.outputs, **QUIET)
        self.base.input(lambda session, name: setattr(session.compare, "base_prompt", str(name)), [session, self.base], None, **QUIET)
        self.run.input(lambda session, name: setattr(session.compare, "control_run", str(name)), [session, self.run], None, **QUIET)
        self.export.click(self._export, [session], [self.exported], **QUIET)
        self.cancel.click(self._cancel, [session], self.outputs, **QUIET)
        self.look.input(self._look, [session, self.look], self.closer, **QUIET)
        filters = [self.label, self.disputed, self.only]
        for control in filters:
            control.input(self._grid, [session, *filters], [self.grid], trigger_mode="always_last", **QUIET)
        self.grid.click(self._cell, [session], [self.message, self.cell], **QUIET)
        for trigger in (self.ask.click, self.text.submit):
            trigger(self._ask, [session, self.text], [self.message, self.answers], **QUIET)

    def _export(self, session: Session) -> str:
        return tables.download("row-by-row.csv", tables.grid_csv(list(scores_in_sight(session).values())), "save row-by-row.csv")

    def _look(self, session: Session, name: Any) -> list[Any]:
        session.compare.detailed = str(name)
        return self._closer(session, scores_in_sight(session))

    async def _add(self, session: Session, template: str) -> AsyncIterator[list[Any]]:
        task = session.task
        own = session.compare.on(task).prompts
        name = f"mine {len(own) + 1}"

        def check() -> list[Contender]:
            check_template(template or "")
            if len(template) > MOST_TYPED:
                raise LabError(f"The prompt has {len(template):,} characters: use at most {MOST_TYPED:,}.")
            if len(own) >= MOST_PROMPTS:
                raise LabError(f"You have {MOST_PROMPTS} prompts on this task already: reload the page to begin anew.")
            if any(prompt.template == template for prompt in (*own, *task.handcrafted)):
                raise LabError("This very prompt is among the contenders already: change a word.")
            return [written(task, Handcrafted(name, template))]

        scored = False
        async for update in self._contest(session, check):
            if name in session.compare.on(task).scores and not scored:
                scored = True
                session.compare.on(task).prompts = [*own, Handcrafted(name, template)]
                update = self.paint(session)
            yield update

    async def _all(self, session: Session) -> AsyncIterator[list[Any]]:
        known = known_scores(session)
        always = majority(session.task, session.task.held_out)
        session.compare.on(session.task).scores[always.name] = always
        wanted = [contender for contender in entrants(session) if contender.name not in known]
        async for update in self._contest(session, lambda: wanted):
            yield update

    async def _few(self, session: Session, k: Any, draw: Any, orders: Any) -> AsyncIterator[list[Any]]:
        def make() -> list[Contender]:
            count, seed = _whole(k, "examples", 1, MOST_EXAMPLES), _whole(draw, "draw", 0, 2**31)
            return [few_shot(session.task, count, seed, order) for order in range(_whole(orders, "orders", 1, MOST_ORDERS))]

        async for update in self._contest(session, make, keep=True):
            yield update

    async def _chat(self, session: Session, name: Any) -> AsyncIterator[list[Any]]:
        task = session.task
        async for update in self._contest(session, lm_make=lambda lm: [in_chat(lm, written(task, prompt_named(session, name)))], keep=True):
            yield update

    async def _calibrate(self, session: Session, name: Any) -> AsyncIterator[list[Any]]:
        task = session.task

        def make(lm: LanguageModel) -> list[Contender]:
            if not task.labels:
                raise LabError(
                    "Calibration weighs label words against each other, and this task has free answers: choose a task with labels."
                )
            return [calibrated(lm, written(task, prompt_named(session, name)), task.labels)]

        async for update in self._contest(session, lm_make=make, keep=True):
            yield update

    async def _controls(self, session: Session, name: Any) -> AsyncIterator[list[Any]]:
        def make(lm: LanguageModel) -> list[Contender]:
            run = run_named(session, name)
            mine, start = learned_contender(run), run.record.vectors.get(0) if run.record.start_known else None
            made = [moved(lm, mine, start)] if start is not None else []
            return [snapped(lm, mine)[0], drawn_at_random(lm, mine), *made] if mine.kind == "soft" else made

        async for update in self._contest(session, lm_make=make, keep=True):
            yield update

    async def _seeds(self, session: Session, name: Any) -> AsyncIterator[list[Any]]:
        task = session.task

        def make(run: Run) -> list[tuple[Task, Any, str, str]]:
            known = session.compare.on(task).added
            named = ((seed, f"{run.name}, again with seed {seed}") for seed in range(run.recipe.seed + 1, 2**31))
            fresh = islice(((seed, title) for seed, title in named if title not in known), SEEDS)
            return [(run.task, run.recipe.but(seed=seed), title, seeds_of(run)) for seed, title in fresh]

        async for update in self._train(session, name, make):
            yield update

    async def _shuffle(self, session: Session, name: Any) -> AsyncIterator[list[Any]]:
        def make(run: Run) -> list[tuple[Task, Any, str, str]]:
            return [(shuffled(run.task), run.recipe, f"control: {run.name} on shuffled answers", "")]

        async for update in self._train(session, name, make):
            yield update

    async def _train(self, session: Session, name: Any, make: Callable[[Run], list[Any]]) -> AsyncIterator[list[Any]]:
        """Train what `make` says of a run (task, recipe, name, group), and score it on the session's held-out rows."""
        task = session.task
        try:
            run = run_named(session, name)
            if run.learned:
                raise LabError("This prompt came from a file: train one on the Train page to repeat it.")
            wanted = make(run)
        except LabError as error:
            yield self.paint(session, str(error))
            return

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Any]:
            for other, recipe, title, group in wanted:
                contender = None
                for event in repeat(lm, other, recipe, title):
                    if isinstance(event, Contender):
                        contender = replace(event, group=group, excluded=event.excluded | run.task.seen)
                        yield contender
                    else:
                        yield event.step, title, recipe.steps
                if contender:
                    yield from contest(lm, task, [contender], task.held_out, self.lab.book, "held_out")

        def take(event: Any) -> str:
            if isinstance(event, tuple):
                step, title, steps = event
                return f"{title}: step {step} of {steps}"
            self._keep(session, task, event)
            return "scoring"

        async for progress, problem in side_job(self.lab, session, job, take):
            yield await asyncio.to_thread(self.paint, session, problem, None, progress or "starting")

    @staticmethod
    def _keep(session: Session, task: Task, event: Any) -> None:
        if isinstance(event, Contender):
            added = session.compare.on(task).added
            if len(added) >= MOST_ADDED and event.name not in added:
                oldest = next(iter(added))
                added.pop(oldest)
                session.compare.on(task).scores.pop(oldest, None)
            added[event.name] = event
        elif isinstance(event, Scored) and event.final:
            session.compare.on(task).scores[event.score.name] = event.score

    async def _contest(
        self,
        session: Session,
        make: Callable[[], list[Contender]] | None = None,
        lm_make: Callable[[LanguageModel], list[Contender]] | None = None,
        keep: bool = False,
    ) -> AsyncIterator[list[Any]]:
        """Score contenders that `make` makes here, or `lm_make` with the model. keep: they take part from now on."""
        task = session.task
        try:
            ready = make() if make else []
        except LabError as error:
            yield self.paint(session, str(error))
            return

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Any]:
            contenders = lm_make(lm) if lm_make else ready
            yield len(contenders)
            for contender in contenders:
                if keep:
                    yield contender
                try:
                    yield from contest(lm, task, [contender], task.held_out, self.lab.book, "held_out")
                except LabError as error:  # one that can't be scored keeps nobody else from it
                    yield Skipped(contender.name, str(error))

        clock = Progress(len(task.held_out))
        skipped: list[str] = []

        def take(event: Any) -> Score | None:
            clock.take(event)
            if isinstance(event, Skipped):
                skipped.append(f"“{event.name}” was not scored: {event.reason}")
                session.compare.on(task).added.pop(event.name, None)
            elif isinstance(event, Scored) and not event.final:
                return event.score
            else:
                self._keep(session, task, event)
            return None

        async for growing, problem in side_job(self.lab, session, job, take):
            shown = growing if session.task is task else None
            yield await asyncio.to_thread(self.paint, session, problem or " ".join(skipped), shown, clock.words())

    def _cancel(self, session: Session) -> list[Any]:
        if session.side_job:
            self.lab.engine.cancel(session.side_job)
        return self.paint(session)

    async def _cell(self, session: Session, event: gr.EventData) -> AsyncIterator[tuple[Any, Any]]:
        number = clicked(event, "cell", len(session.compare.listed))
        if number is None:
            yield gr.skip(), gr.skip()
            return
        text = session.compare.listed[number]
        wanted = next((e.output for e in session.task.held_out if e.input == text), "")
        async for update in self._everybody(session, text, wanted):
            yield update

    async def _ask(self, session: Session, text: Any) -> AsyncIterator[tuple[Any, Any]]:
        text = str(text or "")
        if not text.strip() or len(text) > MOST_TYPED:
            yield show.message(f"Type an input of 1 to {MOST_TYPED:,} characters; this one has {len(text.strip()):,}."), gr.skip()
            return
        async for update in self._everybody(session, text, ""):
            yield update

    async def _everybody(self, session: Session, text: str, wanted: str) -> AsyncIterator[tuple[Any, Any]]:
        """Everybody's answer to one text, token by token, and the next tokens that they considered."""
        task = session.task
        known = known_scores(session)
        asked = [c for c in entrants(session) if not c.group or c.name in known][:16]
        said = {contender.name: "" for contender in asked}
        considered: dict[str, Any] = {}

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[tuple[str, Any]]:
            longest = max(len(lm.tokenise(e.output)) for e in task.held_out[:100])
            for contender in asked:
                labels = label_probabilities(lm, contender, text, task.labels) if task.labels else []
                yield contender.name, (next_tokens(lm, contender, text), labels)
                for words in answer(lm, contender, text, min(max(12, longest + 4), 64)):
                    yield contender.name, words

        def take(event: tuple[str, Any]) -> None:
            name, value = event
            if isinstance(value, str):
                said[name] = value
            else:
                considered[name] = value

        async for _, problem in side_job(self.lab, session, job, take):
            yield show.message(problem), tables.next_words(text, said, considered, wanted, task.labels or ())


EMPTY: dict[str, Any] = {"title": "", "note": "Nothing to show yet.", "data": [], "layout": {"height": 120}}


def _saved(scores: dict[str, Score]) -> str:
    return f"<p>{tables.download('contenders.csv', tables.contenders_csv(scores), 'this table as CSV')}</p>"


def _still(chosen: str, choices: list[str], place: int) -> str | None:
    """What was chosen before, as long as it is there; else the choice at `place`."""
    return chosen if chosen in choices else choices[place] if choices else None


def _whole(value: Any, name: str, low: int, high: int) -> int:
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    if not sound or not low <= value <= high or value != int(value):  # NaN and infinity are outside, too
        raise LabError(f"{name} is {value}: choose a whole number from {low} to {high}.")
    return int(value)
