"""The Compare page: every contender on the same held-out rows, your own prompts too, and answers side by side."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from core import LabError
from core.answering import answer, label_probabilities
from core.engine import Ticket
from core.model import LanguageModel
from core.prefix import Prefix, from_snapshot
from core.recipe import check_template
from core.record import best_handcrafted, score_row
from core.run import Scored, Skipped, contest, rivals
from core.scoring import Contender, Score, compare, handcrafted, majority
from core.task import Handcrafted, Task

from . import show
from .components import html
from .session import Lab, Run, Session

BEAT = 2.0  # seconds at most between two looks at a job
MOST_TYPED = 4000  # characters
MOST_PROMPTS = 12


class ComparePage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab = lab
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=0, min_width=320, elem_classes="controls"):
                self.task_name = html(elem_id="compare-task")
                self.prompt = gr.Textbox(
                    label="your own prompt",
                    info="Write it around {input}. Worked examples are fair: put some in.",
                    lines=4,
                    max_length=4000,
                    elem_id="own-prompt",
                )
                with gr.Row(elem_classes="buttons"):
                    self.add = gr.Button("Score it", variant="primary", elem_id="score-prompt", min_width=120)
                    self.all = gr.Button("Score all", elem_id="score-all", min_width=120)
                self.cancel = gr.Button("Stop", elem_id="stop-scoring", interactive=False, min_width=60)
                self.written = html(elem_id="written")
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="compare-message")
                self.table = html(elem_id="contenders")
                self.verdict = html(elem_id="verdict")
                with gr.Row(elem_classes="ask"):
                    self.text = gr.Textbox(label="answers side by side: type an input", max_length=2000, elem_id="ask-text", scale=4)
                    self.ask = gr.Button("Ask all", elem_id="ask", min_width=120, scale=0)
                self.answers = html(elem_id="answers")
        self.outputs = [self.message, self.task_name, self.table, self.verdict, self.written, self.cancel]

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, message: str = "", growing: Score | None = None) -> list[Any]:
        """The values of `outputs` for the session's task."""
        task, scores = session.task, dict(known_scores(session))
        if growing:
            scores[growing.name] = growing
        rows = [{**score_row(score, samples=False), "final": score is not growing} for score in scores.values()]
        n = len(task.held_out)
        empty = "<p class='note'>Nothing is scored yet on this task: press <b>Score all</b>, or train a prompt on the Train page.</p>"
        note = (
            "<p class='note'>Right means: every token of the right answer is the model's first choice"
            " (whether it would then stop is asked of nobody)."
            if not task.labels
            else "<p class='note'>Right means: the right label is the most likely of the label words. Among all tokens of the vocabulary, the right "
            f"label is the first choice of: {first_choices(rows)}."
        )
        note += " Loss: nats per answer. Tokens: what stands before the input. All in float32, by the same code, on the same rows.</p>"
        table = (
            show.bars(rows, f"Right answers on the {n} held-out rows, which no learned prompt has seen", _names(task), best_first=True)
            + note
            if rows
            else empty
        )
        busy = session.side_job is not None and not session.side_job.over
        return [
            show.message(message),
            f"<p><b>Task: {show.safe(task.name)}</b><br><span class='dim'>{n} held-out rows. Choose another one on the Train page.</span></p>",
            table,
            self._verdicts(scores),
            written_prompts(task, session.prompts.get(task.slug, [])),
            gr.update(interactive=busy),
        ]

    @staticmethod
    def _verdicts(scores: dict[str, Score]) -> str:
        rows = [score_row(score, samples=False) for score in scores.values()]
        best = best_handcrafted(rows)
        learned = [score for score in scores.values() if score.kind in ("soft", "prefix")]
        if not best or not learned:
            return ""
        lines = []
        for score in learned[-4:]:
            try:
                lines.append(show.paired(score.name, best["name"], compare(score, scores[best["name"]])))
            except LabError:
                continue
        hint = "<p class='dim'>The best handcrafted prompt is picked on these same rows, with hindsight: that favours it.</p>"
        return "".join(lines) + hint if lines else ""

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        self.add.click(self._add, [session, self.prompt], self.outputs, **quiet)
        self.all.click(self._all, [session], self.outputs, **quiet)
        self.cancel.click(self._cancel, [session], self.outputs, **quiet)
        self.ask.click(self._ask, [session, self.text], [self.message, self.answers], **quiet)
        self.text.submit(self._ask, [session, self.text], [self.message, self.answers], **quiet)

    async def _add(self, session: Session, template: str) -> AsyncIterator[list[Any]]:
        task = session.task
        try:
            check_template(template or "")
            if len(template) > MOST_TYPED:
                raise LabError(f"The prompt has {len(template):,} characters: use at most {MOST_TYPED:,}.")
            own = session.prompts.get(task.slug, [])
            if len(own) >= MOST_PROMPTS:
                raise LabError(f"You have {MOST_PROMPTS} prompts on this task already: reload the page to begin anew.")
            name = f"mine {len(own) + 1}"
            if any(prompt.template == template for prompt in (*own, *task.handcrafted)):
                raise LabError("This very prompt is among the contenders already: change a word.")
        except LabError as error:
            yield self.paint(session, str(error))
            return
        contender = handcrafted(name, template, task.held_out)
        async for update in self._contest(session, [contender]):
            yield update
        if name in session.scores.get(task.slug, {}):
            session.prompts[task.slug] = [*own, Handcrafted(name, template)]
            yield self.paint(session)

    async def _all(self, session: Session) -> AsyncIterator[list[Any]]:
        task = session.task
        known = known_scores(session)
        wanted = [contender for contender in rivals(task) if contender.name not in known]
        wanted += [learned_contender(run) for run in learned_runs(session) if run.name not in known]
        always = majority(task, task.held_out)
        session.scores.setdefault(task.slug, {})[always.name] = always
        async for update in self._contest(session, wanted):
            yield update

    async def _contest(self, session: Session, contenders: list[Contender]) -> AsyncIterator[list[Any]]:
        task = session.task

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Scored | Skipped]:
            for contender in contenders:
                yield from contest(lm, task, [contender], task.held_out, self.lab.book, "held_out")

        skipped: list[str] = []

        def take(event: Scored | Skipped) -> Score | None:
            if isinstance(event, Skipped):
                skipped.append(f"“{event.name}” was not scored: {event.reason}")
                return None
            if event.final:
                session.scores.setdefault(task.slug, {})[event.score.name] = event.score
                return None
            return event.score

        async for growing, problem in side_job(self.lab, session, job, take):
            yield self.paint(session, problem or " ".join(skipped), growing if session.task is task else None)

    def _cancel(self, session: Session) -> list[Any]:
        if session.side_job:
            self.lab.engine.cancel(session.side_job)
        return self.paint(session)

    async def _ask(self, session: Session, text: str) -> AsyncIterator[tuple[Any, Any]]:
        if not text.strip() or len(text) > MOST_TYPED:
            yield show.message(f"Type an input of 1 to {MOST_TYPED:,} characters; this one has {len(text.strip()):,}."), gr.skip()
            return
        task = session.task
        own = session.prompts.get(task.slug, [])
        contenders = [*(learned_contender(run) for run in learned_runs(session)), *rivals(task)]
        contenders += [handcrafted(prompt.name, prompt.template) for prompt in own]
        said: dict[str, str] = {contender.name: "" for contender in contenders}
        shares: dict[str, list[float]] = {}
        kinds = {contender.name: contender.kind for contender in contenders}

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[tuple[str, Any]]:
            for contender in contenders:
                if task.labels:
                    yield contender.name, label_probabilities(lm, contender, text, task.labels)
                for words in answer(lm, contender, text):
                    yield contender.name, words

        def take(event: tuple[str, Any]) -> None:
            name, value = event
            if isinstance(value, str):
                said[name] = value
            else:
                shares[name] = value

        async for _, problem in side_job(self.lab, session, job, take):
            yield show.message(problem), answers_table(text, said, shares, task, kinds)


async def side_job(lab: Lab, session: Session, job: Any, take: Any) -> AsyncIterator[tuple[Any, str]]:
    """Run a small job of this session: yields (what `take` made of the last event, a sentence if it failed) as it goes."""
    try:
        if session.side_job and not session.side_job.over:
            raise LabError("Something else is being scored: wait for it, or stop it.")
        ticket = session.side_job = lab.engine.submit(session.id, job)
    except LabError as error:
        yield None, str(error)
        return
    done, over = 0, False
    yield None, "" if lab.engine.lm else "The model is still loading; this goes on as soon as it is there."
    try:
        while not over:
            changes, over = ticket.changes, ticket.over
            if len(ticket.events) > done or over:
                last = None
                for event in ticket.events[done:]:
                    last = take(event)
                    done += 1
                yield last, ticket.message
            if not over:
                await ticket.changed(changes, BEAT)
    finally:
        lab.engine.cancel(ticket)


def known_scores(session: Session) -> dict[str, Score]:
    """Held-out scores on the session's task: those asked for here, and those that its runs ended with."""
    known: dict[str, Score] = {}
    for run in session.runs:
        if run.task is session.task or run.task == session.task:
            for name, score in dict(run.record.held_out).items():
                mine = score.kind in ("soft", "prefix")
                known[run.name if mine else name] = _named(score, run.name) if mine else score
    known.update(session.scores.get(session.task.slug, {}))
    return known


def _named(score: Score, name: str) -> Score:
    return replace(score, name=name)


def learned_runs(session: Session) -> list[Run]:
    """The session's runs with vectors that fit its task, newest first."""
    fitting = [run for run in session.runs if run.learned or run.task == session.task]
    return [run for run in reversed(fitting) if prefix_of(run) is not None and not run.busy]


def prefix_of(run: Run) -> Prefix | None:
    """What a run learned, ready to stand before an input, or None where there are no vectors."""
    if run.learned:
        return run.learned.prefix
    vectors = run.record.final_vectors()
    return None if vectors is None else from_snapshot(vectors)


def learned_contender(run: Run) -> Contender:
    """A run as a contender, under its own name. The rows that it was trained on don't count for it."""
    if run.learned:
        return run.learned.contender(run.name)
    prefix = prefix_of(run)
    assert prefix is not None
    template = run.recipe.template or run.task.template
    return Contender(run.name, prefix.kind, template, prefix, run.recipe.placement, run.task.seen)


def first_choices(rows: list[dict[str, Any]]) -> str:
    """How often each contender's first choice of the whole vocabulary is the right label, in words."""
    return ", ".join(f"{show.safe(row['name'])} {show.percent(row['first_choice'])}" for row in rows if row["first_choice"] is not None)


def _names(task: Task) -> list[str]:
    return [prompt.name for prompt in task.handcrafted]


def written_prompts(task: Task, own: list[Handcrafted]) -> str:
    """The handcrafted prompts' texts, to be read."""
    rows = [Handcrafted("no prompt", task.template), *task.handcrafted, *own]
    items = "".join(f"<dt>{show.safe(prompt.name)}</dt><dd><pre>{show.safe(prompt.template)}</pre></dd>" for prompt in rows)
    return f"<details><summary>the prompts, word for word</summary><dl class='prompts'>{items}</dl></details>"


def answers_table(text: str, said: dict[str, str], shares: dict[str, list[float]], task: Task, kinds: dict[str, str]) -> str:
    """Contenders' answers to one text, with label probabilities where there are labels."""
    if not text.strip():
        return ""
    colour = show.colours([{"name": name, "kind": kind} for name, kind in kinds.items()], _names(task))
    labels = task.labels or ()
    head = "".join(f"<th scope='col' class='num'>{show.safe(label)}</th>" for label in labels)
    rows = []
    for name, words in said.items():
        cells = "".join(f"<td class='num'>{show.percent(share)}</td>" for share in shares.get(name, [])) or "<td></td>" * len(labels)
        rows.append(
            f"<tr style='--c:{colour[name]}'><th scope='row'><i class='dot'></i>{show.safe(name)}</th><td>{show.safe(words) or '…'}</td>{cells}</tr>"
        )
    return (
        f"<table class='said'><caption>Greedy continuations of “{show.safe(text)}”, up to 12 tokens</caption>"
        f"<thead><tr><th scope='col'>contender</th><th scope='col'>goes on with</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
