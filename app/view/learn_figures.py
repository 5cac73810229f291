"""Figures of the Learn page, as plain data. As app.view.figures: no Gradio, no model, text escaped."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import INKS, inks
from app.view.figures import framed, plain, thinned
from app.view.text import in_order
from core.runs.race import Lap
from core.spectrum import Size


def race(names: Mapping[str, str], laps: Sequence[Lap], steps: int) -> dict[str, Any]:
    """The training loss of every entry over steps, drawn together. names: id -> displayed name."""
    colour, traces, stopped = inks(names), [], []
    highest = 0.0
    for name, words in names.items():
        mine = [lap for lap in laps if lap.name == name]
        shown = [mine[number] for number in thinned(len(mine))]
        highest = max([highest, *(lap.loss for lap in mine[:3])])
        stopped += [words for lap in mine if lap.stopped]
        trace = {
            "type": "scatter", "mode": "lines+text", "x": [lap.step for lap in shown], "y": [round(lap.loss, 4) for lap in shown],
            "name": plain(words), "line": {"color": colour[name], "width": 2.5}, "hovertemplate": "step %{x}: loss %{y:.2f}<extra>" + plain(words) + "</extra>",
        }  # fmt: skip
        traces.append(trace)
    layout = framed(
        height=380,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"range": [0, steps * 1.02], "title": {"text": "step"}},
        yaxis={"range": [0, highest * 1.25 or 1], "title": {"text": "training loss (nats per token)"}},
    )
    now = max((lap.step for lap in laps), default=0)
    latest = {name: next((lap.loss for lap in reversed(laps) if lap.name == name), None) for name in names}
    known = {name: loss for name, loss in latest.items() if loss is not None}
    low = min(known, key=lambda name: known[name]) if known else ""
    title = f"After step {now}, the lowest training loss has “{names[low]}”: {known[low]:.2f}" if low else "The race begins"
    note = "Loss of each batch before its training step; all entries see the same batches."
    note += f" Ended early because the loss diverged: {', '.join(stopped)}." if stopped else ""
    return {"title": title, "note": note, "data": traces, "layout": layout}


def spectrum(sizes: Sequence[Size], name: str) -> dict[str, Any]:
    """How many parameters each method trains, on a logarithmic axis."""
    shown = list(reversed(sizes))
    colour = [INKS[(len(shown) - 1 - number) % len(INKS)] for number in range(len(shown))]
    trace = {
        "type": "bar", "orientation": "h", "x": [size.parameters for size in shown], "y": list(range(len(shown))), "marker": {"color": colour},
        "text": [f"{size.parameters:,}" for size in shown], "textposition": "auto", "textangle": 0, "hoverinfo": "text",
        "hovertext": [plain(f"{size.method}: {size.counted}") for size in shown],
    }  # fmt: skip
    layout = framed(
        height=90 + 46 * len(shown),
        xaxis={
            "type": "log",
            "title": {"text": "trained parameters (each mark is ten times the one before)"},
            "exponentformat": "SI",
            "dtick": 1,
        },
        yaxis={"tickvals": list(range(len(shown))), "ticktext": [plain(size.method) for size in shown], "automargin": True},
    )
    full = sizes[-1].parameters
    title = (
        f"On {in_order(name)}, a soft prompt trains one parameter per {round(full / max(sizes[0].parameters, 1)):,}"
        if full
        else in_order(name)
    )
    return {"title": title, "note": "Counts by the formulas in the table below.", "data": [trace], "layout": layout}
