"""Between two prompts: straight line, transplanted vectors, similarity."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from app.view.colours import HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import BOTH_WAYS, framed, lit, plain
from app.view.text import cut, in_order, percent
from core.probes.between import Along, Patched


def along(found: Sequence[Along], names: tuple[str, str], hump: float | None) -> dict[str, Any] | None:
    """Loss and accuracy from one prompt to another, in a straight line. hump: the loss barrier; None while it isn't known."""
    if not found:
        return None
    ordered = sorted(found, key=lambda one: one.share)
    x = [one.share for one in ordered]
    losses = [one.score.loss for one in ordered]
    shares = [100 * one.score.accuracy for one in ordered]
    bands = [one.score.interval for one in ordered]
    error = {
        "type": "data", "symmetric": False, "array": [100 * high - share for share, (_, high) in zip(shares, bands, strict=True)],
        "arrayminus": [share - 100 * low for share, (low, _) in zip(shares, bands, strict=True)], "thickness": 1, "width": 2,
    }  # fmt: skip
    style = {"type": "scatter", "mode": "lines+markers", "x": x, "marker": {"color": LEARNED}, "line": {"color": LEARNED}}
    layout = framed(
        height=400,
        xaxis={"title": {"text": "0: " + plain(cut(names[0], 40)) + " … 1: " + plain(cut(names[1], 40))}, "anchor": "y2"},
        yaxis={"title": {"text": "% right"}, "range": [-4, 108], "domain": [0.52, 1]},
        yaxis2={"title": {"text": "loss (nats)"}, "domain": [0, 0.44], "rangemode": "tozero"},
    )
    title = "Is there a hump in the loss on the way?"
    if hump is not None:
        risen = f"On the way the loss rises {hump:.2f} nats above the straight line between its ends"
        title = risen if hump > 0 else "No hump in the loss on the way"
    note = f"Held-out rows, {ordered[0].score.n}; lines: 95 % intervals. A hump means that the two are in different valleys of the loss."
    traces = [{**style, "y": shares, "error_y": error, "yaxis": "y"}, {**style, "y": losses, "yaxis": "y2"}]
    return {"title": title, "note": note, "data": traces, "layout": layout}


def transplant(found: Sequence[Patched], names: tuple[str, str], chosen: int | None) -> dict[str, Any] | None:
    """Accuracy on both tasks as more of one prompt's vectors are put into the other, with the control's."""
    if not found:
        return None
    runs = [one for one in found if one.which == tuple(range(len(one.which)))]
    traces = []
    for source, dash in (("learned", "solid"), ("control", "dot")):
        own = sorted((one for one in runs if one.source == source), key=lambda one: len(one.which))
        for name, ink, score in ((names[0], LEARNED, "from_task"), (names[1], HANDCRAFTED[0], "into_task")):
            label = plain(cut(name, 40)) + ("" if source == "learned" else ", random vectors")
            traces.append({
                "type": "scatter", "mode": "lines+markers", "name": label, "x": [len(one.which) for one in own],
                "y": [100 * getattr(one, score).accuracy for one in own], "line": {"color": ink, "dash": dash}, "marker": {"color": ink, "size": 6},
            })  # fmt: skip
    layout = framed(
        height=400, showlegend=True, legend={"orientation": "h", "y": 1.2},
        xaxis={"title": {"text": "how many of the first vectors were put in"}}, yaxis={"title": {"text": "% right"}, "range": [-4, 108]},
    )  # fmt: skip
    single = [one for one in found if len(one.which) == 1 and one.source == "learned"]
    title = "Which vectors carry the task?"
    if single:
        most = min(single, key=lambda one: one.into_task.accuracy)
        title = f"One vector alone: number {most.which[0] + 1} takes most from {in_order(cut(names[1], 40))} ({percent(most.into_task.accuracy)} left)"
    note = "Vectors of the first prompt in the second’s places. Dotted: random vectors of the same lengths in these places, the cost of losing the second’s vectors."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def cosines(values: np.ndarray, names: Sequence[str], sizes: Sequence[int], chosen: int | None) -> dict[str, Any]:
    """Cosine similarity of all vectors of some prompts, group by group."""
    labels = [f"{name}, {i + 1}" for name, size in zip(names, sizes, strict=True) for i in range(size)]
    hover = [[f"{plain(a)} · {plain(b)}: {values[i, j]:.2f}" for j, b in enumerate(labels)] for i, a in enumerate(labels)]
    trace = {
        "type": "heatmap", "z": np.round(values, 3).tolist(), "zmin": -1, "zmax": 1, "colorscale": BOTH_WAYS, "hovertext": hover, "hoverinfo": "text",
        "colorbar": {"thickness": 10, "title": {"text": "cosine"}},
    }  # fmt: skip
    edges = np.cumsum([0, *sizes])
    line = {"color": PLAIN, "width": 1}
    shapes: list[dict[str, Any]] = []
    for edge in edges[1:-1]:
        shapes.append({"type": "line", "x0": edge - 0.5, "x1": edge - 0.5, "y0": -0.5, "y1": edges[-1] - 0.5, "line": line})
        shapes.append({"type": "line", "y0": edge - 0.5, "y1": edge - 0.5, "x0": -0.5, "x1": edges[-1] - 0.5, "line": line})
    middles = [(a + b - 1) / 2 for a, b in pairwise(edges)]
    ticks = {
        "tickvals": middles,
        "ticktext": [plain(cut(name, 24)) for name in names],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    if chosen is not None:
        shapes += [
            mark for edge, size in zip(edges, sizes, strict=False) if chosen < size for mark in lit(int(edges[-1]), int(edge) + chosen)
        ]
    layout = framed(height=460, xaxis={**ticks}, yaxis={**ticks, "autorange": "reversed"}, shapes=shapes)
    note = "The vocabulary’s mean is subtracted first: all embeddings share a large common direction, which would make all vectors look similar."
    title = (
        f"Similarity among this prompt’s {len(labels)} vectors"
        if len(names) == 1
        else f"Similarity among {len(labels)} vectors of {len(names)} prompts"
    )
    return {"title": title, "note": note, "data": [trace], "layout": layout}
