"""How much fits in a few vectors: tokens that come back, and bits, over steps."""

from collections.abc import Sequence
from typing import Any

from app.view.colours import CONTROL, LEARNED, PLAIN
from app.view.figures.drawing import axis, figure, scatter, thinned
from core.probes.fits import Aim, Fit


def fits(aim: Aim, found: Sequence[Fit]) -> dict[str, Any] | None:
    """Tokens that come back by themselves above, bits that are still missing below, for the sentence and random tokens."""
    if not found:
        return None
    total = len(aim.texts)
    shown = [found[place] for place in thinned(len(found))]
    steps = [one.step for one in shown]
    traces = []
    for name, ink, dash in (("your sentence", LEARNED, "solid"), ("random tokens", CONTROL, "dot")):
        said = [one.sentence if ink == LEARNED else one.control for one in shown]
        style: dict[str, Any] = {"name": name, "line": {"color": ink, "width": 2.5, "dash": dash}, "legendgroup": name}
        hover = f"step %{{x}}: %{{y}} of {total} tokens<extra>{name}</extra>"
        traces.append(scatter(steps, [one.recovered for one in said], hovertemplate=hover, xaxis="x", yaxis="y", **style))
        hover = f"step %{{x}}: %{{y}} of {total} tokens are the first choice after the right ones<extra>{name}</extra>"
        faint = {**style, "line": {"color": ink, "width": 1, "dash": dash}, "opacity": 0.55, "showlegend": False}
        traces.append(scatter(steps, [one.right for one in said], hovertemplate=hover, xaxis="x", yaxis="y", **faint))
        hover = f"step %{{x}}: %{{y:.0f}} bits<extra>{name}</extra>"
        bits = [round(one.bits, 2) for one in said]
        traces.append(scatter(steps, bits, hovertemplate=hover, xaxis="x", yaxis="y2", showlegend=False, **style))
    last = shown[-1]
    title = f"Step {last.step}: {last.sentence.recovered} of {total} tokens of the sentence come back, {last.control.recovered} of {total} random ones"
    note = "Above: tokens that the model says by itself before its first wrong one; thin lines: tokens that are its first choice where the right ones are before them. Below: how surprising the text still is to the model, in bits; 0: it says nothing else."
    line = {"color": PLAIN, "width": 1, "dash": "dash"}
    return figure(
        title,
        note,
        traces,
        height=400,
        xaxis=axis("step", anchor="y2"),
        yaxis=axis("tokens", range=[-0.05 * total, 1.1 * total], domain=[0.5, 1]),
        yaxis2=axis("bits", rangemode="tozero", domain=[0, 0.4]),
        shapes=[{"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": total, "y1": total, "yref": "y", "line": line}],
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
