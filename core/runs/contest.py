"""Contenders scored one after another on the same rows: a learned prompt, its baselines, and others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from core.errors import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, bare, by_one_score, written
from core.scoring.derived_contenders import calibrated, in_chat
from core.scoring.likelihood import resolved
from core.scoring.rows import encode
from core.scoring.score import Score
from core.tasks.built_in import slugs
from core.tasks.task import Example, Task

Part = Literal["validation", "held_out"]


@dataclass(frozen=True)
class Scored(Event):
    """A score on the validation rows (for the live curve) or the held-out rows (to report). step: the learned prompt's, else None."""

    part: Part
    score: Score
    step: int | None = None
    known: bool = False

    @property
    def final(self) -> bool:
        """False for a growing score, with more batches to come."""
        return self.score.final


@dataclass(frozen=True)
class Skipped(Event):
    """A handcrafted prompt that can't be scored with this model (too long for it, say), and why. Other contenders are unaffected."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Entered(Event):
    """A baseline that was made with the model's help (see `with_model`, `calibrated_best`) takes part."""

    contender: Contender


def baselines(task: Task, template: str = "") -> list[Contender]:
    """The baselines of a learned prompt: no prompt, and the task's handcrafted ones."""
    nothing = bare(task, template)
    if template and template != task.template:
        nothing = replace(nothing, name="no prompt, own template")
    return [nothing, *(written(task, prompt) for prompt in task.handcrafted)]


def with_model(lm: LanguageModel, task: Task) -> list[Contender]:
    """More baselines of a task of one's own: its first instruction as a chat, where the model has a chat template."""
    instruction = next((one for one in baselines(task) if one.kind == "handcrafted" and not one.examples), None)
    if task.slug in slugs() or instruction is None or not lm.tokenizer.chat_template:
        return []
    return [in_chat(lm, instruction)]


def calibrated_best(lm: LanguageModel, task: Task, contenders: Sequence[Contender], book: Scorebook) -> Contender | None:
    """Of a task of one's own with labels: the contextually calibrated version of the contender that did best on validation rows.

    None for other tasks, where no contender has a validation score, and where all are calibrated anyway.
    LabError where no content-free input can be run.
    """
    if task.slug in slugs() or not task.labels or not task.validation or not contenders:
        return None
    if resolved(contenders[0].label_score, encode(lm, task.template, task.validation[:1], task.labels)) == "calibrated":
        return None
    known = [(score.accuracy, one) for one in contenders if (score := book.get(lm, one, task.validation, task.labels))]
    return calibrated(lm, max(known, key=lambda pair: pair[0])[1], task.labels) if known else None


def enter_calibrated(lm: LanguageModel, task: Task, contenders: Sequence[Contender], book: Scorebook) -> Iterator[Entered | Skipped | None]:
    """Let the best of the handcrafted `contenders`, calibrated (see `calibrated_best`), take part, or say why it can't.

    They are scored on the validation rows first: yields None between batches.
    """
    handcrafted = [one for one in contenders if not one.learned and not one.offsets]
    if task.slug in slugs() or not task.labels or not task.validation or not handcrafted:
        return
    for contender in handcrafted:
        for _ in score_validation(lm, task, contender, book, None):
            yield None
    try:
        best = calibrated_best(lm, task, handcrafted, book)
    except LabError as error:
        yield Skipped("the best prompt, calibrated", str(error))
    else:
        if best:
            yield Entered(best)


def lines(lm: LanguageModel, task: Task, book: Scorebook) -> Iterator[None]:
    """Fill `book` with what every run on `task` will ask for: its baselines' scores on validation and held-out rows."""
    contenders = baselines(task)
    parts: list[tuple[Part, Sequence[Example]]] = [("validation", task.validation), ("held_out", common_rows(task.held_out, contenders))]
    for part, rows in parts:
        for baseline in reversed(contenders):
            for _ in contest(lm, task, [baseline], rows, book, part):
                yield None


def common_rows(examples: Sequence[Example], contenders: Sequence[Contender]) -> list[Example]:
    """The rows that count for every contender, so that all are scored on the same rows."""
    excluded = frozenset().union(*(contender.excluded for contender in contenders))
    return [example for example in examples if not example.is_among(excluded)]


def contest(
    lm: LanguageModel,
    task: Task,
    contenders: Sequence[Contender],
    examples: Sequence[Example],
    book: Scorebook,
    part: Part,
    step: int | None = None,
) -> Iterator[Scored | Skipped]:
    """Score `contenders` one after another, batch by batch, on the rows of `examples` that count for all of them.

    Labels are compared for all of them as for the first.
    A handcrafted prompt that can't be scored is skipped, with its reason; a learned one raises its LabError.
    """
    rows = common_rows(examples, contenders) if part == "held_out" else list(examples)
    for contender in by_one_score(contenders, contenders[0].label_score) if contenders else ():
        if found := book.get(lm, contender, rows, task.labels):
            yield Scored(part, found, step, known=True)
            continue
        try:
            for score in book.score(lm, contender, rows, task.labels):
                yield Scored(part, score, step)
        except LabError as error:
            if contender.kind != "handcrafted":
                raise
            yield Skipped(contender.name, str(error))


def score_validation(
    lm: LanguageModel, task: Task, contender: Contender, book: Scorebook, step: int | None
) -> Iterator[Scored | Skipped | None]:
    """Score `contender` on the validation rows. Yields None instead of a growing score."""
    for event in contest(lm, task, [contender.for_validation()], task.validation, book, "validation", step):
        yield event if isinstance(event, Skipped) or event.final else None
