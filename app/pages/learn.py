"""The Learn page: one part of one lesson at a time. Read, predict, run, compare, and why."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, QUIET, SILENT, Changes, clicked, drawn, html, plot
from app.lessons import EXPERIMENTS, Experiment
from app.pages.calculator import Calculator
from app.panels.findings import Findings, Shelf
from app.panels.look import View
from app.sessions.following import following
from app.sessions.jobs import side_job
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.view import lesson
from app.view.glossary import GLOSSARY
from app.view.html import EMPTY, Html, alert, note
from app.view.lesson import Part
from core.errors import shown
from core.events import Event
from core.files import ROOT
from core.models.language_model import LanguageModel
from core.ticket import Ticket

TEACHERS = ROOT / "docs" / "teachers.md"
PAINT_GAP = 0.25  # seconds at least between two paints of a running experiment
MOST_ON_SHELF = 60  # experiments, and prompts trained for them, of all sessions


@dataclass
class Going:
    """An experiment that one session runs and others may watch."""

    findings: Findings
    ticket: Ticket | None = None


class LearnPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab, self.shelf = lab, Shelf(MOST_ON_SHELF)
        self.experiments: dict[str, Experiment] = {kind.name: kind(lab, self.shelf) for kind in EXPERIMENTS}
        self.going: dict[tuple, Going] = {}  # by key
        fresh = lesson.Progress()
        self.kept = gr.Textbox(visible=False)
        with gr.Row(elem_classes=["split", "learn"]):
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self.contents = html(lesson.contents(fresh), elem_id="lessons")
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="learn-message")
                self.head = html(lesson.head(fresh), elem_id="lesson-head")
                self.reading = html(lesson.reading(fresh.part), elem_id="lesson-text", elem_classes="prose")
                self.bet = gr.Radio(label=fresh.part.question, choices=_choices(fresh.part), elem_id="bet")
                with gr.Row(elem_classes="buttons"):
                    self.go = gr.Button("Run it", variant="primary", elem_id="lesson-run", interactive=False, scale=0, min_width=180)
                    self.halt = gr.Button("Stop", elem_id="lesson-stop", interactive=False, scale=0, min_width=90)
                self.state = html(elem_id="lesson-state")
                self.verdict = html(elem_id="lesson-outcome")
                self.plot = plot(elem_id="lesson-plot")
                self.result = html(elem_id="lesson-result")
                self.why = html(elem_id="lesson-why", elem_classes="prose")
                with gr.Column(visible=False) as self.tools:
                    self.calculator = Calculator(lab)
                with gr.Row(elem_classes="buttons"):
                    self.back = gr.Button("← Back", elem_id="lesson-back", elem_classes="repeats", scale=0, min_width=110)
                    self.next = gr.Button("Next →", elem_id="lesson-next", elem_classes="repeats", scale=0, min_width=110)
                if TEACHERS.is_file():
                    with gr.Accordion("For teachers: an hour with these lessons", open=False, elem_id="for-teachers"):
                        gr.Markdown(TEACHERS.read_text("utf-8"), elem_id="teachers-text")
                if GLOSSARY.is_file():
                    with gr.Accordion("Glossary: the words of this page", open=False, elem_id="glossary"):
                        gr.Markdown(GLOSSARY.read_text("utf-8"), elem_id="glossary-text")
        self.live = [self.message, self.go, self.halt, self.state, self.verdict, self.plot, self.result, self.why, self.kept, self.contents]
        self.outputs = [*self.live, self.head, self.reading, self.bet, self.tools, self.back, self.next]

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, message: str = "") -> Changes:
        """Changes of `outputs`."""
        progress = session.learn
        part, parts = progress.part, progress.lesson.parts
        bet, done = progress.bets.get(part.key), part.key in progress.done
        return {
            **self.paint_live(session, message),
            self.head: lesson.head(progress),
            self.reading: lesson.reading(part),
            self.bet: gr.update(label=part.question, choices=_choices(part), value=bet, interactive=not done),
            self.tools: gr.update(visible=part.run == "spectrum" and done),
            self.back: gr.update(interactive=part.number > 0),
            self.next: gr.update(interactive=part.number + 1 < len(parts)),
        }

    def paint_live(self, session: Session, message: str = "") -> Changes:
        """Changes of `live`: all that changes while an experiment runs."""
        progress = session.learn
        part = progress.part
        experiment, key = self._experiment(part)
        findings = self._seen(session, part)
        done = part.key in progress.done
        going = self.going.get(key)
        watching = progress.running == key
        view = experiment.view(part.settings, findings) if findings else View()
        outcome = self._outcome(part, findings) if done else None
        ready = part.key in progress.bets and progress.running is None and not self._impossible(part)
        return {
            self.message: alert(message),
            self.go: gr.update(value="Run again" if done else experiment.button, interactive=ready),
            self.halt: gr.update(interactive=progress.running is not None),
            self.state: self._state(session, part, going.findings if going and watching else None),
            self.verdict: lesson.verdict(part, progress.bets[part.key], outcome) if outcome else "",
            self.plot: drawn(view.figure) if view.figure else "",
            self.result: view.html,
            self.why: lesson.reasons(part, outcome) if outcome else "",
            self.kept: progress.to_json(),
            self.contents: lesson.contents(progress),
        }

    def _state(self, session: Session, part: Part, going: Findings | None) -> Html:
        """Where the experiment is, in words."""
        progress = session.learn
        key = self._experiment(part)[1]
        if going:
            waits = "" if self.lab.engine.lm else " The model is still loading; this continues when it is loaded."
            return note(going.words(), waits, role="status")
        if reason := self._impossible(part):
            return note(reason)
        if progress.running is not None:
            return note("What you started in another part is still running: wait for it, or stop it.")
        if part.key not in progress.bets:
            return note("Make a prediction first; then you can run it.")
        known = self.shelf.get(key)
        if part.key in progress.done:
            if known is None:
                return note("You have done this part; its results are no longer kept here. Run it again to see them.")
            if key not in progress.mine:
                return note("These results were computed earlier on this server with the same settings. “Run again” runs it live.")
        return EMPTY

    def _impossible(self, part: Part) -> str:
        """Why the model of the lessons can't do this part, where that is known, or ""."""
        lm = self.lab.engine.lm
        return self._experiment(part)[0].impossible(lm, part.settings) if lm else ""

    def _experiment(self, part: Part) -> tuple[Experiment, tuple]:
        experiment = self.experiments[part.run]
        return experiment, experiment.key(part.settings)

    def _seen(self, session: Session, part: Part) -> Findings | None:
        """What this session may see: what it waits for, and what it has finished. Never what it has still to bet on."""
        key = self._experiment(part)[1]
        going = self.going.get(key)
        if session.learn.running == key and going:
            return going.findings
        return self.shelf.get(key) if part.key in session.learn.done else None

    def _outcome(self, part: Part, findings: Findings | None) -> lesson.Outcome | None:
        return self.experiments[part.run].outcome(part.settings, findings) if findings and findings.complete else None

    # --- experiments ------------------------------------------------------------------------------------------------

    async def run(self, session: Session, bet: Any = None) -> AsyncIterator[Changes]:
        """Run the open part's experiment, show its stored results, or watch another session that is running it."""
        progress, part = session.learn, session.learn.part
        self.take_bet(session, bet)
        if part.key not in progress.bets or progress.running is not None:
            yield self.paint(session, "" if part.key in progress.bets else "Make a prediction first.")
            return
        key = self._experiment(part)[1]
        again, problem, painted = part.key in progress.done, "", 0.0
        try:
            while again or self.shelf.get(key) is None:
                progress.running = key
                other = self.going.get(key)
                watching = other is not None and other.ticket is not None and not other.ticket.over
                steps = self._watch(session, other.ticket, key) if watching and other and other.ticket else self._begin(session, part)
                status = ""
                async for now in steps:
                    status, problem = now
                    if time.monotonic() - painted >= PAINT_GAP:
                        painted = time.monotonic()
                        yield self.paint_live(session)
                if status == "done":
                    break
                if not (watching and status == "cancelled" and progress.running == key):
                    break  # stopped or failed; a session that only watched a stopped run starts its own
            findings = self.shelf.get(key)
            if findings and not problem:
                progress.done[part.key] = self.experiments[part.run].outcome(part.settings, findings).name
        finally:
            if progress.running == key:
                progress.running = None
        yield self.paint(session, problem)

    async def _begin(self, session: Session, part: Part) -> AsyncIterator[tuple[str, str]]:
        """Run it as a job of this session: yields its status, and the error message if it failed."""
        experiment, key = self._experiment(part)
        going = Going(Findings())

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            for event in experiment.job(lm, part.settings, ticket):
                if event is not None:
                    going.findings.take(event)
                yield event
            going.findings.complete, going.findings.running = True, False
            self.shelf.put(key, going.findings)
            session.learn.mine.add(key)

        async for news in side_job(self.lab, session, job, lambda event: event, model=""):
            if news.ticket:
                going.ticket = news.ticket
                self.going[key] = going
            yield news.status, news.problem
        if self.going.get(key) is going:
            del self.going[key]

    async def _watch(self, session: Session, ticket: Ticket, key: tuple) -> AsyncIterator[tuple[str, str]]:
        """Follow another session's job that does it, until it is over, or this session stops watching."""
        with following(ticket, wanted=lambda: session.learn.running == key) as news:
            async for item in news:
                yield item.status, ticket.message if item.over else ""
        yield ticket.status, ticket.message

    def stop(self, session: Session) -> None:
        """End this session's experiment, or stop following another's."""
        if session.learn.running is None:
            return
        session.learn.running = None
        if session.side_job:
            self.lab.engine.cancel(session.side_job)
        for going in self.going.values():
            if going.ticket:
                going.ticket.tell()

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, tabs: gr.Tabs) -> None:
        self.tabs = tabs

        def keep(event: Any) -> None:
            event.then(None, [self.kept], None, js="(progress) => lab.keepLessons(progress)", **SILENT)

        def choose(session: Session, event: gr.EventData) -> Changes:
            number = clicked(event, "cell", len(lesson.lessons()))
            if number is not None:
                session.learn.go(lesson.lessons()[number].id)
            return self.paint(session)

        def turn(session: Session, event: gr.EventData) -> Changes:
            number = clicked(event, "cell", len(session.learn.lesson.parts))
            return self.move(session, session.learn.part.number if number is None else number)

        keep(self.contents.click(choose, [session], self.outputs, **QUIET))
        keep(self.head.click(turn, [session], self.outputs, **QUIET))
        keep(self.bet.input(self.predict, [session, self.bet], self.live, **NEWEST))
        keep(self.go.click(self.run, [session, self.bet], self.outputs, **QUIET))
        self.halt.click(self.stop, [session], None, **QUIET)
        for button, by in ((self.back, -1), (self.next, 1)):
            keep(button.click(partial(self.move_by, by), [session], self.outputs, **QUIET))
        self.calculator.wire()

    def open_after(self, event: Any, session: gr.State) -> Any:
        """Once a page is opened: bring back its browser's progress, and open the lesson that its address asks for."""
        js = "(...values) => lab.readLessons(...values)"
        return event.then(self.arrive, [session, self.kept], [self.tabs, *self.outputs], js=js, **QUIET)

    def arrive(self, session: Session, kept: Any, request: gr.Request) -> Changes:
        """A page was opened with this progress."""
        progress = session.learn
        progress.running = None
        progress.take(kept)
        wanted = str(dict(request.query_params or {}).get("lesson", ""))
        found = progress.go(wanted)
        changes = self.paint(session, "" if found or not wanted else f"There is no lesson {shown(wanted)}: choose one from the list.")
        return {**changes, self.tabs: gr.Tabs(selected="learn")} if wanted else changes

    def take_bet(self, session: Session, bet: Any) -> None:
        progress, part = session.learn, session.learn.part
        if isinstance(bet, str) and bet in part.choices and part.key not in progress.done:
            progress.bets[part.key] = bet

    def predict(self, session: Session, bet: Any) -> Changes:
        self.take_bet(session, bet)
        return self.paint_live(session)

    def move_by(self, by: int, session: Session) -> Changes:
        return self.move(session, session.learn.part.number + by)

    def move(self, session: Session, part: int) -> Changes:
        """To another part of the open lesson, where there is one."""
        if 0 <= part < len(session.learn.lesson.parts):
            session.learn.at = (session.learn.at[0], part)
        return self.paint(session)


def _choices(part: Part) -> list[tuple[str, str]]:
    return [(words, outcome) for outcome, words in part.choices.items()]
