"""The logit lens on the prompt alone."""

from typing import Any

import numpy as np

from app.view.figures.drawing import BLUES, MOST_TICKS, framed, lit, plain, ticks
from app.view.text import cut, token
from core.probes.hears import Lens


def lens(found: Lens, chosen: int | None) -> dict[str, Any]:
    """The first choice at every layer and position, coloured by its probability."""
    positions, layers, _ = found.ids.shape
    top = found.probability[:, :, 0].T  # (layers, positions)
    words = [[plain(cut(token(found.texts[int(found.ids[p, layer, 0])]), 9)) for p in range(positions)] for layer in range(layers)]
    hover = [
        [
            f"{plain(found.names[p])}, layer {layer}: "
            + ", ".join(
                f"{plain(token(found.texts[int(i)]))} {100 * share:.0f} %"
                for i, share in zip(found.ids[p, layer], found.probability[p, layer], strict=True)
            )
            for p in range(positions)
        ]
        for layer in range(layers)
    ]
    trace: dict[str, Any] = {
        "type": "heatmap", "z": np.round(top, 4).tolist(), "x": list(range(positions)), "y": list(range(layers)), "zmin": 0, "zmax": 1,
        "colorscale": BLUES, "showscale": False, "hovertext": hover, "hoverinfo": "text", "xgap": 1, "ygap": 1,
    }  # fmt: skip
    if positions <= 16:
        trace |= {"text": words, "texttemplate": "%{text}", "textfont": {"size": 10}}
    layout = framed(
        height=max(380, 80 + 17 * layers),
        xaxis={
            **ticks(positions),
            "ticktext": [plain(cut(token(name), 12)) for name in found.names[:: max(1, -(-positions // MOST_TICKS))]],
            "title": {"text": "position in the prompt"},
            "showgrid": False,
        },
        yaxis={"title": {"text": "layer (0: the vector itself)"}, "showgrid": False, "zeroline": False},
        shapes=lit(positions, found.vectors[chosen] if chosen is not None and chosen < len(found.vectors) else None),
    )
    last = ", ".join(
        f"“{token(found.texts[int(i)])}” {100 * share:.0f} %"
        for i, share in zip(found.ids[-1, -1][:3], found.probability[-1, -1], strict=False)
    )
    note = "Logit lens: each layer’s state read through the model’s own last norm and output head. Only the top row is what the model says: only the last layer was trained to be read this way."
    return {"title": f"After the prompt alone, the model would say: {last}", "note": note, "data": [trace], "layout": layout}
