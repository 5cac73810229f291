"""What all panels of the Inspect page share: layout, up to three runs side by side, and experiments that fill in as they go.

A panel is one file of app.panels: what it shows of one run (`view`), and, where that needs the model, the experiment behind its
button (`job`). Findings are kept by prompt, task and settings, so an experiment runs only once.
"""

import hashlib
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import numpy as np

from app.components.widgets import QUIET, Changes, drawn, html, plot
from app.sessions.contest import contender_at
from app.sessions.jobs import side_job
from app.sessions.lab import Lab
from app.sessions.run import Run
from app.sessions.session import Session
from app.view import show
from core import LabError
from core.events import Done, Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.runs.record import RunRecord
from core.runs.run import Scored
from core.scoring.score import Contender
from core.tasks.task import Task
from core.ticket import Ticket
from core.training.training import StepEvent

SLOTS = 3  # runs side by side
MOST_KEPT = 300  # experiments, of all sessions


@dataclass
class Findings:
    """What an experiment found so far. done: its pieces (findings, and steps of training) so far. total: how many pieces there
    will be, 0 while that is not known. whole: it came to its end. going: somebody still follows it.
    """

    total: int = 0
    done: int = 0
    items: list[Any] = field(default_factory=list)
    whole: bool = False
    going: bool = True
    began: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Keep what the experiment has yielded."""
        if isinstance(event, Progress):
            self.total = self.total or event.total
            return
        self.done += 1
        if not isinstance(event, Done):
            self.items.append(event.value if isinstance(event, Finding) else event)

    def words(self) -> str:
        """Where it is, with the time left at the pace so far."""
        if self.whole:
            return ""
        known = 0 < self.done < self.total
        if not self.going:
            return f"Stopped after {self.done} of {self.total}." if known else "Stopped before its end."
        if not known:
            return "Working …"
        left = (time.monotonic() - self.began) / self.done * (self.total - self.done)
        return f"{self.done} of {self.total}" + (f", about {left:.0f} s left" if left >= 1 else "")


def by_steps(events: Iterable[Event | None], steps: int) -> Iterator[Event | None]:
    """An experiment that trains runs of `steps` steps, as findings: `Done` for each step, whole scores only.

    `events` begin with the number of runs.
    """
    for event in events:
        if isinstance(event, Progress):
            yield Progress(event.total * (steps + 1))  # each run ends with a finding
        elif isinstance(event, StepEvent):
            yield Done()  # without the vectors: findings are kept
        else:
            yield None if isinstance(event, Scored) and not event.final else event


def fingerprint(*values: np.ndarray | None) -> bytes:
    """A digest of numbers, for the key of an experiment that depends on them."""
    return hashlib.sha256(b"".join(b"" if one is None else one.tobytes() for one in values)).digest()


class Shelf:
    """Whole experiments of all sessions, the least recently asked for go first."""

    def __init__(self, most: int = MOST_KEPT):
        self._kept: OrderedDict[tuple, Findings] = OrderedDict()
        self._most = most

    def get(self, key: tuple) -> Findings | None:
        found = self._kept.get(key)
        if found:
            self._kept.move_to_end(key)
        return found

    def put(self, key: tuple, findings: Findings) -> None:
        self._kept[key] = findings
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


@dataclass(frozen=True)
class View:
    """What a panel shows of one run: escaped HTML, and a figure of app.view.figures or None."""

    html: str = ""
    figure: dict[str, Any] | None = None


@dataclass(frozen=True)
class Look:
    """What a panel looks at: a run at a step, the virtual token that is chosen, and the panel's own settings."""

    session: Session
    run: Run
    step: int
    settings: dict[str, Any]
    beside: tuple[Run, ...] = ()  # other runs in sight

    @property
    def record(self) -> RunRecord:
        return self.run.record

    @property
    def task(self) -> Task:
        return self.run.task

    @property
    def chosen(self) -> int | None:
        return self.session.chosen

    @property
    def soft(self) -> bool:
        return self.record.kind == "soft"

    @property
    def learned(self) -> Contender:
        """The run's prompt at this step, called "learned". LabError where its vectors are not kept."""
        return replace(contender_at(self.run, self.step), name="learned")

    @property
    def soft_prompt(self) -> Contender:
        """As `learned`. LabError for a K/V prefix."""
        if not self.soft:
            raise LabError("A K/V prefix has no words: choose a soft prompt for this.")
        return self.learned

    @property
    def start(self) -> np.ndarray | None:
        """The vectors that the run started from, or None where they are not known."""
        return self.record.vectors.get(0) if self.record.start_known else None

    @property
    def known_start(self) -> np.ndarray:
        """As `start`. LabError where it isn't known."""
        if self.start is None:
            raise LabError("This prompt's start is not known (no recipe, or other weights): choose the learned prompt itself.")
        return self.start

    @property
    def written(self) -> list[str]:
        return [prompt.name for prompt in self.task.handcrafted]

    def key(self, *more: Any) -> tuple:
        """What an experiment on this prompt depends on."""
        learned, task = self.learned, self.task
        rows = hash((task.train, task.validation, task.held_out, task.labels, task.handcrafted))
        return fingerprint(learned.prefix.snapshot(), self.start), learned.template, learned.placement, task.slug, rows, *more


class Panel(ABC):
    """One analysis on the page. sees: what it shows; doubt: what it does not show; each one sentence of plain HTML.

    button: the label of the button that starts its experiment; "" where there is none. follows: it is painted anew while the
    scrubber moves. text_first: what it says stands above its figure. automatic: its experiment starts by itself as a setting is changed, where it is needed. by_step: the
    experiment is about the prompt at one step, not about a run.
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

    def __init__(self, lab: Lab, shelf: Shelf):
        self.lab, self.shelf = lab, shelf
        self.found: dict[str, dict[tuple, Findings]] = {}  # unfinished ones, by session

    # --- what a panel says of itself --------------------------------------------------------------------------------

    def make_settings(self) -> dict[str, Any]:
        """The panel's own controls, made inside its row. Their names are keys of `Look.settings`."""
        return {}

    def refresh(self, session: Session, runs: list[Run]) -> dict[str, Any]:
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
            html(f"<p class='note sees'>{self.sees} <b>Don’t conclude</b> {self.doubt}</p>")
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

    def paint(self, session: Session, runs: list[Run], message: str = "", working: bool = False) -> Changes:
        """Changes of `outputs`: one slot for each of `runs`. working: an experiment is running."""
        changes: Changes = {self.message: show.message(message)}
        for number, (column, text, figure) in enumerate(zip(self.columns, self.texts, self.plots, strict=True)):
            changes[column] = gr.update(visible=number < len(runs) or number == 0)
            changes[text], changes[figure] = self._slot(session, runs[number], runs) if number < len(runs) else ("", "")
        changes |= {self.controls[name]: update for name, update in self.refresh(session, runs).items()}
        if self.button:
            changes |= {self.go: gr.update(interactive=not working), self.halt: gr.update(interactive=working)}
        return changes

    def follow(self, session: Session, runs: list[Run]) -> Changes:
        """Changes of `followed`, for another step: only the first of `runs` has one."""
        return dict(zip(self.followed, self._slot(session, runs[0], runs), strict=True)) if runs else {}

    def _slot(self, session: Session, run: Run, runs: list[Run]) -> tuple[str, str]:
        """HTML and figure of one of `runs`, under its name where there are several."""
        view = self._view(session, run, runs)
        name = f'<p class="slot-name">{show.safe(run.name)}</p>' if len(runs) > 1 else ""
        return name + view.html, drawn(view.figure, show.recipe_line(run.record)) if view.figure else ""

    def _view(self, session: Session, run: Run, runs: list[Run]) -> View:
        if not run.record.readings:
            return View("<p class='note'>Train a prompt first.</p>")
        look = self.look(session, run, runs)
        try:
            findings = self.known(look) if self.button or self.automatic else None
            shown = self.view(look, findings)
        except LabError as error:
            return View(f"<p class='note'>{show.safe(error)}</p>")
        if findings and not findings.whole:
            return View(f"<p class='note' role='status'>{findings.words()}</p>{shown.html}", shown.figure)
        return shown

    def look(self, session: Session, run: Run, runs: list[Run]) -> Look:
        """`run` at the session's step (of the run that is shown; others at their end)."""
        step = session.step_of(run) if run is runs[0] else run.last
        return Look(session, run, step, self.settings(session), tuple(other for other in runs if other is not run))

    # --- experiments ------------------------------------------------------------------------------------------------

    def _key(self, look: Look) -> tuple:
        about = look if self.by_step else replace(look, step=look.run.last)
        return (self.name, *about.key(self.key(look)))

    def known(self, look: Look) -> Findings | None:
        """What is known for this look: whole, or what was found before it was stopped. None, too, where nothing can be found."""
        try:
            key = self._key(look)
        except LabError:
            return None
        return self.shelf.get(key) or self.found.get(look.session.id, {}).get(key)

    async def run(self, session: Session, runs: list[Run]) -> AsyncIterator[Changes]:
        """Do the experiment for each of `runs` that lacks it, painting as it fills in."""
        mine = self.found.setdefault(session.id, {})
        for run in runs:
            try:
                if run.busy:
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
                if look.record.recorded and look.record.base.get("weights") != lm.weights_hash:
                    raise LabError("This recording used other weights than the loaded model: train a prompt live for this.")
                yield from self.job(lm, look, ticket)

            def take(event: Event, findings: Findings = findings, key: tuple = key) -> None:
                mine[key] = findings  # only now: an experiment that can't begin leaves what was found before
                findings.take(event)

            problem, ticket = "", None
            try:
                async for _, problem in side_job(self.lab, session, job, take):
                    ticket = ticket or session.side_job
                    yield self.paint(session, runs, problem, working=True)
            finally:
                findings.going = False
            if problem or (ticket and ticket.status != "done"):
                yield self.paint(session, runs, problem)
                return
            findings.whole = True
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
            gr.on(events, go if self.automatic else keep, inputs, self.outputs, trigger_mode="always_last", **QUIET)
        if self.button:
            self.go.click(go, inputs, self.outputs, trigger_mode="multiple", **QUIET)
            self.halt.click(self.stop, [session], None, **QUIET)

    def _take(self, session: Session, values: Sequence[Any]) -> None:
        """Keep what the controls hold. In place of a list where none belongs, or a table, which a browser may send: the default."""
        kept = {}
        for (name, default), value in zip(self.defaults.items(), values, strict=True):
            if not isinstance(value, dict) and isinstance(value, list) == isinstance(default, list):
                kept[name] = value
        session.inspect.settings[self.name] = kept
