"""Figures of the Inspect page as plain data, one builder an analysis. As app.view.figures: no Gradio, no model, text escaped."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from app.view.colours import CONTROL, HANDCRAFTED, LEARNED, PLAIN
from app.view.figures import framed, path_lines, plain, points, ring, thinned
from app.view.text import cut, in_order, percent, token
from core.probes.attention import Attention
from core.probes.between import Along, Patched
from core.probes.hears import Lens
from core.probes.layers import LayerEffect
from core.probes.vectors import Effect
from core.probes.wayward import Wayward
from core.runs.pca_paths import PathView
from core.runs.record import RunRecord

BLUES = [[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.9)"]]
BOTH_WAYS = [[0, "rgba(213,94,0,0.85)"], [0.5, "rgba(128,128,128,0.06)"], [1, "rgba(0,114,178,0.85)"]]
MOST_TICKS = 40


def _ticks(count: int) -> dict[str, Any]:
    """An axis of virtual tokens, numbered from 1."""
    every = max(1, -(-count // MOST_TICKS))
    return {"tickvals": list(range(0, count, every)), "ticktext": [str(i + 1) for i in range(0, count, every)], "zeroline": False}


def _lit(count: int, chosen: int | None, axis: str = "x") -> list[dict[str, Any]]:
    """A band behind the chosen virtual token."""
    if chosen is None or chosen >= count:
        return []
    other = "y" if axis == "x" else "x"
    place = {f"{axis}0": chosen - 0.5, f"{axis}1": chosen + 0.5, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper", f"{axis}ref": axis}
    return [{"type": "rect", **place, "fillcolor": "rgba(230,159,0,0.22)", "line": {"width": 0}, "layer": "below"}]


def strip(record: RunRecord, step: int, chosen: int | None) -> dict[str, Any] | None:
    """The nearest token of every vector at every step, coloured where it is no longer the start's, over how far each has moved."""
    readings = record.readings
    if len(readings) < 3 or record.loaded:
        return None
    shown = thinned(len(readings), 200)
    count = len(readings[0].ids)
    first = [ids[0] for ids in readings[0].ids]
    changed = [[0 if readings[s].ids[i][0] == first[i] else 1 for s in shown] for i in range(count)]
    hover = [
        [f"{i + 1}, step {s}: {plain(token(record.texts[readings[s].ids[i][0]]))} {readings[s].cosine[i][0]:.2f}" for s in shown]
        for i in range(count)
    ]
    tokens = {
        "type": "heatmap", "x": shown, "y": list(range(count)), "z": changed, "hovertext": hover, "hoverinfo": "text", "zmin": 0, "zmax": 1,
        "colorscale": [[0, "rgba(128,128,128,0.18)"], [1, "rgba(0,114,178,0.8)"]], "showscale": False, "yaxis": "y", "ygap": 1,
    }  # fmt: skip
    moved = np.stack([readings[s].moved for s in shown])  # (steps, vectors)
    others = [i for i in range(count) if i != chosen]
    traces = [tokens, _rising(shown, moved[:, others], 1, 0.55 if chosen is None else 0.2)]
    if chosen is not None and chosen < count:
        traces.append(_rising(shown, moved[:, [chosen]], 3, 1))
    now = {"type": "line", "x0": step, "x1": step, "xref": "x", "y0": 0, "y1": 1, "yref": "paper"}
    kept = sum(row[-1] == 0 for row in changed)
    ever = sum(any(reading.ids[i][0] != first[i] for reading in readings) for i in range(count))
    band = [{**shape, "yref": "y"} for shape in _lit(count, chosen, "y")]
    layout = framed(
        height=380,
        xaxis={"title": {"text": "step"}, "anchor": "y2", "range": [shown[0] - 0.5, shown[-1] + 0.5]},
        yaxis={**_ticks(count), "title": {"text": "vector"}, "autorange": "reversed", "domain": [0.42, 1], "showgrid": False},
        yaxis2={"title": {"text": "moved (L2)"}, "domain": [0, 0.34], "rangemode": "tozero"},
        shapes=[{**now, "line": {"color": PLAIN, "width": 1, "dash": "dot"}}, *band],
    )
    return {
        "title": f"{ever} of {count} vectors ever changed their nearest word; at the end {kept} are still nearest to the start’s",
        "note": "Above: grey while the nearest token (cosine) is the start’s, blue where it is another; hover for the word. Below: how far each has moved.",
        "data": traces,
        "layout": layout,
    }


def _rising(steps: Sequence[int], moved: np.ndarray, width: float, opacity: float) -> dict[str, Any]:
    gapped = np.concatenate([moved, np.full((1, moved.shape[1]), np.nan)])
    x = [*steps, None] * moved.shape[1]
    line = {"color": LEARNED, "width": width}
    return {
        "type": "scatter", "mode": "lines", "x": x, "y": np.round(gapped.T.reshape(-1), 3).tolist(), "yaxis": "y2", "line": line,
        "opacity": opacity, "hoverinfo": "skip",
    }  # fmt: skip


BASES = {"vocabulary": "the vocabulary", "path": "this run’s own path", "vectors": "the start and end vectors of the runs in sight"}


def paths(view: PathView, step: int, chosen: int | None, dimensions: int, walk: bool, what: str) -> dict[str, Any]:
    """Paths in a chosen plane. walk: also a random walk of the same step lengths. what: vectors, keys or values."""
    flat = dimensions == 2
    at = view.at(step)
    shown = thinned(at + 1, 200)
    count = view.paths.shape[1]
    texts = [plain(token(text)) for text in view.cloud_texts]
    traces = [points(view.cloud, flat, texts, {"size": 4 if flat else 2, "color": PLAIN, "opacity": 0.3}, "real words")]
    for number, marks in enumerate(view.marks):
        ink = HANDCRAFTED[number % len(HANDCRAFTED)]
        marker = {"size": 8 if flat else 4, "color": ink, "symbol": "diamond" if marks.kind == "words" else "square"}
        traces.append(
            points(marks.places, flat, [plain(f"{marks.name}: {token(text)}") for text in marks.texts], marker, plain(marks.name))
        )
    if walk:
        traces.append({**path_lines(view.walk[shown], flat, 1.2, 0.6), "line": {"color": CONTROL, "width": 1.2, "dash": "dot"}})
    others = [i for i in range(count) if i != chosen]
    traces.append(path_lines(view.paths[shown][:, others], flat, 1.2, 0.8 if chosen is None else 0.2))
    if chosen is not None and chosen < count:
        traces.append(path_lines(view.paths[shown][:, [chosen]], flat, 3, 0.9))
    traces.append(points(view.paths[0], flat, [f"{i + 1}: the start" for i in range(count)], ring(flat), "start"))
    crosses = {"symbol": "x", "size": 7 if flat else 3, "color": CONTROL}
    traces.append(points(view.control[at], flat, [f"{i + 1}: moved at random" for i in range(count)], crosses, "control"))
    hidden = (view.hidden if flat else view.hidden_in_three)[at]
    words = [f"{i + 1}: this plane hides {100 * hidden[i]:.0f} % of it" for i in range(count)]
    sizes = [(16 if flat else 8) if i == chosen else (10 if flat else 5) for i in range(count)]
    now = points(view.paths[at], flat, words, {"size": sizes, "color": LEARNED}, "vector")
    traces.append({**now, "customdata": list(range(count))})
    explained = 100 * view.explained
    axes = [{"title": {"text": f"component {i + 1} ({explained[i]:.1f} %)"}} for i in range(3)]
    if flat:
        layout = framed(height=420, xaxis=axes[0], yaxis=axes[1])
    else:
        scene = {**dict(zip(("xaxis", "yaxis", "zaxis"), axes, strict=True)), "uirevision": "keep"}
        layout = framed(height=480, scene=scene, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    seen, walked = 100 * view.seen[:dimensions].sum(), 100 * view.walk_seen[:dimensions].sum()
    title = f"This plane shows {seen:.0f} % of how the {what} vary along the run; each vector on average {100 * (1 - hidden.mean()):.0f} %"
    note = f"PCA fitted on {BASES[view.basis]}; its axes hold {explained[:dimensions].sum():.0f} % of that. Hollow: the start; filled: step {view.steps[at]}."
    note += f" Crosses: the start moved equally far at random. A random walk of the same step lengths puts {walked:.0f} % into the first {dimensions} components of its own PCA"
    note += ", dotted here." if walk else "."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def wayward(runs: Sequence[Wayward], line: float | None) -> dict[str, Any] | None:
    """Accuracy on validation rows against the distance to the sentence, a point a run. line: the best handcrafted prompt's."""
    if not runs:
        return None
    kinds = {
        "sentence": ("started at the sentence", LEARNED, "circle"),
        "elsewhere": ("started elsewhere, pulled there", "#D55E00", "diamond"),
        "free": ("never pulled", PLAIN, "square"),
    }
    traces = []
    for start, (name, ink, symbol) in kinds.items():
        own = [run for run in runs if run.start == start]
        traces.append({
            "type": "scatter", "mode": "markers+text", "name": name, "x": [run.distance for run in own],
            "y": [100 * run.score.accuracy for run in own], "text": [f"γ {run.gamma:g}" for run in own], "textposition": "top center",
            "hovertext": [f"{name}, γ {run.gamma:g}: {plain(cut(run.text, 80))}" for run in own], "hoverinfo": "text",
            "marker": {"size": 13, "color": [ink if run.reads else "rgba(0,0,0,0)" for run in own], "symbol": symbol, "line": {"color": ink, "width": 2}},
        })  # fmt: skip
    shapes = []
    if line is not None:
        style = {"color": HANDCRAFTED[0], "width": 1.5, "dash": "dash"}
        shapes = [{"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 100 * line, "y1": 100 * line, "line": style}]
    layout = framed(
        height=400, showlegend=True, legend={"orientation": "h", "y": 1.12},
        xaxis={"title": {"text": "mean squared distance to the sentence’s embeddings"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "% of validation rows right"}, "range": [-4, 108]}, shapes=shapes,
    )  # fmt: skip
    reading = [run for run in runs if run.reads]
    best = max(reading, key=lambda run: run.score.accuracy, default=None)
    title = "None of these prompts reads exactly as the sentence"
    if best:
        title = f"{len(reading)} of {len(runs)} prompts read exactly as the sentence; the best of them gets {percent(best.score.accuracy)}"
    note = "Filled markers spell your sentence exactly; hollow ones don’t. γ: how strongly it was pulled."
    return {"title": title, "note": note + (" Dashed: the best handcrafted prompt." if shapes else ""), "data": traces, "layout": layout}


def effects(found: Sequence[Effect], what: str, count: int, chosen: int | None) -> dict[str, Any] | None:
    """How each change moves the loss and the accuracy, with paired intervals."""
    if not found:
        return None
    scaled = what == "scale"
    apart = what == "swap" and chosen is None  # pairs with no vector in common: a place of its own for each
    x: list[float] = [one.amount if scaled else i if apart else _partner(one, chosen) for i, one in enumerate(found)]
    labels = [f"× {one.amount:g}" if scaled else " and ".join(str(i + 1) for i in one.vectors) for one in found]

    def bars(values: Sequence[float], ends: Sequence[tuple[float, float]], axis: str, unit: str) -> dict[str, Any]:
        above = [max(high - value, 0) for value, (_, high) in zip(values, ends, strict=True)]
        below = [max(value - low, 0) for value, (low, _) in zip(values, ends, strict=True)]
        lit = [LEARNED if chosen in one.vectors or chosen is None or scaled else "rgba(0,114,178,0.35)" for one in found]
        error = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5, "width": 3, "color": PLAIN}
        hover = [
            f"{label}: {value:+.2f} {unit} ({low:+.2f} to {high:+.2f})"
            for label, value, (low, high) in zip(labels, values, ends, strict=True)
        ]
        return {
            "type": "bar", "x": x, "y": list(values), "yaxis": axis, "error_y": error, "marker": {"color": lit},
            "hovertext": hover, "hoverinfo": "text",
            "customdata": [one.vectors[-1] if one.vectors and not scaled else None for one in found],
        }  # fmt: skip

    traces = [
        bars([one.loss_change for one in found], [one.loss_interval for one in found], "y", "nats"),
        bars(
            [100 * one.accuracy_change for one in found],
            [(100 * one.accuracy_interval[0], 100 * one.accuracy_interval[1]) for one in found],
            "y2",
            "points",
        ),
    ]
    axis = {"title": {"text": "the whole prompt times"}} if scaled else {**_ticks(count), "title": {"text": "vector"}}
    if apart:
        every = max(1, -(-len(found) // MOST_TICKS))
        axis = {"tickvals": x[::every], "ticktext": labels[::every], "title": {"text": "vectors"}}
    layout = framed(
        height=400,
        xaxis={**axis, "anchor": "y2"},
        yaxis={"title": {"text": "loss, nats more"}, "domain": [0.55, 1]},
        yaxis2={"title": {"text": "% right, points"}, "domain": [0, 0.45]},
        shapes=[] if scaled else _lit(count, chosen),
    )
    worst = max(found, key=lambda one: one.loss_change)
    clear = sum(one.loss_interval[0] > 0 for one in found)
    name = f"× {worst.amount:g}" if scaled else "vector " + " and ".join(str(i + 1) for i in worst.vectors)
    title = f"{clear} of {len(found)} changes clearly raise the loss; most of all {name} ({worst.loss_change:+.2f} nats)"
    note = f"Change against the whole prompt on the same {found[0].n} held-out rows; lines: paired 95 % intervals. Vectors work together: single changes don’t add up."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def _partner(one: Effect, chosen: int | None) -> float:
    """Where a change stands on the axis of vectors: its vector; of a swap, the one that was swapped with the chosen one."""
    if len(one.vectors) == 2:
        return float(one.vectors[0] if one.vectors[1] == chosen else one.vectors[1])
    return float(one.vectors[0]) if one.vectors else -1.0


def attention(learned: Attention, written: Attention | None, head: tuple[int, int] | None, chosen: int | None) -> dict[str, Any]:
    """Share of attention to the prefix by layer and head, compared with a handcrafted prompt's, and by virtual token for one head."""
    share = learned.shares.prefix  # (layers, heads)
    layers, heads = share.shape
    most = max(float(share.max()), float(written.shares.prefix.max()) if written else 0.0, 1e-6)

    def heat(values: np.ndarray, x: str, y: str, name: str) -> dict[str, Any]:
        hover = [[f"{name}, layer {i}, head {j}: {percent(values[i, j])}" for j in range(heads)] for i in range(layers)]
        return {
            "type": "heatmap", "z": np.round(values, 4).tolist(), "xaxis": x, "yaxis": y, "zmin": 0, "zmax": most, "colorscale": BLUES,
            "showscale": False, "hovertext": hover, "hoverinfo": "text", "xgap": 1, "ygap": 1,
        }  # fmt: skip

    traces = [heat(share, "x", "y", "learned")]
    if written:
        traces.append(heat(written.shares.prefix, "x2", "y2", "handcrafted"))
    by_token = learned.shares.by_token.mean(axis=(0, 1)) if head is None else learned.shares.by_token[head]
    count = len(by_token)
    colours = [LEARNED if chosen in (None, i) else "rgba(0,114,178,0.35)" for i in range(count)]
    traces.append({
        "type": "bar", "x": list(range(count)), "y": np.round(100 * by_token, 2).tolist(), "xaxis": "x3", "yaxis": "y3",
        "marker": {"color": colours}, "customdata": list(range(count)), "hoverinfo": "text",
        "hovertext": [f"{plain(name)}: {100 * value:.1f} %" for name, value in zip(learned.tokens, by_token, strict=True)],
    })  # fmt: skip
    which = "all heads, mean" if head is None else f"layer {head[0]}, head {head[1]}"
    first, second = ([0, 0.46], [0.54, 1]) if written else ([0, 1], [0, 1])
    layout = framed(
        height=560,
        xaxis={"title": {"text": "head, learned"}, "domain": first, "zeroline": False, "anchor": "y"},
        yaxis={"title": {"text": "layer"}, "domain": [0.42, 1], "zeroline": False},
        xaxis3={**_ticks(count), "title": {"text": f"virtual token ({which})"}, "anchor": "y3"},
        yaxis3={"title": {"text": "% of attention"}, "domain": [0, 0.26], "rangemode": "tozero"},
        **(
            {
                "xaxis2": {"title": {"text": "head, handcrafted"}, "domain": second, "zeroline": False, "anchor": "y2"},
                "yaxis2": {"domain": [0.42, 1], "zeroline": False, "showticklabels": False},
            }
            if written
            else {}
        ),
    )
    title = f"{percent(float(share.mean()))} of the attention goes to the prompt, {percent(float(learned.shares.sink.mean()))} to the very first position"
    if written:
        title += f"; a handcrafted prompt gets {percent(float(written.shares.prefix.mean()))} on {len(written.tokens)} tokens"
    note = "From the token just before the answer, mean over rows. The first position gets attention whatever it holds, so the prompt’s share leaves it out."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def lens(found: Lens, chosen: int | None) -> dict[str, Any]:
    """The first choice at every layer and position, coloured by its probability."""
    positions, layers, _ = found.ids.shape
    top = found.probability[:, :, 0].T  # (layers, positions)
    words = [[plain(cut(token(found.texts[int(found.ids[p, layer, 0])]), 9)) for p in range(positions)] for layer in range(layers)]
    hover = [
        [
            f"{plain(found.names[p])}, layer {layer}: "
            + ", ".join(
                f"{plain(token(found.texts[int(i)]))} {100 * share:.0f} %"
                for i, share in zip(found.ids[p, layer], found.probability[p, layer], strict=True)
            )
            for p in range(positions)
        ]
        for layer in range(layers)
    ]
    trace: dict[str, Any] = {
        "type": "heatmap", "z": np.round(top, 4).tolist(), "x": list(range(positions)), "y": list(range(layers)), "zmin": 0, "zmax": 1,
        "colorscale": BLUES, "showscale": False, "hovertext": hover, "hoverinfo": "text", "xgap": 1, "ygap": 1,
    }  # fmt: skip
    if positions <= 16:
        trace |= {"text": words, "texttemplate": "%{text}", "textfont": {"size": 10}}
    layout = framed(
        height=max(380, 80 + 17 * layers),
        xaxis={
            **_ticks(positions),
            "ticktext": [plain(cut(token(name), 12)) for name in found.names[:: max(1, -(-positions // MOST_TICKS))]],
            "title": {"text": "position in the prompt"},
            "showgrid": False,
        },
        yaxis={"title": {"text": "layer (0: the vector itself)"}, "showgrid": False, "zeroline": False},
        shapes=_lit(positions, found.vectors[chosen] if chosen is not None and chosen < len(found.vectors) else None),
    )
    last = ", ".join(
        f"“{token(found.texts[int(i)])}” {100 * share:.0f} %"
        for i, share in zip(found.ids[-1, -1][:3], found.probability[-1, -1], strict=False)
    )
    note = "Logit lens: each layer’s state read through the model’s own last norm and output head. Only the top row is what the model says: only the last layer was trained to be read this way."
    return {"title": f"After the prompt alone, the model would say: {last}", "note": note, "data": [trace], "layout": layout}


def along(found: Sequence[Along], names: tuple[str, str], hump: float | None) -> dict[str, Any] | None:
    """Loss and accuracy from one prompt to another, in a straight line. hump: the loss barrier; None while it isn't known."""
    if not found:
        return None
    ordered = sorted(found, key=lambda one: one.share)
    x = [one.share for one in ordered]
    losses = [one.score.loss for one in ordered]
    shares = [100 * one.score.accuracy for one in ordered]
    bands = [one.score.interval for one in ordered]
    error = {
        "type": "data", "symmetric": False, "array": [100 * high - share for share, (_, high) in zip(shares, bands, strict=True)],
        "arrayminus": [share - 100 * low for share, (low, _) in zip(shares, bands, strict=True)], "thickness": 1, "width": 2,
    }  # fmt: skip
    style = {"type": "scatter", "mode": "lines+markers", "x": x, "marker": {"color": LEARNED}, "line": {"color": LEARNED}}
    layout = framed(
        height=400,
        xaxis={"title": {"text": "0: " + plain(cut(names[0], 40)) + " … 1: " + plain(cut(names[1], 40))}, "anchor": "y2"},
        yaxis={"title": {"text": "% right"}, "range": [-4, 108], "domain": [0.52, 1]},
        yaxis2={"title": {"text": "loss (nats)"}, "domain": [0, 0.44], "rangemode": "tozero"},
    )
    title = "Is there a hump in the loss on the way?"
    if hump is not None:
        risen = f"On the way the loss rises {hump:.2f} nats above the straight line between its ends"
        title = risen if hump > 0 else "No hump in the loss on the way"
    note = f"Held-out rows, {ordered[0].score.n}; lines: 95 % intervals. A hump means that the two are in different valleys of the loss."
    traces = [{**style, "y": shares, "error_y": error, "yaxis": "y"}, {**style, "y": losses, "yaxis": "y2"}]
    return {"title": title, "note": note, "data": traces, "layout": layout}


def transplant(found: Sequence[Patched], names: tuple[str, str], chosen: int | None) -> dict[str, Any] | None:
    """Accuracy on both tasks as more of one prompt's vectors are put into the other, with the control's."""
    if not found:
        return None
    runs = [one for one in found if one.which == tuple(range(len(one.which)))]
    traces = []
    for source, dash in (("learned", "solid"), ("control", "dot")):
        own = sorted((one for one in runs if one.source == source), key=lambda one: len(one.which))
        for name, ink, score in ((names[0], LEARNED, "from_task"), (names[1], HANDCRAFTED[0], "into_task")):
            label = plain(cut(name, 40)) + ("" if source == "learned" else ", random vectors")
            traces.append({
                "type": "scatter", "mode": "lines+markers", "name": label, "x": [len(one.which) for one in own],
                "y": [100 * getattr(one, score).accuracy for one in own], "line": {"color": ink, "dash": dash}, "marker": {"color": ink, "size": 6},
            })  # fmt: skip
    layout = framed(
        height=400, showlegend=True, legend={"orientation": "h", "y": 1.2},
        xaxis={"title": {"text": "how many of the first vectors were put in"}}, yaxis={"title": {"text": "% right"}, "range": [-4, 108]},
    )  # fmt: skip
    single = [one for one in found if len(one.which) == 1 and one.source == "learned"]
    title = "Which vectors carry the task?"
    if single:
        most = min(single, key=lambda one: one.into_task.accuracy)
        title = f"One vector alone: number {most.which[0] + 1} takes most from {in_order(cut(names[1], 40))} ({percent(most.into_task.accuracy)} left)"
    note = "Vectors of the first prompt in the second’s places. Dotted: random vectors of the same lengths in these places, the cost of losing the second’s vectors."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def cosines(values: np.ndarray, names: Sequence[str], sizes: Sequence[int], chosen: int | None) -> dict[str, Any]:
    """Cosine similarity of all vectors of some prompts, group by group."""
    labels = [f"{name}, {i + 1}" for name, size in zip(names, sizes, strict=True) for i in range(size)]
    hover = [[f"{plain(a)} · {plain(b)}: {values[i, j]:.2f}" for j, b in enumerate(labels)] for i, a in enumerate(labels)]
    trace = {
        "type": "heatmap", "z": np.round(values, 3).tolist(), "zmin": -1, "zmax": 1, "colorscale": BOTH_WAYS, "hovertext": hover, "hoverinfo": "text",
        "colorbar": {"thickness": 10, "title": {"text": "cosine"}},
    }  # fmt: skip
    edges = np.cumsum([0, *sizes])
    line = {"color": PLAIN, "width": 1}
    shapes: list[dict[str, Any]] = []
    for edge in edges[1:-1]:
        shapes.append({"type": "line", "x0": edge - 0.5, "x1": edge - 0.5, "y0": -0.5, "y1": edges[-1] - 0.5, "line": line})
        shapes.append({"type": "line", "y0": edge - 0.5, "y1": edge - 0.5, "x0": -0.5, "x1": edges[-1] - 0.5, "line": line})
    middles = [(a + b - 1) / 2 for a, b in pairwise(edges)]
    ticks = {
        "tickvals": middles,
        "ticktext": [plain(cut(name, 24)) for name in names],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    if chosen is not None:
        shapes += [
            mark for edge, size in zip(edges, sizes, strict=False) if chosen < size for mark in _lit(int(edges[-1]), int(edge) + chosen)
        ]
    layout = framed(height=460, xaxis={**ticks}, yaxis={**ticks, "autorange": "reversed"}, shapes=shapes)
    note = "The vocabulary’s mean is subtracted first: all embeddings share a large common direction, which would make all vectors look similar."
    title = (
        f"Similarity among this prompt’s {len(labels)} vectors"
        if len(names) == 1
        else f"Similarity among {len(labels)} vectors of {len(names)} prompts"
    )
    return {"title": title, "note": note, "data": [trace], "layout": layout}


def layer_norms(ratio: np.ndarray) -> dict[str, Any]:
    """A K/V prefix's norms by layer and head, as multiples of real words': keys left, values right."""
    layers, _, heads = ratio.shape
    logs = np.log2(np.maximum(ratio, 1e-6))
    most = max(1.0, float(np.abs(logs).max()))
    traces = []
    for part, (name, x, y) in enumerate((("keys", "x", "y"), ("values", "x2", "y2"))):
        hover = [[f"{name}, layer {i}, head {j}: {ratio[i, part, j]:.2f} times real words’" for j in range(heads)] for i in range(layers)]
        traces.append({
            "type": "heatmap", "z": np.round(logs[:, part], 3).tolist(), "xaxis": x, "yaxis": y, "zmin": -most, "zmax": most,
            "colorscale": BOTH_WAYS, "showscale": False, "hovertext": hover, "hoverinfo": "text", "xgap": 1, "ygap": 1,
        })  # fmt: skip
    layout = framed(
        height=max(380, 90 + 12 * layers),
        xaxis={"title": {"text": "head, keys"}, "domain": [0, 0.47], "zeroline": False},
        xaxis2={"title": {"text": "head, values"}, "domain": [0.53, 1], "zeroline": False, "anchor": "y2"},
        yaxis={"title": {"text": "layer"}, "zeroline": False},
        yaxis2={"zeroline": False, "showticklabels": False},
    )
    title = f"Norms against real words’: keys {ratio[:, 0].mean():.2f} times, values {ratio[:, 1].mean():.2f} times on average"
    note = "Blue: longer than real words’ keys or values at the same positions; orange: shorter."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def layer_effects(found: Sequence[LayerEffect]) -> dict[str, Any] | None:
    """What leaving one layer of a K/V prefix out costs, compared with putting that layer's start back."""
    if not found:
        return None
    ordered = sorted(found, key=lambda one: one.layer)
    without = [one.without for one in ordered]
    error = {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 2, "color": PLAIN,
        "array": [max(one.loss_interval[1] - one.loss_change, 0) for one in without],
        "arrayminus": [max(one.loss_change - one.loss_interval[0], 0) for one in without],
    }  # fmt: skip
    x = [one.layer for one in ordered]
    changes = [one.loss_change for one in without]
    traces = [{"type": "bar", "name": "left out", "x": x, "y": changes, "error_y": error, "marker": {"color": LEARNED}}]
    if any(one.control for one in ordered):
        control = [one.control.loss_change if one.control else None for one in ordered]
        marker = {"color": CONTROL, "symbol": "x", "size": 8}
        traces.append({"type": "scatter", "mode": "markers", "name": "its start put back", "x": x, "y": control, "marker": marker})
    layout = framed(
        height=380, showlegend=True, legend={"orientation": "h", "y": 1.15},
        xaxis={"title": {"text": "layer"}}, yaxis={"title": {"text": "loss, nats more"}},
    )  # fmt: skip
    worst = max(ordered, key=lambda one: one.without.loss_change)
    title = f"Layer {worst.layer} matters most: without it the loss rises {worst.without.loss_change:.2f} nats"
    note = f"One layer at a time, on {without[0].n} held-out rows; lines: paired 95 % intervals. In that layer no query sees the prefix; all other layers are unchanged."
    return {"title": title, "note": note, "data": traces, "layout": layout}
