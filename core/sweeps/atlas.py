"""Recorded results: every built-in task by method and number of virtual tokens, with three seeds, in one small file.

`python -m app atlas` (make atlas) writes it, in hours; defaults and tables are read from it.
"""

from collections.abc import Iterator, Sequence
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
from core.sweeps.outcome import CellSummary, SweepResult
from core.sweeps.result import Baseline, Part, RunResult, from_json, head_of, to_json
from core.sweeps.sweep import RunDone, SweepDone, SweepEvent, sweep_steps
from core.tasks.built_in import built_in, slugs
from core.tasks.task import Task

FILE = ASSETS / "atlas.json"
VARY = {"method": ("prompt", "prefix"), "virtual_tokens": (5, 10, 20)}
SEEDS = 3


@dataclass(frozen=True)
class Atlas:
    """Recorded results by task, without rows, curves and vectors. made: date, libraries and machine."""

    tasks: dict[str, SweepResult] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)

    def cells(self, task: str) -> list[CellSummary] | None:
        """Each cell of a task with mean and interval over seeds, or None for a task that is not recorded."""
        found = self.tasks.get(task)
        return found.cells() if found else None


def load_atlas(path: Path = FILE) -> Atlas | None:
    """The recorded results, or None where there is no such file. LabError for a file that is something else."""
    if not path.is_file():
        return None
    return from_json(Atlas, path.read_bytes(), f"a file of recorded results in {shown(path.name)}")


def choose(cells: Sequence[CellSummary]) -> CellSummary | None:
    """The cell that a default is taken from, by a written rule.

    Of the complete cells, the highest mean accuracy on *validation* rows sets the mark; among the cells within one standard error
    of it (the standard deviation over the best cell's seeds, divided by the root of their number), the one with the fewest trained
    parameters is chosen, and of equal ones the more accurate. This is the one-standard-error rule (Breiman et al. 1984): a larger
    prompt has to earn its size. None where no cell is complete.
    """
    able = [one for one in cells if one.complete and one.measures["validation_accuracy"].n]
    if not able:
        return None

    def accuracy(one: CellSummary) -> float:
        return one.measures["validation_accuracy"].mean

    top = max(able, key=accuracy).measures["validation_accuracy"]
    error = top.sd / top.n**0.5 if top.n > 1 else 0.0
    near = [one for one in able if accuracy(one) >= top.mean - error - 1e-9]
    return min(near, key=lambda one: (one.parameters, -accuracy(one)))


def atlas_grid(task: Task, seeds: int = SEEDS) -> Grid:
    """What is recorded of a task: its own recipe, by method and number of virtual tokens."""
    return Grid(Recipe.from_settings(task.recipe), VARY, seeds)


def atlas_steps(
    lm: LanguageModel, names: Sequence[str], folder: Path, out: Path = FILE, seeds: int = SEEDS
) -> Iterator[tuple[str, SweepEvent | None]]:
    """Make the recorded results of these tasks: yields (task, event). Finished runs are kept in `folder`, and gone on from.

    `out` is written after each task; results of other tasks that it holds for the same model stay.
    """
    book = Scorebook()
    for name in names:
        task = built_in(name)
        grid = atlas_grid(task, seeds)
        journal = Journal(folder / name, head_of(lm, task, grid))
        for event in sweep_steps(lm, task, grid, book, dict(journal.done)):
            if isinstance(event, RunDone) and not event.known:
                journal.add(event.result)
            elif isinstance(event, SweepDone):
                write(lm, event.result, out)
            yield name, event


def write(lm: LanguageModel, result: SweepResult, out: Path) -> None:
    """Put one task's results into the file `out`. LabError where it can't be written."""
    known = load_atlas(out)
    tasks = {name: one for name, one in known.tasks.items() if one.head.weights == lm.weights_hash} if known else {}
    tasks[result.head.task] = small(result)
    ordered = {name: tasks[name] for name in (*slugs(), *tasks) if name in tasks}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = out.with_name(f"{out.name}.new")  # a kill amid the writing leaves the old file
        beside.write_text(to_json(Atlas(ordered, made_here(lm.device_name))) + "\n", "utf-8")
        beside.replace(out)
    except OSError as error:
        raise LabError(f"{shown(out)} can't be written ({reason(error)}): name another file.") from error


def small(result: SweepResult) -> SweepResult:
    """`result` without rows, curves and losses; its baselines once."""
    runs: list[RunResult] = []
    for run in result.runs:
        lines = tuple(Baseline(one.name, one.kind, _bare(one.held_out)) for one in run.baselines) if not runs else ()
        validation, seen = (_bare(part) if part else None for part in (run.validation, run.seen))
        runs.append(
            replace(
                run,
                held_out=_bare(run.held_out),
                validation=validation,
                seen=seen,
                curve=(),
                losses=(),
                baselines=lines,
                seconds=round(run.seconds, 2),
            )
        )
    return replace(result, runs=tuple(runs))


def _bare(part: Part) -> Part:
    loss = None if part.loss is None else round(part.loss, 4)
    return replace(part, right=(), rows="", loss=loss)
