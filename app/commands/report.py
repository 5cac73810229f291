"""python -m app report: a saved prompt's run as one HTML file that opens anywhere."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from app.commands.options import PROMPTS, Outcome, add_model, check_prompt, load, tell_warnings
from core.errors import LabError, as_path, shown
from core.runs.adapter_files import RUN
from core.tasks.built_in import slugs
from core.tasks.load import load_task
from core.tasks.task import Task

if TYPE_CHECKING:
    from core.runs.saved_adapter import Learned

HELP = "write one HTML file about a saved prompt: recipe, curves, comparison, readings, caveats"
EXAMPLES = """  python -m app train --task past-tense --out my-prompt && python -m app report my-prompt
  python -m app report their-adapter --out their-adapter.html

A folder that was saved here is reported without its model. Of a plain PEFT adapter the model is loaded, to read what can be read
of its vectors alone; the report says what is missing."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("prompt", metavar="PROMPT", help=PROMPTS)
    made.add_argument("--out", metavar="FILE.html", help="where to write it (default: NAME-report.html, here)")
    made.add_argument("--template", default="", help="for a prompt without a recipe.json: the text around {input}")
    add_model(made)


def run(options: argparse.Namespace) -> Outcome:
    path = as_path(options.prompt)
    out = as_path(options.out or f"{path.name.removesuffix('.zip') or 'prompt'}-report.html")
    if out.is_dir():
        raise LabError(f"{shown(out)} is a folder: name a file with --out.")
    if not (path / RUN).is_file():  # a recorded run is reported without its adapter
        check_prompt(options.prompt)
    from app.view.report import report
    from core.runs.run_file import saved_run

    record = saved_run(path)
    if record is None:
        lm = load(options)
        from core.runs.hub_prompts import load as load_prompt
        from core.runs.readings import Vocabulary
        from core.runs.record_writer import loaded_record

        learned = load_prompt(options.prompt, lm, options.template)
        tell_warnings(options.prompt, learned)
        record = loaded_record(lm, _task_of(learned), learned, Vocabulary(lm))
    text = report(record)
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise LabError(f"The report can't be written to {shown(out)} ({error.strerror}): choose another place with --out.") from error
    size = Path(out).stat().st_size
    return Outcome({"out": str(out), "bytes": size}, f"{out}: {size / 1e6:.1f} MB, opens without a network")


def _task_of(learned: "Learned") -> Task:
    """The built-in task that a prompt was trained on, or one without rows that has its name, if that is known."""
    if learned.made_for in slugs():
        return load_task(learned.made_for)
    told = learned.record.get("task")
    name = told.get("name") if isinstance(told, dict) else None
    return Task("", name if isinstance(name, str) and name else "task not known", learned.template, (), (), ())
