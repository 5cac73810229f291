"""What figures have in common: frames, points, paths, axes of virtual tokens, and text that plotly reads as text."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from app.view.colours import LEARNED, PLAIN
from app.view.text import in_order
from core.scoring.score import Score

MOST_PLACES = 4000  # points of all paths together: a page is painted after every step
MARGIN = {"l": 48, "r": 12, "t": 8, "b": 40}
STILL = {"automargin": False}  # an axis whose margin is not measured anew at each step: its labels fit
NUMBERED = 40  # more vectors than this are drawn without their number
BLUES = [[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.9)"]]
BOTH_WAYS = [[0, "rgba(213,94,0,0.85)"], [0.5, "rgba(128,128,128,0.06)"], [1, "rgba(0,114,178,0.85)"]]
MOST_TICKS = 40


def thinned(count: int, most: int = 400) -> list[int]:
    """Up to `most` indices from 0 to count - 1, evenly spaced, the last one always among them."""
    if count <= most:
        return list(range(count))
    return sorted({*range(0, count, -(-count // most)), count - 1})


def plain(text: str) -> str:
    """Text for a plotly label or hover: nothing in it is markup, or a place that plotly fills in, as %{x} is.

    >>> plain("<b>%{x}")
    '&lt;b&gt;&#37;{x}'
    """
    return html.escape(in_order(text), quote=False).replace("%{", "&#37;{")


def figure(title: str, note: str, data: list[dict[str, Any]], height: int = 380, **layout: Any) -> dict[str, Any]:
    """A figure with its title and note, both plain text. layout: what it has besides the layout that all figures share."""
    shared = {
        "height": height,
        "margin": MARGIN,
        "showlegend": False,
        "uirevision": "keep",  # zoom and hidden traces survive an update
        "hovermode": "closest",
        "font": {"size": 12},
    }
    return {"title": title, "note": note, "data": data, "layout": {**shared, **layout}}


def axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def legend(y: float) -> dict[str, Any]:
    """The layout of a figure with a legend above it."""
    return {"showlegend": True, "legend": {"orientation": "h", "y": y}}


def scatter(x: Sequence[Any], y: Sequence[Any], mode: str = "lines", **more: Any) -> dict[str, Any]:
    return {"type": "scatter", "mode": mode, "x": list(x), "y": list(y), **more}


def heatmap(
    values: np.ndarray | Sequence[Sequence[float]],
    hover: Sequence[Sequence[str]],
    scale: Sequence[Any],
    low: float,
    high: float,
    **more: Any,
) -> dict[str, Any]:
    """Values as colours of `scale`, from `low` to `high`. hover: a text for each cell."""
    cells = {"z": np.round(values, 4).tolist(), "zmin": low, "zmax": high, "hovertext": hover, "hoverinfo": "text"}
    return {"type": "heatmap", **cells, "colorscale": scale, "showscale": False, "xgap": 1, "ygap": 1, **more}


def error_bars(values: Iterable[tuple[float, Sequence[float]]], scale: float = 100, **more: Any) -> dict[str, Any]:
    """Error bars from values and the two ends of their intervals. scale: 100 for shares that are drawn in percent."""
    ends = [(max(high - value, 0), max(value - low, 0)) for value, (low, high) in values]
    sides = {"array": [scale * above for above, _ in ends], "arrayminus": [scale * below for _, below in ends]}
    return {"type": "data", "symmetric": False, **sides, "thickness": 1.5, **more}


def score_bars(scores: Iterable[Score], **more: Any) -> dict[str, Any]:
    """Error bars of the scores' accuracies."""
    return error_bars(((score.accuracy, score.interval) for score in scores), **more)


def shades(lit: Iterable[bool]) -> dict[str, Any]:
    """Markers in full colour where `lit`, faded elsewhere."""
    return {"color": [LEARNED if one else "rgba(0,114,178,0.35)" for one in lit]}


def ticks(count: int) -> dict[str, Any]:
    """An axis of virtual tokens, numbered from 1."""
    every = max(1, -(-count // MOST_TICKS))
    return {"tickvals": list(range(0, count, every)), "ticktext": [str(i + 1) for i in range(0, count, every)], "zeroline": False}


def at_step(step: int) -> dict[str, Any]:
    """A vertical line at the scrubber's place."""
    line = {"color": PLAIN, "width": 1, "dash": "dot"}
    return {"type": "line", "x0": step, "x1": step, "xref": "x", "y0": 0, "y1": 1, "yref": "paper", "line": line}


def lit(count: int, chosen: int | None, axis: str = "x") -> list[dict[str, Any]]:
    """A band behind the chosen virtual token."""
    if chosen is None or chosen >= count:
        return []
    other = "y" if axis == "x" else "x"
    place = {f"{axis}0": chosen - 0.5, f"{axis}1": chosen + 0.5, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper", f"{axis}ref": axis}
    return [{"type": "rect", **place, "fillcolor": "rgba(230,159,0,0.22)", "line": {"width": 0}, "layer": "below"}]


def points(places: np.ndarray, flat: bool, texts: Sequence[str], marker: dict[str, Any], name: str) -> dict[str, Any]:
    common = {"mode": "markers", "marker": marker, "name": name, "hovertext": list(texts), "hoverinfo": "text+name"}
    return {**_places(places, flat), **common}


def gapped(paths: np.ndarray) -> np.ndarray:
    """`paths` (steps, vectors, ...) one after the other, with a gap after each: one trace, since a trace each takes the browser far longer."""
    gap = np.full((1, *paths.shape[1:]), np.nan)
    return np.concatenate([paths, gap]).swapaxes(0, 1).reshape(-1, *paths.shape[2:])


def path_lines(paths: np.ndarray, flat: bool, width: float, opacity: float, **line: Any) -> dict[str, Any]:
    """All of `paths` (steps, vectors, 3) as one trace."""
    line = {"color": LEARNED, "width": width, **line}
    return {**_places(gapped(paths), flat), "mode": "lines", "line": line, "opacity": opacity, "hoverinfo": "skip"}


def _places(places: np.ndarray, flat: bool) -> dict[str, Any]:
    columns = np.round(places.astype(float), 3).T.tolist()
    return {"type": "scatter" if flat else "scatter3d", **dict(zip("xy" if flat else "xyz", columns, strict=False))}
