"""Accuracy and forgetting of each way of adapting a model, against the parameters that it trains."""

import math
from typing import Any

from app.view.colours import inks
from app.view.figures.baselines import baseline_lines
from app.view.figures.drawing import axis, error_bars, figure, plain, scatter
from app.view.text import percent
from core.finetuning.result import MethodResult, SpectrumResult

ZOOMED = 50  # %: where every interval lies above this, the axis does not begin at 0


def methods(result: SpectrumResult) -> dict[str, Any]:
    """Held-out accuracy above, growth of the loss on an unrelated page below; both over trained parameters, on a logarithmic axis."""
    ink = inks(one.name for one in result.methods)
    trained = sorted((one for one in result.methods if one.parameters), key=lambda one: one.parameters)
    lines = {base.name: base.accuracy for base in result.baselines}
    lines |= {one.label: one.accuracy.mean for one in result.methods if not one.parameters}
    lowest = 100 * min((one.interval[0] for one in trained), default=0.0)
    low = 10 * math.floor((lowest - 2) / 10) if lowest > ZOOMED else 0  # where all are high, what lies between them is shown
    inside = {name: share for name, share in lines.items() if 100 * share >= low}
    below = ", ".join(f"{name} {percent(share)}" for name, share in lines.items() if name not in inside)
    reach = (min((one.parameters for one in trained), default=1) / 2, max((one.parameters for one in trained), default=10) * 2)
    traces = baseline_lines(inside, reach, label_left=True)
    for number, one in enumerate(trained):
        marker = {"size": 11, "color": ink[one.name]}
        traces.append(
            scatter(
                [one.parameters],
                [100 * one.accuracy.mean],
                "markers+text",
                error_y=error_bars([(one.accuracy.mean, one.interval)]),
                marker=marker,
                text=[plain(one.label)],
                textposition="top center" if number % 2 else "bottom center",
                meta="wide",  # on a phone without these labels: colours are those of the table
                hovertext=[_hover(one, result)],
                hoverinfo="text",
                xaxis="x",
                yaxis="y",
            )
        )
        seeds = {"symbol": "line-ew-open", "size": 9, "color": ink[one.name]}
        places = [100 * value for value in one.accuracy.values]
        traces.append(scatter([one.parameters] * len(places), places, "markers", marker=seeds, hoverinfo="skip", xaxis="x", yaxis="y"))
        page = one.forgetting.page
        bars = error_bars([(page.mean, (page.low, page.high))], scale=1)
        hover = plain(f"{one.label}: {page.mean:+.3f} nats per token of an unrelated page")
        extra = {"hovertext": [hover], "hoverinfo": "text", "xaxis": "x", "yaxis": "y2"}
        traces.append(scatter([one.parameters], [page.mean], "markers", error_y=bars, marker=marker, **extra))
    best = max(trained, key=lambda one: one.accuracy.mean, default=None)
    title = f"Highest: {best.label}, {percent(best.accuracy.mean)} of {result.rows} held-out rows" if best else "No method was trained"
    note = (
        "Above: bars are 95 % intervals (Wilson, one seed's rows), short marks are seeds, dashed lines are baselines. "
        "Below: how much the loss of an unrelated page grew, with its range over seeds; 0 where the model is not changed."
    )
    return figure(
        title,
        f"{note} Below the upper axis: {below}." if below else note,
        traces,
        height=520,
        xaxis=axis("trained parameters", type="log", exponentformat="SI", dtick=1, anchor="y2"),
        yaxis=axis("% right", range=[low - 4 * (100 - low) / 100, 100 + 12 * (100 - low) / 100], domain=[0.36, 1.0]),
        yaxis2=axis("forgetting", domain=[0.0, 0.28], zeroline=True),
    )


def _hover(one: MethodResult, result: SpectrumResult) -> str:
    seeds = ", ".join(percent(value) for value in one.accuracy.values)
    return plain(f"{one.label}: {one.parameters:,} parameters, {percent(one.accuracy.mean)} right (seeds: {seeds}), rate {one.rate:g}")
