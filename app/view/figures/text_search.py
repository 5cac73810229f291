"""A search for a text: how near its predictions come to the learned prompt's, by round."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import CONTROL, LEARNED
from app.view.figures.drawing import axis, figure, plain, scatter, thinned
from app.view.text import cut, visible
from core.probes.text_rounds import Round

LINES = (("words", "from the nearest words", LEARNED, "solid"), ("random", "from random tokens", CONTROL, "dot"))


def text_search(rounds: Sequence[Round]) -> dict[str, Any] | None:
    """The KL divergence by round, a line for each search. rounds: of both, in any order."""
    traces, told = [], []
    for start, name, ink, dash in LINES:
        own = [one for one in rounds if one.start == start]
        if not own:
            continue
        shown = [own[place] for place in thinned(len(own))]
        texts = [f"round {one.number}: {one.kl:.2f} nats, “{plain(cut(visible(one.text), 80))}”" for one in shown]
        line = {"color": ink, "width": 2.5, "dash": dash, "shape": "hv"}  # it changes at a round, not between two
        values = [round(one.kl, 4) for one in shown]
        mode = "lines" if len(own) > 1 else "markers"  # a line needs two points
        traces.append(
            scatter(
                [one.number for one in shown],
                values,
                mode,
                name=name,
                line=line,
                hovertext=texts,
                hoverinfo="text+name",
                marker={"color": ink},
            )
        )
        told.append(f"{name}: from {own[0].kl:.2f} to {own[-1].kl:.2f}")
    if not traces:
        return None
    title = f"KL divergence from the learned prompt, {'; '.join(told)} nats per token"
    note = "On the training rows of the search; 0: the same predictions. A round keeps the best of its candidates, or the text that it had."
    last = max(one.number for one in rounds)
    layout = {
        "xaxis": axis("round", range=[0, 1.02 * max(last, 1)], **({"dtick": 1} if last < 10 else {})),
        "yaxis": axis("KL divergence (nats per token)", rangemode="tozero"),
    }
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return figure(title, note, traces, height=340, showlegend=True, legend=legend, **layout)
