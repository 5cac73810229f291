"""Paths of vectors in a plane, among real words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.view.colours import CONTROL, HANDCRAFTED, LEARNED, PLAIN
from app.view.figures.drawing import MARGIN, MOST_PLACES, NUMBERED, STILL, axis, figure, path_lines, plain, points, thinned
from app.view.text import cut, token
from core.methods.kv_prefix import PARTS
from core.runs.pca_paths import PathView
from core.runs.readings import Reading
from core.runs.record import RunRecord

BASES = {"vocabulary": "the vocabulary", "path": "this run’s own path", "vectors": "the start and end vectors of the runs in sight"}


def plane(
    record: RunRecord, step: int, chosen: int | None = None, dimensions: int = 2, control: bool = False, live: bool = False
) -> dict[str, Any]:
    """Every vector's path so far in a fixed plane, among the vocabulary's own vectors.

    control: also draw, as violet crosses, the start moved at random by the same lengths. live: a third of the cloud, so that
    the browser keeps up with training.
    """
    flat = dimensions == 2
    if not record.readings:
        return figure("", "", [])
    readings = [record.readings[i] for i in thinned(step + 1, max(20, MOST_PLACES // max(len(record.readings[0].place), 1)))]
    path = np.stack([reading.place for reading in readings])  # (steps + 1, virtual_tokens, 3)
    count = path.shape[1]
    every = 3 if live else 1
    texts = [record.texts.get(i, "") for i in record.cloud_ids[::every]]
    soft, part = record.method.in_embedding_space, PARTS[record.part]
    kind = "real words" if soft else f"real words' {part}"
    now = points(path[-1], flat, _hover(record, readings[-1]), {"size": 10 if flat else 5, "color": LEARNED}, "vector")
    if chosen is not None and flat:
        now["marker"]["size"] = [16 if i == chosen else 9 for i in range(count)]
        now["marker"]["opacity"] = [1 if i == chosen else 0.45 for i in range(count)]
    now["customdata"] = list(range(count))
    if flat and count <= NUMBERED:
        now |= {"mode": "markers+text", "text": [str(i + 1) for i in range(count)], "textposition": "top center"}
    traces = [
        _cloud(record.cloud[::every], flat, texts, kind),
        *_lines(path, flat, chosen),
        _start(path[0], flat, _hover(record, readings[0])),
        *([_crosses(readings[-1].control_place, flat)] if control else []),
        now,
    ]
    shares = [100 * share for share in record.explained]
    begun = f" (the saved prompt “{plain(cut(record.recipe['init_from'], 60))}”)" if record.recipe.get("init_from") else ""
    note = (
        f"PCA of the {'vocabulary' if soft else f'real {part}'}. Hollow: the start{begun}; filled: step {step}. "
        f"The plane shows {sum(shares[:dimensions]):.0f} % of the variance, so points that look close may be far apart."
    )
    return figure(_moved(record, step), note, traces, **_layout(shares, flat))


def _moved(record: RunRecord, step: int) -> str:
    """How far the vectors have moved, compared with the distance between neighbouring words."""
    name = "The vectors" if record.method.in_embedding_space else f"The prefix's {PARTS[record.part]} (middle layer)"
    moved = record.readings[step].moved
    if step == 0 or not len(moved):
        return f"{name} among real words{'' if record.method.in_embedding_space else chr(39)}: where they start"
    told = f"{name} have moved by {moved.min():.1f} to {moved.max():.1f}"
    return f"{told}; neighbouring words are {np.median(record.usual.l2):.1f} apart" if record.usual else told


def _hover(record: RunRecord, reading: Reading) -> list[str]:
    words = [f"{plain(token(record.texts[ids[0]]))} {cosines[0]:.2f}, " for ids, cosines in zip(reading.ids, reading.cosine, strict=True)]
    words = words or [""] * len(reading.moved)
    return [
        f"{i + 1}: {word}moved {moved:.2f}; this plane hides {100 * hidden:.0f} % of it"
        for i, (word, moved, hidden) in enumerate(zip(words, reading.moved, reading.hidden, strict=True))
    ]


def paths(view: PathView, step: int, chosen: int | None, dimensions: int, walk: bool, what: str) -> dict[str, Any]:
    """Paths in a chosen plane. walk: also a random walk of the same step lengths. what: vectors, keys or values."""
    flat = dimensions == 2
    at = view.at(step)
    shown = thinned(at + 1, 200)
    count = view.paths.shape[1]
    traces = [_cloud(view.cloud, flat, view.cloud_texts, "real words")]
    for number, marks in enumerate(view.marks):
        ink = HANDCRAFTED[number % len(HANDCRAFTED)]
        marker = {"size": 8 if flat else 4, "color": ink, "symbol": "diamond" if marks.kind == "words" else "square"}
        texts = [plain(f"{marks.name}: {token(text)}") for text in marks.texts]
        traces.append(points(marks.places, flat, texts, marker, plain(marks.name)))
    if walk:
        traces.append(path_lines(view.walk[shown], flat, 1.2, 0.6, color=CONTROL, dash="dot"))
    hidden = (view.hidden if flat else view.hidden_in_three)[at]
    words = [f"{i + 1}: this plane hides {100 * hidden[i]:.0f} % of it" for i in range(count)]
    sizes = [(16 if flat else 8) if i == chosen else (10 if flat else 5) for i in range(count)]
    traces += [
        *_lines(view.paths[shown], flat, chosen),
        _start(view.paths[0], flat, [f"{i + 1}: the start" for i in range(count)]),
        _crosses(view.control[at], flat),
        points(view.paths[at], flat, words, {"size": sizes, "color": LEARNED}, "vector") | {"customdata": list(range(count))},
    ]
    explained = 100 * view.explained
    seen, walked = 100 * view.seen[:dimensions].sum(), 100 * view.walk_seen[:dimensions].sum()
    title = f"This plane shows {seen:.0f} % of how the {what} vary along the run; each vector on average {100 * (1 - hidden.mean()):.0f} %"
    note = f"PCA fitted on {BASES[view.basis]}; its axes hold {explained[:dimensions].sum():.0f} % of that. Hollow: the start; filled: step {view.steps[at]}."
    note += f" Crosses: the start moved equally far at random. A random walk of the same step lengths puts {walked:.0f} % into the first {dimensions} components of its own PCA"
    note += ", dotted here." if walk else "."
    return figure(title, note, traces, **_layout(explained.tolist(), flat, height=420))


# --- what both have in common ---------------------------------------------------------------------------------------------


def _cloud(places: np.ndarray, flat: bool, texts: Sequence[str], name: str) -> dict[str, Any]:
    """Real words."""
    marker = {"size": 4 if flat else 2, "color": PLAIN, "opacity": 0.35}
    return points(places, flat, [plain(token(text)) for text in texts], marker, name)


def _lines(path: np.ndarray, flat: bool, chosen: int | None) -> list[dict[str, Any]]:
    """The vectors' paths (steps, vectors, 3); the chosen one is bold, and all others are then faint."""
    if chosen is None or chosen >= path.shape[1]:
        return [path_lines(path, flat, 1.2, 0.8 if chosen is None else 0.2)]
    return [path_lines(np.delete(path, chosen, axis=1), flat, 1.2, 0.2), path_lines(path[:, [chosen]], flat, 3, 0.8)]


def _start(places: np.ndarray, flat: bool, texts: Sequence[str]) -> dict[str, Any]:
    look = {"size": 8, "symbol": "circle-open", "opacity": 1} if flat else {"size": 4, "symbol": "circle", "opacity": 0.3}
    return points(places, flat, texts, {**look, "color": LEARNED}, "start")


def _crosses(places: np.ndarray, flat: bool) -> dict[str, Any]:
    """The control: the start moved at random."""
    marker = {"symbol": "x", "size": 7 if flat else 3, "color": CONTROL}
    return points(places, flat, [f"{i + 1}: moved at random" for i in range(len(places))], marker, "control")


def _layout(explained: Sequence[float], flat: bool, height: int = 380) -> dict[str, Any]:
    """Axes with the variance that they explain, in percent. height: of a plane."""
    axes = [axis(f"component {i + 1} ({share:.1f} %)") for i, share in enumerate(explained)]
    if flat:
        margin = {**MARGIN, "l": 64}  # room for "-0.25" next to the title
        return {"height": height, "margin": margin, "xaxis": {**axes[0], **STILL}, "yaxis": {**axes[1], **STILL}}
    scene = {**dict(zip(("xaxis", "yaxis", "zaxis"), axes, strict=False)), "uirevision": "keep"}
    return {"height": 480, "scene": scene, "margin": {"l": 0, "r": 0, "t": 0, "b": 0}}
