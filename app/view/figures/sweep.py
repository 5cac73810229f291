"""What a sweep found: one setting as a curve with its seeds, two as lines or as a heat map."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.view.colours import LEARNED, inks
from app.view.figures.baselines import baseline_lines
from app.view.figures.drawing import BLUES, axis, error_bars, figure, heatmap, legend, plain, scatter
from app.view.text import percent
from core.sweeps.grid import VARIABLES, word_of
from core.sweeps.outcome import CellSummary, SweepResult

MOST_LINES = 4  # values of a second setting that are drawn as a line each; more become a heat map
MOST_BASELINES = 3
NOTE = "Lines: means over seeds on held-out rows, with 95 % intervals over seeds; dots: single runs; dashed: no training, on the same rows."


def sweep(result: SweepResult) -> dict[str, Any] | None:
    """Held-out accuracy of every cell, with the spread over seeds. None where nothing has been trained yet."""
    known = result.cells()
    if not known:
        return None
    vary = result.head.vary
    if len(vary) == 1:
        return _lines(result, next(iter(vary)), {"": known})
    first, second = sorted(vary, key=lambda name: len(vary[name]), reverse=True)
    if len(vary[second]) > MOST_LINES and not any(isinstance(value, str) for value in vary[second]):
        return _map(result, first, second)
    groups = {word_of(second, value): [one for one in known if one.cell.values[second] == value] for value in vary[second]}
    return _lines(result, first, {name: cells for name, cells in groups.items() if cells})


def _title(result: SweepResult) -> str:
    found = result.summary_of(result.best) if result.best else None
    if found is None:
        return f"{len(result.runs)} of {result.planned} runs are done"
    return f"Best on validation rows: {found.cell.words}, with {percent(found.measures['held_out_accuracy'].mean)} of held-out rows right"


def _lines(result: SweepResult, setting: str, groups: Mapping[str, Sequence[CellSummary]]) -> dict[str, Any]:
    values = result.head.vary[setting]
    places = {value: place for place, value in enumerate(values)}
    colour = inks(groups) if len(groups) > 1 else {name: LEARNED for name in groups}
    traces = baseline_lines(dashed(result), (-0.4, len(values) - 0.6))
    for number, (name, cells) in enumerate(groups.items()):
        aside = (number - (len(groups) - 1) / 2) * 0.12  # so that the bars of several lines do not cover each other
        x = [places[one.cell.values[setting]] + aside for one in cells]
        traces += _line(result, name, cells, x, colour[name])
    ticks = {"tickvals": list(range(len(values))), "ticktext": [plain(word_of(setting, value)) for value in values]}
    return figure(
        _title(result),
        NOTE,
        traces,
        height=440,
        xaxis=axis(VARIABLES[setting].label, range=[-0.5, len(values) - 0.5], anchor="y2", **ticks),
        yaxis=axis("% of held-out rows right", range=[-4, 108], domain=[0.36, 1]),
        yaxis2=axis("loss (nats)", rangemode="tozero", domain=[0, 0.28]),
        **(legend(1.1) if len(groups) > 1 else {}),
    )


def _line(result: SweepResult, name: str, cells: Sequence[CellSummary], x: Sequence[float], ink: str) -> list[dict[str, Any]]:
    """A line of accuracies with its seeds as dots, and one of losses."""
    told, shown = plain(name or "mean over seeds"), bool(name)
    right = [one.measures["held_out_accuracy"] for one in cells]
    runs = [(place, run) for place, one in zip(x, cells, strict=True) for run in result.of_cell(one.cell)]
    dots = scatter(
        [place for place, _ in runs],
        [round(100 * run.held_out.accuracy, 2) for _, run in runs],
        "markers",
        name=told,
        showlegend=False,
        marker={"color": ink, "size": 6, "opacity": 0.45},
        hovertext=[f"{told}, seed {run.seed}: {percent(run.held_out.accuracy)}" for _, run in runs],
        hoverinfo="text",
    )
    line = scatter(
        x,
        [round(100 * one.mean, 2) for one in right],
        "lines+markers",
        name=told,
        showlegend=shown,
        line={"color": ink, "width": 2.5},
        marker={"color": ink, "size": 9},
        error_y=error_bars((one.mean, _ends(one)) for one in right),
        text=[f"{plain(one.cell.words)}: mean {percent(found.mean)} of {found.n} seeds" for one, found in zip(cells, right, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )
    lost = [(place, one, one.measures["held_out_loss"]) for place, one in zip(x, cells, strict=True) if one.measures["held_out_loss"].n]
    losses = scatter(
        [place for place, _, _ in lost],
        [round(found.mean, 4) for _, _, found in lost],
        "lines+markers",
        name=told,
        showlegend=False,
        line={"color": ink, "width": 2},
        error_y=error_bars(((found.mean, (max(0.0, _ends(found)[0]), _ends(found)[1])) for _, _, found in lost), scale=1),
        text=[f"{plain(one.cell.words)}: held-out loss {found.mean:.2f}" for _, one, found in lost],
        hovertemplate="%{text}<extra></extra>",
        xaxis="x",
        yaxis="y2",
    )
    return [dots, line, losses]


def _ends(found: Any) -> tuple[float, float]:
    """The interval, of no width where one seed has none."""
    return (found.low, found.high) if found.n > 1 else (found.mean, found.mean)


def dashed(result: SweepResult) -> dict[str, float]:
    """By name, the accuracies of what was not trained that are drawn: no prompt, the best handcrafted one, the majority."""
    found = result.baselines.values()
    written = max((one for one in found if one.kind == "handcrafted"), key=lambda one: one.held_out.accuracy, default=None)
    shown = [*(one for one in found if one.kind == "none"), written, *(one for one in found if one.kind == "majority")]
    return {one.name: one.held_out.accuracy for one in [one for one in shown if one][:MOST_BASELINES]}


def _map(result: SweepResult, across: str, down: str) -> dict[str, Any]:
    found = result.grid(across, down)
    names = [
        [f"{VARIABLES[across].label} {word_of(across, x)}, {VARIABLES[down].label} {word_of(down, y)}" for x in found.x] for y in found.y
    ]
    hover = [
        [
            f"{plain(name)}: " + ("not trained yet" if np.isnan(mean) else f"{percent(mean)}, {n} seeds")
            for name, mean, n in zip(line, means, counts, strict=True)
        ]
        for line, means, counts in zip(names, found.mean, found.n, strict=True)
    ]
    words = [["" if np.isnan(mean) else percent(mean) for mean in line] for line in found.mean]
    shapes = []
    if best := result.best:
        x, y = found.x.index(best.values[across]), found.y.index(best.values[down])
        shapes = [
            {"type": "rect", "x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5, "line": {"color": LEARNED, "width": 3}},
        ]
    return figure(
        _title(result),
        "Each cell: mean accuracy on held-out rows over seeds. Framed: the best mean on validation rows.",
        [heatmap(100 * found.mean, hover, BLUES, 0, 100, text=words, texttemplate="%{text}")],
        height=140 + 48 * len(found.y),
        xaxis=axis(VARIABLES[across].label, tickvals=list(range(len(found.x))), ticktext=[plain(word_of(across, x)) for x in found.x]),
        yaxis=axis(VARIABLES[down].label, tickvals=list(range(len(found.y))), ticktext=[plain(word_of(down, y)) for y in found.y]),
        shapes=shapes,
    )
