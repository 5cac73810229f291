"""Plotly figures as plain data: data in, traces and layout out. No Gradio, no model. Text is escaped: plotly reads some HTML.

Plain, and not plotly's graph objects: those check every attribute as they are made, which takes 30 ms of a step that has to
be on the page within 150. The tests make them of every figure, so that nothing unknown to plotly stands here.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.reading import Reading
from core.record import RunRecord, best_handcrafted

from .show import CONTROL, LEARNED, PLAIN, colours, percent, token

MOST_PLACES = 4000  # points of all paths together: a page is painted after every step
NUMBERED = 40  # more vectors than this are drawn without their number


def thinned(count: int, most: int = 400) -> list[int]:
    """Up to `most` indices from 0 to count - 1, evenly spaced, the last one always among them."""
    if count <= most:
        return list(range(count))
    return sorted({*range(0, count, -(-count // most)), count - 1})


def plain(text: str) -> str:
    """Text for a plotly label or hover: nothing in it is markup."""
    return html.escape(text, quote=False)


def _layout(**more: Any) -> dict[str, Any]:
    return {
        "margin": {"l": 48, "r": 12, "t": 8, "b": 40},
        "showlegend": False,
        "uirevision": "keep",  # zoom and hidden traces survive an update
        "hovermode": "closest",
        "font": {"size": 12},
        **more,
    }


def curves(record: RunRecord, step: int | None = None) -> dict[str, Any]:
    """Accuracy on validation rows above, loss below, over steps; a dashed line per handcrafted prompt.

    step: the scrubber's place, drawn as a vertical line. Returns title, note and figure for the plot component.
    """
    steps = record.recipe["steps"]
    lines = record.lines  # read once: the run may replace it meanwhile
    colour = colours(lines, record.task["handcrafted"])
    traces: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for row in sorted(lines, key=lambda row: -row["accuracy"]):
        share, name, ink = 100 * row["accuracy"], plain(row["name"]), colour[row["name"]]
        line = {"dash": "dash", "width": 1.5, "color": ink}
        hover = f"{name}: {percent(row['accuracy'])}<extra></extra>"
        traces.append(_curve([0, steps], [share, share], name, line, hover, "y"))
        if all(abs(share - label["y"]) > 9 for label in labels):
            place = {"x": steps, "y": share, "xref": "x", "yref": "y", "xanchor": "right", "yanchor": "bottom", "showarrow": False}
            labels.append({**place, "text": name, "font": {"size": 11, "color": ink}})
    seen = record.validation
    shown = thinned(record.step)
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [100 * (e["interval"][1] - e["accuracy"]) for e in seen],
        "arrayminus": [100 * (e["accuracy"] - e["interval"][0]) for e in seen],
        "thickness": 1,
        "width": 2,
    }
    hover = "step %{x}: %{y:.0f} % of validation rows<extra>learned</extra>"
    accuracy = [100 * entry["accuracy"] for entry in seen]
    learned = _curve([entry["step"] for entry in seen], accuracy, "learned", {"color": LEARNED, "width": 3}, hover, "y")
    traces.append({**learned, "mode": "lines+markers", "error_y": bars})
    losses = [round(float(record.losses[number]), 4) for number in shown]
    hover = "step %{x}: loss %{y:.2f}<extra></extra>"
    traces.append(_curve([number + 1 for number in shown], losses, "training loss", {"color": LEARNED, "width": 2}, hover, "y2"))
    here = []
    if step is not None and step < record.step:
        line = {"color": PLAIN, "width": 1, "dash": "dot"}
        here = [{"type": "line", "x0": step, "x1": step, "xref": "x", "y0": 0, "y1": 1, "yref": "paper", "line": line}]
    layout = _layout(
        height=380,
        xaxis={"range": [0, steps * 1.01], "title": {"text": "step"}, "anchor": "y2"},
        yaxis={"range": [-4, 108], "title": {"text": "% right"}, "domain": [0.42, 1]},
        yaxis2={"title": {"text": "loss (nats)"}, "rangemode": "tozero", "domain": [0, 0.36]},
        annotations=labels,
        shapes=here,
    )
    written = best_handcrafted(lines)
    title = "Learning"
    if seen:
        title = f"{percent(seen[-1]['accuracy'])} of {seen[-1]['n']} validation rows right after step {seen[-1]['step']}"
        title += f"; best handcrafted prompt {percent(written['accuracy'])}" if written else ""
    note = "Dashed: handcrafted prompts on the same rows. Bars: 95 % intervals. Training never sees these rows."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def _curve(x: Sequence[float], y: Sequence[float], name: str, line: dict[str, Any], hover: str, axis: str) -> dict[str, Any]:
    common = {"type": "scatter", "mode": "lines", "xaxis": "x", "yaxis": axis}
    return {**common, "x": list(x), "y": list(y), "name": name, "line": line, "hovertemplate": hover}


def plane(record: RunRecord, step: int, chosen: int | None = None, dimensions: int = 2, control: bool = False) -> dict[str, Any]:
    """Every vector's path so far in a fixed plane, among the vocabulary's own vectors.

    control: also draw, as violet crosses, the start moved at random by the same lengths.
    """
    flat = dimensions == 2
    if not record.readings:
        return {"title": "", "note": "", "data": [], "layout": _layout(height=380)}
    readings = [record.readings[i] for i in thinned(step + 1, max(20, MOST_PLACES // max(len(record.readings[0].place), 1)))]
    path = np.stack([reading.place for reading in readings])  # (steps + 1, virtual_tokens, 3)
    count = path.shape[1]
    texts = [plain(token(record.texts.get(i, ""))) for i in record.cloud_ids]
    kind = "real words" if record.kind == "soft" else "real words' values"
    traces = [_points(record.cloud, flat, texts, {"size": 4 if flat else 2, "color": PLAIN, "opacity": 0.35}, kind)]
    others = [i for i in range(count) if i != chosen]
    traces.append(_paths(path[:, others], flat, 1.2, 0.8 if chosen is None else 0.2))
    if chosen is not None and chosen < count:
        traces.append(_paths(path[:, [chosen]], flat, 3, 0.8))
    traces.append(_points(path[0], flat, _hover(record, readings[0]), _ring(flat), "start"))
    if control:
        places = readings[-1].control_place
        marker = {"symbol": "x", "size": 7 if flat else 3, "color": CONTROL}
        traces.append(_points(places, flat, [f"{i + 1}: moved at random" for i in range(len(places))], marker, "control"))
    now = _points(path[-1], flat, _hover(record, readings[-1]), {"size": 10 if flat else 5, "color": LEARNED}, "vector")
    if chosen is not None and flat:
        now["marker"]["size"] = [16 if i == chosen else 9 for i in range(count)]
        now["marker"]["opacity"] = [1 if i == chosen else 0.45 for i in range(count)]
    now["customdata"] = list(range(count))
    if flat and count <= NUMBERED:
        now |= {"mode": "markers+text", "text": [str(i + 1) for i in range(count)], "textposition": "top center"}
    traces.append(now)
    shares = [100 * share for share in record.explained]
    axes = [{"title": {"text": f"component {i + 1} ({share:.1f} %)"}} for i, share in enumerate(shares)]
    if flat:
        layout = _layout(height=380, **dict(zip(("xaxis", "yaxis"), axes, strict=False)))
    else:
        scene = {**dict(zip(("xaxis", "yaxis", "zaxis"), axes, strict=False)), "uirevision": "keep"}
        layout = _layout(height=480, scene=scene, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    what = (
        "Paths of the vectors among real words"
        if record.kind == "soft"
        else "Paths of the prefix's values (middle layer) among real words'"
    )
    note = (
        f"PCA of the {'vocabulary' if record.kind == 'soft' else 'real values'}. Hollow: the start; filled: step {step}. "
        f"The plane shows {sum(shares[:dimensions]):.0f} % of the variance, so vectors that look close need not be."
    )
    return {"title": what, "note": note, "data": traces, "layout": layout}


def _hover(record: RunRecord, reading: Reading) -> list[str]:
    if not reading.ids:
        return [f"{i + 1}: moved {moved:.2f}" for i, moved in enumerate(reading.moved)]
    return [
        f"{i + 1}: {plain(token(record.texts[ids[0]]))} {cosines[0]:.2f}, moved {moved:.2f}"
        for i, (ids, cosines, moved) in enumerate(zip(reading.ids, reading.cosine, reading.moved, strict=True))
    ]


def _ring(flat: bool) -> dict[str, Any]:
    return {"size": 8 if flat else 4, "color": LEARNED, "symbol": "circle-open" if flat else "circle", "opacity": 1 if flat else 0.3}


def _points(places: np.ndarray, flat: bool, texts: Sequence[str], marker: dict[str, Any], name: str) -> dict[str, Any]:
    common = {"mode": "markers", "marker": marker, "name": name, "hovertext": list(texts), "hoverinfo": "text+name"}
    return {**_places(places, flat), **common}


def _paths(paths: np.ndarray, flat: bool, width: float, opacity: float) -> dict[str, Any]:
    """All of `paths` (steps, vectors, 3) as one trace, with gaps between them: a trace each takes the browser far longer."""
    steps, vectors, axes = paths.shape
    gapped = np.concatenate([paths, np.full((1, vectors, axes), np.nan)])  # (steps + 1, vectors, 3)
    line = {"color": LEARNED, "width": width}
    return {**_places(gapped.swapaxes(0, 1).reshape(-1, axes), flat), "mode": "lines", "line": line, "opacity": opacity, "hoverinfo": "skip"}


def _places(places: np.ndarray, flat: bool) -> dict[str, Any]:
    columns = np.round(places.astype(float), 3).T.tolist()
    return {"type": "scatter" if flat else "scatter3d", **dict(zip("xy" if flat else "xyz", columns, strict=False))}
