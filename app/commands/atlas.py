"""python -m app atlas: the recorded results of every built-in task, from which defaults and tables are read."""

import argparse
from pathlib import Path

from app.commands.options import Outcome, add_model, bar, load, tell
from core.errors import LabError, shown
from core.files import ASSETS
from core.tasks.built_in import checked

HELP = "record every built-in task by method and number of virtual tokens, and settings that have defaults, with three seeds (takes hours)"
EXAMPLES = """  python -m app atlas                                 # all tasks; repeat it to go on after an interruption
  python -m app atlas --tasks plural capitals
  python -m app atlas --table                         # train nothing: print the recorded tables as Markdown

Finished runs are kept in out/atlas; assets/atlas.json is written after each task. Two commands with different --tasks and --out can
share the work: one command more, for all tasks, then writes the file from the finished runs. Set OMP_NUM_THREADS=1 for each."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("--tasks", nargs="+", default=[], metavar="TASK", help="built-in tasks (default: all)")
    made.add_argument("--out", default=str(ASSETS / "atlas.json"), metavar="FILE", help="the file to write (default assets/atlas.json)")
    made.add_argument("--work", default="out/atlas", metavar="DIR", help="where finished runs are kept (default out/atlas)")
    made.add_argument("--table", action="store_true", help="train nothing: print what --out holds as Markdown tables")
    add_model(made, dtype="fast")  # as the page trains


def run(options: argparse.Namespace) -> Outcome:
    names, out = checked(options.tasks), Path(options.out)  # before anything slow is imported
    if out.is_dir():
        raise LabError(f"{shown(options.out)} is a folder: name a file.")
    failed = [] if options.table else _record(options, names, out)
    from app.view.atlas import choice_lines, table_lines
    from core.sweeps.atlas import load_atlas
    from core.sweeps.defaults import choices

    made = load_atlas(out)
    if made is None:
        raise LabError(f"There are no recorded results in {shown(options.out)}: run it without --table.")
    found = choices(made)
    size = out.stat().st_size
    text = "\n".join([*table_lines(made), "", *choice_lines(found), "", f"{options.out}: {size / 1000:.0f} kB"])
    changes = [{"method": one.method, "setting": one.setting, "from": one.present, "to": one.found} for one in found if not one.stays]
    return Outcome({"out": options.out, "bytes": size, "tasks": list(made.tasks), "changes": changes, "failed": failed}, text)


def _record(options: argparse.Namespace, names: list[str], out: Path) -> list[str]:
    """Train what is not recorded yet. Returns the runs that could not be made, in words."""
    lm = load(options)
    from core.sweeps.atlas import atlas_grids, atlas_steps
    from core.sweeps.sweep import RunDone, RunFailed, RunStep
    from core.tasks.built_in import built_in

    runs = sum(len(grid.runs()) for name in names for grid in atlas_grids(built_in(name)).values())
    failed: list[str] = []
    with bar(total=runs, desc="atlas", unit="run") as shown_bar:
        for name, event in atlas_steps(lm, names, Path(options.work), out):
            if isinstance(event, RunStep):
                shown_bar.set_postfix_str(f"{name}, {event.plan.words}, step {event.step}")
            elif isinstance(event, RunDone | RunFailed):
                shown_bar.update(1)
            if isinstance(event, RunFailed):
                failed.append(f"{name}, {event.plan.words}: {event.reason}")
    tell(*(f"note: not made: {one}" for one in failed))
    return failed
