"""Attention to the prompt by layer, head and virtual token."""

from typing import Any

import numpy as np

from app.view.colours import LEARNED
from app.view.figures.drawing import BLUES, framed, plain, ticks
from app.view.text import percent
from core.probes.attention import Attention


def attention(learned: Attention, written: Attention | None, head: tuple[int, int] | None, chosen: int | None) -> dict[str, Any]:
    """Share of attention to the prefix by layer and head, compared with a handcrafted prompt's, and by virtual token for one head."""
    share = learned.shares.prefix  # (layers, heads)
    layers, heads = share.shape
    most = max(float(share.max()), float(written.shares.prefix.max()) if written else 0.0, 1e-6)

    def heat(values: np.ndarray, x: str, y: str, name: str) -> dict[str, Any]:
        hover = [[f"{name}, layer {i}, head {j}: {percent(values[i, j])}" for j in range(heads)] for i in range(layers)]
        return {
            "type": "heatmap", "z": np.round(values, 4).tolist(), "xaxis": x, "yaxis": y, "zmin": 0, "zmax": most, "colorscale": BLUES,
            "showscale": False, "hovertext": hover, "hoverinfo": "text", "xgap": 1, "ygap": 1,
        }  # fmt: skip

    traces = [heat(share, "x", "y", "learned")]
    if written:
        traces.append(heat(written.shares.prefix, "x2", "y2", "handcrafted"))
    by_token = learned.shares.by_token.mean(axis=(0, 1)) if head is None else learned.shares.by_token[head]
    count = len(by_token)
    colours = [LEARNED if chosen in (None, i) else "rgba(0,114,178,0.35)" for i in range(count)]
    traces.append({
        "type": "bar", "x": list(range(count)), "y": np.round(100 * by_token, 2).tolist(), "xaxis": "x3", "yaxis": "y3",
        "marker": {"color": colours}, "customdata": list(range(count)), "hoverinfo": "text",
        "hovertext": [f"{plain(name)}: {100 * value:.1f} %" for name, value in zip(learned.tokens, by_token, strict=True)],
    })  # fmt: skip
    which = "all heads, mean" if head is None else f"layer {head[0]}, head {head[1]}"
    first, second = ([0, 0.46], [0.54, 1]) if written else ([0, 1], [0, 1])
    layout = framed(
        height=560,
        xaxis={"title": {"text": "head, learned"}, "domain": first, "zeroline": False, "anchor": "y"},
        yaxis={"title": {"text": "layer"}, "domain": [0.42, 1], "zeroline": False},
        xaxis3={**ticks(count), "title": {"text": f"virtual token ({which})"}, "anchor": "y3"},
        yaxis3={"title": {"text": "% of attention"}, "domain": [0, 0.26], "rangemode": "tozero"},
        **(
            {
                "xaxis2": {"title": {"text": "head, handcrafted"}, "domain": second, "zeroline": False, "anchor": "y2"},
                "yaxis2": {"domain": [0.42, 1], "zeroline": False, "showticklabels": False},
            }
            if written
            else {}
        ),
    )
    title = f"{percent(float(share.mean()))} of the attention goes to the prompt, {percent(float(learned.shares.sink.mean()))} to the very first position"
    if written:
        title += f"; a handcrafted prompt gets {percent(float(written.shares.prefix.mean()))} on {len(written.tokens)} tokens"
    note = "From the token just before the answer, mean over rows. The first position gets attention whatever it holds, so the prompt’s share leaves it out."
    return {"title": title, "note": note, "data": traces, "layout": layout}
