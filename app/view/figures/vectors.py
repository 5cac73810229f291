"""What each vector does: effects of changes on loss and accuracy."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import LEARNED, PLAIN
from app.view.figures.drawing import MOST_TICKS, framed, lit, ticks
from core.probes.vectors import Effect


def effects(found: Sequence[Effect], what: str, count: int, chosen: int | None) -> dict[str, Any] | None:
    """How each change moves the loss and the accuracy, with paired intervals."""
    if not found:
        return None
    scaled = what == "scale"
    apart = what == "swap" and chosen is None  # pairs with no vector in common: a place of its own for each
    x: list[float] = [one.amount if scaled else i if apart else _partner(one, chosen) for i, one in enumerate(found)]
    labels = [f"× {one.amount:g}" if scaled else " and ".join(str(i + 1) for i in one.vectors) for one in found]

    def bars(values: Sequence[float], ends: Sequence[tuple[float, float]], axis: str, unit: str) -> dict[str, Any]:
        above = [max(high - value, 0) for value, (_, high) in zip(values, ends, strict=True)]
        below = [max(value - low, 0) for value, (low, _) in zip(values, ends, strict=True)]
        lit = [LEARNED if chosen in one.vectors or chosen is None or scaled else "rgba(0,114,178,0.35)" for one in found]
        error = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5, "width": 3, "color": PLAIN}
        hover = [
            f"{label}: {value:+.2f} {unit} ({low:+.2f} to {high:+.2f})"
            for label, value, (low, high) in zip(labels, values, ends, strict=True)
        ]
        return {
            "type": "bar", "x": x, "y": list(values), "yaxis": axis, "error_y": error, "marker": {"color": lit},
            "hovertext": hover, "hoverinfo": "text",
            "customdata": [one.vectors[-1] if one.vectors and not scaled else None for one in found],
        }  # fmt: skip

    traces = [
        bars([one.loss_change for one in found], [one.loss_interval for one in found], "y", "nats"),
        bars(
            [100 * one.accuracy_change for one in found],
            [(100 * one.accuracy_interval[0], 100 * one.accuracy_interval[1]) for one in found],
            "y2",
            "points",
        ),
    ]
    axis = {"title": {"text": "the whole prompt times"}} if scaled else {**ticks(count), "title": {"text": "vector"}}
    if apart:
        every = max(1, -(-len(found) // MOST_TICKS))
        axis = {"tickvals": x[::every], "ticktext": labels[::every], "title": {"text": "vectors"}}
    layout = framed(
        height=400,
        xaxis={**axis, "anchor": "y2"},
        yaxis={"title": {"text": "loss, nats more"}, "domain": [0.55, 1]},
        yaxis2={"title": {"text": "% right, points"}, "domain": [0, 0.45]},
        shapes=[] if scaled else lit(count, chosen),
    )
    worst = max(found, key=lambda one: one.loss_change)
    clear = sum(one.loss_interval[0] > 0 for one in found)
    name = f"× {worst.amount:g}" if scaled else "vector " + " and ".join(str(i + 1) for i in worst.vectors)
    title = f"{clear} of {len(found)} changes clearly raise the loss; most of all {name} ({worst.loss_change:+.2f} nats)"
    note = f"Change against the whole prompt on the same {found[0].n} held-out rows; lines: paired 95 % intervals. Vectors work together: single changes don’t add up."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def _partner(one: Effect, chosen: int | None) -> float:
    """Where a change stands on the axis of vectors: its vector; of a swap, the one that was swapped with the chosen one."""
    if len(one.vectors) == 2:
        return float(one.vectors[0] if one.vectors[1] == chosen else one.vectors[1])
    return float(one.vectors[0]) if one.vectors else -1.0
