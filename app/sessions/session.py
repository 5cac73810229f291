"""What one visitor's page remembers: runs, the job in hand, what is chosen. Nothing in it belongs to anybody else."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from app.view.lesson import Progress
from core import LabError, Recipe, Task, load_task
from core.engine import Engine, Ticket
from core.models.language_model import LanguageModel
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord, new_record
from core.runs.recordings import Recording, recorded, recordings
from core.runs.run import Scorebook, lines
from core.runs.saved_adapter import Learned
from core.runs.training_job import training_job
from core.scoring.score import Contender, Score
from core.tasks.table import Table
from core.tasks.task import Handcrafted, slugs

MOST_RUNS = 12


@dataclass
class Run:
    """A run of this session: its record, its job, and what it was made from."""

    name: str
    record: RunRecord
    task: Task
    recipe: Recipe
    ticket: Ticket | None = None
    learned: Learned | None = None  # for a prompt that came from a file
    previous: "Run | None" = None  # what was shown before; shown again where this run can't begin

    @property
    def status(self) -> str:
        return self.ticket.status if self.ticket else "recorded"

    @property
    def busy(self) -> bool:
        return self.ticket is not None and not self.ticket.over


@dataclass
class Session:
    """One visitor. chosen: the virtual token lit everywhere. step: the scrubber's place, None: the newest."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # whoever holds it gets this session back
    task: Task = field(default_factory=lambda: load_task(slugs()[0]))
    own: Task | None = None  # the newest task that was brought here; it stays among the choices
    runs: list[Run] = field(default_factory=list)
    shown: Run | None = None
    chosen: int | None = None
    step: int | None = None
    prompts: dict[str, list[Handcrafted]] = field(default_factory=dict)  # typed in, by the task's slug
    added: dict[str, dict[str, Contender]] = field(default_factory=dict)  # contenders made on the page, by slug and name
    untold: bool = False  # a prompt was brought whose template is not known
    table: Table | None = None  # rows brought to the Your task page
    draft: Task | None = None  # the task made of them, until it is used
    texts: set[str] = field(default_factory=set)  # template and label words as the Your task page last put them
    grid: list[str] = field(default_factory=list)  # inputs of the rows that Compare shows, in this order
    base: str = ""  # the written prompt, and the run, that Compare makes others of
    control_run: str = ""
    filters: tuple[str, bool, bool] = ("", True, False)  # of the rows: a label, most disputed first, only learned is right
    beside: list[str] = field(default_factory=list)  # names of runs laid beside the one that is shown, on Inspect
    offered: Run | None = None  # whose file lies ready to be downloaded, on Inspect
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of Inspect's panels, by their names
    look: str = ""  # the contender that pairs, calibration and confusion are shown of; "": the newest learned one
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)  # held-out scores by the task's slug and contender
    side_job: Ticket | None = None
    count: int = 0  # runs so far, for their names
    lessons: Progress = field(default_factory=Progress)
    following: int = 0  # grows when a new handler takes over streaming, so that an older one ends

    def __deepcopy__(self, memo: Any) -> "Session":
        return Session()  # Gradio copies the initial state for every visitor: a new one each


class Lab:
    """What all sessions share: the engine with its model, the vocabulary's readings, known scores, recordings."""

    def __init__(self, load: Callable[[], LanguageModel], model: str, dtype: str):
        """model, dtype: as the server was started; every recipe made here says them."""
        self.model, self.dtype = model, dtype
        self.book = Scorebook()
        self._vocabulary: Vocabulary | None = None
        self._lines: dict[str, Ticket] = {}

        def load_and_read() -> LanguageModel:
            lm = load()
            self.vocabulary(lm).warm()
            return lm

        self.engine = Engine(load_and_read)

    def vocabulary(self, lm: LanguageModel) -> Vocabulary:
        """The loaded model's vocabulary readings (made once, in the worker)."""
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(lm)
        return self._vocabulary

    def prepare(self, task: Task) -> None:
        """While nobody wants the device: score a built-in task's handcrafted prompts, the lines that a run has to beat."""
        known = self._lines.get(task.slug)
        if task.slug in slugs() and (known is None or known.status in ("failed", "cancelled")):
            try:
                self._lines[task.slug] = self.engine.submit(f"lines of {task.slug}", lambda lm, _: lines(lm, task, self.book), idle=True)
            except LabError:
                return  # a full server: the run will score them itself

    def start(self, session: Session, recipe: Recipe, steps: int | None = None) -> Run:
        """Queue a training run for `session`. steps: pause after so many. LabError where it can't be queued."""
        task = session.task
        recipe = recipe.but(model=self.model, dtype=self.dtype)
        record = new_record(task, recipe)
        session.count += 1
        number = session.count
        kind = "K/V prefix" if recipe.method == "prefix" else "soft prompt"
        run = Run(f"run {number}: {task.name}, {kind} ×{recipe.virtual_tokens}, seed {recipe.seed}", record, task, recipe)

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Any]:
            return training_job(lm, task, recipe, self.vocabulary(lm), self.book, record, ticket.stopping.is_set)

        run.ticket = self.engine.submit(session.id, job, steps)
        run.previous = session.shown
        session.runs = [*session.runs, run][-MOST_RUNS:]
        session.shown, session.step, session.chosen = run, None, None
        return run


@cache
def recorded_run(slug: str = "") -> Run | None:
    """A recorded run (the first one: what is painted before the model is there), or None where there is none. Read once, and the
    same for all sessions: nobody writes into it."""
    found = next((one for one in recordings() if slug in ("", one.slug)), None)
    return Run(recording_name(found), recorded(found.slug), load_task(found.recipe.task), found.recipe) if found else None


def recording_name(recording: Recording) -> str:
    """How a recorded run is called among a session's own."""
    return f"recording: {recording.title}"


def recording_named(name: str) -> Run | None:
    """The recorded run of this name, or None."""
    return next((recorded_run(one.slug) for one in recordings() if recording_name(one) == name), None)


def time_left(record: RunRecord, pace: tuple[float, int] | None) -> float | None:
    """Seconds to the last step, by this run's own pace since (time, step), or None before it has one."""
    if pace is None or record.step <= pace[1]:
        return None
    return (time.monotonic() - pace[0]) / (record.step - pace[1]) * (record.recipe["steps"] - record.step)
