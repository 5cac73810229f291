"""The nearest token of every vector over training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.view.colours import LEARNED
from app.view.figures.drawing import at_step, axis, figure, gapped, heatmap, lit, plain, scatter, thinned, ticks
from app.view.text import token
from core.runs.record import RunRecord


def strip(record: RunRecord, step: int, chosen: int | None) -> dict[str, Any] | None:
    """The nearest token of every vector at every step, coloured where it is no longer the start's, over how far each has moved."""
    readings = record.readings
    if len(readings) < 3 or record.loaded:
        return None
    shown = thinned(len(readings), 200)
    count = len(readings[0].ids)
    first = [ids[0] for ids in readings[0].ids]
    changed = [[0 if readings[s].ids[i][0] == first[i] else 1 for s in shown] for i in range(count)]
    hover = [
        [f"{i + 1}, step {s}: {plain(token(record.texts[readings[s].ids[i][0]]))} {readings[s].cosine[i][0]:.2f}" for s in shown]
        for i in range(count)
    ]
    two = [[0, "rgba(128,128,128,0.18)"], [1, "rgba(0,114,178,0.8)"]]
    tokens = heatmap(changed, hover, two, 0, 1, x=shown, y=list(range(count)), yaxis="y", xgap=0)
    moved = np.stack([readings[s].moved for s in shown])  # (steps, vectors)
    others = [i for i in range(count) if i != chosen]
    traces = [tokens, _rising(shown, moved[:, others], 1, 0.55 if chosen is None else 0.2)]
    if chosen is not None and chosen < count:
        traces.append(_rising(shown, moved[:, [chosen]], 3, 1))
    kept = sum(row[-1] == 0 for row in changed)
    ever = sum(any(reading.ids[i][0] != first[i] for reading in readings) for i in range(count))
    band = [{**shape, "yref": "y"} for shape in lit(count, chosen, "y")]
    return figure(
        f"{ever} of {count} vectors ever changed their nearest word; at the end {kept} are still nearest to the start’s",
        "Above: grey while the nearest token (cosine) is the start’s, blue where it is another; hover for the word. Below: how far each has moved.",
        traces,
        xaxis=axis("step", anchor="y2", range=[shown[0] - 0.5, shown[-1] + 0.5]),
        yaxis={**ticks(count), **axis("vector", autorange="reversed", domain=[0.42, 1], showgrid=False)},
        yaxis2=axis("moved (L2)", domain=[0, 0.34], rangemode="tozero"),
        shapes=[at_step(step), *band],
    )


def _rising(steps: Sequence[int], moved: np.ndarray, width: float, opacity: float) -> dict[str, Any]:
    """How far vectors have moved, (steps, vectors), as one trace."""
    x, line = [*steps, None] * moved.shape[1], {"color": LEARNED, "width": width}
    return scatter(x, np.round(gapped(moved), 3).tolist(), yaxis="y2", line=line, opacity=opacity, hoverinfo="skip")
