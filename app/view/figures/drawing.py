"""What figures have in common: frames, points, paths, axes of virtual tokens, and text that plotly reads as text."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.view.colours import LEARNED
from app.view.text import in_order

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


def framed(**more: Any) -> dict[str, Any]:
    return {
        "margin": MARGIN,
        "showlegend": False,
        "uirevision": "keep",  # zoom and hidden traces survive an update
        "hovermode": "closest",
        "font": {"size": 12},
        **more,
    }


def error_bars(shares: Sequence[tuple[float, Sequence[float]]]) -> dict[str, Any]:
    """Error bars in percent, from shares and the two ends of their intervals."""
    above = [100 * max(high - share, 0) for share, (_, high) in shares]
    below = [100 * max(share - low, 0) for share, (low, _) in shares]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5}


def ticks(count: int) -> dict[str, Any]:
    """An axis of virtual tokens, numbered from 1."""
    every = max(1, -(-count // MOST_TICKS))
    return {"tickvals": list(range(0, count, every)), "ticktext": [str(i + 1) for i in range(0, count, every)], "zeroline": False}


def lit(count: int, chosen: int | None, axis: str = "x") -> list[dict[str, Any]]:
    """A band behind the chosen virtual token."""
    if chosen is None or chosen >= count:
        return []
    other = "y" if axis == "x" else "x"
    place = {f"{axis}0": chosen - 0.5, f"{axis}1": chosen + 0.5, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper", f"{axis}ref": axis}
    return [{"type": "rect", **place, "fillcolor": "rgba(230,159,0,0.22)", "line": {"width": 0}, "layer": "below"}]


def ring(flat: bool) -> dict[str, Any]:
    return {"size": 8 if flat else 4, "color": LEARNED, "symbol": "circle-open" if flat else "circle", "opacity": 1 if flat else 0.3}


def points(places: np.ndarray, flat: bool, texts: Sequence[str], marker: dict[str, Any], name: str) -> dict[str, Any]:
    common = {"mode": "markers", "marker": marker, "name": name, "hovertext": list(texts), "hoverinfo": "text+name"}
    return {**_places(places, flat), **common}


def path_lines(paths: np.ndarray, flat: bool, width: float, opacity: float) -> dict[str, Any]:
    """All of `paths` (steps, vectors, 3) as one trace, with gaps between them: a trace each takes the browser far longer."""
    _, vectors, axes = paths.shape
    gapped = np.concatenate([paths, np.full((1, vectors, axes), np.nan)])  # (steps + 1, vectors, 3)
    line = {"color": LEARNED, "width": width}
    return {
        **_places(gapped.swapaxes(0, 1).reshape(-1, axes), flat),
        "mode": "lines",
        "line": line,
        "opacity": opacity,
        "hoverinfo": "skip",
    }


def _places(places: np.ndarray, flat: bool) -> dict[str, Any]:
    columns = np.round(places.astype(float), 3).T.tolist()
    return {"type": "scatter" if flat else "scatter3d", **dict(zip("xy" if flat else "xyz", columns, strict=False))}
