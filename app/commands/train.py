"""python -m app train: train a prompt, compare it with handcrafted ones, save it."""

import argparse
import signal
import threading
from typing import Any

from app.commands.options import Outcome, add_model, check_prompt, contender_row, load, table, tell, tell_skipped, tell_warnings
from app.commands.rows import TASKS, add_rows, load_task
from core.errors import LabError
from core.recipe import SETTINGS, Recipe, Setting
from core.runs.adapter_files import check_target
from core.tasks import evidence
from core.tasks.template import names_columns

HELP = "train a prompt and compare it with handcrafted ones"
EXAMPLES = """  python -m app train --task past-tense --out my-prompt
  python -m app train --task capitals --method prefix --steps 40 --lr 0.01
  python -m app train --task reviews.tsv --columns review,stars --kind labels --words "1=bad,5=good" --out reviews
  python -m app train --task plural --seed 1 --json > seed-1.json
  python -m app train --task plural --loss imitate --teacher $'book -> books\\ncity -> cities\\n{input} ->'   # compress a prompt
  python -m app train --task plural --init-from my-prompt --out my-prompt-2      # go on from a saved prompt, ours or PEFT's

Ctrl-C ends training, then scores and saves what was learned by then (exit code 130); a second one saves it unscored."""


def add(made: argparse.ArgumentParser) -> None:
    for setting in SETTINGS.values():
        if setting.place != "server":  # --model and --dtype are options of every command
            _add_setting(made, setting)
    made.add_argument("--test", metavar="FILE", help="a table of rows to hold out, in place of those that the task holds out")
    made.add_argument("--out", metavar="DIR", help="save it here: a PEFT adapter with our recipe, a model card, and what `report` needs")
    add_rows(made)
    add_model(made)


def _add_setting(made: argparse.ArgumentParser, setting: Setting) -> None:
    own = setting.own_defaults
    default = ", ".join(f"{value} for {method}" for method, value in own.items()) if own else str(setting.default)
    default = f" (default {default})" if default else ""
    required = setting.place == "task"
    extra: dict[str, Any] = (
        {"choices": setting.choices} if setting.choices else {"type": setting.read, "metavar": setting.kind.__name__.upper()}
    )
    made.add_argument(
        *((setting.flag, "--lr") if setting.name == "learning_rate" else (setting.flag,)),
        dest=setting.name,
        default=None,
        required=required,
        help=TASKS if required else setting.help.replace("%", "%%") + default,
        **extra,
    )


def run(options: argparse.Namespace) -> Outcome:
    given = {name: getattr(options, name) for name in SETTINGS if getattr(options, name, None) is not None}
    for name, value in given.items():
        SETTINGS[name].check(value)
    task = load_task(options)  # before the model: a bad file is told at once
    if given.get("teacher") and given.get("loss", task.recipe.get("loss")) != "imitate":
        raise LabError("--teacher is for --loss imitate: add that, or leave the teacher out.")
    if names_columns(given.get("template", "")):  # it has become the task's
        given["template"] = task.template
    recipe = Recipe.from_settings({**task.recipe, **given})
    if options.out:
        check_target(options.out)
    if recipe.init_from:
        check_prompt(recipe.init_from)
    lm = load(options)
    from core.runs import saved_adapter as storage
    from core.runs.hub_prompts import load as load_prompt
    from core.runs.imitation import in_words
    from core.runs.trained_run import train
    from core.scoring.fit_rows import fitted

    begun = None
    if recipe.init_from:
        learned = load_prompt(recipe.init_from, lm)
        tell_warnings(recipe.init_from, learned)
        recipe, begun = recipe.but(**{**learned.as_start, **given}), learned.begun
    if options.out:
        storage.check_savable(lm, recipe.placement)
    task = fitted(lm, task, options.long_rows)
    tell(*(f"note: {note}" for note in task.notes))
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        """The first Ctrl-C ends training, and scoring follows; the second one ends that, too."""
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        made = train(lm, task, recipe, stopping=stop.is_set, begun=begun)
        record = made.record
        tell_skipped(record.skipped)
        if record.stopped:
            tell(f"note: {record.stopped}")
        if options.out:
            made.save(options.out)
    finally:
        signal.signal(signal.SIGINT, before)
    scores = list(record.held_out.values())
    rows = max((score.n for score in scores), default=len(task.held_out))
    result = {
        "recipe": recipe.to_dict(),
        "parameters": record.parameters,
        "seconds": record.seconds,
        "steps": record.step,
        "stopped": record.stopped,
        "kept": record.kept,
        "contenders": [contender_row(score) for score in scores],
        "skipped": dict(record.skipped),
        "imitation": record.imitation.to_dict() if record.imitation else None,
        "evidence": evidence.as_dict(rows),
        "out": options.out,
    }
    alike = f"\n{in_words(record.imitation, scores)}" if record.imitation else ""
    text = f"{table(scores)}\n{evidence.in_words(rows)}{alike}\n\n{record.parameters:,} parameters, {record.seconds:.1f} s of training"
    text += f"; kept: step {record.kept}, chosen on validation rows" if recipe.keep == "best" and record.kept else ""
    text += f", saved in {options.out}" if options.out else ""
    code = 130 if stop.is_set() else 3 if record.stopped else 0
    return Outcome(result, text, code)
