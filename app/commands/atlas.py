"""python -m app atlas: the recorded results of every built-in task, from which defaults and tables are read."""

import argparse
from pathlib import Path

from app.commands.options import Outcome, add_model, bar, load, tell
from core.errors import LabError, shown
from core.files import ASSETS
from core.tasks.built_in import checked

HELP = "record every built-in task by method and number of virtual tokens, with three seeds (takes hours)"
EXAMPLES = """  python -m app atlas                                 # all tasks; repeat it to go on after an interruption
  python -m app atlas --tasks plural capitals

Finished runs are kept in out/atlas; assets/atlas.json is written after each task."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("--tasks", nargs="+", default=[], metavar="TASK", help="built-in tasks (default: all)")
    made.add_argument("--out", default=str(ASSETS / "atlas.json"), metavar="FILE", help="the file to write (default assets/atlas.json)")
    made.add_argument("--work", default="out/atlas", metavar="DIR", help="where finished runs are kept (default out/atlas)")
    add_model(made, dtype="float32")


def run(options: argparse.Namespace) -> Outcome:
    names = checked(options.tasks)  # before anything slow is imported
    if Path(options.out).is_dir():
        raise LabError(f"{shown(options.out)} is a folder: name a file.")
    lm = load(options)
    from core.sweeps.atlas import SEEDS, VARY, atlas_steps, choose, load_atlas
    from core.sweeps.sweep import RunDone, RunFailed, RunStep

    runs = SEEDS * len(VARY["method"]) * len(VARY["virtual_tokens"]) * len(names)
    failed: list[str] = []
    with bar(total=runs, desc="atlas", unit="run") as shown_bar:
        for name, event in atlas_steps(lm, names, Path(options.work), Path(options.out)):
            if isinstance(event, RunStep):
                shown_bar.set_postfix_str(f"{name}, {event.plan.words}, step {event.step}")
            elif isinstance(event, RunDone | RunFailed):
                shown_bar.update(1)
            if isinstance(event, RunFailed):
                failed.append(f"{name}, {event.plan.words}: {event.reason}")
    tell(*(f"note: not made: {one}" for one in failed))
    made = load_atlas(Path(options.out))
    assert made is not None  # written above
    chosen = {name: one.cell.values for name in names if (one := choose(made.cells(name) or []))}
    text = "\n".join(f"{name}: {one}" for name, one in chosen.items())
    size = Path(options.out).stat().st_size
    return Outcome({"out": options.out, "bytes": size, "chosen": chosen, "failed": failed}, f"{text}\n{options.out}: {size / 1000:.0f} kB")
