"""Attention to the prompt by layer, head and virtual token."""

from typing import Any

import numpy as np

from app.view.figures.drawing import BLUES, axis, figure, heatmap, plain, shades, ticks
from app.view.text import percent
from core.probes.attention import Attention


def attention(learned: Attention, written: Attention | None, head: tuple[int, int] | None, chosen: int | None) -> dict[str, Any]:
    """Share of attention to the prefix by layer and head, compared with a handcrafted prompt's, and by virtual token for one head."""
    share = learned.shares.prefix  # (layers, heads)
    layers, heads = share.shape
    most = max(float(share.max()), float(written.shares.prefix.max()) if written else 0.0, 1e-6)

    def heat(values: np.ndarray, name: str, **axes: str) -> dict[str, Any]:
        hover = [[f"{name}, layer {i}, head {j}: {percent(values[i, j])}" for j in range(heads)] for i in range(layers)]
        return heatmap(values, hover, BLUES, 0, most, **axes)

    traces = [heat(share, "learned", xaxis="x", yaxis="y")]
    second = {}
    if written:
        traces.append(heat(written.shares.prefix, "handcrafted", xaxis="x2", yaxis="y2"))
        second = {
            "xaxis2": axis("head, handcrafted", domain=[0.54, 1], zeroline=False, anchor="y2"),
            "yaxis2": {"domain": [0.42, 1], "zeroline": False, "showticklabels": False},
        }
    by_token = learned.shares.by_token.mean(axis=(0, 1)) if head is None else learned.shares.by_token[head]
    count = len(by_token)
    traces.append({
        "type": "bar", "x": list(range(count)), "y": np.round(100 * by_token, 2).tolist(), "xaxis": "x3", "yaxis": "y3",
        "marker": shades(chosen in (None, i) for i in range(count)), "customdata": list(range(count)), "hoverinfo": "text",
        "hovertext": [f"{plain(name)}: {100 * value:.1f} %" for name, value in zip(learned.tokens, by_token, strict=True)],
    })  # fmt: skip
    which = "all heads, mean" if head is None else f"layer {head[0]}, head {head[1]}"
    title = f"{percent(float(share.mean()))} of the attention goes to the prompt, {percent(float(learned.shares.sink.mean()))} to the very first position"
    if written:
        title += f"; a handcrafted prompt gets {percent(float(written.shares.prefix.mean()))} on {len(written.tokens)} tokens"
    note = "From the token just before the answer, mean over rows. The first position gets attention whatever it holds, so the prompt’s share leaves it out."
    return figure(
        title,
        note,
        traces,
        height=560,
        xaxis=axis("head, learned", domain=[0, 0.46 if written else 1], zeroline=False, anchor="y"),
        yaxis=axis("layer", domain=[0.42, 1], zeroline=False),
        xaxis3={**ticks(count), **axis(f"virtual token ({which})", anchor="y3")},
        yaxis3=axis("% of attention", domain=[0, 0.26], rangemode="tozero"),
        **second,
    )
