"""Try it: the answers to one input with no prompt, with written prompts, and with the vectors of the run that is shown.

Each answer is a job of the engine, cached by all that it depends on. The newest question wins; answers of a run that trains are asked
for again as it goes on, with at most a small part of the device's time.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from app.sessions.contest import contender_at, prefix_of_run
from app.sessions.following import following
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.sessions.trial import Trial
from core import LabError
from core.events import Event, Finding
from core.models.language_model import LanguageModel
from core.runs.adapter_config import same_base
from core.scoring.contender import Contender
from core.scoring.score import best_handcrafted
from core.scoring.trying import Tried, altered, right_answer, try_on
from core.tasks.task import Task
from core.ticket import Ticket

ROLES = ("none", "instruction", "examples", "learned")
DEBOUNCE = 0.3  # seconds after a key before an answer is asked for
RENEW = 1.0  # seconds at least between two answers of a run that trains
SHARE = 8  # of its time, training keeps at least 1 - 1 / SHARE
LONGEST = 300  # signs of an input

Key = tuple[Any, ...]


def trial_of(session: Session, run: SessionRun) -> Trial:
    """The session's trial, as it is for this run: another task brings its first held-out row, another run all its vectors."""
    trial = session.trial
    if trial.task != run.task.slug:
        trial.task, trial.text, trial.drawn = run.task.slug, example_of(run.task), 0
    if trial.run != run.name:
        trial.run, trial.muted, trial.strength = run.name, frozenset(), 1.0
    return trial


def example_of(task: Task) -> str:
    """The input that the box is filled with: the first held-out row."""
    rows = task.held_out or task.validation or task.train
    return rows[0].input if rows else ""


def draw(session: Session, run: SessionRun) -> str:
    """Another held-out row in the box: each once before any comes again, in an order of its own."""
    trial = trial_of(session, run)
    rows = list(run.task.held_out or run.task.validation)
    random.Random(run.task.slug).shuffle(rows)
    if rows:
        found = rows[trial.drawn % len(rows)].input
        trial.drawn += 1
        trial.text = rows[trial.drawn % len(rows)].input if found == trial.text else found
    return trial.text


def written_roles(run: SessionRun) -> dict[str, Contender]:
    """No prompt, and the written instruction and worked examples that did best on validation rows; before they are scored, the last."""
    every = run.baselines
    found = {"none": every[0]}
    for role, shows in (("instruction", False), ("examples", True)):
        mine = [one for one in every if one.kind == "handcrafted" and bool(one.examples) == shows]
        best = best_handcrafted(score for score in run.record.lines if any(score.name == one.name for one in mine))
        if mine:
            found[role] = next((one for one in mine if best and one.name == best.name), mine[-1])
    return found


def learned_at(session: Session, run: SessionRun) -> Contender | None:
    """The run's prompt at the shown step, muted and scaled as the visitor says. None where its vectors are not kept."""
    try:
        made = contender_at(run, session.step_of(run))
    except LabError:
        return None
    trial = trial_of(session, run)
    return altered(made, trial.muted, trial.strength)


def key_of(session: Session, run: SessionRun, role: str) -> Key:
    """All that an answer depends on."""
    trial, model = trial_of(session, run), run.model
    if role != "learned":
        written = written_roles(run).get(role)
        return (model, written.template if written else role, run.recipe.label_score, run.task.labels, trial.text)
    return (model, run.name, run.recipe, session.step_of(run), trial.muted, trial.strength, trial.text)


def answers(session: Session, run: SessionRun) -> dict[str, Tried | None]:
    """What is known now, by role: of the trained vectors also the newest answer while they train, and recorded answers."""
    trial = trial_of(session, run)
    found: dict[str, Tried | None] = {}
    for role in (*written_roles(run), "learned"):
        key = key_of(session, run, role)
        known = trial.known.get(key)
        if known is None and role == "learned" and run.busy and trial.newest and _but_step(trial.newest[0]) == _but_step(key):
            known = trial.known.get(trial.newest[0])
        found[role] = known or _recorded(session, run, role)
    return found


def _but_step(key: Key) -> Key:
    return key[:3] + key[4:]


def _recorded(session: Session, run: SessionRun, role: str) -> Tried | None:
    """What the record says of this row: scored once, at the end, with the whole prompt."""
    trial = trial_of(session, run)
    plain = session.step_of(run) == run.last and not trial.muted and trial.strength == 1.0
    if role == "learned" and not plain:
        return None
    name = "learned" if role == "learned" else written_roles(run)[role].name
    score = run.record.held_out.get(name)
    row = next((one for one in score.results if one.input == trial.text), None) if score else None
    return Tried(row.said, right=row.correct) if row else None


def fits(lm: LanguageModel, run: SessionRun) -> bool:
    """Whether the run's vectors are of this model."""
    prefix, base = prefix_of_run(run), run.record.base
    if prefix is None:
        return False
    shaped = tuple(prefix.array().shape) == tuple(prefix.method.shape(lm.shape, prefix.virtual_tokens))
    return shaped and (not run.record.recorded or same_base(str(base.get("name", "")), lm.name) or base.get("weights") == lm.weights_hash)


def ask(lab: Lab, session: Session, run: SessionRun, wanted: dict[str, Contender]) -> Ticket:
    """Queue a job for the answers of `wanted`, by role, which go into the session's trial. LabError where it is refused."""
    trial, text, task = trial_of(session, run), session.trial.text, run.task
    keys = {role: key_of(session, run, role) for role in wanted}
    step, known = session.step_of(run), trial.known

    def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
        began = time.monotonic()
        right = right_answer(task, text)
        outputs = [right] if right else [row.output for row in task.held_out[:50]]
        most = min(max((len(lm.tokenise(output)) for output in outputs), default=8) + 4, 32)
        for role, contender in wanted.items():
            if role == "learned" and not fits(lm, run):
                continue
            try:
                tried = Tried("")
                for tried in try_on(lm, contender, text, task.labels, most):  # noqa: B007 - in one piece: training has its turn before and after
                    pass
            except LabError as error:
                tried = Tried("", problem=str(error))
            if trial.known is known:  # else the page is gone, and the answers were forgotten
                trial.keep(keys[role], tried)
                if role == "learned":
                    trial.newest = (keys[role], step)
            trial.rested = (time.monotonic(), time.monotonic() - began)
            yield Finding(role)

    ticket = trial.ticket = lab.submit(session, job, model=run.model)
    return ticket


def missing(session: Session, run: SessionRun) -> dict[str, Contender]:
    """The contenders whose answers are not computed yet, by role."""
    known = session.trial.known
    wanted = {role: one for role, one in written_roles(run).items() if key_of(session, run, role) not in known}
    if key_of(session, run, "learned") not in known and (mine := learned_at(session, run)):
        wanted["learned"] = mine
    return wanted


async def answer(lab: Lab, session: Session, run: SessionRun, wait: float = 0.0) -> AsyncIterator[str]:
    """Ask for what is not known: yields a problem, or "", with each answer. Ends where something newer is asked for."""
    trial = trial_of(session, run)
    trial.asked += 1
    mine = trial.asked
    await asyncio.sleep(wait)
    if trial.asked != mine or not trial.text.strip():
        return
    if trial.ticket and not trial.ticket.over:
        lab.engine.cancel(trial.ticket)
    wanted = missing(session, run)
    if not wanted:
        return
    try:
        ticket = ask(lab, session, run, wanted)
    except LabError as error:
        yield str(error)
        return
    yield ""
    with following(ticket, lab.engine.cancel, lambda: trial.asked == mine) as news:
        async for item in news:
            if item.events or item.over:
                yield ticket.message


def renew(lab: Lab, session: Session, run: SessionRun) -> None:
    """Ask for the answer of a run that trains, where that is cheap: not often, and never while an answer is on its way."""
    lm, trial = lab.engine.loaded(run.model), trial_of(session, run)
    ended, took = trial.rested
    due = time.monotonic() - ended >= max(RENEW, SHARE * took)
    if lm is None or lm.device_process or run.status != "running" or run.record.scores or not run.record.vectors or not due:
        return
    if (trial.ticket and not trial.ticket.over) or not trial.text.strip():
        return
    wanted = missing(session, run)
    if wanted:
        try:
            ask(lab, session, run, wanted)
        except LabError:
            return  # the server is full: training goes first
