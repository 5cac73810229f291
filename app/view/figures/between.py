"""Between two prompts: straight line, transplanted vectors, similarity."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from app.view.colours import HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import BOTH_WAYS, axis, figure, heatmap, legend, lit, plain, scatter, score_bars
from app.view.text import cut, in_order, percent
from core.probes.between import Along, Patched


def along(found: Sequence[Along], names: tuple[str, str], hump: float | None) -> dict[str, Any] | None:
    """Loss and accuracy from one prompt to another, in a straight line. hump: the loss barrier; None while it isn't known."""
    if not found:
        return None
    ordered = sorted(found, key=lambda one: one.share)
    x = [one.share for one in ordered]
    scores = [one.score for one in ordered]
    style: dict[str, Any] = {"mode": "lines+markers", "marker": {"color": LEARNED}, "line": {"color": LEARNED}}
    traces = [
        scatter(x, [100 * score.accuracy for score in scores], **style, error_y=score_bars(scores, thickness=1, width=2), yaxis="y"),
        scatter(x, [score.loss for score in scores], **style, yaxis="y2"),
    ]
    title = "Is there a hump in the loss on the way?"
    if hump is not None:
        risen = f"On the way the loss rises {hump:.2f} nats above the straight line between its ends"
        title = risen if hump > 0 else "No hump in the loss on the way"
    return figure(
        title,
        f"Held-out rows, {scores[0].n}; lines: 95 % intervals. A hump means that the two are in different valleys of the loss.",
        traces,
        height=400,
        xaxis=axis(f"0: {plain(cut(names[0], 40))} … 1: {plain(cut(names[1], 40))}", anchor="y2"),
        yaxis=axis("% right", range=[-4, 108], domain=[0.52, 1]),
        yaxis2=axis("loss (nats)", domain=[0, 0.44], rangemode="tozero"),
    )


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
            accuracies = [100 * getattr(one, score).accuracy for one in own]
            style = {"line": {"color": ink, "dash": dash}, "marker": {"color": ink, "size": 6}}
            traces.append(scatter([len(one.which) for one in own], accuracies, "lines+markers", name=label, **style))
    single = [one for one in found if len(one.which) == 1 and one.source == "learned"]
    title = "Which vectors carry the task?"
    if single:
        most = min(single, key=lambda one: one.into_task.accuracy)
        title = f"One vector alone: number {most.which[0] + 1} takes most from {in_order(cut(names[1], 40))} ({percent(most.into_task.accuracy)} left)"
    note = "Vectors of the first prompt in the second’s places. Dotted: random vectors of the same lengths in these places, the cost of losing the second’s vectors."
    xaxis = axis("how many of the first vectors were put in")
    return figure(title, note, traces, height=400, xaxis=xaxis, yaxis=axis("% right", range=[-4, 108]), **legend(1.2))


def cosines(values: np.ndarray, names: Sequence[str], sizes: Sequence[int], chosen: int | None) -> dict[str, Any]:
    """Cosine similarity of all vectors of some prompts, group by group."""
    labels = [f"{name}, {i + 1}" for name, size in zip(names, sizes, strict=True) for i in range(size)]
    hover = [[f"{plain(a)} · {plain(b)}: {values[i, j]:.2f}" for j, b in enumerate(labels)] for i, a in enumerate(labels)]
    bar = {"thickness": 10, "title": {"text": "cosine"}}
    trace = heatmap(values, hover, BOTH_WAYS, -1, 1, showscale=True, colorbar=bar, xgap=0, ygap=0)
    edges = np.cumsum([0, *sizes])
    shapes = [
        {"type": "line", f"{one}0": edge - 0.5, f"{one}1": edge - 0.5, f"{other}0": -0.5, f"{other}1": edges[-1] - 0.5, "line": {"color": PLAIN, "width": 1}}
        for edge in edges[1:-1]
        for one, other in ("xy", "yx")
    ]  # fmt: skip
    groups = {"tickvals": [(a + b - 1) / 2 for a, b in pairwise(edges)], "ticktext": [plain(cut(name, 24)) for name in names]}
    xaxis = {**groups, "showgrid": False, "zeroline": False}
    for edge, size in zip(edges, sizes, strict=False):
        if chosen is not None and chosen < size:
            shapes += lit(int(edges[-1]), int(edge) + chosen)
    title = f"Similarity among this prompt’s {len(labels)} vectors"
    if len(names) > 1:
        title = f"Similarity among {len(labels)} vectors of {len(names)} prompts"
    note = "The vocabulary’s mean is subtracted first: all embeddings share a large common direction, which would make all vectors look similar."
    return figure(title, note, [trace], height=460, xaxis=xaxis, yaxis={**xaxis, "autorange": "reversed"}, shapes=shapes)
