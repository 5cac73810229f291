"""Learning curves, and the training loss of a race."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import LEARNED, colours, inks
from app.view.figures.drawing import STILL, at_step, axis, figure, plain, scatter, score_bars, thinned
from app.view.text import percent
from core.runs.race import Lap
from core.runs.record import RunRecord
from core.scoring.score import best_handcrafted


def curves(record: RunRecord, step: int | None = None, height: int = 380) -> dict[str, Any]:
    """Accuracy on validation rows above, loss below, over steps; a dashed line per handcrafted prompt.

    step: the scrubber's place, drawn as a vertical line. height: in pixels. Returns title, note and figure for the plot component.
    """
    steps = record.recipe["steps"]
    lines = record.lines  # read once: the run may replace it meanwhile
    colour = colours(lines, record.task["handcrafted"])
    traces: list[dict[str, Any]] = []
    labelled: list[float] = []
    for score in sorted(lines, key=lambda score: -score.accuracy):
        share, name, ink = 100 * score.accuracy, plain(score.name), colour[score.name]
        hover = f"{name}: {percent(score.accuracy)}<extra></extra>"
        line = {"dash": "dash", "width": 1.5, "color": ink}
        trace = scatter([0, steps], [share, share], name=name, line=line, hovertemplate=hover, xaxis="x", yaxis="y")
        if all(abs(share - known) > 9 for known in labelled):  # a label of the trace: an annotation takes the browser far longer
            labelled.append(share)
            trace |= {"mode": "lines+text", "text": ["", name], "textposition": "top left", "textfont": {"size": 11, "color": ink}}
        traces.append(trace)
    validated, seen = list(record.validation), list(record.validation.values())
    shown = thinned(record.step)
    learned = scatter(
        validated,
        [100 * score.accuracy for score in seen],
        "lines+markers",
        name="learned",
        line={"color": LEARNED, "width": 3},
        hovertemplate="step %{x}: %{y:.0f} % of validation rows<extra>learned</extra>",
        error_y=score_bars(seen, thickness=1, width=2),
        xaxis="x",
        yaxis="y",
    )
    loss = scatter(
        [number + 1 for number in shown],
        [round(float(record.losses[number]), 4) for number in shown],
        name="training loss",
        line={"color": LEARNED, "width": 2},
        hovertemplate="step %{x}: loss %{y:.2f}<extra></extra>",
        xaxis="x",
        yaxis="y2",
    )
    written = best_handcrafted(lines)
    title = "Learning"
    if seen:
        title = f"{percent(seen[-1].accuracy)} of {seen[-1].n} validation rows right after step {validated[-1]}"
        title += f"; best handcrafted prompt {percent(written.accuracy)}" if written else ""
    note = "Dashed: the baselines (handcrafted prompts) on the same validation rows, which training never uses. Bars: 95 % intervals."
    return figure(
        title,
        note,
        [*traces, learned, loss],
        height,
        xaxis=axis("step", range=[0, steps * 1.01], anchor="y2", **STILL),
        yaxis=axis("% right", range=[-4, 108], domain=[0.42, 1], **STILL),
        yaxis2=axis(
            "KL from teacher (nats)" if record.recipe.get("loss") == "imitate" else "loss (nats)",
            rangemode="tozero",
            domain=[0, 0.36],
            **STILL,
        ),
        shapes=[at_step(step)] if step is not None and step < record.step else [],
    )


def race(names: Mapping[str, str], laps: Sequence[Lap], steps: int) -> dict[str, Any]:
    """The training loss of every entry over steps, drawn together. names: id -> displayed name."""
    colour, traces, stopped = inks(names), [], []
    highest = 0.0
    for name, words in names.items():
        mine = [lap for lap in laps if lap.name == name]
        shown = [mine[number] for number in thinned(len(mine))]
        highest = max([highest, *(lap.loss for lap in mine[:3])])
        stopped += [words for lap in mine if lap.stopped]
        hover = f"step %{{x}}: loss %{{y:.2f}}<extra>{plain(words)}</extra>"
        x, y = [lap.step for lap in shown], [round(lap.loss, 4) for lap in shown]
        line = {"color": colour[name], "width": 2.5}
        traces.append(scatter(x, y, "lines+text", name=plain(words), line=line, hovertemplate=hover))
    now = max((lap.step for lap in laps), default=0)
    latest = {lap.name: lap.loss for lap in laps}
    low = min(latest, key=lambda name: latest[name], default="")
    title = f"After step {now}, the lowest training loss has “{names[low]}”: {latest[low]:.2f}" if latest else "The race begins"
    note = "Loss of each batch before its training step; all entries see the same batches."
    note += f" Ended early because the loss diverged: {', '.join(stopped)}." if stopped else ""
    return figure(
        title,
        note,
        traces,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis=axis("step", range=[0, steps * 1.02]),
        yaxis=axis("training loss (nats per token)", range=[0, highest * 1.25 or 1]),
    )
