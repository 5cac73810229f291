"""Plotly figures as plain data: data in, traces and layout out. No Gradio, no model. Text is escaped: plotly reads some HTML.

Plain, and not plotly's graph objects: those check every attribute as they are made, which takes 30 ms of a step that has to
be on the page within 150. The tests make them of every figure, so that nothing unknown to plotly stands here.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.view.colours import CONTROL, LEARNED, PLAIN, colours
from app.view.text import cut, in_order, percent, token
from core.runs.readings import Reading
from core.runs.record import RunRecord, best_handcrafted
from core.scoring.measures import Bin

MOST_PLACES = 4000  # points of all paths together: a page is painted after every step
MARGIN = {"l": 48, "r": 12, "t": 8, "b": 40}
STILL = {"automargin": False}  # an axis whose margin is not measured anew at each step: its labels fit
NUMBERED = 40  # more vectors than this are drawn without their number


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


def curves(record: RunRecord, step: int | None = None) -> dict[str, Any]:
    """Accuracy on validation rows above, loss below, over steps; a dashed line per handcrafted prompt.

    step: the scrubber's place, drawn as a vertical line. Returns title, note and figure for the plot component.
    """
    steps = record.recipe["steps"]
    lines = record.lines  # read once: the run may replace it meanwhile
    colour = colours(lines, record.task["handcrafted"])
    traces: list[dict[str, Any]] = []
    labelled: list[float] = []
    for row in sorted(lines, key=lambda row: -row["accuracy"]):
        share, name, ink = 100 * row["accuracy"], plain(row["name"]), colour[row["name"]]
        line = {"dash": "dash", "width": 1.5, "color": ink}
        hover = f"{name}: {percent(row['accuracy'])}<extra></extra>"
        trace = _curve([0, steps], [share, share], name, line, hover, "y")
        if all(abs(share - known) > 9 for known in labelled):  # a label of the trace: an annotation takes the browser far longer
            labelled.append(share)
            trace |= {"mode": "lines+text", "text": ["", name], "textposition": "top left", "textfont": {"size": 11, "color": ink}}
        traces.append(trace)
    seen = record.validation
    shown = thinned(record.step)
    bars = {**error_bars([(entry["accuracy"], entry["interval"]) for entry in seen]), "thickness": 1, "width": 2}
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
    layout = framed(
        height=380,
        xaxis={"range": [0, steps * 1.01], "title": {"text": "step"}, "anchor": "y2", **STILL},
        yaxis={"range": [-4, 108], "title": {"text": "% right"}, "domain": [0.42, 1], **STILL},
        yaxis2={"title": {"text": "loss (nats)"}, "rangemode": "tozero", "domain": [0, 0.36], **STILL},
        shapes=here,
    )
    written = best_handcrafted(lines)
    title = "Learning"
    if seen:
        title = f"{percent(seen[-1]['accuracy'])} of {seen[-1]['n']} validation rows right after step {seen[-1]['step']}"
        title += f"; best handcrafted prompt {percent(written['accuracy'])}" if written else ""
    note = "Dashed: the baselines (handcrafted prompts) on the same validation rows, which training never uses. Bars: 95 % intervals."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def _curve(x: Sequence[float], y: Sequence[float], name: str, line: dict[str, Any], hover: str, axis: str) -> dict[str, Any]:
    common = {"type": "scatter", "mode": "lines", "xaxis": "x", "yaxis": axis}
    return {**common, "x": list(x), "y": list(y), "name": name, "line": line, "hovertemplate": hover}


def error_bars(shares: Sequence[tuple[float, Sequence[float]]]) -> dict[str, Any]:
    """Error bars in percent, from shares and the two ends of their intervals."""
    above = [100 * max(high - share, 0) for share, (_, high) in shares]
    below = [100 * max(share - low, 0) for share, (low, _) in shares]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5}


def plane(
    record: RunRecord, step: int, chosen: int | None = None, dimensions: int = 2, control: bool = False, live: bool = False
) -> dict[str, Any]:
    """Every vector's path so far in a fixed plane, among the vocabulary's own vectors.

    control: also draw, as violet crosses, the start moved at random by the same lengths. live: a third of the cloud, so that
    the browser keeps up with training.
    """
    flat = dimensions == 2
    if not record.readings:
        return {"title": "", "note": "", "data": [], "layout": framed(height=380)}
    readings = [record.readings[i] for i in thinned(step + 1, max(20, MOST_PLACES // max(len(record.readings[0].place), 1)))]
    path = np.stack([reading.place for reading in readings])  # (steps + 1, virtual_tokens, 3)
    count = path.shape[1]
    every = 3 if live else 1
    texts = [plain(token(record.texts.get(i, ""))) for i in record.cloud_ids[::every]]
    kind = "real words" if record.method.in_embedding_space else "real words' values"
    traces = [points(record.cloud[::every], flat, texts, {"size": 4 if flat else 2, "color": PLAIN, "opacity": 0.35}, kind)]
    others = [i for i in range(count) if i != chosen]
    traces.append(path_lines(path[:, others], flat, 1.2, 0.8 if chosen is None else 0.2))
    if chosen is not None and chosen < count:
        traces.append(path_lines(path[:, [chosen]], flat, 3, 0.8))
    traces.append(points(path[0], flat, _hover(record, readings[0]), ring(flat), "start"))
    if control:
        places = readings[-1].control_place
        marker = {"symbol": "x", "size": 7 if flat else 3, "color": CONTROL}
        traces.append(points(places, flat, [f"{i + 1}: moved at random" for i in range(len(places))], marker, "control"))
    now = points(path[-1], flat, _hover(record, readings[-1]), {"size": 10 if flat else 5, "color": LEARNED}, "vector")
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
        margin = {**MARGIN, "l": 64}  # room for "-0.25" beside the title
        layout = framed(height=380, margin=margin, **{k: {**axis, **STILL} for k, axis in zip(("xaxis", "yaxis"), axes, strict=False)})
    else:
        scene = {**dict(zip(("xaxis", "yaxis", "zaxis"), axes, strict=False)), "uirevision": "keep"}
        layout = framed(height=480, scene=scene, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    note = (
        f"PCA of the {'vocabulary' if record.method.in_embedding_space else 'real values'}. Hollow: the start; filled: step {step}. "
        f"The plane shows {sum(shares[:dimensions]):.0f} % of the variance, so vectors that look close need not be."
    )
    return {"title": _moved(record, step), "note": note, "data": traces, "layout": layout}


def _moved(record: RunRecord, step: int) -> str:
    """How far the vectors have come, against how far real words lie apart."""
    who = "The vectors" if record.method.in_embedding_space else "The prefix's values (middle layer)"
    moved = record.readings[step].moved
    if step == 0 or not len(moved):
        return f"{who} among real words{'' if record.method.in_embedding_space else chr(39)}: where they start"
    told = f"{who} have moved by {moved.min():.1f} to {moved.max():.1f}"
    return f"{told}; neighbouring words are {np.median(record.usual.l2):.1f} apart" if record.usual else told


def intervals(rows: Sequence[Mapping[str, Any]], written: Sequence[str]) -> dict[str, Any]:
    """Contenders as points with their intervals (of a group: its range), best on top."""
    ordered = sorted(rows, key=lambda row: row["accuracy"])
    colour = colours(rows, written)
    places = [100 * row["accuracy"] for row in ordered]
    names = [row["name"] for row in ordered]
    bars = error_bars([(row["accuracy"], row["interval"]) for row in ordered])
    marker = {"size": 11, "color": [colour[row["name"]] for row in ordered]}
    # By number and not by name: two names that begin alike would become one category.
    ticks = {"tickvals": list(range(len(names))), "ticktext": [plain(cut(name, 44)) for name in names], "automargin": True}
    trace = {
        "type": "scatter", "mode": "markers", "x": places, "y": list(range(len(names))), "error_x": bars, "marker": marker,
        "hovertext": [f"{plain(name)}: {place:.0f} %" for name, place in zip(names, places, strict=True)], "hoverinfo": "text",
    }  # fmt: skip
    layout = framed(
        height=90 + 30 * max(len(names), 3), xaxis={"range": [-2, 102], "title": {"text": "% of held-out rows right"}}, yaxis=ticks
    )
    best = max((row["accuracy"] for row in ordered), default=0.0)
    leading = [in_order(row["name"]) for row in reversed(ordered) if row["accuracy"] == best]
    title = f"Highest on these rows: {', '.join(leading)} ({percent(best)})"
    return {"title": title, "note": "Lines: 95 % intervals (Wilson); of a group, its range.", "data": [trace], "layout": layout}


def reliability(name: str, bins: Sequence[Bin], error: float) -> dict[str, Any]:
    """How often a contender is right where it is so sure: on the diagonal its confidence is deserved."""
    bars = error_bars([(part.accuracy, part.interval) for part in bins])
    ideal = {"type": "scatter", "mode": "lines", "x": [0, 100], "y": [0, 100], "line": {"dash": "dash", "color": PLAIN, "width": 1}}
    most = max((part.n for part in bins), default=1)
    dots = {
        "type": "scatter", "mode": "markers", "error_y": bars, "x": [100 * part.confidence for part in bins],
        "y": [100 * part.accuracy for part in bins], "hoverinfo": "text",
        "hovertext": [f"{part.n} rows: {100 * part.confidence:.0f} % sure, {100 * part.accuracy:.0f} % right" for part in bins],
        "marker": {"size": [8 + 16 * (part.n / most) ** 0.5 for part in bins], "color": LEARNED},
    }  # fmt: skip
    axis = {"range": [-3, 103]}
    layout = framed(
        height=380,
        xaxis={**axis, "title": {"text": "how sure it is (%)"}},
        yaxis={**axis, "title": {"text": "how often it is right (%)"}},
    )
    return {
        "title": f"{in_order(name)}: calibration error {error:.2f}",
        "note": "Below the dashed line it is surer than it should be. Size: rows. Bars: 95 % intervals. Error: mean gap, weighted by rows (ECE, 10 bins).",
        "data": [{**ideal, "hoverinfo": "skip"}, dots],
        "layout": layout,
    }


def confusion(name: str, counts: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Right labels (rows) against the labels that a contender chose (columns), as counts."""
    names = [plain(cut(label, 24)) for label in labels]
    places = list(range(len(names)))
    ticks = {"tickvals": places, "ticktext": names, "automargin": True, "showgrid": False, "zeroline": False}
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    hover = [[f"{right} taken for {said}: {counts[i, j]} rows" for j, said in enumerate(names)] for i, right in enumerate(names)]
    trace = {
        "type": "heatmap", "x": places, "y": places, "z": shares.round(3).tolist(), "hovertext": hover, "hoverinfo": "text",
        "colorscale": [[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.85)"]], "zmin": 0, "zmax": 1, "showscale": False,
        "xgap": 2, "ygap": 2,
    }  # fmt: skip
    if len(names) <= 20:
        trace |= {"text": counts.astype(int).astype(str).tolist(), "texttemplate": "%{text}"}
    layout = framed(
        height=160 + 34 * max(len(names), 4),
        xaxis={**ticks, "title": {"text": "said"}, "side": "bottom"},
        yaxis={**ticks, "title": {"text": "right"}, "autorange": "reversed"},
    )
    right = int(np.trace(counts))
    note = "Each row is a right label; its colours show where its rows went. The diagonal is right."
    return {
        "title": f"{in_order(name)}: {right} of {int(counts.sum())} rows on the diagonal",
        "note": note,
        "data": [trace],
        "layout": layout,
    }


def _hover(record: RunRecord, reading: Reading) -> list[str]:
    words = [f"{plain(token(record.texts[ids[0]]))} {cosines[0]:.2f}, " for ids, cosines in zip(reading.ids, reading.cosine, strict=True)]
    words = words or [""] * len(reading.moved)
    return [
        f"{i + 1}: {word}moved {moved:.2f}; this plane hides {100 * hidden:.0f} % of it"
        for i, (word, moved, hidden) in enumerate(zip(words, reading.moved, reading.hidden, strict=True))
    ]


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
