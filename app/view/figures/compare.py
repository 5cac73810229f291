"""Contenders compared: intervals, reliability, confusion."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from app.view.colours import LEARNED, PLAIN, colours
from app.view.figures.drawing import BLUES, axis, error_bars, figure, heatmap, plain, scatter, score_bars
from app.view.text import cut, in_order, percent
from core.scoring.measures import Bin
from core.scoring.score import Score


def intervals(scores: Collection[Score], written: Sequence[str]) -> dict[str, Any]:
    """Contenders as points with their intervals (of a group: its range), best on top."""
    ordered = sorted(scores, key=lambda score: score.accuracy)
    colour = colours(scores, written)
    places = [100 * score.accuracy for score in ordered]
    names = [score.name for score in ordered]
    # By number and not by name: two names that begin alike would become one category.
    trace = scatter(
        places,
        range(len(names)),
        "markers",
        error_x=score_bars(ordered),
        marker={"size": 11, "color": [colour[score.name] for score in ordered]},
        hovertext=[f"{plain(name)}: {place:.0f} %" for name, place in zip(names, places, strict=True)],
        hoverinfo="text",
    )
    ticks = {"tickvals": list(range(len(names))), "ticktext": [plain(cut(name, 44)) for name in names]}
    best = max((score.accuracy for score in ordered), default=0.0)
    leading = [in_order(score.name) for score in reversed(ordered) if score.accuracy == best]
    title = f"Highest on these rows: {', '.join(leading)} ({percent(best)})"
    note = "Lines: 95 % intervals (Wilson); of a group, its range."
    xaxis = axis("% of held-out rows right", range=[-2, 102])
    return figure(title, note, [trace], height=90 + 30 * max(len(names), 3), xaxis=xaxis, yaxis=ticks)


def reliability(name: str, bins: Sequence[Bin], error: float) -> dict[str, Any]:
    """How often a contender is right where it is so sure: on the diagonal its confidence is deserved."""
    ideal = scatter([0, 100], [0, 100], line={"dash": "dash", "color": PLAIN, "width": 1}, hoverinfo="skip")
    most = max((part.n for part in bins), default=1)
    dots = scatter(
        [100 * part.confidence for part in bins],
        [100 * part.accuracy for part in bins],
        "markers",
        error_y=error_bars((part.accuracy, part.interval) for part in bins),
        hovertext=[f"{part.n} rows: {100 * part.confidence:.0f} % sure, {100 * part.accuracy:.0f} % right" for part in bins],
        hoverinfo="text",
        marker={"size": [8 + 16 * (part.n / most) ** 0.5 for part in bins], "color": LEARNED},
    )
    return figure(
        f"{in_order(name)}: calibration error {error:.2f}",
        "Below the dashed line it is surer than it should be. Size: rows. Bars: 95 % intervals. Error: mean gap, weighted by rows (ECE, 10 bins).",
        [ideal, dots],
        xaxis=axis("how sure it is (%)", range=[-3, 103]),
        yaxis=axis("how often it is right (%)", range=[-3, 103]),
    )


def confusion(name: str, counts: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Right labels (rows) against the labels that a contender chose (columns), as counts."""
    names = [plain(cut(label, 24)) for label in labels]
    places = list(range(len(names)))
    ticks = {"tickvals": places, "ticktext": names, "showgrid": False, "zeroline": False}
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    hover = [[f"{right} taken for {said}: {counts[i, j]} rows" for j, said in enumerate(names)] for i, right in enumerate(names)]
    trace = heatmap(shares, hover, BLUES, 0, 1, x=places, y=places, xgap=2, ygap=2)
    if len(names) <= 20:
        trace |= {"text": counts.astype(int).astype(str).tolist(), "texttemplate": "%{text}"}
    return figure(
        f"{in_order(name)}: {int(np.trace(counts))} of {int(counts.sum())} rows on the diagonal",
        "Each row is a right label; its colours show where its rows went. The diagonal is right.",
        [trace],
        height=160 + 34 * max(len(names), 4),
        xaxis={**ticks, **axis("said"), "side": "bottom"},
        yaxis={**ticks, **axis("right"), "autorange": "reversed"},
    )
