"""Where each reading ranks the known truth among the candidates, next to its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import CONTROL, HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import axis, error_bars, figure, legend, plain, scatter
from app.view.text import percent, span
from core.truths.ranking import Standing
from core.truths.result import SOURCES, Line

LOOKS: dict[str, dict[str, Any]] = {  # of each source: its marker, and how far from the middle of the row
    "text": {"marker": {"color": HANDCRAFTED[1], "symbol": "diamond-open", "size": 9}, "at": 0.27},
    "learned": {"marker": {"color": LEARNED, "symbol": "circle", "size": 11}, "at": 0.09},
    "moved": {"marker": {"color": CONTROL, "symbol": "square", "size": 8}, "at": -0.09},
    "start": {"marker": {"color": PLAIN, "symbol": "line-ns-open", "size": 9}, "at": -0.27},
}


def scoreboard(lines: Sequence[Line], labels: Mapping[str, str], title: str, truths: int, prompts: int) -> dict[str, Any]:
    """A row for each reading: how many % of the wrong candidates rank below the truth; 50 is chance. labels: the readings' names."""
    rows = list(reversed(lines))
    traces = []
    for source, look in LOOKS.items():
        found = [(place, one.reading, one.by_source[source]) for place, one in enumerate(rows) if source in one.by_source]
        if found:
            ink = look["marker"]["color"]
            bars = error_bars(((one.beaten, one.beaten_interval) for _, _, one in found), color=ink)
            traces.append(
                scatter(
                    [round(100 * one.beaten, 2) for _, _, one in found],
                    [place + look["at"] for place, _, _ in found],
                    "markers",
                    name=SOURCES[source],
                    marker=look["marker"],
                    error_x=bars,
                    hovertext=[_hover(SOURCES[source], labels.get(reading, reading), one) for _, reading, one in found],
                    hoverinfo="text",
                )
            )
    chance = {"type": "line", "x0": 50, "x1": 50, "y0": -0.5, "y1": len(rows) - 0.5, "line": {"color": PLAIN, "width": 1.5, "dash": "dash"}}
    note = f"100: the truth is always first. Dashed: chance. {counted(truths, prompts)}; bars are 95 % intervals (bootstrap over truths)."
    return figure(
        title,
        note,
        traces,
        height=200 + 44 * len(rows),
        margin={"l": 126, "r": 12, "t": 8, "b": 130},
        shapes=[chance],
        xaxis=axis("% of wrong ones ranked below", range=[-4, 104], zeroline=False),
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [plain(labels.get(one.reading, one.reading)) for one in rows],
            "range": [-0.6, len(rows) - 0.4],
            "zeroline": False,
        },
        **{**legend(0), "legend": {"orientation": "h", "y": -52 / (44 * len(rows)), "yanchor": "top", "x": 0}},
    )


def counted(truths: int, prompts: int) -> str:
    """How much was read, in words."""
    return f"{truths} {'truth' if truths == 1 else 'truths'}, {prompts} {'prompt' if prompts == 1 else 'prompts'}"


def _hover(source: str, reading: str, one: Standing) -> str:
    return plain(
        f"{reading}, {source}: {percent(one.beaten)} ({span(one.beaten_interval)}), first in {percent(one.first)}, "
        f"mean 1/rank {one.reciprocal:.2f} (chance {one.chance:.2f})"
    )
