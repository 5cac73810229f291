"""Trained parameters of each method."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import inks
from app.view.figures.drawing import axis, figure, plain
from app.view.text import in_order
from core.finetuning.parameters import Size


def spectrum(sizes: Sequence[Size], name: str) -> dict[str, Any]:
    """How many parameters each method trains, on a logarithmic axis."""
    shown = list(reversed(sizes))
    ink = inks(size.method for size in sizes)
    trace = {
        "type": "bar", "orientation": "h", "x": [size.parameters for size in shown], "y": list(range(len(shown))), "marker": {"color": [ink[size.method] for size in shown]},
        "text": [f"{size.parameters:,}" for size in shown], "textposition": "auto", "textangle": 0, "hoverinfo": "text",
        "hovertext": [plain(f"{size.method}: {size.counted}") for size in shown],
    }  # fmt: skip
    title = in_order(name)
    if full := sizes[-1].parameters:
        title = f"On {title}, a soft prompt trains one parameter per {round(full / max(sizes[0].parameters, 1)):,}"
    return figure(
        title,
        "Counts by the formulas in the table below.",
        [trace],
        height=90 + 46 * len(shown),
        xaxis=axis("trained parameters (each mark is ten times the one before)", type="log", exponentformat="SI", dtick=1),
        yaxis={"tickvals": list(range(len(shown))), "ticktext": [plain(size.method) for size in shown]},
    )
