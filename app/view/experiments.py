"""The Experiments page as HTML: questions, the plan, how far it is, and a table of what was measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import LEARNED
from app.view.html import EMPTY, Html, button, details, dim, join, note, row, share_cells, table, tag, td, th, wide
from app.view.progress import track
from app.view.text import day, percent, short_name
from core.display import time_in_words
from core.sweeps.estimate import Estimated
from core.sweeps.grid import Cell, Grid
from core.sweeps.outcome import CellSummary, SweepResult
from core.sweeps.questions import Question
from core.sweeps.recorded import RecordedSweep
from core.sweeps.result import RunResult

Numbers = Mapping[str, int]  # by a run's key, the number that its button carries


def questions(asked: Sequence[Question], chosen: str) -> Html:
    """The list of questions, and an experiment of one's own, whose name is ""; the chosen one is marked."""
    items = [(one.slug, one.title, one.about) for one in asked] + [("", "Your own experiment", "vary one or two settings")]
    made = [
        tag("li", button(tag("b", title), tag("small", about), class_="lesson", data_cell=place, aria_current=slug == chosen or None))
        for place, (slug, title, about) in enumerate(items)
    ]
    forgets = tag(
        "a", tag("b", "What does each method forget?"), tag("small", "prompts, LoRA, full fine-tuning"), class_="lesson", href="#spectrum"
    )
    return tag("ol", *made[:-1], tag("li", forgets), made[-1], class_="lessons")


def head(question: Question | None) -> Html:
    """The question with the textbook's answer; without one, what an experiment of one's own is."""
    if question is None:
        words = "Every combination of the values is trained with several seeds. All other settings are those of the Train page."
        return tag("h2", "Your own experiment") + tag("p", words)
    return tag("h2", question.title) + tag("p", tag("b", "The textbook: "), question.textbook)


def planned(grid: Grid, task: str, estimated: Estimated | None, measuring: bool) -> Html:
    """How much work an experiment is, before it starts."""
    cells, runs = grid.cells(), grid.runs()
    steps = sum(plan.recipe.steps for plan in runs)
    words = f"On “{task}”: {len(cells)} settings × {grid.seeds} seeds = {len(runs)} runs, {steps:,} training steps"
    if estimated and not math.isnan(estimated.seconds):
        words += f", about {time_in_words(estimated.seconds)} on this device (from measured steps)"
    problems = [tag("li", f"{cost.cell.words}: {cost.problem}") for cost in (estimated.cells if estimated else ()) if cost.problem]
    said = note(words, ". Measuring single steps …" if measuring else ".", role="status")
    return said + tag("ul", *problems, class_="note") if problems else said


def progress(done: int, runs: int, words: str, share: float) -> Html:
    """A bar, and where the experiment is. share: of the present run."""
    return track(min(1.0, (done + share) / max(runs, 1)), words)


def recorded(found: RecordedSweep, reading: str) -> Html:
    """What a recorded experiment found, with its date and origin."""
    head = found.result.head
    origin = f"weights {head.weights[:12]}, {head.device}, {head.dtype}, {found.made['machine']}, {found.made['libraries']}"
    made = f"Recorded {day(found.made['date'])} with {short_name(head.model)} on “{head.task_name}”. Run it to measure your task · "
    return tag("p", tag("b", "Measured: "), reading) + note(
        made, details("details", origin, ": ", tag("code", found.made["command"]), class_="made")
    )


def measured(reading: str) -> Html:
    return tag("p", tag("b", "Measured: "), reading) if reading else EMPTY


def results(result: SweepResult, numbers: Numbers) -> Html:
    """A row for each combination of settings, with a button for each of its runs that can be opened."""
    if not result.cells():
        return EMPTY
    best = result.best
    rows = [_row(cell, result.summary_of(cell), cell == best, result.of_cell(cell), numbers) for cell in result.head.grid.cells()]
    heads = [
        "setting",
        "held-out rows right",
        th("% ", dim("95 % over seeds"), scope="col", class_="num"),
        th("loss", scope="col", class_="num", title="held-out, nats per answer"),
        th("validation", scope="col", class_="num", title="mean accuracy on validation rows, by which the best is chosen"),
        th("parameters", scope="col", class_="num cost", title="trained parameters"),
        th("each seed", scope="col", title="press one to open its run" if numbers else None),
    ]
    n = result.runs[0].held_out.n
    others = ", ".join(f"{name} {percent(one.held_out.accuracy)}" for name, one in result.baselines.items())
    caption = f"Right answers on {n} held-out rows, scored once for each run. ★: best on validation rows."
    under = note(f"Not trained, on the same rows: {others}.") if others else EMPTY
    opens = note("Press a seed’s score to open its run on the Train page; Compare and Inspect follow.") if numbers else EMPTY
    return wide(table(heads, rows, caption, class_="bars csv")) + under + opens


def _row(cell: Cell, one: CellSummary | None, best: bool, runs: Sequence[RunResult], numbers: Numbers) -> Html:
    if one is None:
        return row([th(cell.words), *["–"] * 6], numbers=range(2, 6))
    right, loss, checked = (one.measures[name] for name in ("held_out_accuracy", "held_out_loss", "validation_accuracy"))
    star = (" ", tag("span", "★", role="img", aria_label="best on validation rows")) if best else ()
    cells: list[Any] = [
        th(tag("i", class_="dot"), cell.words, *star),
        *share_cells(right.mean, (right.low, right.high) if right.n > 1 else (right.mean, right.mean)),
        f"{loss.mean:.2f}" if loss.n else "–",
        percent(checked.mean) if checked.n else "–",
        td(f"{one.parameters:,}", class_="num cost"),
        td(join([_run(run, cell, numbers) for run in runs], " "), class_="seeds"),
    ]
    return row(cells, numbers=range(2, 6), class_=f"contender{' strong' if best else ''}", style=f"--c:{LEARNED}")


def _run(run: RunResult, cell: Cell, numbers: Numbers) -> Html:
    share = percent(run.held_out.accuracy)
    if run.key not in numbers:
        return tag("span", share, title=f"seed {run.seed}")
    label = f"open the run of seed {run.seed}: {cell.words}, {share}"
    return button(share, class_="cell", data_cell=numbers[run.key], title=label, aria_label=label)


def failures(result: SweepResult) -> Html:
    """Runs that could not be made, and why."""
    items = [tag("li", f"{Cell(tuple(one.settings.items())).words}, seed {one.seed}: {one.reason}") for one in result.failed]
    return tag("ul", *items, class_="note") if items else EMPTY
