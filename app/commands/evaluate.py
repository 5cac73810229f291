"""python -m app evaluate: score handcrafted and saved prompts on a task's held-out rows."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.options import (
    PROMPTS,
    Outcome,
    add_model,
    bar,
    check_prompt,
    contender_row,
    load,
    table,
    tell,
    tell_skipped,
    tell_warnings,
)
from app.commands.rows import TASKS, add_rows, load_task
from core.errors import LabError
from core.recipe import SETTINGS, check_template
from core.tasks import evidence
from core.tasks.task import Handcrafted
from core.tasks.template import names_columns

if TYPE_CHECKING:
    from core.models.language_model import LanguageModel
    from core.runs.scorebook import Scorebook
    from core.scoring.contender import Contender
    from core.scoring.score import Score
    from core.tasks.task import Task

HELP = "score handcrafted and saved prompts on a task's held-out rows"
EXAMPLES = """  python -m app evaluate --task past-tense --prompt "The past tense of {input} is" --learned my-prompt
  python -m app evaluate --task reviews.tsv --test next-year.tsv --learned reviews.zip
  python -m app evaluate --task capitals --learned owner/their-prompt --template "Capital of {input}:"
"""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("--task", required=True, help=TASKS)
    made.add_argument("--test", metavar="FILE", help="a table of rows to score on, in place of the task's held-out ones")
    made.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="a handcrafted prompt with {input} (may be repeated)")
    made.add_argument("--learned", action="append", default=[], metavar="PROMPT", help=f"{PROMPTS} (may be repeated)")
    made.add_argument("--template", default="", help="for saved prompts without a recipe.json: the text around {input}")
    score = SETTINGS["label_score"]
    made.add_argument(
        score.flag, choices=score.choices, help=f"{score.help} (default: as the first saved prompt was, else {score.default})"
    )
    add_rows(made)
    add_model(made)


def run(options: argparse.Namespace) -> Outcome:
    for prompt in [*options.prompt, *([options.template] if options.template and not names_columns(options.template) else [])]:
        check_template(prompt)
    task = load_task(options)
    if names_columns(options.template):  # it has become the task's
        options.template = task.template
    for name in options.learned:
        check_prompt(name)
    lm = load(options)
    from core.runs.contest import Scored, Skipped, baselines, common_rows, contest, with_model
    from core.runs.hub_prompts import load as load_prompt
    from core.runs.scorebook import Scorebook
    from core.scoring.contender import DEFAULT_SCORE, by_one_score, written
    from core.scoring.fit_rows import fitted
    from core.scoring.score import majority

    task = fitted(lm, task, options.long_rows)
    contenders = [*baselines(task), *with_model(lm, task)]
    contenders += [written(task, Handcrafted(prompt, prompt)) for prompt in options.prompt]
    rules: list[str] = []
    for name in options.learned:
        learned = load_prompt(name, lm, options.template)
        tell_warnings(name, learned)
        contenders.append(learned.contender(Path(name).name))
        rules.append(learned.recipe.label_score if learned.recipe else DEFAULT_SCORE)
    contenders = by_one_score(contenders, options.label_score or next(iter(rules), DEFAULT_SCORE))
    book = Scorebook()
    contenders += _calibrated(lm, task, contenders, book)
    rows = common_rows(task.held_out, contenders)
    if not rows:
        raise LabError("Every held-out row was used in training or is shown in a prompt: give other rows with --test.")
    if len(rows) < len(task.held_out):
        tell(f"note: {len(task.held_out) - len(rows)} rows do not count for any contender: one was trained on them or shows them.")
    scores: list[Score] = []
    skipped: dict[str, str] = {}
    with bar(total=len(contenders) * len(rows), desc="scoring", unit="row") as rows_done:
        for event in contest(lm, task, contenders, rows, book, "held_out"):
            done = len(scores) + len(skipped)
            if isinstance(event, Skipped):
                skipped[event.name] = event.reason
                rows_done.update((done + 1) * len(rows) - rows_done.n)
            elif isinstance(event, Scored):
                rows_done.set_description(f"scoring {event.score.name[:30]}")
                rows_done.update(done * len(rows) + event.score.n - rows_done.n)
                if event.final:
                    scores.append(event.score)
    tell_skipped(skipped)
    scores.append(majority(task, rows))
    result: dict[str, Any] = {"contenders": [contender_row(score) for score in scores], "evidence": evidence.as_dict(len(rows))}
    result["label_score"] = contenders[0].label_score if task.labels else None
    return Outcome(result, f"{table(scores)}\n{evidence.in_words(len(rows))}")


def _calibrated(lm: "LanguageModel", task: "Task", contenders: "list[Contender]", book: "Scorebook") -> "list[Contender]":
    """The calibrated version of the handcrafted prompt that does best on validation rows, where there is one."""
    from core.runs.contest import Entered, Skipped, enter_calibrated

    found = []
    with bar(desc="scoring on validation rows", unit="batch") as batches:
        for event in enter_calibrated(lm, task, contenders, book):
            batches.update()
            if isinstance(event, Entered):
                found.append(event.contender)
            elif isinstance(event, Skipped):
                tell(f"note: no prompt could be calibrated: {event.reason}")
    return found
