"""A K/V prefix layer by layer: norms, and the cost of leaving a layer out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.view.colours import CONTROL, LEARNED, PLAIN
from app.view.figures.drawing import BOTH_WAYS, axis, error_bars, figure, heatmap, legend, scatter
from core.probes.layers import LayerEffect


def layer_norms(ratio: np.ndarray) -> dict[str, Any]:
    """A K/V prefix's norms by layer and head, as multiples of real words': keys left, values right."""
    layers, _, heads = ratio.shape
    logs = np.log2(np.maximum(ratio, 1e-6))
    most = max(1.0, float(np.abs(logs).max()))
    traces = []
    for part, (name, x, y) in enumerate((("keys", "x", "y"), ("values", "x2", "y2"))):
        hover = [[f"{name}, layer {i}, head {j}: {ratio[i, part, j]:.2f} times real words’" for j in range(heads)] for i in range(layers)]
        traces.append(heatmap(logs[:, part], hover, BOTH_WAYS, -most, most, xaxis=x, yaxis=y))
    title = f"Norms against real words’: keys {ratio[:, 0].mean():.2f} times, values {ratio[:, 1].mean():.2f} times on average"
    note = "Blue: longer than real words’ keys or values at the same positions; orange: shorter."
    return figure(
        title,
        note,
        traces,
        height=max(380, 90 + 12 * layers),
        xaxis=axis("head, keys", domain=[0, 0.47], zeroline=False),
        xaxis2=axis("head, values", domain=[0.53, 1], zeroline=False, anchor="y2"),
        yaxis=axis("layer", zeroline=False),
        yaxis2={"zeroline": False, "showticklabels": False},
    )


def layer_effects(found: Sequence[LayerEffect]) -> dict[str, Any] | None:
    """What leaving one layer of a K/V prefix out costs, compared with putting that layer's start back."""
    if not found:
        return None
    ordered = sorted(found, key=lambda one: one.layer)
    without = [one.without for one in ordered]
    error = error_bars(((one.loss_change, one.loss_interval) for one in without), 1, width=2, color=PLAIN)
    x = [one.layer for one in ordered]
    changes = [one.loss_change for one in without]
    traces = [{"type": "bar", "name": "left out", "x": x, "y": changes, "error_y": error, "marker": {"color": LEARNED}}]
    if any(one.control for one in ordered):
        control = [one.control.loss_change if one.control else None for one in ordered]
        marker = {"color": CONTROL, "symbol": "x", "size": 8}
        traces.append(scatter(x, control, "markers", name="its start put back", marker=marker))
    worst = max(ordered, key=lambda one: one.without.loss_change)
    title = f"Layer {worst.layer} matters most: without it the loss rises {worst.without.loss_change:.2f} nats"
    note = f"One layer at a time, on {without[0].n} held-out rows; lines: paired 95 % intervals. In that layer no query sees the prefix; all other layers are unchanged."
    return figure(title, note, traces, xaxis=axis("layer"), yaxis=axis("loss, nats more"), **legend(1.15))
