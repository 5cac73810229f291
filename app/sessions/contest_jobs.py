"""What the Compare page does with the model: scores contenders, trains more of them, and asks all of them for one answer."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from app.sessions.contest import entrants, known_scores, label_score, start_of
from app.sessions.jobs import ContestProgress, side_job
from app.sessions.lab import Lab
from app.sessions.session import Contest, Session
from app.sessions.session_run import SessionRun
from core import LabError, Recipe, Task
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.runs.contest import Entered, Scored, Skipped, contest, enter_calibrated
from core.runs.run import Trained, repeat
from core.runs.untrained_control import on_random_weights
from core.scoring.answering import answer, label_probabilities, next_tokens
from core.scoring.contender import Contender, by_one_score
from core.scoring.score import Score
from core.ticket import Ticket

MOST_ADDED = 40
MOST_ASKED = 16


class Repeat(NamedTuple):
    """A training run that makes a new contender. group: of contenders whose scores are shown as one.

    random_weights: it is trained and scored on the same architecture with random weights, so only its score takes part.
    """

    task: Task
    recipe: Recipe
    name: str
    group: str
    random_weights: bool = False


class Scoring(NamedTuple):
    """Where scoring is. problem: a sentence, or "". growing: the score of the contender that is being scored. progress: in words."""

    problem: str
    growing: Score | None
    progress: str


async def score(
    lab: Lab, session: Session, make: Callable[[LanguageModel], list[Contender]], keep: bool = False, calibrate: bool = False
) -> AsyncIterator[Scoring]:
    """Score the contenders that `make` returns on the held-out rows. keep: they take part from now on. calibrate: and so does the
    calibrated version of the session's handcrafted prompt that does best on validation rows, where the task is one of its own."""
    task = session.task
    entered, rule = session.compare.on(task), label_score(session)

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        contenders = by_one_score(make(lm), rule)
        yield Progress(len(contenders) + calibrate)
        if calibrate:
            for event in enter_calibrated(lm, task, entrants(session), lab.book):
                if not isinstance(event, Entered):
                    yield event
                elif all(event.contender.name != one.name for one in contenders):
                    yield Trained(event.contender)
                    contenders.append(event.contender)
        for contender in contenders:
            if keep:
                yield Trained(contender)
            try:
                yield from contest(lm, task, [contender], task.held_out, lab.book, "held_out")
            except LabError as error:  # the other contenders are scored all the same
                yield Skipped(contender.name, str(error))

    clock = ContestProgress(len(task.held_out))
    skipped: list[str] = []

    def take(event: Event) -> Score | None:
        clock.take(event)
        if isinstance(event, Skipped):
            skipped.append(f"“{event.name}” was not scored: {event.reason}")
            entered.added.pop(event.name, None)
        elif isinstance(event, Scored) and not event.final:
            return event.score
        else:
            _keep(entered, event)
        return None

    async for growing, problem, _ in side_job(lab, session, job, take):
        yield Scoring(problem or " ".join(skipped), growing if session.task is task else None, clock.words())


async def train_more(lab: Lab, session: Session, run: SessionRun, repeats: list[Repeat]) -> AsyncIterator[Scoring]:
    """Train other versions of `run`, and score each on the session's held-out rows."""
    task = session.task
    entered = session.compare.on(task)

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        for other in repeats:
            contender = None
            made = on_random_weights if other.random_weights else repeat
            for event in made(lm, other.task, other.recipe, other.name, start_of(run)):
                if isinstance(event, Scored):
                    yield event
                elif isinstance(event, Trained):
                    contender = replace(event.contender, group=other.group, excluded=event.contender.excluded | run.task.seen)
                    yield Trained(contender)
                else:
                    yield Finding(f"{other.name}: step {event.step} of {other.recipe.steps}")
            if contender:
                yield from contest(lm, task, [contender], task.held_out, lab.book, "held_out")

    def take(event: Event) -> str:
        if isinstance(event, Finding):
            return str(event.value)
        _keep(entered, event)
        return "scoring"

    async for progress, problem, _ in side_job(lab, session, job, take):
        yield Scoring(problem, None, progress or "starting")


def _keep(entered: Contest, event: Event) -> None:
    """Keep a new contender, or a final score. Where there are too many contenders, the oldest goes with its score."""
    if isinstance(event, Trained):
        contender = event.contender
        if len(entered.added) >= MOST_ADDED and contender.name not in entered.added:
            oldest = next(iter(entered.added))
            del entered.added[oldest]
            entered.scores.pop(oldest, None)
        entered.added[contender.name] = contender
    elif isinstance(event, Scored) and event.final:
        entered.scores[event.score.name] = event.score


class Answers(NamedTuple):
    """What all contenders answer so far. considered: their most probable next tokens, and the label probabilities."""

    problem: str
    said: dict[str, str]
    considered: dict[str, Any]


async def ask_all(lab: Lab, session: Session, text: str) -> AsyncIterator[Answers]:
    """The contenders' answers to one input, token by token."""
    task = session.task
    known = known_scores(session)
    asked = [contender for contender in entrants(session) if not contender.group or contender.name in known][:MOST_ASKED]
    said = {contender.name: "" for contender in asked}
    considered: dict[str, Any] = {}

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        longest = max(len(lm.tokenise(example.output)) for example in task.held_out[:100])
        for contender in asked:
            labels = label_probabilities(lm, contender, text, task.labels) if task.labels else []
            yield Finding((contender.name, (next_tokens(lm, contender, text), labels)))
            for words in answer(lm, contender, text, min(max(12, longest + 4), 64)):
                yield Finding((contender.name, words))

    def take(event: Finding[tuple[str, Any]]) -> None:
        name, value = event.value
        (said if isinstance(value, str) else considered)[name] = value

    async for _, problem, _ in side_job(lab, session, job, take):
        yield Answers(problem, said, considered)
