"""Learning curves, and the training loss of a race."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import LEARNED, PLAIN, colours, inks
from app.view.figures.drawing import STILL, error_bars, framed, plain, thinned
from app.view.text import percent
from core.runs.race import Lap
from core.runs.record import RunRecord
from core.scoring.score import best_handcrafted


def curves(record: RunRecord, step: int | None = None) -> dict[str, Any]:
    """Accuracy on validation rows above, loss below, over steps; a dashed line per handcrafted prompt.

    step: the scrubber's place, drawn as a vertical line. Returns title, note and figure for the plot component.
    """
    steps = record.recipe["steps"]
    lines = record.lines  # read once: the run may replace it meanwhile
    colour = colours(lines, record.task["handcrafted"])
    traces: list[dict[str, Any]] = []
    labelled: list[float] = []
    for score in sorted(lines, key=lambda score: -score.accuracy):
        share, name, ink = 100 * score.accuracy, plain(score.name), colour[score.name]
        line = {"dash": "dash", "width": 1.5, "color": ink}
        hover = f"{name}: {percent(score.accuracy)}<extra></extra>"
        trace = _curve([0, steps], [share, share], name, line, hover, "y")
        if all(abs(share - known) > 9 for known in labelled):  # a label of the trace: an annotation takes the browser far longer
            labelled.append(share)
            trace |= {"mode": "lines+text", "text": ["", name], "textposition": "top left", "textfont": {"size": 11, "color": ink}}
        traces.append(trace)
    validated, seen = list(record.validation), list(record.validation.values())
    shown = thinned(record.step)
    bars = {**error_bars([(score.accuracy, score.interval) for score in seen]), "thickness": 1, "width": 2}
    hover = "step %{x}: %{y:.0f} % of validation rows<extra>learned</extra>"
    accuracy = [100 * score.accuracy for score in seen]
    learned = _curve(validated, accuracy, "learned", {"color": LEARNED, "width": 3}, hover, "y")
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
        title = f"{percent(seen[-1].accuracy)} of {seen[-1].n} validation rows right after step {validated[-1]}"
        title += f"; best handcrafted prompt {percent(written.accuracy)}" if written else ""
    note = "Dashed: the baselines (handcrafted prompts) on the same validation rows, which training never uses. Bars: 95 % intervals."
    return {"title": title, "note": note, "data": traces, "layout": layout}


def _curve(x: Sequence[float], y: Sequence[float], name: str, line: dict[str, Any], hover: str, axis: str) -> dict[str, Any]:
    common = {"type": "scatter", "mode": "lines", "xaxis": "x", "yaxis": axis}
    return {**common, "x": list(x), "y": list(y), "name": name, "line": line, "hovertemplate": hover}


def race(names: Mapping[str, str], laps: Sequence[Lap], steps: int) -> dict[str, Any]:
    """The training loss of every entry over steps, drawn together. names: id -> displayed name."""
    colour, traces, stopped = inks(names), [], []
    highest = 0.0
    for name, words in names.items():
        mine = [lap for lap in laps if lap.name == name]
        shown = [mine[number] for number in thinned(len(mine))]
        highest = max([highest, *(lap.loss for lap in mine[:3])])
        stopped += [words for lap in mine if lap.stopped]
        trace = {
            "type": "scatter", "mode": "lines+text", "x": [lap.step for lap in shown], "y": [round(lap.loss, 4) for lap in shown],
            "name": plain(words), "line": {"color": colour[name], "width": 2.5}, "hovertemplate": "step %{x}: loss %{y:.2f}<extra>" + plain(words) + "</extra>",
        }  # fmt: skip
        traces.append(trace)
    layout = framed(
        height=380,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"range": [0, steps * 1.02], "title": {"text": "step"}},
        yaxis={"range": [0, highest * 1.25 or 1], "title": {"text": "training loss (nats per token)"}},
    )
    now = max((lap.step for lap in laps), default=0)
    latest = {name: next((lap.loss for lap in reversed(laps) if lap.name == name), None) for name in names}
    known = {name: loss for name, loss in latest.items() if loss is not None}
    low = min(known, key=lambda name: known[name]) if known else ""
    title = f"After step {now}, the lowest training loss has “{names[low]}”: {known[low]:.2f}" if low else "The race begins"
    note = "Loss of each batch before its training step; all entries see the same batches."
    note += f" Ended early because the loss diverged: {', '.join(stopped)}." if stopped else ""
    return {"title": title, "note": note, "data": traces, "layout": layout}
