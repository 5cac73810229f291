"""Recorded results: every built-in task by method and number of virtual tokens, and six of them by the settings that have defaults.

`python -m app atlas` (make atlas) writes them into one file, in hours. The README's table is read from it, and
`core.sweeps.defaults` takes the defaults from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import LabError, reason, shown
from core.files import ASSETS
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.make_recording import made_here
from core.runs.scorebook import Scorebook
from core.sweeps.grid import Grid
from core.sweeps.journal import Journal
from core.sweeps.outcome import SweepResult
from core.sweeps.result import Part, RunResult, from_json, head_of, to_json
from core.sweeps.sweep import RunDone, SweepDone, SweepEvent, sweep_steps
from core.tasks.built_in import built_in, slugs
from core.tasks.task import Task

FILE = ASSETS / "atlas.json"
SEEDS = 3
METHODS = ("prompt", "prefix")
SIZES: Mapping[str, tuple] = {"method": METHODS, "virtual_tokens": (10, 5, 20)}  # of every task; defaults first
# What else has a default, one setting at a time, on six tasks of different kinds: a skill, facts, an order, long answers, labels.
RATES = {"prompt": (0.03, 0.01, 0.1), "prefix": (0.01, 0.003, 0.03)}
CHOICES: Mapping[str, Mapping[str, tuple]] = {
    method: {"learning_rate": rates, "init": ("vocab", "examples"), "warmup": (5, 0), "steps": (120,)} for method, rates in RATES.items()
}
CHOICE_TASKS = ("past-tense", "capitals", "first-of-five", "number-words", "opposites", "question-type")


@dataclass(frozen=True)
class Atlas:
    """Recorded results, without rows, losses and vectors. made: date, libraries and machine.

    tasks: of each task by method and number of virtual tokens. choices: of some tasks, one sweep for each method and setting.
    """

    tasks: dict[str, SweepResult] = field(default_factory=dict)
    choices: dict[str, tuple[SweepResult, ...]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)


def load_atlas(path: Path = FILE) -> Atlas | None:
    """The recorded results, or None where there is no such file. LabError for a file that is something else."""
    if not path.is_file():
        return None
    return from_json(Atlas, path.read_bytes(), f"a file of recorded results in {shown(path.name)}")


def atlas_grids(task: Task, seeds: int = SEEDS) -> dict[str, Grid]:
    """What is recorded of a task, by name: "sizes", and for some tasks a grid for each method and setting. Some share runs."""
    base = Recipe.from_settings(task.recipe)
    grids = {"sizes": Grid(base, SIZES, seeds)}
    if task.slug in CHOICE_TASKS:
        for method, settings in CHOICES.items():
            for name, values in settings.items():
                grids[f"{method}-{name}"] = Grid(base.but(method=method), {name: values}, seeds)
    return grids


def atlas_steps(
    lm: LanguageModel, names: Sequence[str], folder: Path, out: Path = FILE, seeds: int = SEEDS
) -> Iterator[tuple[str, SweepEvent | None]]:
    """Make the recorded results of these tasks: yields (task, event). Finished runs are kept in `folder`, and gone on from.

    `out` is written after each task; results of other tasks that it holds for the same model stay.
    """
    book = Scorebook()
    for name in names:
        task = built_in(name)
        grids = atlas_grids(task, seeds)
        journals = {part: Journal(folder / name / part, head_of(lm, task, grid)) for part, grid in grids.items()}
        done = {key: run for journal in journals.values() for key, run in journal.done.items()}
        results: list[SweepResult] = []
        for part, grid in grids.items():
            for event in sweep_steps(lm, task, grid, book, done):
                if isinstance(event, RunDone) and not event.known:
                    journals[part].add(event.result)
                    done[event.result.key] = event.result
                elif isinstance(event, SweepDone):
                    results.append(small(event.result))
                yield name, event
        write(lm, results, out)


def write(lm: LanguageModel, results: Sequence[SweepResult], out: Path) -> None:
    """Put one task's results, the sizes first, into the file `out`. LabError where it can't be written."""
    known = load_atlas(out) or Atlas()
    same = {name for name, one in known.tasks.items() if one.head.weights == lm.weights_hash}
    task, sizes, *choices = results[0].head.task, *results
    tasks = {name: known.tasks[name] for name in same} | {task: sizes}
    chosen = {name: known.choices[name] for name in same if name in known.choices} | ({task: tuple(choices)} if choices else {})
    order = [*slugs(), *(name for name in tasks if name not in slugs())]
    made = Atlas(
        {name: tasks[name] for name in order if name in tasks},
        {name: chosen[name] for name in order if name in chosen},
        made_here(lm.device_name),
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = out.with_name(f"{out.name}.new")  # a kill amid the writing leaves the old file
        beside.write_text(to_json(made) + "\n", "utf-8")
        beside.replace(out)
    except OSError as error:
        raise LabError(f"{shown(out)} can't be written ({reason(error)}): name another file.") from error


def small(result: SweepResult) -> SweepResult:
    """`result` without rows and losses; its baselines once."""
    runs: list[RunResult] = []
    for run in result.runs:
        lines = tuple(replace(one, held_out=_bare(one.held_out)) for one in run.baselines) if not runs else ()
        validation, seen = (_bare(part) if part else None for part in (run.validation, run.seen))
        curve = tuple((step, accuracy, _rounded(loss)) for step, accuracy, loss in run.curve)
        held_out, seconds = _bare(run.held_out), round(run.seconds, 2)
        bare = replace(run, held_out=held_out, validation=validation, seen=seen, curve=curve, losses=(), baselines=lines, seconds=seconds)
        runs.append(bare)
    return replace(result, runs=tuple(runs))


def _bare(part: Part) -> Part:
    return replace(part, right=(), rows="", loss=_rounded(part.loss))


def _rounded(loss: float | None) -> float | None:
    return None if loss is None else round(loss, 4)
