"""python -m app spectrum: prompts, LoRA, adapters, IA3, BitFit and full fine-tuning on the same task, measured."""

import argparse
import sys
from typing import Any

from app.commands.options import Outcome, add_model, bar, load, tell
from app.commands.rows import TASKS, add_rows, load_task
from core.errors import LabError, as_path, shown
from core.finetuning.catalogue import ADAPTATIONS, chosen
from core.recipe import SETTINGS, Recipe

HELP = "measure prompts against LoRA, adapters, IA3, BitFit and full fine-tuning on one task"
EXAMPLES = """  python -m app spectrum --task past-tense
  python -m app spectrum --task past-tense --seeds 3 --steps 60 --out spectrum.json
  python -m app spectrum --task reviews.tsv --methods prompt,lora,full --json

LoRA and IA3 need PEFT (pip install -r requirements-spectrum.txt). docs/spectrum.md says what is measured and how."""
OWN = ("virtual_tokens", "batch_size", "template", "seed")  # settings of a recipe that have an option here, besides the steps


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("--task", required=True, help=TASKS)
    made.add_argument("--methods", default="", metavar="NAME,…", help=f"of {', '.join(ADAPTATIONS)} (default: all)")
    made.add_argument("--seeds", type=int, default=2, help="runs of each method, at the rate that was chosen for it (default 2)")
    made.add_argument("--steps", type=SETTINGS["steps"].read, help=f"{SETTINGS['steps'].help} (default: the task's, else 60)")
    for setting in (SETTINGS[name] for name in OWN):
        kind = setting.kind.__name__.upper()
        made.add_argument(setting.flag, type=setting.read, dest=setting.name, metavar=kind, help=setting.help)
    made.add_argument("--test", metavar="FILE", help="a table of rows to hold out, in place of those that the task holds out")
    made.add_argument("--out", metavar="FILE", help="write the result here, too, as JSON")
    add_rows(made)
    add_model(made, dtype="float32")


def run(options: argparse.Namespace) -> Outcome:
    names = [name.strip() for name in options.methods.split(",") if name.strip()]
    chosen(names)
    given = {name: value for name in ("steps", *OWN) if (value := getattr(options, name)) is not None}
    for name, value in given.items():
        SETTINGS[name].check(value)
    if options.out and (as_path(options.out).is_dir() or not as_path(options.out).absolute().parent.is_dir()):
        raise LabError(f"--out is {shown(options.out)}: name a file in a folder that exists.")
    task = load_task(options)
    recipe = Recipe.from_settings({**task.recipe, "method": "prompt", **given})
    lm = load(options)
    from app.view.methods_table import methods_text
    from core.events import Progress
    from core.finetuning.runs import Stepped
    from core.finetuning.spectrum import Compared, Measured, RateTried, Refused, spectrum_steps
    from core.runs.scorebook import Scorebook
    from core.scoring.fit_rows import fitted

    task = fitted(lm, task, options.long_rows)
    tell(*(f"note: {note}" for note in task.notes))
    found: Any = None
    with bar(desc="training", unit="step") as done:
        for event in spectrum_steps(lm, task, recipe, Scorebook(), options.seeds, names):
            if isinstance(event, Progress):
                done.total = event.total  # it grows where the search for a rate goes beyond the first three
                done.refresh()
            elif isinstance(event, Stepped):
                done.set_description(f"{ADAPTATIONS[event.method].label}, rate {event.rate:g}, loss {event.loss:.2f}")
            elif isinstance(event, Measured):  # it takes long: what is known is told at once
                one = event.result
                done.write(f"{one.label}: {100 * one.accuracy.mean:.0f} % right, rate {one.rate:g}", file=sys.stderr)
            elif isinstance(event, Compared):
                found = event.result
            if isinstance(event, Stepped | RateTried | Measured | Refused):
                done.update()
    if not found.methods:
        raise LabError(next(iter(found.refused.values())))
    if options.out:
        as_path(options.out).write_text(found.to_json() + "\n", "utf-8")
    text = methods_text(found) + (f"\nwritten to {options.out}" if options.out else "")
    return Outcome(found.to_dict(), text)
