"""Contenders compared: intervals, reliability, confusion."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from app.view.colours import LEARNED, PLAIN, colours
from app.view.figures.drawing import error_bars, framed, plain
from app.view.text import cut, in_order, percent
from core.scoring.measures import Bin
from core.scoring.score import Score


def intervals(scores: Collection[Score], written: Sequence[str]) -> dict[str, Any]:
    """Contenders as points with their intervals (of a group: its range), best on top."""
    ordered = sorted(scores, key=lambda score: score.accuracy)
    colour = colours(scores, written)
    places = [100 * score.accuracy for score in ordered]
    names = [score.name for score in ordered]
    bars = error_bars([(score.accuracy, score.interval) for score in ordered])
    marker = {"size": 11, "color": [colour[score.name] for score in ordered]}
    # By number and not by name: two names that begin alike would become one category.
    ticks = {"tickvals": list(range(len(names))), "ticktext": [plain(cut(name, 44)) for name in names], "automargin": True}
    trace = {
        "type": "scatter", "mode": "markers", "x": places, "y": list(range(len(names))), "error_x": bars, "marker": marker,
        "hovertext": [f"{plain(name)}: {place:.0f} %" for name, place in zip(names, places, strict=True)], "hoverinfo": "text",
    }  # fmt: skip
    layout = framed(
        height=90 + 30 * max(len(names), 3), xaxis={"range": [-2, 102], "title": {"text": "% of held-out rows right"}}, yaxis=ticks
    )
    best = max((score.accuracy for score in ordered), default=0.0)
    leading = [in_order(score.name) for score in reversed(ordered) if score.accuracy == best]
    title = f"Highest on these rows: {', '.join(leading)} ({percent(best)})"
    return {"title": title, "note": "Lines: 95 % intervals (Wilson); of a group, its range.", "data": [trace], "layout": layout}


def reliability(name: str, bins: Sequence[Bin], error: float) -> dict[str, Any]:
    """How often a contender is right where it is so sure: on the diagonal its confidence is deserved."""
    bars = error_bars([(part.accuracy, part.interval) for part in bins])
    ideal = {"type": "scatter", "mode": "lines", "x": [0, 100], "y": [0, 100], "line": {"dash": "dash", "color": PLAIN, "width": 1}}
    most = max((part.n for part in bins), default=1)
    dots = {
        "type": "scatter", "mode": "markers", "error_y": bars, "x": [100 * part.confidence for part in bins],
        "y": [100 * part.accuracy for part in bins], "hoverinfo": "text",
        "hovertext": [f"{part.n} rows: {100 * part.confidence:.0f} % sure, {100 * part.accuracy:.0f} % right" for part in bins],
        "marker": {"size": [8 + 16 * (part.n / most) ** 0.5 for part in bins], "color": LEARNED},
    }  # fmt: skip
    axis = {"range": [-3, 103]}
    layout = framed(
        height=380,
        xaxis={**axis, "title": {"text": "how sure it is (%)"}},
        yaxis={**axis, "title": {"text": "how often it is right (%)"}},
    )
    return {
        "title": f"{in_order(name)}: calibration error {error:.2f}",
        "note": "Below the dashed line it is surer than it should be. Size: rows. Bars: 95 % intervals. Error: mean gap, weighted by rows (ECE, 10 bins).",
        "data": [{**ideal, "hoverinfo": "skip"}, dots],
        "layout": layout,
    }


def confusion(name: str, counts: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Right labels (rows) against the labels that a contender chose (columns), as counts."""
    names = [plain(cut(label, 24)) for label in labels]
    places = list(range(len(names)))
    ticks = {"tickvals": places, "ticktext": names, "automargin": True, "showgrid": False, "zeroline": False}
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    hover = [[f"{right} taken for {said}: {counts[i, j]} rows" for j, said in enumerate(names)] for i, right in enumerate(names)]
    trace = {
        "type": "heatmap", "x": places, "y": places, "z": shares.round(3).tolist(), "hovertext": hover, "hoverinfo": "text",
        "colorscale": [[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.85)"]], "zmin": 0, "zmax": 1, "showscale": False,
        "xgap": 2, "ygap": 2,
    }  # fmt: skip
    if len(names) <= 20:
        trace |= {"text": counts.astype(int).astype(str).tolist(), "texttemplate": "%{text}"}
    layout = framed(
        height=160 + 34 * max(len(names), 4),
        xaxis={**ticks, "title": {"text": "said"}, "side": "bottom"},
        yaxis={**ticks, "title": {"text": "right"}, "autorange": "reversed"},
    )
    right = int(np.trace(counts))
    note = "Each row is a right label; its colours show where its rows went. The diagonal is right."
    return {
        "title": f"{in_order(name)}: {right} of {int(counts.sum())} rows on the diagonal",
        "note": note,
        "data": [trace],
        "layout": layout,
    }
