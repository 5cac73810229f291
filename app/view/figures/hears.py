"""The logit lens on the prompt alone."""

from typing import Any

import numpy as np

from app.view.figures.drawing import BLUES, axis, figure, heatmap, lit, plain, ticks
from app.view.text import cut, token
from core.probes.hears import Lens


def lens(found: Lens, chosen: int | None) -> dict[str, Any]:
    """The first choice at every layer and position, coloured by its probability."""
    positions, layers, _ = found.ids.shape
    top = found.probability[:, :, 0].T  # (layers, positions)
    texts = {int(i): token(found.texts[int(i)]) for i in np.unique(found.ids)}
    words = [[plain(cut(texts[int(found.ids[p, layer, 0])], 9)) for p in range(positions)] for layer in range(layers)]

    def choices(position: int, layer: int, most: int | None = None, form: str = "{} {:.0f} %") -> str:
        pairs = zip(found.ids[position, layer][:most], found.probability[position, layer][:most], strict=True)
        return ", ".join(form.format(texts[int(i)], 100 * share) for i, share in pairs)

    hover = [[plain(f"{found.names[p]}, layer {layer}: {choices(p, layer)}") for p in range(positions)] for layer in range(layers)]
    trace = heatmap(top, hover, BLUES, 0, 1, x=list(range(positions)), y=list(range(layers)))
    if positions <= 16:
        trace |= {"text": words, "texttemplate": "%{text}", "textfont": {"size": 10}}
    numbered = ticks(positions)
    names = [plain(cut(token(found.names[p]), 12)) for p in numbered["tickvals"]]
    note = "Logit lens: each layer’s state read through the model’s own last norm and output head. Only the top row is what the model says: only the last layer was trained to be read this way."
    return figure(
        f"After the prompt alone, the model would say: {choices(-1, -1, 3, '“{}” {:.0f} %')}",
        note,
        [trace],
        height=max(380, 80 + 17 * layers),
        xaxis={**numbered, "ticktext": names, **axis("position in the prompt", showgrid=False)},
        yaxis=axis("layer (0: the vector itself)", showgrid=False, zeroline=False),
        shapes=lit(positions, found.vectors[chosen] if chosen is not None and chosen < len(found.vectors) else None),
    )
