"""What every lesson's experiment has: a key to find its results again, a job for the engine, what it shows, and an outcome."""

import json
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from app.panels.findings import Findings, Shelf
from app.panels.look import View
from app.sessions.lab import Lab
from app.sessions.session_run import SessionRun
from app.view.lesson import Outcome
from core import Recipe, Task, load_task
from core.events import Done, Event, Finding, Progress
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.recipe import BEFORE
from core.runs.contest import Scored, baselines, common_rows, contest
from core.runs.record import RunRecord, new_record
from core.runs.training_job import training_job
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.ticket import Ticket
from core.training.training import StepEvent

Settings = Mapping[str, Any]
T = TypeVar("T")


class Experiment(ABC):
    """One kind of experiment. settings: those of the lesson's part, plain data."""

    name: str
    button = "Run it"

    def __init__(self, lab: Lab, shelf: Shelf):
        """shelf: whole findings of all sessions, and prompts that were trained for them."""
        self.lab, self.shelf = lab, shelf

    def key(self, settings: Settings) -> tuple:
        """What the findings depend on; equal keys mean equal findings, for all sessions."""
        return (self.name, json.dumps(settings, sort_keys=True))

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        """Yields a `Progress` with the number of pieces, then the pieces (`Finding` or `Done`), and None between them, as a panel does.

        Unless a subclass says otherwise, it trains the lesson's recipe.
        """
        yield Progress(self.recipe(settings).steps)
        yield from self.trained(lm, settings, ticket)

    def impossible(self, lm: LanguageModel, settings: Settings) -> str:
        """Why this model can't do it, in a sentence, or "". Asks only what is known: the page may not run the model."""
        if lm.way.no_prefix and not all(METHODS[method].in_embedding_space for method in self.methods(settings)):
            return f"A K/V prefix can't be made for this model: {lm.way.no_prefix}."
        return ""

    def methods(self, settings: Settings) -> list[str]:
        """The methods that it trains."""
        return [self.recipe(settings).method] if "task" in settings else []

    @abstractmethod
    def view(self, settings: Settings, findings: Findings) -> View:
        """What to show of the findings so far."""

    @abstractmethod
    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        """The outcome of whole findings."""

    @staticmethod
    def task(settings: Settings) -> Task:
        return load_task(settings["task"])

    def recipe(self, settings: Settings, **more: Any) -> Recipe:
        """The lesson's recipe with the server's model and dtype, and the task's own settings."""
        task = self.task(settings)
        # What a lesson says was measured with runs as they were before answers had an end.
        base = BEFORE | {"task": task.slug, "model": self.lab.model, "dtype": self.lab.dtype}
        return Recipe.from_settings({**base, **task.recipe, **settings.get("recipe", {}), **more})

    def trained(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Generator[Event | None, None, SessionRun]:
        """Train the lesson's recipe, or reuse what an earlier part of a lesson trained with the same one. Yields `Done` for each step.

        The run's record is yielded first, and grows meanwhile. The same recipe gives the same vectors, so nothing is lost.
        """
        task, recipe = self.task(settings), self.recipe(settings)
        key = ("trained", json.dumps(recipe.to_dict(), sort_keys=True), hash((task.train, task.held_out, task.handcrafted)))
        known = self.shelf.get(key)
        record: RunRecord = known.items[0] if known else new_record(task, recipe)
        yield Finding(record)
        if not known:
            for event in training_job(lm, task, recipe, self.lab.vocabulary(lm), self.lab.book, record, ticket.stopping.is_set):
                yield Done() if event is not None and (isinstance(event, StepEvent) or record.losses) else None
            self.shelf.put(key, Findings(items=[record], complete=True, running=False))
        return SessionRun("learned", record, task, recipe)

    def scored(self, lm: LanguageModel, task: Task, entrants: Sequence[Contender]) -> Iterator[Score | None]:
        """The score of each of `entrants` on the held-out rows that count for all handcrafted prompts. None after each batch before it."""
        for event in contest(lm, task, entrants, common_rows(task.held_out, baselines(task)), self.lab.book, "held_out"):
            yield event.score if isinstance(event, Scored) and event.final else None


def each(kind: type[T], findings: Findings) -> list[T]:
    """The findings of one type."""
    return [item for item in findings.items if isinstance(item, kind)]


def record_of(findings: Findings) -> RunRecord | None:
    """The record that an experiment began with, once its first vectors are read."""
    return next((record for record in each(RunRecord, findings) if record.readings), None)
