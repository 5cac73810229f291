"""The machine with its Try-it box, on top of the Train page: what goes in, the frozen layers, and what comes out."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from app.components.widgets import QUIET, Changes, clicked, html
from app.sessions import trying
from app.sessions.contest import prefix_of_run
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import trying as view
from app.view.html import alert
from app.view.machine import Machine, machine, vectors_at
from app.view.text import short_name
from core.scoring.trying import Tried, is_right, right_answer
from core.tasks.prompt_text import join
from core.tasks.task import template_of

MOST_SQUARES = 12
PRESS = "Press a strip to choose its vector, then mute it."


class TryIt:
    """Layout first (inside gr.Blocks), then events (`wire`). outputs: what follows the run, its step and what is chosen."""

    def __init__(self, lab: Lab, shown: Callable[[Session], SessionRun | None], message: gr.HTML):
        """shown: the run that the page shows for a session. message: where a problem is said."""
        self.lab, self.shown, self.message = lab, shown, message
        with gr.Row(elem_id="try-it", elem_classes="try-it"):
            with gr.Column(scale=5, min_width=300, elem_classes="machine-side"):
                self.picture = html(elem_id="machine")
                self.mute = html(elem_id="mute")
                self.strength = gr.Slider(0, 2, value=1, step=0.1, label="strength: each vector times this", elem_id="strength")
            with gr.Column(scale=6, min_width=300, elem_classes="answers-side"):
                with gr.Row(elem_classes="try-box"):
                    self.box = gr.Textbox(label="Try it: your input", elem_id="try-input", max_lines=1, scale=1, min_width=160)
                    self.surprise = gr.Button("Surprise me", elem_id="surprise", elem_classes="repeats", size="sm", scale=0, min_width=120)
                self.answers = html(elem_id="try-answers")
        self.outputs = [self.picture, self.mute, self.answers]
        self.inputs = [self.box, self.strength]

    # --- what it shows ----------------------------------------------------------------------------------------------

    def paint_inputs(self, session: Session, run: SessionRun) -> Changes:
        """Changes of `inputs`: not while someone may be typing."""
        trial = trying.trial_of(session, run)
        return {self.box: gr.update(value=trial.text), self.strength: gr.update(value=trial.strength)}

    def paint(self, session: Session, run: SessionRun) -> Changes:
        """Changes of `outputs`."""
        trial = trying.trial_of(session, run)
        known = trying.answers(session, run)
        right = right_answer(run.task, trial.text)
        verdicts = {role: _verdict(tried, right) for role, tried in known.items()}
        written = trying.written_roles(run)
        count = run.record.recipe["virtual_tokens"]
        rows = []
        for role, tried in known.items():
            learned = role == "learned"
            front = "■" * min(count, MOST_SQUARES) + ("…" if count > MOST_SQUARES else "") if learned else written[role].template
            name = run.record.method.described(count) if learned else view.NAMES[role]
            rows.append(view.Row(role, name, front, tried, verdicts[role], self._waits(run, learned)))
        mine = known["learned"]
        shown = Machine(
            session.step_of(run),
            self._words(run, trial.text),
            mine.said if mine else "",
            verdicts["learned"],
            session.chosen,
            trial.muted,
            trial.strength,
            run.busy and run.status == "running",
        )
        return {
            self.picture: machine(run.record, shown),
            self.mute: view.vectors_bar(session.chosen, sorted(trial.muted), count, PRESS),
            self.answers: view.rows(rows, trial.text) + view.below(right, self._told(session, run)),
        }

    def _waits(self, run: SessionRun, learned: bool) -> str:
        """Why there is no answer yet."""
        engine = self.lab.engine
        lm = engine.loaded(run.model)
        if engine.problem_of(run.model):
            return "no model is loaded"
        if lm is None and engine.awaited(run.model):
            return "the model is loading"
        if learned and prefix_of_run(run) is None:
            return "this recording kept no vectors: run it live" if run.record.recorded else "nothing is learned yet"
        if learned and lm is not None and not trying.fits(lm, run):
            return f"these vectors belong to {short_name(str(run.record.base.get('name', 'another model')))}: run it live"
        return "…"

    def _told(self, session: Session, run: SessionRun) -> list[str]:
        """What must be known to read the answers rightly."""
        trial, step = session.trial, session.step_of(run)
        found, kept = vectors_at(run.record, step)
        told = []
        if found is not None and kept != step:
            told.append(f"The vectors are those of step {kept}: those of step {step} were not kept.")
        if trial.strength != 1.0:
            told.append(f"Each vector is multiplied by {trial.strength:g}: 0 is a row of zeros, 1 is as trained.")
        return told

    def _words(self, run: SessionRun, text: str) -> list[str]:
        """The tokens of the input with its template; words, until there is a model to say."""
        lm = self.lab.engine.loaded(run.model)
        whole = join(template_of(run.task, run.recipe.template), text)[0]
        if lm is None:
            first, *others = whole.split(" ")
            return [first, *(f" {word}" for word in others)]
        return [lm.token_text(one) for one in lm.tokenise(whole)]

    # --- events -----------------------------------------------------------------------------------------------------

    def answering(self, session: gr.State) -> tuple[Any, ...]:
        """The event by which the answers follow another one: handler, inputs and outputs."""
        return self.answer, [session], [*self.outputs, self.message]

    def wire(self, session: gr.State) -> None:
        outputs = [*self.outputs, self.message]
        self.box.change(self._typed, [session, self.box], outputs, **QUIET)  # a text that is pasted counts as no input
        self.surprise.click(self._draw, [session], [self.box, *outputs], **QUIET)
        self.strength.input(self._scale, [session, self.strength], outputs, **QUIET)
        self.mute.click(self._mute_chosen, [session], outputs, **QUIET)
        self.picture.click(self._mute_pressed, [session], outputs, **QUIET)

    async def answer(self, session: Session, wait: float = 0.0) -> AsyncIterator[Changes]:
        """Answers to what is in the box now, as they come."""
        run = self.shown(session)
        if run is None:
            return
        async for problem in trying.answer(self.lab, session, run, wait):
            if self.shown(session) is run:
                yield {**self.paint(session, run), **({self.message: alert(problem)} if problem else {})}

    async def _typed(self, session: Session, text: Any) -> AsyncIterator[Changes]:
        run = self.shown(session)
        if run is None or not isinstance(text, str) or trying.trial_of(session, run).text == text[: trying.LONGEST]:
            return
        trying.trial_of(session, run).text = text[: trying.LONGEST]
        yield self.paint(session, run)
        async for changes in self.answer(session, trying.DEBOUNCE):
            yield changes

    async def _draw(self, session: Session) -> AsyncIterator[Changes]:
        run = self.shown(session)
        if run is None:
            return
        text = trying.draw(session, run)
        yield {self.box: gr.update(value=text), **self.paint(session, run)}
        async for changes in self.answer(session):
            yield changes

    async def _scale(self, session: Session, strength: Any) -> AsyncIterator[Changes]:
        run = self.shown(session)
        if run is None or not isinstance(strength, int | float) or not 0 <= strength <= 2:
            return
        trying.trial_of(session, run).strength = round(float(strength), 2)
        yield self.paint(session, run)
        async for changes in self.answer(session, trying.DEBOUNCE):
            yield changes

    async def _mute_chosen(self, session: Session, event: gr.EventData) -> AsyncIterator[Changes]:
        """A button below the picture: its cell is the vector, or the number of vectors for "unmute all"."""
        run = self.shown(session)
        if run is None:
            return
        count = run.record.recipe["virtual_tokens"]
        async for changes in self._mute(session, run, clicked(event, "cell", count + 1)):
            yield changes

    async def _mute_pressed(self, session: Session, event: gr.EventData) -> AsyncIterator[Changes]:
        """A strip that is pressed with Shift."""
        run = self.shown(session)
        if run is None or not mutes(event):
            return
        async for changes in self._mute(session, run, clicked(event, "token", run.record.recipe["virtual_tokens"])):
            yield changes

    async def _mute(self, session: Session, run: SessionRun, number: int | None) -> AsyncIterator[Changes]:
        """Leave out a vector, or take it in again."""
        if number is None:
            return
        trial = trying.trial_of(session, run)
        trial.muted = frozenset() if number == run.record.recipe["virtual_tokens"] else trial.muted ^ {number}
        yield self.paint(session, run)
        async for changes in self.answer(session):
            yield changes


def mutes(event: gr.EventData) -> bool:
    """Whether a strip was pressed with Shift."""
    data = getattr(event, "_data", None)
    return isinstance(data, dict) and data.get("mute") is True


def _verdict(tried: Tried | None, right: str | None) -> bool | None:
    """Whether an answer is right, where that is known."""
    if tried is None or not tried.said or right is None:
        return None
    return is_right(tried.said, right) if tried.right is None else tried.right
