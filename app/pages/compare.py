"""The Compare page: all contenders on the same held-out rows, which of them is better on which row, and their answers to one input."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, QUIET, Changes, clicked, html
from app.pages.compare_details import Details
from app.pages.compress import Compress
from app.pages.train import TrainPage
from app.sessions.contest import (
    all_prompts,
    entrants,
    known_scores,
    label_score,
    learned_contender,
    learned_runs,
    prompt_named,
    recorded_scores,
    run_named,
    seeds_of,
    written_names,
)
from app.sessions.contest_jobs import Repeat, Scoring, ask_all, score, train_more
from app.sessions.jobs import Paint
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import tables
from app.view.bars import bars
from app.view.headline import imitated
from app.view.html import Html, alert, bold, dim, join, lines, note, tag
from core import LabError
from core.models.language_model import LanguageModel
from core.recipe import check_template
from core.runs.contest import with_model
from core.scoring.contender import Contender, written
from core.scoring.derived_contenders import MOST_EXAMPLES, calibrated, drawn_at_random, few_shot, in_chat, moved, snapped
from core.scoring.score import Score, majority
from core.tasks.built_in import shuffled
from core.tasks.task import Handcrafted

MOST_TYPED = 4000  # characters
MOST_PROMPTS = 12
MOST_ORDERS = 10
SEEDS = 2  # more seeds of a run
UNTRAINED = (
    "Random weights: the same recipe on the same architecture before any training. What it gets right needs nothing that the model knows. "
    "A low score does not show which knowledge the prompt uses: random weights may only be slower to steer."
)
RECORDED = note(Html("From a <b>recording</b>. Press <b>Score all</b> to score the handcrafted prompts here, or train a prompt."))
NOTHING_SCORED = note(Html("Nothing is scored yet on this task: press <b>Score all</b>, or train a prompt on the Train page."))


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
                    info="Write it around {input}. You may include worked examples.",
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
                with gr.Accordion("variants of a written prompt", open=False):
                    self.base = gr.Dropdown(label="prompt", choices=[], elem_id="base-prompt")
                    with gr.Row(elem_classes="buttons"):
                        self.chat = gr.Button("As a chat", elem_id="score-chat", min_width=110)
                        self.calibrate = gr.Button("Calibrated", elem_id="score-calibrated", min_width=110)
                    self.compress = Compress()
                with gr.Accordion("a learned prompt: seeds and controls", open=False):
                    self.run = gr.Dropdown(label="run", choices=[], elem_id="control-run")
                    with gr.Row(elem_classes="buttons"):
                        self.controls = gr.Button("Snapped, moved, random", elem_id="score-controls", min_width=190)
                    with gr.Row(elem_classes="buttons"):
                        self.seeds = gr.Button(f"{SEEDS} more seeds", elem_id="more-seeds", min_width=110)
                        self.shuffle = gr.Button("Shuffled answers", elem_id="train-shuffled", min_width=110)
                    with gr.Row(elem_classes="buttons"):  # a third button in the row above would be cut off
                        self.untrained = gr.Button("Random weights", elem_id="train-untrained", min_width=190)
                    html(note(UNTRAINED))
                self.written = html(elem_id="written")
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="compare-message")
                self.progress = html(elem_id="compare-progress")
                self.table = html(elem_id="contenders")
                self.details = Details(lab)
                with gr.Row(elem_classes="ask"):
                    self.text = gr.Textbox(label="Try your own input", max_length=MOST_TYPED, elem_id="ask-text", scale=4)
                    self.ask = gr.Button("Ask all", elem_id="ask", min_width=120, scale=0)
                self.answers = html(elem_id="answers")
        self.outputs = [
            self.message, self.progress, self.task_name, self.table, self.written, self.cancel, self.base, self.run, *self.details.outputs,
        ]  # fmt: skip

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, message: str = "", growing: Score | None = None, progress: str = "") -> Changes:
        """Changes of `outputs` for the session's task. While contenders are scored (`progress`), only the table changes."""
        task, busy = session.task, session.busy
        known = known_scores(session)
        scores = known or ({} if busy else recorded_scores(session))
        shown = {**scores, growing.name: growing} if growing else scores
        grouped = tables.grouped(shown)
        n = len(task.held_out)
        table = bars(grouped, f"Right answers on the {n} held-out rows, never used in training", written_names(task), full=True)
        changes: Changes = {
            self.message: alert(message),
            self.progress: "",
            self.task_name: tag("p", lines(bold(f"Task: {task.name}"), dim(f"{n} held-out rows. Choose another one on the Train page."))),
            self.cancel: gr.update(interactive=busy),
        }
        if busy and progress:
            line = tag("div", tag("span", progress), class_="progress", role="status")
            return {**changes, self.progress: line, self.table: table}
        prompts = [prompt.name for prompt in (*task.handcrafted, *session.compare.on(task).prompts)]
        runs = [run.name for run in learned_runs(session)]
        return {
            **changes,
            self.table: join(
                [None if known else RECORDED, table, *_compressed(session), tables.how_counted(task, label_score(session)), _saved(scores)]
            )
            if grouped
            else NOTHING_SCORED,
            self.written: tables.prompts(all_prompts(session)),
            self.base: gr.update(choices=prompts, value=_chosen(session.compare.base_prompt, prompts, -1)),
            self.run: gr.update(choices=runs, value=_chosen(session.compare.control_run, runs, 0)),
            **self.details.paint(session, scores, grouped),
        }

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, train: TrainPage, tabs: gr.Tabs, paint_others: Paint, other_outputs: list[Any]) -> None:
        """train: the Train page, whose run compresses a prompt. paint_others: what other pages show after that run."""
        self.compress.wire(session, self.base, self.message, train, tabs, paint_others, other_outputs)
        for button, handler, inputs in (
            (self.add, self._add, [self.prompt]),
            (self.all, self._all, []),
            (self.few, self._few, [self.k, self.draw, self.orders]),
            (self.chat, self._chat, [self.base]),
            (self.calibrate, self._calibrate, [self.base]),
            (self.controls, self._controls, [self.run]),
            (self.seeds, self._seeds, [self.run]),
            (self.shuffle, self._shuffle, [self.run]),
            (self.untrained, self._untrained, [self.run]),
        ):
            button.click(handler, [session, *inputs], self.outputs, **QUIET)
        self.base.input(self._pick_base, [session, self.base], None, **NEWEST)
        self.run.input(self._pick_run, [session, self.run], None, **NEWEST)
        self.cancel.click(self._cancel, [session], self.outputs, **QUIET)
        self.written.click(self._edit, [session], [self.prompt], **QUIET)
        for trigger in (self.ask.click, self.text.submit):
            trigger(self._ask, [session, self.text], [self.message, self.answers], **QUIET)
        self.details.wire(session, self.message)

    def _pick_base(self, session: Session, name: Any) -> None:
        session.compare.base_prompt = str(name)

    def _pick_run(self, session: Session, name: Any) -> None:
        session.compare.control_run = str(name)

    async def _add(self, session: Session, template: str) -> AsyncIterator[Changes]:
        task, entered = session.task, session.compare.on(session.task)
        own = entered.prompts
        prompt = Handcrafted(f"mine {len(own) + 1}", template or "")

        def make() -> list[Contender]:
            check_template(prompt.template)
            if len(prompt.template) > MOST_TYPED:
                raise LabError(f"The prompt has {len(template):,} characters: use at most {MOST_TYPED:,}.")
            if len(own) >= MOST_PROMPTS:
                raise LabError(f"You have {MOST_PROMPTS} prompts on this task already: reload the page to start again.")
            if any(other.template == prompt.template for other in (*own, *task.handcrafted)):
                raise LabError("This prompt is already a contender: change a word.")
            return [written(task, prompt)]

        async for changes in self._score_made(session, make):
            if prompt.name in entered.scores and prompt not in entered.prompts:
                entered.prompts = [*own, prompt]
                changes = self.paint(session)
            yield changes

    def _edit(self, session: Session, event: gr.EventData) -> Any:
        """Put the words of a prompt into the field for one's own."""
        prompts = all_prompts(session)
        number = clicked(event, "cell", len(prompts))
        return gr.skip() if number is None else prompts[number].template

    async def _all(self, session: Session) -> AsyncIterator[Changes]:
        known = known_scores(session)
        always = majority(session.task, session.task.held_out)
        session.compare.on(session.task).scores[always.name] = always
        task, wanted = session.task, entrants(session)

        def make(lm: LanguageModel) -> list[Contender]:
            more = {contender.name: contender for contender in with_model(lm, task)}
            session.compare.on(task).added.update(more)
            every = {contender.name: contender for contender in wanted} | more
            return [contender for name, contender in every.items() if name not in known]

        async for changes in self._score(session, make, calibrate=True):
            yield changes

    async def _few(self, session: Session, k: Any, draw: Any, orders: Any) -> AsyncIterator[Changes]:
        def make() -> list[Contender]:
            count, seed = _whole(k, "examples", 1, MOST_EXAMPLES), _whole(draw, "draw", 0, 2**31)
            return [few_shot(session.task, count, seed, order) for order in range(_whole(orders, "orders", 1, MOST_ORDERS))]

        async for changes in self._score_made(session, make, keep=True):
            yield changes

    async def _chat(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        task = session.task
        async for changes in self._score(session, lambda lm: [in_chat(lm, written(task, prompt_named(session, name)))], keep=True):
            yield changes

    async def _calibrate(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        task = session.task

        def make(lm: LanguageModel) -> list[Contender]:
            if not task.labels:
                raise LabError("Calibration compares label words, and this task has free answers: choose a task with labels.")
            return [calibrated(lm, written(task, prompt_named(session, name)), task.labels)]

        async for changes in self._score(session, make, keep=True):
            yield changes

    async def _controls(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        def make(lm: LanguageModel) -> list[Contender]:
            run = run_named(session, name)
            learned, start = learned_contender(run), run.record.vectors.get(0) if run.record.start_known else None
            made = [moved(lm, learned, start)] if start is not None else []
            return [snapped(lm, learned)[0], drawn_at_random(lm, learned), *made] if learned.prefix.method.in_embedding_space else made

        async for changes in self._score(session, make, keep=True):
            yield changes

    async def _score_made(self, session: Session, make: Callable[[], list[Contender]], keep: bool = False) -> AsyncIterator[Changes]:
        """As `_score`, for contenders that need no model: what is wrong with them is told at once."""
        try:
            made = make()
        except LabError as error:
            yield self.paint(session, str(error))
            return
        async for changes in self._score(session, lambda lm: made, keep):
            yield changes

    async def _score(
        self, session: Session, make: Callable[[LanguageModel], list[Contender]], keep: bool = False, calibrate: bool = False
    ) -> AsyncIterator[Changes]:
        async for changes in self._paint_scoring(session, score(self.lab, session, make, keep, calibrate)):
            yield changes

    async def _paint_scoring(self, session: Session, news: AsyncIterator[Scoring]) -> AsyncIterator[Changes]:
        """Paint each item; an older message goes with the first one alone, since a later one may come after what the next press says."""
        first = True
        async for scoring in news:
            changes = await asyncio.to_thread(self.paint, session, *scoring)
            if not first and not scoring.problem:
                del changes[self.message]
            yield changes
            first = False

    async def _seeds(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        def make(run: SessionRun) -> list[Repeat]:
            known = session.compare.on(session.task).added
            named = ((seed, f"{run.name}, again with seed {seed}") for seed in range(run.recipe.seed + 1, 2**31))
            fresh = islice(((seed, title) for seed, title in named if title not in known), SEEDS)
            return [Repeat(run.task, run.recipe.but(seed=seed), title, seeds_of(run)) for seed, title in fresh]

        async for changes in self._train(session, name, make):
            yield changes

    async def _shuffle(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        def make(run: SessionRun) -> list[Repeat]:
            return [Repeat(shuffled(run.task), run.recipe, f"control: {run.name} on shuffled answers", "")]

        async for changes in self._train(session, name, make):
            yield changes

    async def _untrained(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        def make(run: SessionRun) -> list[Repeat]:
            return [Repeat(run.task, run.recipe, f"control: {run.name} on random weights", "", random_weights=True)]

        async for changes in self._train(session, name, make):
            yield changes

    async def _train(self, session: Session, name: Any, make: Callable[[SessionRun], list[Repeat]]) -> AsyncIterator[Changes]:
        """Train what `make` says of a run, and score it on the session's held-out rows."""
        try:
            run = run_named(session, name)
            if run.learned:
                raise LabError("This prompt came from a file: train one on the Train page to repeat it.")
            repeats = make(run)
        except LabError as error:
            yield self.paint(session, str(error))
            return
        async for changes in self._paint_scoring(session, train_more(self.lab, session, run, repeats)):
            yield changes

    def _cancel(self, session: Session) -> Changes:
        if session.side_job:
            self.lab.engine.cancel(session.side_job)
        return self.paint(session)

    async def _ask(self, session: Session, text: Any) -> AsyncIterator[Changes]:
        text, task = str(text or ""), session.task
        if not text.strip() or len(text) > MOST_TYPED:
            problem = f"Type an input of 1 to {MOST_TYPED:,} characters; this one has {len(text.strip()):,}."
            yield {self.message: alert(problem)}
            return
        async for answers in ask_all(self.lab, session, text):
            said = tables.next_words(text, answers.said, answers.considered, "", task.labels or ())
            yield {self.message: alert(answers.problem), self.answers: said}


def _saved(scores: dict[str, Score]) -> Html:
    return tag("p", tables.download("contenders.csv", tables.contenders_csv(scores), "this table as CSV"))


def _compressed(session: Session) -> list[Html]:
    """A line for each run of the session that compressed a prompt of its task."""
    return [imitated(run.record, run.name) for run in session.runs_here if run.task == session.task]


def _chosen(chosen: str, choices: list[str], place: int) -> str | None:
    """The choice made before while it is available, else the one at `place`."""
    return chosen if chosen in choices else choices[place] if choices else None


def _whole(value: Any, name: str, low: int, high: int) -> int:
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    if not sound or not low <= value <= high or value != int(value):  # NaN and infinity are outside, too
        raise LabError(f"{name} is {value}: choose a whole number from {low} to {high}.")
    return int(value)
