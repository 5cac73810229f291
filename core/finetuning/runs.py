"""One run of one method: trained a step at a time, by the same rows, loss and optimiser, then ready to be scored."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

from core.display import in_words
from core.errors import LabError
from core.events import Event
from core.finetuning.catalogue import Adaptation
from core.finetuning.changes import change
from core.finetuning.measure import COPIES, FLOAT, peak_of_step
from core.finetuning.tuning import Tuning
from core.models.language_model import LanguageModel
from core.prefix import no_prefix
from core.recipe import Recipe
from core.scoring.contender import Contender, bare
from core.tasks.task import Task
from core.training.memory import check, lacking, needed_for
from core.training.training import Training


@dataclass(frozen=True)
class Stepped(Event):
    """One training step of one method. loss: nats, before the step's change."""

    method: str
    seed: int
    rate: float
    step: int
    loss: float

    is_step: ClassVar[bool] = True


@dataclass(eq=False)
class Outcome:
    """A run's end. lm: what is scored, with `contender` before its input. seconds: of each step but the first, which is measured.

    changed: lm is a changed copy of the model.
    """

    lm: LanguageModel
    contender: Contender
    parameters: int = 0
    stored: int = 0
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    note: str = ""
    stopped: str = ""
    changed: bool = False

    @property
    def for_validation(self) -> Contender:
        """The contender on rows that were not trained on, none of which is left out."""
        return replace(self.contender, excluded=frozenset())


def train(lm: LanguageModel, task: Task, recipe: Recipe, adaptation: Adaptation, outcomes: list[Outcome]) -> Iterator[Stepped]:
    """Train `recipe` by `adaptation`; the run's end is added to `outcomes`. LabError where that can't be done here."""
    if not adaptation.rate:
        outcomes.append(Outcome(lm, replace(bare(task, recipe.template), name=adaptation.name, label_score=recipe.label_score)))
    elif adaptation.changes_model:
        yield from _changed(lm, task, recipe, adaptation, outcomes)
    else:
        yield from _prompt(lm, task, recipe, adaptation, outcomes)


def _prompt(lm: LanguageModel, task: Task, recipe: Recipe, adaptation: Adaptation, outcomes: list[Outcome]) -> Iterator[Stepped]:
    training = Training(lm, task, recipe)
    check(training)
    state, seconds, peak = training.start(), [], 0
    parameters = training.prefix.parameter_count()
    while state.step < recipe.steps and not state.stopped:
        started = time.perf_counter()
        if state.step:
            events, state = training.advance(state)
            seconds.append(time.perf_counter() - started)
        else:
            (events, state), peak = peak_of_step(lm, parameters, partial(training.advance, state))
        yield Stepped(adaptation.name, recipe.seed, recipe.learning_rate, state.step, events[0].loss)
    training.show(state, best=True)
    stored = training.prefix.snapshot().nbytes
    made = Outcome(lm, training.contender(adaptation.name), parameters, stored, seconds, peak, stopped=state.stopped)
    outcomes.append(made)


def _changed(lm: LanguageModel, task: Task, recipe: Recipe, adaptation: Adaptation, outcomes: list[Outcome]) -> Iterator[Stepped]:
    if adaptation.name == "full":  # before it is copied
        check_memory(lm, task, recipe, adaptation, lm.shape.parameters)
    changed = change(lm, adaptation, recipe.seed)
    check_memory(lm, task, recipe, adaptation, changed.parameter_count())
    tuning = Tuning(changed, task, recipe)
    parameters, seconds, peak = changed.parameter_count(), [], 0
    while tuning.step < recipe.steps and not tuning.stopped:
        started = time.perf_counter()
        if tuning.step:
            loss = tuning.advance()
            seconds.append(time.perf_counter() - started)
        else:
            loss, peak = peak_of_step(changed.lm, parameters, tuning.advance)
        yield Stepped(adaptation.name, recipe.seed, recipe.learning_rate, tuning.step, loss)
    lost = tuning.stopped or ("" if math.isfinite(loss) else "the loss was no longer a number")
    made = Outcome(changed.lm, tuning.contender(adaptation.name), parameters, parameters * FLOAT, seconds, peak, changed.note, lost, True)
    outcomes.append(made)


def check_memory(lm: LanguageModel, task: Task, recipe: Recipe, adaptation: Adaptation, parameters: int) -> None:
    """LabError, with the numbers, where the device hasn't the memory to train so many parameters of a changed copy of the model."""
    parts = needed_for(Training(lm, task, recipe, prefix=no_prefix())).parts
    needed = parameters * COPIES * FLOAT + sum(size for name, size in parts.items() if name not in ("parameters", "snapshots"))
    free = lacking(lm.device, needed)
    if free is not None:
        own = in_words(parameters * COPIES * FLOAT)
        raise LabError(
            f"Training {parameters:,} parameters ({adaptation.label}) would need about {in_words(needed)} of memory ({own} for them, their "
            f"gradient and Adam's two moments), and {in_words(free)} are free: leave this method out, or choose a smaller batch or model."
        )
