"""Plotly figures: data in, figure out. No Gradio, no model. Text in them is escaped: plotly reads some HTML."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

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
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.62, 0.38])
    steps = record.recipe["steps"]
    lines = record.lines  # read once: the run may replace it meanwhile
    colour = colours(lines, record.task["handcrafted"])
    labelled: list[float] = []
    for row in sorted(lines, key=lambda row: -row["accuracy"]):
        share = 100 * row["accuracy"]
        figure.add_trace(
            go.Scatter(
                x=[0, steps],
                y=[share, share],
                mode="lines",
                name=plain(row["name"]),
                line={"dash": "dash", "width": 1.5, "color": colour[row["name"]]},
                hovertemplate=f"{plain(row['name'])}: {percent(row['accuracy'])}<extra></extra>",
            ),
            row=1,
            col=1,
        )
        if all(abs(share - other) > 9 for other in labelled):
            labelled.append(share)
            figure.add_annotation(
                x=steps, y=share, text=plain(row["name"]), xanchor="right", yanchor="bottom", showarrow=False,
                font={"size": 11, "color": colour[row["name"]]}, row=1, col=1,
            )  # fmt: skip
    seen = record.validation
    shown = thinned(record.step)
    figure.add_trace(
        go.Scatter(
            x=[entry["step"] for entry in seen],
            y=[100 * entry["accuracy"] for entry in seen],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [100 * (e["interval"][1] - e["accuracy"]) for e in seen],
                "arrayminus": [100 * (e["accuracy"] - e["interval"][0]) for e in seen],
                "thickness": 1,
                "width": 2,
            },
            mode="lines+markers",
            name="learned",
            line={"color": LEARNED, "width": 3},
            hovertemplate="step %{x}: %{y:.0f} % of validation rows<extra>learned</extra>",
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        go.Scatter(
            x=[number + 1 for number in shown],
            y=[round(float(record.losses[number]), 4) for number in shown],
            mode="lines",
            name="training loss",
            line={"color": LEARNED, "width": 2},
            hovertemplate="step %{x}: loss %{y:.2f}<extra></extra>",
        ),
        row=2,
        col=1,
    )
    if step is not None and step < record.step:
        figure.add_vline(x=step, line={"color": PLAIN, "width": 1, "dash": "dot"})
    figure.update_xaxes(range=[0, steps * 1.01])
    figure.update_xaxes(title_text="step", row=2, col=1)
    figure.update_yaxes(range=[-4, 108], title_text="% right", row=1, col=1)
    figure.update_yaxes(title_text="loss (nats)", rangemode="tozero", row=2, col=1)
    figure.update_layout(**_layout(height=380))
    written = best_handcrafted(lines)
    title = "Learning"
    if seen:
        title = f"{percent(seen[-1]['accuracy'])} of {seen[-1]['n']} validation rows right after step {seen[-1]['step']}"
        title += f"; best handcrafted prompt {percent(written['accuracy'])}" if written else ""
    return _value(figure, title, "Dashed: handcrafted prompts on the same rows. Bars: 95 % intervals. Training never sees these rows.")


def plane(record: RunRecord, step: int, chosen: int | None = None, dimensions: int = 2, control: bool = False) -> dict[str, Any]:
    """Every vector's path so far in a fixed plane, among the vocabulary's own vectors.

    control: also draw, as violet crosses, the start moved at random by the same lengths.
    """
    flat = dimensions == 2
    figure = go.Figure()
    if not record.readings:
        return _value(figure.update_layout(**_layout(height=380)), "", "")
    readings = [record.readings[i] for i in thinned(step + 1, max(20, MOST_PLACES // max(len(record.readings[0].place), 1)))]
    path = np.stack([reading.place for reading in readings])  # (steps + 1, virtual_tokens, 3)
    texts = [plain(token(record.texts.get(i, ""))) for i in record.cloud_ids]
    kind = "real words" if record.kind == "soft" else "real words' values"
    figure.add_trace(_points(record.cloud, flat, texts, {"size": 4 if flat else 2, "color": PLAIN, "opacity": 0.35}, kind))
    for i in range(path.shape[1]):
        lit = chosen is None or chosen == i
        figure.add_trace(_line(path[:, i], flat, {"color": LEARNED, "width": 3 if chosen == i else 1.2}, 0.8 if lit else 0.2))
    figure.add_trace(_points(path[0], flat, _hover(record, readings[0]), _ring(flat), "start"))
    if control:
        places = readings[-1].control_place
        marker = {"symbol": "x", "size": 7 if flat else 3, "color": CONTROL}
        figure.add_trace(_points(places, flat, [f"{i + 1}: moved at random" for i in range(len(places))], marker, "control"))
    now = _points(path[-1], flat, _hover(record, readings[-1]), {"size": 10 if flat else 5, "color": LEARNED}, "vector")
    if chosen is not None and flat:
        now.marker.update(
            size=[16 if i == chosen else 9 for i in range(path.shape[1])],
            opacity=[1 if i == chosen else 0.45 for i in range(path.shape[1])],
        )
    now.customdata = list(range(path.shape[1]))
    if flat and path.shape[1] <= NUMBERED:
        now.update(mode="markers+text", text=[str(i + 1) for i in range(path.shape[1])], textposition="top center")
    figure.add_trace(now)
    shares = [100 * share for share in record.explained]
    names = [f"component {i + 1} ({share:.1f} %)" for i, share in enumerate(shares)]
    if flat:
        figure.update_layout(**_layout(height=380, xaxis={"title": {"text": names[0]}}, yaxis={"title": {"text": names[1]}}))
    else:
        axes = {axis: {"title": {"text": name}} for axis, name in zip(("xaxis", "yaxis", "zaxis"), names, strict=False)}
        figure.update_layout(**_layout(height=480, scene={**axes, "uirevision": "keep"}, margin={"l": 0, "r": 0, "t": 0, "b": 0}))
    what = (
        "Paths of the vectors among real words"
        if record.kind == "soft"
        else "Paths of the prefix's values (middle layer) among real words'"
    )
    note = (
        f"PCA of the {'vocabulary' if record.kind == 'soft' else 'real values'}. Hollow: the start; filled: step {step}. "
        f"The plane shows {sum(shares[:dimensions]):.0f} % of the variance, so vectors that look close need not be."
    )
    return _value(figure, what, note)


def _hover(record: RunRecord, reading: Reading) -> list[str]:
    if not reading.ids:
        return [f"{i + 1}: moved {moved:.2f}" for i, moved in enumerate(reading.moved)]
    return [
        f"{i + 1}: {plain(token(record.texts[ids[0]]))} {cosines[0]:.2f}, moved {moved:.2f}"
        for i, (ids, cosines, moved) in enumerate(zip(reading.ids, reading.cosine, reading.moved, strict=True))
    ]


def _ring(flat: bool) -> dict[str, Any]:
    return {"size": 8 if flat else 4, "color": LEARNED, "symbol": "circle-open" if flat else "circle", "opacity": 1 if flat else 0.3}


def _points(places: np.ndarray, flat: bool, texts: Sequence[str], marker: dict[str, Any], name: str) -> Any:
    columns = np.round(places.astype(float), 3)
    common = {"mode": "markers", "marker": marker, "name": name, "hovertext": list(texts), "hoverinfo": "text+name"}
    if flat:
        return go.Scatter(x=columns[:, 0].tolist(), y=columns[:, 1].tolist(), **common)
    return go.Scatter3d(x=columns[:, 0].tolist(), y=columns[:, 1].tolist(), z=columns[:, 2].tolist(), **common)


def _line(path: np.ndarray, flat: bool, line: dict[str, Any], opacity: float) -> Any:
    columns = np.round(path.astype(float), 3)
    common = {"mode": "lines", "line": line, "opacity": opacity, "hoverinfo": "skip"}
    if flat:
        return go.Scatter(x=columns[:, 0].tolist(), y=columns[:, 1].tolist(), **common)
    return go.Scatter3d(x=columns[:, 0].tolist(), y=columns[:, 1].tolist(), z=columns[:, 2].tolist(), **common)


def _value(figure: go.Figure, title: str, note: str) -> dict[str, Any]:
    """A figure with its title and note, without plotly's large default template."""
    figure.layout.template = None
    made = figure.to_plotly_json()
    return {"title": title, "note": note, "data": made["data"], "layout": made["layout"]}
