"""Prompts that spell a sentence: accuracy against distance."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import axis, figure, legend, plain, scatter
from app.view.text import cut, percent
from core.probes.wayward import Wayward


def wayward(runs: Sequence[Wayward], line: float | None) -> dict[str, Any] | None:
    """Accuracy on validation rows against the distance to the sentence, a point a run. line: the best handcrafted prompt's."""
    if not runs:
        return None
    kinds = {
        "sentence": ("started at the sentence", LEARNED, "circle"),
        "elsewhere": ("started elsewhere, pulled there", HANDCRAFTED[0], "diamond"),
        "free": ("never pulled", PLAIN, "square"),
    }
    traces = []
    for start, (name, ink, symbol) in kinds.items():
        own = [run for run in runs if run.start == start]
        traces.append(scatter(
            [run.distance for run in own], [100 * run.score.accuracy for run in own], "markers+text", name=name,
            text=[f"γ {run.gamma:g}" for run in own], textposition="top center",
            hovertext=[f"{name}, γ {run.gamma:g}: {plain(cut(run.text, 80))}" for run in own], hoverinfo="text",
            marker={"size": 13, "color": [ink if run.reads else "rgba(0,0,0,0)" for run in own], "symbol": symbol, "line": {"color": ink, "width": 2}},
        ))  # fmt: skip
    shapes = []
    if line is not None:
        style = {"color": HANDCRAFTED[0], "width": 1.5, "dash": "dash"}
        shapes = [{"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 100 * line, "y1": 100 * line, "line": style}]
    reading = [run for run in runs if run.reads]
    best = max(reading, key=lambda run: run.score.accuracy, default=None)
    title = "None of these prompts reads exactly as the sentence"
    if best:
        title = f"{len(reading)} of {len(runs)} prompts read exactly as the sentence; the best of them gets {percent(best.score.accuracy)}"
    note = "Filled markers spell your sentence exactly; hollow ones don’t. γ: how strongly it was pulled."
    note += " Dashed: the best handcrafted prompt." if shapes else ""
    xaxis = axis("mean squared distance to the sentence’s embeddings", rangemode="tozero")
    yaxis = axis("% of validation rows right", range=[-4, 108])
    return figure(title, note, traces, height=400, xaxis=xaxis, yaxis=yaxis, shapes=shapes, **legend(1.12))
