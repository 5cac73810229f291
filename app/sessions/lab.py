"""What all sessions share: the engine with its model, the vocabulary's readings, and known scores."""

from collections.abc import Callable, Iterator

from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from core import LabError, Recipe, Task
from core.engine import Engine
from core.events import Event
from core.models.language_model import LanguageModel
from core.runs.contest import lines
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.tasks.built_in import slugs
from core.ticket import Ticket


class Lab:
    """The model and everything computed from it that sessions have in common."""

    def __init__(self, load: Callable[[], LanguageModel], model: str, dtype: str):
        """model, dtype: as the server was started; every recipe made here names them."""
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
        """While the device is idle, score a built-in task's handcrafted prompts: the lines that a run has to beat."""
        known = self._lines.get(task.slug)
        if task.slug in slugs() and (known is None or known.status in ("failed", "cancelled")):
            try:
                self._lines[task.slug] = self.engine.submit(f"lines of {task.slug}", lambda lm, _: lines(lm, task, self.book), idle=True)
            except LabError:
                return  # the server is full: the run will score them itself

    def start(self, session: Session, recipe: Recipe, steps: int | None = None) -> SessionRun:
        """Queue a training run for `session`. steps: pause after so many. LabError where it can't be queued."""
        task = session.task
        recipe = recipe.but(model=self.model, dtype=self.dtype)
        record = new_record(task, recipe)
        session.train.started += 1
        name = f"run {session.train.started}: {task.name}, {record.method.label} ×{recipe.virtual_tokens}, seed {recipe.seed}"
        run = SessionRun(name, record, task, recipe, previous=session.shown)

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            return training_job(lm, task, recipe, self.vocabulary(lm), self.book, record, ticket.stopping.is_set)

        run.ticket = self.engine.submit(session.id, job, steps)
        session.add(run)
        return run
