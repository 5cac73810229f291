"""python -m app sweep: train one recipe over a grid of settings and seeds, and compare the cells."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from app.commands.options import Outcome, add_engine, add_model, bar, check_engine, load, number_or_none, tell
from app.commands.rows import TASKS, add_rows, load_task
from core.device_lock import DeviceLock
from core.display import text_table, time_in_words
from core.errors import LabError
from core.recipe import SETTINGS, Recipe
from core.sweeps.config import Config, read_config
from core.sweeps.grid import MODEL, MOST_SEEDS, Grid
from core.sweeps.questions import QUESTIONS, Question, question

if TYPE_CHECKING:
    from core.events import Event
    from core.models.language_model import LanguageModel
    from core.sweeps.estimate import Estimated
    from core.sweeps.outcome import SweepResult
    from core.sweeps.result import RunResult
    from core.tasks.task import Task

HELP = "vary one or two settings, with several seeds each, and compare them"
EXAMPLES = """  python -m app sweep --question virtual-tokens --task past-tense
  python -m app sweep tokens.toml --dry-run                       # runs, parameters, time
  python -m app sweep tokens.toml --out my-sweep                  # repeat it to go on after an interruption
  python -m app sweep tokens.toml --out my-sweep --json > my-sweep.jsonl
  python -m app sweep tokens.toml --out my-sweep --engine ray --address auto    # as many runs at a time as the cluster has devices

where tokens.toml is, say

  task = "past-tense"
  seeds = 3
  [vary]
  virtual_tokens = [1, 5, 20]
  method = ["prompt", "prefix"]
  [recipe]
  steps = 60

The best cell is chosen on validation rows and reported on held-out rows. See docs/experiments.md."""
ASKS_ABOVE = 100  # runs


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("file", nargs="?", metavar="FILE.toml", help="the sweep: a task, what to vary, a recipe, seeds")
    made.add_argument("--question", help=f"in place of a file: one of {', '.join(_sweeps())}")
    made.add_argument("--task", help=f"of a question: {TASKS}")
    made.add_argument("--steps", type=SETTINGS["steps"].read, help="of a question: the steps of each run (default: the task's)")
    made.add_argument("--seeds", type=int, default=None, help="of a question: how many seeds each cell gets (default: the question's)")
    made.add_argument("--test", metavar="FILE", help="of a question: a table of rows to hold out")
    made.add_argument("--out", metavar="DIR", help="keep every finished run here, and go on from those that are there")
    made.add_argument("--record", action="store_true", help="of a question: write the answer that the page shows, in assets/experiments")
    made.add_argument("--dry-run", action="store_true", help="train nothing: say runs, parameters and time, measured from single steps")
    made.add_argument("--yes", action="store_true", help=f"start more than {ASKS_ABOVE} runs without asking")
    add_rows(made)
    add_model(made)
    add_engine(made)


def _sweeps() -> list[str]:
    return [one.slug for one in QUESTIONS]


def run(options: argparse.Namespace) -> Outcome:
    check_engine(options)
    asked, task, config = _read(options)
    if options.out:
        from core.sweeps.journal_folder import check_folder

        check_folder(options.out)
    if config and config.model and not options.model:
        options.model = config.model
    lm = load(options)
    from core.scoring.fit_rows import fitted
    from core.sweeps.journal import known_runs
    from core.sweeps.result import head_of
    from core.sweeps.sweep import sweep_grid

    task = fitted(lm, task, options.long_rows)
    grid = config.grid if config else _grid_of(asked, task, lm, options)
    grid.check(task)
    models = _models(lm, grid, options)
    done = known_runs(options.out, head_of(lm, task, grid, models)) if options.out else {}
    waiting = [plan for plan in grid.runs() if plan.key not in done]
    if options.dry_run or (len(waiting) > ASKS_ABOVE and not options.yes):
        found = _estimated(lm, task, grid, done, models)
        if options.dry_run:
            return _told(found, grid)
        length = "" if math.isnan(found.seconds) else f" and would take about {time_in_words(found.seconds)}"
        raise LabError(f"This sweep has {len(waiting)} runs{length}: add --yes to start it, or give fewer values or seeds.")
    workers, device = 1, DeviceLock()
    if options.engine == "ray":
        from core.training import cluster

        cluster.connect(options.address)
        workers = cluster.devices(options.workers)
        cluster.join(lm, cluster.Cluster(cluster.ModelSource(options.model, options.dtype), workers, device.elsewhere))
    shown = _Shown(options.json, len(grid.runs()))
    with shown.bar:
        result = sweep_grid(lm, task, grid, progress=shown.tell, out=options.out, models=models, workers=workers, device=device)
    if result.failed and not result.runs:
        raise LabError(result.failed[0].reason)
    tell(*(f"note: {one.settings}, seed {one.seed}, was not made: {one.reason}" for one in result.failed))
    if asked and options.record:
        _record(asked.slug, result, options)
    answer = asked.reading(result) if asked else ""
    text = f"{result!r}\n" + (f"\n{asked.title}\n{asked.textbook}\nMeasured here: {answer}\n" if asked else "")
    return Outcome(_summary(result, answer), text.rstrip(), 130 if result.stopped else 0, one_line=True)


def _read(options: argparse.Namespace) -> "tuple[Question | None, Task, Config | None]":
    """What the options ask for, all of it checked that needs no model."""
    if bool(options.file) == bool(options.question):
        raise LabError("Name either a TOML file or a --question with its --task, as in --question virtual-tokens --task past-tense.")
    if options.file:
        given = [name for name in ("task", "steps", "seeds", "test") if getattr(options, name) is not None]
        if given:
            raise LabError(f"--{given[0]} is for a --question: write it into the file, or leave it out.")
        config = read_config(options.file)
        if options.record:
            raise LabError("--record is for a --question: leave it out.")
        return None, config.task, config
    asked = question(options.question)
    if not options.task:
        raise LabError("A question needs a task: add --task, as in --task past-tense.")
    if options.steps is not None:
        SETTINGS["steps"].check(options.steps)
    if options.seeds is not None and not 1 <= options.seeds <= MOST_SEEDS:
        raise LabError(f"--seeds is {options.seeds}: choose a whole number from 1 to {MOST_SEEDS}.")
    task = load_task(options)
    if asked.slug == "swapped":
        Grid(Recipe(), {"answers": ("right", "swapped")}).check(task)  # before the model is loaded
    return asked, task, None


def _grid_of(asked: Question | None, task: "Task", lm: "LanguageModel", options: argparse.Namespace) -> Grid:
    assert asked is not None  # either a file or a question
    steps = {} if options.steps is None else {"steps": options.steps}
    recipe = Recipe.from_settings({**task.recipe, **steps})
    return asked.grid(task, recipe, lm.shape, options.seeds)


def _record(slug: str, result: "SweepResult", options: argparse.Namespace) -> None:
    from core.runs.make_recording import made_here
    from core.sweeps.recorded import FOLDER, RecordedSweep

    if len(result.runs) < result.planned:
        raise LabError(f"{result.planned - len(result.runs)} of {result.planned} runs are missing: only a whole sweep is recorded.")
    given = [f" --{name} {value}" for name in ("steps", "seeds", "dtype") if (value := getattr(options, name)) is not None]
    command = f"python -m app sweep --question {slug} --task {options.task}{''.join(given)} --record"
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{slug}.json").write_text(RecordedSweep(result, made_here() | {"command": command}).to_json(), "utf-8")


def _models(lm: "LanguageModel", grid: Grid, options: argparse.Namespace) -> "dict[str, LanguageModel]":
    """The models that the grid names, by name, all of them in memory; `lm` is the one of the options."""
    others = [name for name in grid.vary.get(MODEL, ()) if name != options.model]
    if others and options.engine == "ray":
        raise LabError("--engine ray has one model: vary another setting, or leave the option out.")
    return {options.model: lm, **{name: load(argparse.Namespace(**vars(options) | {"model": name})) for name in others}}


def _estimated(
    lm: "LanguageModel", task: "Task", grid: Grid, done: "dict[str, RunResult]", models: "dict[str, LanguageModel]"
) -> "Estimated":
    from core.sweeps.estimate import estimate

    tell("measuring single steps …")
    return estimate(lm, task, grid, done, models)


def _told(found: "Estimated", grid: Grid) -> Outcome:
    """The outcome of a dry run."""
    seconds = number_or_none(found.seconds)
    cells = [
        {"settings": one.cell.values, "parameters": one.parameters, "seconds": number_or_none(one.seconds), "problem": one.problem}
        for one in found.cells
    ]
    rows = [
        (one.cell.words, f"{one.parameters:,}", "–" if math.isnan(one.seconds) else time_in_words(one.seconds), one.problem)
        for one in found.cells
    ]
    length = "its time is not known" if seconds is None else f"about {time_in_words(seconds)} on this device, from measured steps"
    text = f"{text_table(('cell', 'parameters', 'one run', ''), rows)}\n{found.runs} runs, {grid.seeds} seeds each; {length}"
    return Outcome({"runs": found.runs, "seeds": grid.seeds, "seconds": seconds, "cells": cells}, text, one_line=True)


def _summary(result: "SweepResult", answer: str) -> dict[str, Any]:
    """The last line of --json."""
    from core.runs.record_json import without_nan

    cells = [
        {
            "settings": one.cell.values,
            "runs": one.runs,
            "parameters": one.parameters,
            "seconds": one.seconds,
            **{name: vars(found) for name, found in one.measures.items() if found.n},
        }
        for one in result.cells()
    ]
    return without_nan(
        {
            "summary": {
                "task": result.head.task,
                "model": result.head.model,
                "runs": len(result.runs),
                "planned": result.planned,
                "best": result.best.values if result.best else None,
                "cells": cells,
                "baselines": {name: {"accuracy": one.held_out.accuracy, "n": one.held_out.n} for name, one in result.baselines.items()},
                "failed": [vars(one) for one in result.failed],
                "stopped": result.stopped,
                **({"answer": answer} if answer else {}),
            }
        }
    )


class _Shown:
    """Progress on standard error; with --json each finished run as a line on standard output."""

    def __init__(self, json: bool, runs: int):
        self.json = json
        self.bar = bar(total=runs, desc="sweep", unit="run")

    def tell(self, event: "Event | None") -> None:
        from core.sweeps.sweep import RunDone, RunFailed, RunStep

        if isinstance(event, RunStep):
            self.bar.set_postfix_str(event.words)
        elif isinstance(event, RunDone | RunFailed):
            self.bar.update(1)
            if isinstance(event, RunDone) and self.json:
                print(event.result.to_json(), flush=True)
