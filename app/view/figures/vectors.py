"""What each vector does: effects of changes on loss and accuracy."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import PLAIN
from app.view.figures.drawing import MOST_TICKS, axis, error_bars, figure, lit, shades, ticks
from core.probes.vectors import Effect


def effects(found: Sequence[Effect], what: str, count: int, chosen: int | None) -> dict[str, Any] | None:
    """How each change moves the loss and the accuracy, with paired intervals."""
    if not found:
        return None
    scaled = what == "scale"
    apart = what == "swap" and chosen is None  # no vector is in all pairs, so each pair has its own place
    x: list[float] = [one.amount if scaled else i if apart else _partner(one, chosen) for i, one in enumerate(found)]
    labels = [f"× {one.amount:g}" if scaled else " and ".join(str(i + 1) for i in one.vectors) for one in found]

    def bars(values: Sequence[tuple[float, tuple[float, float]]], scale: float, unit: str, yaxis: str) -> dict[str, Any]:
        hover = [
            f"{label}: {scale * value:+.2f} {unit} ({scale * low:+.2f} to {scale * high:+.2f})"
            for label, (value, (low, high)) in zip(labels, values, strict=True)
        ]
        return {
            "type": "bar", "x": x, "y": [scale * value for value, _ in values], "yaxis": yaxis, "error_y": error_bars(values, scale, width=3, color=PLAIN),
            "marker": shades(chosen in one.vectors or chosen is None or scaled for one in found), "hovertext": hover, "hoverinfo": "text",
            "customdata": [one.vectors[-1] if one.vectors and not scaled else None for one in found],
        }  # fmt: skip

    losses = bars([(one.loss_change, one.loss_interval) for one in found], 1, "nats", "y")
    accuracies = bars([(one.accuracy_change, one.accuracy_interval) for one in found], 100, "points", "y2")
    xaxis = axis("the whole prompt times") if scaled else {**ticks(count), **axis("vector")}
    if apart:
        every = max(1, -(-len(found) // MOST_TICKS))
        xaxis = axis("vectors", tickvals=x[::every], ticktext=labels[::every])
    worst = max(found, key=lambda one: one.loss_change)
    clear = sum(one.loss_interval[0] > 0 for one in found)
    name = f"× {worst.amount:g}" if scaled else "vector " + " and ".join(str(i + 1) for i in worst.vectors)
    title = f"{clear} of {len(found)} changes clearly raise the loss; most of all {name} ({worst.loss_change:+.2f} nats)"
    note = f"Change against the whole prompt on the same {found[0].n} held-out rows; lines: paired 95 % intervals. Vectors work together: single changes don’t add up."
    return figure(
        title,
        note,
        [losses, accuracies],
        height=400,
        xaxis={**xaxis, "anchor": "y2"},
        yaxis=axis("loss, nats more", domain=[0.55, 1]),
        yaxis2=axis("% right, points", domain=[0, 0.45]),
        shapes=[] if scaled else lit(count, chosen),
    )


def _partner(one: Effect, chosen: int | None) -> float:
    """A change's place on the axis of vectors: its vector; for a swap, the vector that was swapped with the chosen one."""
    if len(one.vectors) == 2:
        return float(one.vectors[0] if one.vectors[1] == chosen else one.vectors[1])
    return float(one.vectors[0]) if one.vectors else -1.0
