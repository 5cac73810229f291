"""The state behind one visitor's page: what all its pages share, and the state of each page. No two sessions share any of it."""

import secrets
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from app.sessions.session_run import SessionRun
from app.sessions.session_sweep import ExperimentsState
from app.sessions.streams import Streams
from app.sessions.trial import Trial
from app.view.lesson import Progress
from core import Task, load_task
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.tasks.built_in import slugs
from core.tasks.table import Table
from core.tasks.task import Handcrafted
from core.ticket import Ticket

MOST_RUNS = 12


@dataclass
class TrainState:
    """The Train page. own_task: the newest task brought here, which stays among the choices. started: runs so far, for their names."""

    own_task: Task | None = None
    started: int = 0


@dataclass
class Contest:
    """The comparison on one task. prompts: typed in. added: contenders made on the page. scores: held-out scores; both by name."""

    prompts: list[Handcrafted] = field(default_factory=list)
    added: dict[str, Contender] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)


@dataclass
class CompareState:
    """The Compare page.

    contests: by the task's slug and handcrafted prompts. base_prompt: the written prompt of which variants are made.
    control_run: the run that is repeated or altered. label, disputed, only_learned: which rows are listed (those with this right
    answer, "" for all), in which order, and whether only those that the learned prompt alone gets right. listed: the inputs of the
    rows that are listed. detailed: the contender whose pairs, calibration and confusion are shown; "": the newest learned prompt.
    """

    contests: dict[tuple[str, tuple[Handcrafted, ...]], Contest] = field(default_factory=dict)
    base_prompt: str = ""
    control_run: str = ""
    label: str = ""
    disputed: bool = True
    only_learned: bool = False
    listed: list[str] = field(default_factory=list)
    detailed: str = ""

    def on(self, task: Task) -> Contest:
        """The comparison on `task`."""
        return self.contests.setdefault((task.slug, task.handcrafted), Contest())


@dataclass
class InspectState:
    """The Inspect page.

    beside: names of the runs shown next to the session's. offered: the run whose file is ready for download. settings: of the
    panels, by their names. template_unknown: the prompt that was brought does not say its template. several: names of the
    prompts in the file that was brought, where it holds more than one.
    """

    beside: list[str] = field(default_factory=list)
    offered: SessionRun | None = None
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    template_unknown: bool = False
    several: tuple[str, ...] = ()


@dataclass
class YourTaskState:
    """The Your task page.

    name, data: of what was brought, to read it in another way. table: its rows. draft: the task made of them. filled_in:
    template and label words as the page last set them.
    """

    name: str = ""
    data: bytes = b""
    table: Table | None = None
    draft: Task | None = None
    filled_in: set[str] = field(default_factory=set)

    def clear(self) -> None:
        """Forget what was brought."""
        self.name, self.data, self.table, self.draft, self.filled_in = "", b"", None, None, {""}


@dataclass
class Session:
    """One visitor.

    id: the engine's client. model: the engine's name of the model that all its pages use. token: the secret by which a
    browser gets its session back. shown: the run on all pages, None for the recording that the page was built with.
    chosen: the virtual token that is highlighted. step: where the scrubber is, None: at the newest step. side_job: the newest job
    besides training. streams: of the handlers that paint the run step by step.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    model: str = ""
    task: Task = field(default_factory=lambda: load_task(slugs()[0]))
    runs: list[SessionRun] = field(default_factory=list)
    shown: SessionRun | None = None
    chosen: int | None = None
    step: int | None = None
    side_job: Ticket | None = None
    streams: Streams = field(default_factory=Streams)
    train: TrainState = field(default_factory=TrainState)
    trial: Trial = field(default_factory=Trial)
    compares: dict[str, CompareState] = field(default_factory=dict)
    inspect: InspectState = field(default_factory=InspectState)
    your_task: YourTaskState = field(default_factory=YourTaskState)
    experiments: ExperimentsState = field(default_factory=ExperimentsState)
    learn: Progress = field(default_factory=Progress)

    def __deepcopy__(self, memo: Any) -> "Session":
        return Session()  # Gradio copies the initial state for every visitor: a new one each

    @property
    def compare(self) -> CompareState:
        """The Compare page of the session's model: scores of two models never mix."""
        return self.compares.setdefault(self.model, CompareState())

    @property
    def runs_here(self) -> list[SessionRun]:
        """The runs of the session's model, the newest last."""
        return [run for run in self.runs if run.model == self.model]

    @property
    def busy(self) -> bool:
        """Whether a job besides training is queued or running."""
        return self.side_job is not None and not self.side_job.over

    @property
    def has_work(self) -> bool:
        """Whether there is something to come back to."""
        return bool(self.runs or self.experiments.sweeps or self.experiments.spectrum)

    @property
    def training(self) -> bool:
        """Whether the run that is shown is not over."""
        return self.shown is not None and self.shown.busy

    def owns(self, run: SessionRun | None) -> TypeGuard[SessionRun]:
        """Whether `run` is one of this session's: trained or loaded here, no recording."""
        return any(run is known for known in self.runs)

    def show(self, run: SessionRun | None) -> None:
        """Show a run, at its newest step; all pages then use its model. None: the recording."""
        if run is not None and not run.record.recorded:
            self.model = run.model
        self.shown, self.step, self.chosen = run, None, None

    def add(self, run: SessionRun) -> None:
        """Keep a new run, and show it. The oldest goes where there are too many."""
        self.runs = [*self.runs, run][-MOST_RUNS:]
        self.show(run)

    def use_model(self, model: str) -> None:
        """Use another model on all pages, and show its newest run."""
        self.model = model
        if self.shown is None or self.shown.model != model:
            self.show(next(reversed(self.runs_here), None))

    def step_of(self, run: SessionRun) -> int:
        """The step at which `run` is shown."""
        return run.last if self.step is None else min(self.step, run.last)

    def go_to(self, step: float, run: SessionRun) -> None:
        """Move the scrubber to a step of `run`."""
        self.step = None if step >= run.last else max(int(step), 0)

    def choose(self, token: int | None) -> None:
        """Highlight a virtual token on all pages; the same one again: none."""
        if token is not None:
            self.chosen = None if token == self.chosen else token
