"""What all sessions share: the engine with its models, the vocabularies' readings, and known scores."""

from collections.abc import Callable, Iterator, Mapping

from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from core import LabError, Recipe
from core.engine import Engine
from core.errors import shown
from core.events import Event
from core.models.language_model import LanguageModel
from core.runs.adapter_config import same_base
from core.runs.contest import lines
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.sweeps.grid import word_of
from core.tasks.built_in import slugs
from core.ticket import Job, Ticket
from core.training.start import Begun

Load = Callable[[], LanguageModel]


class Lab:
    """The models and everything computed from them that sessions have in common.

    In the engine and in sessions, the first model's name is "".
    """

    def __init__(self, load: Load, model: str, dtype: str, others: Mapping[str, Load] | None = None, keep: int = 1, workers: int = 1):
        """model, dtype: as the server was started; every recipe made here names them. others: further models to choose from, by
        name. keep: how many models are in memory at most. workers: of the engine, one for each device of a cluster."""
        self.model, self.dtype = model, dtype
        self.models = ("", *(others or {}))
        self.book = Scorebook()
        self._vocabularies: dict[str, Vocabulary] = {}
        self._lines: dict[tuple[str, str], Ticket] = {}
        self.spectrum: Ticket | None = None  # the newest comparison of methods: each needs memory for a copy of the model

        def and_read(load: Load) -> Load:
            def loaded() -> LanguageModel:
                self._forget_dropped()
                lm = load()
                self.vocabulary(lm).warm()
                return lm

            return loaded

        self.engine = Engine(
            and_read(load), others={name: and_read(other) for name, other in (others or {}).items()}, keep=keep, workers=workers
        )

    def _forget_dropped(self) -> None:
        """A vocabulary holds its model: those of models that are no longer in memory go."""
        if not self._vocabularies:  # the engine may just be beginning
            return
        kept = [self.engine.loaded(name) for name in self.models]
        self._vocabularies = {name: held for name, held in self._vocabularies.items() if held.lm in kept}

    def name_of(self, model: str) -> str:
        """The model's name as people know it."""
        return model or self.model

    def model_of(self, base: str) -> str | None:
        """The offered model that a saved prompt's base names, or None."""
        return next((model for model in self.models if base and same_base(base, self.name_of(model))), None)

    def loaded(self) -> dict[str, LanguageModel]:
        """The models in memory, by the names that people know."""
        return {self.name_of(model): lm for model in self.models if (lm := self.engine.loaded(model)) is not None}

    def offered(self, name: str) -> str:
        """The offered model of this name, or whose name ends with it. LabError for another one."""
        found = [model for model in self.models if name in (self.name_of(model), word_of("model", self.name_of(model)))]
        if not found:
            known = ", ".join(word_of("model", self.name_of(model)) for model in self.models)
            raise LabError(f"This server has no model {shown(name)}: choose among {known}.")
        return found[0]

    def vocabulary(self, lm: LanguageModel) -> Vocabulary:
        """A loaded model's vocabulary readings (made once, in the worker)."""
        held = self._vocabularies.get(lm.name)
        if held is None or held.lm is not lm:
            self._forget_dropped()
            held = self._vocabularies[lm.name] = Vocabulary(lm)
        return held

    def lm(self, session: Session) -> LanguageModel | None:
        """The session's model, where it is in memory."""
        return self.engine.loaded(session.model)

    def submit(self, session: Session, job: Job[LanguageModel], steps: int | None = None, model: str | None = None) -> Ticket:
        """Queue a job of `session` (see `Engine.submit`). model: None for the session's."""
        return self.engine.submit(session.id, job, steps, model=session.model if model is None else model)

    def prepare(self, session: Session) -> None:
        """While the device is idle, score the handcrafted prompts of the session's task, if it is built in: the lines that a run has
        to beat."""
        task, model = session.task, session.model
        known = self._lines.get((model, task.slug))
        if task.slug in slugs() and (known is None or known.status in ("failed", "cancelled")):
            try:
                self._lines[model, task.slug] = self.engine.submit(
                    f"lines of {task.slug} {model}", lambda lm, _: lines(lm, task, self.book), idle=True, model=model
                )
            except LabError:
                return  # the server is full: the run will score them itself

    def start(self, session: Session, recipe: Recipe, steps: int | None = None, begun: Begun | None = None) -> SessionRun:
        """Queue a training run for `session`. steps: pause after so many. begun: the prompt that it starts from. LabError where it can't."""
        task = session.task
        recipe = recipe.but(model=self.name_of(session.model), dtype=self.dtype)
        record = new_record(task, recipe)
        session.train.started += 1
        name = f"run {session.train.started}: {task.name}, {record.method.label} ×{recipe.virtual_tokens}, seed {recipe.seed}"
        run = SessionRun(name, record, task, recipe, previous=session.shown, model=session.model)

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            return training_job(lm, task, recipe, self.vocabulary(lm), self.book, record, ticket.stopping.is_set, begun)

        run.ticket = self.submit(session, job, steps)
        session.add(run)
        return run

    def go_on(self, session: Session, run: SessionRun, begun: Begun | None = None) -> None:
        """Queue the rest of a run that was interrupted (see `RunRecord.resumable`). begun: as it was started with. LabError where it can't."""
        record, state = run.record, run.record.state

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            stopping = ticket.stopping.is_set
            return training_job(lm, run.task, run.recipe, self.vocabulary(lm), self.book, record, stopping, begun, state=state)

        run.ticket = self.submit(session, job, model=run.model)
