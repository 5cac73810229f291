"""What drives an answer: each position's effect by two readings, beside the same after a random prompt."""

from typing import Any

from app.view.colours import CONTROL, HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import axis, figure, lit, plain, scatter
from app.view.text import cut, token
from core.probes.salience import Salience

INKS = {"vector": LEARNED, "words": HANDCRAFTED[1], "input": HANDCRAFTED[0], "lead": PLAIN}
NAMED = 60  # more positions than this are drawn without their names


def salience(mine: Salience, control: Salience | None, chosen: int | None) -> dict[str, Any]:
    """Leave-one-out as bars, gradient x input and the control as markers, over the positions in their order."""
    x = list(range(len(mine.names)))
    names = [f"vector {name}" if kind == "vector" else token(name) for name, kind in zip(mine.names, mine.kinds, strict=True)]
    hover = [plain(f"{name}: left out {gap:+.2f} nats") for name, gap in zip(names, mine.without, strict=True)]
    bars = {"type": "bar", "name": "left out", "x": x, "y": _rounded(mine.without), "hovertext": hover, "hoverinfo": "text"}
    traces = [bars | {"marker": {"color": [INKS[kind] for kind in mine.kinds]}}]
    hover = [plain(f"{name}: gradient × input {value:+.2f} nats") for name, value in zip(names, mine.gradient, strict=True)]
    marker = {"symbol": "line-ew-open", "size": 11, "color": PLAIN, "line": {"width": 2.5}}
    traces.append(scatter(x, _rounded(mine.gradient), "markers", name="gradient × input", marker=marker, hovertext=hover, hoverinfo="text"))
    if control:
        hover = [plain(f"{name}, random prompt: left out {gap:+.2f} nats") for name, gap in zip(names, control.without, strict=True)]
        marker = {"symbol": "x", "size": 7, "color": CONTROL}
        name = "left out, after a random prompt"
        traces.append(scatter(x, _rounded(control.without), "markers", name=name, marker=marker, hovertext=hover, hoverinfo="text"))
    top = max(x, key=lambda place: mine.without[place])
    title = f"“{plain(cut(mine.answer, 30))}” depends most on {plain(names[top])}: without it, {mine.without[top]:.2f} nats less"
    note = "Bars: what the answer’s log-probability loses if no other position sees this one (blue: learned vectors, green: the prompt’s words, orange: the input). Below 0: the position speaks against this answer."
    learned = [place for place, kind in enumerate(mine.kinds) if kind == "vector"]
    where = learned[chosen] if chosen is not None and chosen < len(learned) else None
    labels = [mine.names[place] if mine.kinds[place] == "vector" else cut(names[place], 10) for place in x] if len(x) <= NAMED else []
    named = {"tickvals": x, "ticktext": [plain(label) for label in labels], "tickangle": -60} if labels else {"showticklabels": False}
    return figure(
        title,
        note,
        traces,
        height=420,
        xaxis={**axis("position", zeroline=False, range=[-0.7, len(x) - 0.3]), **named},
        yaxis=axis("nats"),
        shapes=lit(len(x), where),
        bargap=0.25,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
