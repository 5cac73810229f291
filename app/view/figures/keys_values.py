"""Keys of one K/V prefix with values of another: accuracy of each mix, and the cost of each layer's exchange."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import CONTROL, HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import axis, error_bars, figure, legend, plain, scatter
from app.view.text import cut, percent
from core.methods.kv_prefix import PARTS
from core.probes.keys_values import LayerSwap, Mixed, carried

MIXED = "rgba(0,114,178,0.55)"


def mixes(found: Sequence[Mixed], tasks: tuple[str, str]) -> dict[str, Any] | None:
    """Accuracy of each mix of keys and values, with its interval. tasks: of the prefix and of the other one."""
    if not found:
        return None
    traces = []
    for of_other in (False, True):
        own = [one for one in found if one.of_other == of_other]
        if not own:
            continue
        inks = HANDCRAFTED[0] if of_other else [_ink(one) for one in own]
        ends = [(one.accuracy, one.interval) for one in own]
        traces.append({
            "type": "bar", "name": plain(cut(tasks[of_other], 40)), "x": [f"{one.keys}<br>{one.values}" for one in own],
            "y": [100 * one.accuracy for one in own], "error_y": error_bars(ends, width=3, color=PLAIN), "marker": {"color": inks},
            "hovertext": [f"{one.keys} keys, {one.values} values: {percent(one.accuracy)} ({_span(one)})" for one in own], "hoverinfo": "text",
        })  # fmt: skip
    note = (
        f"Own: of this prefix; random: directions drawn at random, each as long as its own. {found[0].scores[0].n} validation "
        "rows; lines: 95 % intervals."
    )
    more = legend(1.15) if len(traces) > 1 else {}
    return figure(
        _title(found),
        note,
        traces,
        height=360,
        xaxis=axis("keys (first line), values (second line)", tickangle=0, tickfont={"size": 11}),
        yaxis=axis("% right", range=[0, 108]),
        **more,
    )


def _title(found: Sequence[Mixed]) -> str:
    apart = carried(found)
    if apart is None:
        return "Which carry the task, keys or values?"
    keys, values = percent(apart.accuracy - apart.accuracy_change), percent(apart.accuracy)
    low, high = apart.accuracy_interval
    if low <= 0 <= high:
        return f"Its keys alone keep {keys} right, its values alone {values}: no clear difference on {apart.n} rows"
    first, second = (
        (f"values alone keep {values}", f"keys alone {keys}") if low > 0 else (f"keys alone keep {keys}", f"values alone {values}")
    )
    return f"Its {first} right, its {second}: a clear difference on {apart.n} rows"


def _ink(one: Mixed) -> str:
    if "random" in (one.keys, one.values):
        return CONTROL
    return {2: LEARNED, 1: MIXED, 0: PLAIN}[(one.keys, one.values).count("own")]


def _span(one: Mixed) -> str:
    low, high = one.interval
    return f"{100 * low:.0f} to {100 * high:.0f}"


def layer_swaps(found: Sequence[LayerSwap]) -> dict[str, Any] | None:
    """What the other prefix's keys (above) or values (below) in one layer cost, next to random ones."""
    if not found:
        return None
    traces, worst = [], []
    for part, (ink, yaxis) in enumerate(((LEARNED, "y"), (HANDCRAFTED[0], "y2"))):
        own = sorted((one for one in found if one.part == part), key=lambda one: one.layer)
        if not own:
            continue
        x, name = [one.layer for one in own], PARTS[part]
        error = error_bars(((one.other.loss_change, one.other.loss_interval) for one in own), 1, width=2, color=PLAIN)
        bars = {
            "type": "bar",
            "name": f"other {name}",
            "x": x,
            "y": [one.other.loss_change for one in own],
            "error_y": error,
            "yaxis": yaxis,
        }
        traces.append(bars | {"marker": {"color": ink}})
        marker = {"color": CONTROL, "symbol": "x", "size": 7}
        control = [one.control.loss_change for one in own]
        traces.append(scatter(x, control, "markers", name="random, as long", marker=marker, yaxis=yaxis, showlegend=part == 0))
        most = max(own, key=lambda one: one.other.loss_change)
        worst.append(f"other {name} in layer {most.layer} ({most.other.loss_change:+.2f} nats)")
    note = (
        f"One layer at a time, on {found[0].other.n} validation rows; lines: paired 95 % intervals. Layers can replace each other, so single "
        "costs don’t add up."
    )
    return figure(
        f"Costliest: {', '.join(worst)}",
        note,
        traces,
        height=420,
        xaxis=axis("layer", anchor="y2"),
        yaxis=axis("keys: nats more", domain=[0.54, 1]),
        yaxis2=axis("values: nats more", domain=[0, 0.46], matches="y"),
        **legend(1.12),
    )
