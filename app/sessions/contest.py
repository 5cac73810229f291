"""The contenders of a session's comparison, and their scores so far."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.sessions.session import Session
from app.sessions.session_run import SessionRun, recorded_run
from core import LabError
from core.models.language_model import LanguageModel
from core.prefix import Prefix, prefix_of
from core.runs.contest import baselines
from core.runs.saved_adapter import to_files
from core.runs.trained_run import run_files
from core.scoring.contender import DEFAULT_SCORE, Contender, by_one_score, contender_of_run, written
from core.scoring.score import Score, best_handcrafted
from core.tasks.task import Handcrafted, Task
from core.training.start import Begun


def entrants(session: Session) -> list[Contender]:
    """All contenders on the session's task: its learned prompts first, then added ones, then handcrafted ones."""
    task = session.task
    entered = session.compare.on(task)
    own = [written(task, prompt) for prompt in entered.prompts]
    added = {**{one.name: one for one in derived(session)}, **entered.added}
    every = [*(learned_contender(run) for run in learned_runs(session)), *added.values(), *own, *baselines(task)]
    return by_one_score(every, label_score(session))


def label_score(session: Session) -> str:
    """By what labels are compared on the session's task: as the newest run on it says, or the task."""
    newest = next((run for run in reversed(session.runs_here) if run.task == session.task and not run.learned), None)
    return newest.recipe.label_score if newest else str(session.task.recipe.get("label_score", DEFAULT_SCORE))


def derived(session: Session) -> list[Contender]:
    """The baselines that the session's runs on its task made with the model's help."""
    return [one for run in session.runs_here if run.task == session.task for one in run.record.derived]


def recorded_scores(session: Session) -> dict[str, Score]:
    """The held-out scores of the recording that is in sight, if it is of the session's task."""
    run = session.shown or recorded_run()
    if run is None or not run.record.recorded or run.model != session.model:
        return {}
    return _scores_of(run) if run.task == session.task else {}


def scores_in_sight(session: Session) -> dict[str, Score]:
    """What is known here; where nothing is, what the recording says. Never both: its numbers may be of other weights."""
    return known_scores(session) or recorded_scores(session)


def _scores_of(run: SessionRun) -> dict[str, Score]:
    """What a run ended with, the learned prompt under the run's name."""
    scores = {}
    for score in run.record.held_out.values():
        if score.learned:  # a score says what is the same every time, the record how long it took
            score = replace(score, name=run.name, seconds=run.record.seconds or score.seconds)
        scores[score.name] = score
    return scores


def known_scores(session: Session) -> dict[str, Score]:
    """Held-out scores on the session's task: those asked for here, and those that its runs ended with."""
    known: dict[str, Score] = {}
    for run in session.runs_here:
        if run.task == session.task:
            known |= _scores_of(run)
    known.update(session.compare.on(session.task).scores)
    if session.task.labels:  # what was compared in another way is no part of this comparison
        rule = label_score(session)
        known = {name: score for name, score in known.items() if score.label_score == rule or score.kind == "majority"}
    groups = {score.group for score in known.values()}
    for run in session.runs_here:  # a run whose seeds were repeated is one of them
        if run.name in known and seeds_of(run) in groups:
            known[run.name] = replace(known[run.name], group=seeds_of(run))
    return known


def seeds_of(run: SessionRun) -> str:
    """The group of a run and its repeats with other seeds."""
    return f"seeds of {run.name}"


def learned_runs(session: Session) -> list[SessionRun]:
    """The session's runs with vectors that fit its task, newest first."""
    fitting = [run for run in session.runs_here if run.learned or run.task == session.task]
    return [run for run in reversed(fitting) if prefix_of_run(run) is not None and not run.busy]


def prefix_of_run(run: SessionRun) -> Prefix | None:
    """A run's learned prompt as a contender, or None if there are no vectors."""
    if run.learned:
        return run.learned.prefix
    vectors = run.record.final_vectors()
    return None if vectors is None else prefix_of(run.record.method, vectors, run.recipe.train)


def adapter_files(lm: LanguageModel, run: SessionRun) -> dict[str, bytes]:
    """What a run learned, as the files of a PEFT adapter folder with its recipe, card and record. LabError where there is nothing to save."""
    prefix = prefix_of_run(run)
    if prefix is None or run.busy:
        raise LabError("There is nothing to save yet: train a prompt to its end, or stop it.")
    if run.learned:
        record = run.learned.record or {"template": run.learned.template, "placement": run.learned.placement}
        return to_files(lm, prefix, record)
    return run_files(lm, run.task, run.recipe, run.record)


def learned_contender(run: SessionRun) -> Contender:
    """A run as a contender, under its own name. The rows that it was trained on don't count for it."""
    if run.learned:
        return run.learned.contender(run.name)
    prefix = prefix_of_run(run)
    assert prefix is not None
    return contender_of_run(run.name, run.task, run.recipe, prefix, run.record.seconds, run.record.seen_before)


def begun_from(session: Session, run: SessionRun) -> Begun:
    """What a run learned as the start of another one. LabError where there is nothing to start from, or it is of another model."""
    prefix = prefix_of_run(run)
    if prefix is None or run.busy:
        raise LabError("There is no learned prompt to continue from: finish or stop a run, or load one.")
    if run.model != session.model:
        raise LabError("This prompt belongs to another model: choose that model first.")
    return Begun(prefix.snapshot(), learned_contender(run).excluded)


def as_start(run: SessionRun, settings: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """What differs from `settings` in a recipe on `task` that starts from this run's prompt: its method, its length, its place in the text."""
    method, whole = run.record.method, learned_contender(run)
    changes: dict[str, Any] = {"method": method.name, "virtual_tokens": whole.prefix.virtual_tokens}
    if settings["method"] != method.name:
        changes |= method.defaults
    if "placement" in method.settings:
        changes["placement"] = whole.placement
    if run.task == task:
        changes["template"] = "" if whole.template == task.template else whole.template
    return changes


def start_of(run: SessionRun) -> Begun | None:
    """The prompt that a run itself started from, where that was a learned one: for its repeats."""
    start = run.record.vectors.get(0)
    return Begun(start, frozenset(run.record.seen_before)) if run.recipe.init_from and start is not None else None


def contender_at(run: SessionRun, step: int) -> Contender:
    """A run's prompt as it was after `step` steps, or at the last step before it that was kept. LabError where none was."""
    last = len(run.record.readings) - 1
    if run.learned or (step >= last and prefix_of_run(run) is not None):
        return learned_contender(run)
    kept = [known for known in run.record.vectors if 0 <= known <= step]
    if not kept:
        raise LabError("The vectors of this step were not kept (a recording holds only the last ones): go to the last step, or train live.")
    whole = learned_contender(run)
    return replace(whole, prefix=prefix_of(run.record.method, run.record.vectors[max(kept)], run.recipe.train), seconds=0.0)


def best_written(run: SessionRun) -> Contender | None:
    """The handcrafted prompt that did best on the held-out rows of this run; before they are scored, the last one, with examples."""
    written = [one for one in baselines(run.task) if one.kind == "handcrafted"]
    best = best_handcrafted(run.record.scores)
    return next((one for one in written if best and one.name == best.name), written[-1] if written else None)


def written_names(task: Task) -> list[str]:
    """The task's own handcrafted prompts, in the order that gives them their colours."""
    return [prompt.name for prompt in task.handcrafted]


def grid_columns(session: Session) -> list[Score]:
    """Scores as the grid's columns: learned first, then by accuracy; of a group only its first."""
    seen: set[str] = set()
    columns = []
    for score in scores_in_sight(session).values():
        if score.kind == "majority" or not score.results or (score.group and score.group in seen):
            continue
        seen.add(score.group)
        columns.append(score)
    return sorted(columns, key=lambda score: (not score.learned, -score.accuracy))[:14]


def prompt_named(session: Session, name: Any) -> Handcrafted:
    """The written prompt of this name, the task's or one's own. LabError where there is none."""
    prompts = [*session.task.handcrafted, *session.compare.on(session.task).prompts]
    found = next((prompt for prompt in prompts if prompt.name == name), None)
    if found is None:
        raise LabError("There is no written prompt of this name on this task: choose one, or write your own first.")
    return found


def run_named(session: Session, name: Any) -> SessionRun:
    """The run of this name, if its prompt fits the session's task. LabError where there is none."""
    found = next((run for run in learned_runs(session) if run.name == name), None)
    if found is None:
        raise LabError("There is no learned prompt to do this with: train one on this task first.")
    return found


def all_prompts(session: Session) -> list[Handcrafted]:
    """Every prompt in words that takes part: the bare template, the task's, one's own, and those made on the page."""
    task = session.task
    entered = session.compare.on(task)
    made = {one.name: one.template for one in (*derived(session), *entered.added.values()) if one.kind == "handcrafted"}
    added = [Handcrafted(name, template) for name, template in made.items()]
    return [Handcrafted("no prompt", task.template), *task.handcrafted, *entered.prompts, *added]
