"""What a panel looks at, and what it shows of it."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.sessions.contest import contender_at
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view.html import EMPTY, Html
from core import LabError
from core.runs.record import RunRecord
from core.scoring.contender import Contender
from core.tasks.task import Task


@dataclass(frozen=True)
class View:
    """What a panel shows of one run: HTML, and a figure of app.view.figures or None."""

    html: Html = EMPTY
    figure: dict[str, Any] | None = None


@dataclass(frozen=True)
class Look:
    """What a panel looks at: a run at a step, the virtual token that is chosen, and the panel's own settings."""

    session: Session
    run: SessionRun
    step: int
    settings: dict[str, Any]
    beside: tuple[SessionRun, ...] = ()  # other runs in sight

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
        return self.record.method.in_embedding_space

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
        return (
            fingerprint(learned.prefix.snapshot(), self.start),
            self.run.model,
            learned.template,
            learned.placement,
            task.slug,
            rows,
            *more,
        )


def fingerprint(*values: np.ndarray | None) -> bytes:
    """A digest of arrays, for the key of an experiment that depends on them."""
    return hashlib.sha256(b"".join(b"" if value is None else value.tobytes() for value in values)).digest()
