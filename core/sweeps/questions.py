"""Eight questions that textbooks answer, each as a sweep that measures it on the model and the task at hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import LabError, shown
from core.methods import METHODS
from core.models.sizes import Shape
from core.recipe import SETTINGS, Recipe
from core.sweeps.compare import alike, compare
from core.sweeps.grid import ALL_ROWS, Cell, Grid, nearest, word_of
from core.sweeps.outcome import CellSummary, SweepResult
from core.tasks.task import Task

COUNTS = (1, 5, 10, 20, 50)
RATES = {"prompt": (0.003, 0.01, 0.03, 0.1, 0.3), "prefix": (0.0003, 0.001, 0.003, 0.01, 0.03)}
ROWS = (4, 8, 16, 32, 64)
SEEDS_ASKED = 5


@dataclass(frozen=True)
class Question:
    """A question. about: what varies, in a few words. textbook: its answer there, with figures and source.

    make: the varied settings and, where not all combinations are run, those that are. read: what was measured, in sentences.
    """

    slug: str
    title: str
    about: str
    textbook: str
    make: Callable[[Task, Recipe, Shape], tuple[dict[str, tuple[Any, ...]], tuple[tuple[Any, ...], ...]]]
    read: Callable[[SweepResult], str]
    seeds: int = 3

    def grid(self, task: Task, base: Recipe, shape: Shape, seeds: int | None = None) -> Grid:
        """The sweep that answers it for `base` on `task` and a model of this shape. LabError where the task does not fit."""
        vary, only = self.make(task, base, shape)
        made = Grid(base, vary, self.seeds if seeds is None else seeds, only)
        made.check(task)
        return made

    def reading(self, result: SweepResult) -> str:
        """What was measured, in one or two plain sentences; nothing where no run is finished."""
        return self.read(result) if result.cells() else ""


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def told(result: SweepResult, cell: Cell) -> str:
    """A cell with its accuracy, as in "virtual tokens 10 (93 %)"."""
    return f"{cell.words} ({percent(held_out(result, cell))})"


def held_out(result: SweepResult, cell: Cell) -> float:
    """Its mean accuracy on held-out rows, 0 where it has no finished run."""
    found = result.summary_of(cell)
    return found.measures["held_out_accuracy"].mean if found else 0.0


def _best_and_least(result: SweepResult, least: str) -> str:
    """The best cell by validation rows, and the first one in the grid's order that is not clearly worse on held-out rows."""
    best = result.best
    if best is None:
        return "No cell has all its seeds yet."
    cells = [one.cell for one in result.cells()]
    enough = alike(result, best, cells)[0]
    words = f"Best on validation rows: {best.words}, with {percent(held_out(result, best))} of held-out rows right."
    if enough == best:
        return f"{words} No smaller value comes near: all are clearly worse, or it is the smallest."
    apart = compare(result, enough, best)
    return f"{words} {least}: {told(result, enough)}; {apart.words if apart else ''}."


def _virtual_tokens(task: Task, base: Recipe, shape: Shape) -> Any:
    return {"virtual_tokens": COUNTS}, ()


def _rates(task: Task, base: Recipe, shape: Shape) -> Any:
    rates = tuple(sorted({rate for group in RATES.values() for rate in group}))
    only = tuple((method, rate) for method, group in RATES.items() for rate in group)
    return {"method": tuple(RATES), "learning_rate": rates}, only


def _read_rates(result: SweepResult) -> str:
    said = []
    for method in result.head.vary["method"]:
        cells = [one for one in result.cells() if one.cell.values["method"] == method and one.measures["validation_accuracy"].n]
        if not cells:
            continue
        best = max(cells, key=lambda one: one.measures["validation_accuracy"].mean).cell
        near = [cell.values["learning_rate"] for cell in alike(result, best, [one.cell for one in cells])]
        reach = f"{min(near):g}" if len(near) == 1 else f"{min(near):g} to {max(near):g}"
        said.append(
            f"{METHODS[str(method)].label}: best on validation rows {best.values['learning_rate']:g} ({percent(held_out(result, best))} of "
            f"held-out rows), not clearly worse from {reach}"
        )
    return "; ".join(said) + "."


def _starts(task: Task, base: Recipe, shape: Shape) -> Any:
    asked = ("random", "vocab", "examples", *(["labels"] if task.labels else []))
    offered = [start for start in METHODS[base.method].starts if start in asked]
    return {"init": tuple(offered)}, ()


def _read_starts(result: SweepResult) -> str:
    cells = {one.cell.values["init"]: one.cell for one in result.cells()}
    best, plain = result.best, cells.get("random")
    if best is None or plain is None:
        return "Not all starts are trained yet."
    apart = compare(result, best, plain) if best != plain else None
    words = (
        f"Best on validation rows: start from {word_of('init', best.values['init'])}, {percent(held_out(result, best))} of held-out rows."
    )
    if apart is None:
        return f"{words} No start from words did better."
    return f"{words} Against random numbers ({percent(held_out(result, plain))}): {apart.words}."


def _rows(task: Task, base: Recipe, shape: Shape) -> Any:
    return {"rows": (*(count for count in ROWS if count < len(task.train)), ALL_ROWS)}, ()


def _read_rows(result: SweepResult) -> str:
    words = _best_and_least(result, "The fewest rows that are not clearly worse")
    over = [one for one in result.cells() if _overfits(one)]
    if not over:
        return f"{words} Nowhere is the loss on held-out rows twice that on rows it was trained on."
    gaps = ", ".join(
        f"{word_of('rows', one.cell.values['rows'])} rows "
        f"({one.measures['seen_loss'].mean:.2f} against {one.measures['held_out_loss'].mean:.2f})"
        for one in over
    )
    return f"{words} It overfits with {gaps}: loss on its training rows against held-out rows."


def _overfits(one: CellSummary) -> bool:
    seen, new = one.measures["seen_loss"], one.measures["held_out_loss"]
    return bool(seen.n and new.n and new.mean > 2 * seen.mean)


def _equal(task: Task, base: Recipe, shape: Shape) -> Any:
    prompt, prefix = METHODS["prompt"], METHODS["prefix"]
    pairs = []
    for tokens in (1, 2, 5):
        wanted = prefix.parameter_count(shape, tokens)
        equal = round(wanted / max(prompt.parameter_count(shape, 1), 1))
        if 1 <= equal <= (SETTINGS["virtual_tokens"].high or 200):
            pairs += [("prompt", equal), ("prefix", tokens)]
    if not pairs:
        raise LabError(
            "This model's K/V prefix of one virtual token has more parameters than the longest soft prompt: choose another model."
        )
    return {"method": ("prompt", "prefix"), "virtual_tokens": tuple(dict.fromkeys(tokens for _, tokens in pairs))}, tuple(pairs)


def _read_equal(result: SweepResult) -> str:
    cells = {one.cell: one for one in result.cells()}
    said = []
    only = result.head.grid.cells()
    for prompt, prefix in zip(only[::2], only[1::2], strict=False):
        if prompt in cells and prefix in cells and (apart := compare(result, prompt, prefix)):
            counts = f"{cells[prompt].parameters:,} and {cells[prefix].parameters:,} parameters"
            said.append(
                f"{counts}: soft prompt {percent(held_out(result, prompt))}, K/V prefix {percent(held_out(result, prefix))}, {apart.words}"
            )
    return "; ".join(said) + "." if said else "No pair is trained yet."


def _swapped(task: Task, base: Recipe, shape: Shape) -> Any:
    return {"answers": ("right", "swapped")}, ()


def _read_swapped(result: SweepResult) -> str:
    cells = {one.cell.values["answers"]: one for one in result.cells()}
    if len(cells) < 2:
        return "Not both are trained yet."
    right, swapped = (cells[name].cell for name in ("right", "swapped"))
    n = result.of_cell(swapped)[0].held_out.n
    apart = compare(result, swapped, right)
    told = f"With the right labels {percent(held_out(result, right))} of {n} held-out rows"
    told += f", with swapped ones {percent(held_out(result, swapped))}"
    return f"{told}: {apart.words}." if apart else f"{told}."


def _seeds(task: Task, base: Recipe, shape: Shape) -> Any:
    return {"virtual_tokens": (base.virtual_tokens,)}, ()


def _read_seeds(result: SweepResult) -> str:
    runs = result.of_cell(result.cells()[0].cell)
    shares = sorted(run.held_out.accuracy for run in runs)
    n = runs[0].held_out.n
    chance = 196 * (shares[len(shares) // 2] * (1 - shares[len(shares) // 2]) / n) ** 0.5
    return (
        f"{len(runs)} seeds: {percent(shares[0])} to {percent(shares[-1])} of {n} held-out rows, "
        f"{100 * (shares[-1] - shares[0]):.0f} points apart. "
        f"One score of {n} rows is sure to about ±{chance:.0f} points by itself."
    )


QUESTIONS: tuple[Question, ...] = (
    Question(
        "virtual-tokens",
        "How many virtual tokens?",
        "1, 5, 10, 20 and 50",
        "20 is a good default; beyond 20 the gain is small (Lester et al. 2021). At a width of 4,096, 10 to 100 tokens are 40K to "
        "400K parameters.",
        _virtual_tokens,
        lambda result: _best_and_least(result, "The fewest that are not clearly worse"),
    ),
    Question(
        "rates",
        "Which rate for a prompt, which for a prefix?",
        "five rates for each method",
        "1e-3 to 1e-2 for soft prompts, 1e-4 to 1e-3 for prefixes, as textbooks have it; Lester et al. (2021) used 0.3.",
        _rates,
        _read_rates,
    ),
    Question(
        "start",
        "Which start?",
        "random numbers, words, labels, worked examples",
        "Start from real words: vocabulary or label words beat random numbers, most of all in small models (Lester et al. 2021). "
        "On a start from worked examples the books are silent.",
        _starts,
        _read_starts,
    ),
    Question(
        "rows",
        "How many examples does it need?",
        "4 rows to all; when does it overfit?",
        "50 examples work, 200 work better; with few, the loss on training rows falls while that on new rows rises.",
        _rows,
        _read_rows,
    ),
    Question(
        "equal-parameters",
        "Prompt or prefix, at equal parameters?",
        "as many parameters for both",
        "A K/V prefix acts in every layer, so it is the stronger of the two (Li & Liang 2021); at equal size the books are silent.",
        _equal,
        _read_equal,
    ),
    Question(
        "swapped",
        "Does it learn labels that are swapped?",
        "right labels, swapped labels",
        "Small models take worked examples with wrong labels almost like right ones (Min et al. 2022); training follows any mapping.",
        _swapped,
        _read_swapped,
    ),
    Question(
        "seeds",
        "Do the seeds agree?",
        f"{SEEDS_ASKED} seeds, all else equal",
        "Results differ from seed to seed, most with little data: report a mean over at least three.",
        _seeds,
        _read_seeds,
        seeds=SEEDS_ASKED,
    ),
)


def question(slug: str) -> Question:
    """The question of this name. LabError for another one."""
    found = next((one for one in QUESTIONS if one.slug == slug), None)
    if found is None:
        raise LabError(f"There is no question {shown(slug)}: {nearest(slug, [one.slug for one in QUESTIONS])}.")
    return found
