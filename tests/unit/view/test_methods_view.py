"""The table and the figure of the spectrum: what they count, and that no text in them becomes markup."""

import re
from dataclasses import replace

import plotly.graph_objects as go

from app.view import figures
from app.view.methods_table import methods_table, methods_text
from core.finetuning.result import Baseline, Forgetting, MethodResult, SpectrumResult, Spread, Tried


def a_method(name="lora", label="LoRA", parameters=1000, accuracy=(0.5, 0.7), page=(2.5, 2.7), **changes) -> MethodResult:
    tried = tuple(Tried(rate, loss) for rate, loss in ((0.001, 2.0), (0.003, 1.0), (0.01, None))) if parameters else ()
    found = MethodResult(
        name=name,
        label=label,
        about="weights",
        parameters=parameters,
        accuracy=Spread.of(list(accuracy)),
        interval=(0.4, 0.8),
        loss=Spread.of([1.0, 2.0]),
        rate=0.003 if parameters else 0.0,
        tried=tried,
        seconds=0.5,
        peak=2_000_000,
        stored=4 * parameters,
        forgetting=Forgetting(2.0, Spread.of(list(page)), {"capitals": 1.0}, {"capitals": Spread.of([page[0] - 1] * 2)}),
    )
    return replace(found, **changes)


def a_result(*methods: MethodResult) -> SpectrumResult:
    return SpectrumResult(
        task="tiny", model="m", device="cpu", dtype="float32", rows=20, validation_rows=9, training_rows=30, steps=30, search_steps=15,
        batch_size=16, virtual_tokens=10, seeds=(0, 1), methods=methods, baselines=(Baseline("<b>best</b>", 0.3, (0.1, 0.5)),),
        refused={"full": "Too large."}, memory="as counted",
    )  # fmt: skip


NONE = a_method("none", "no training", 0, (0.1, 0.1), (2.0, 2.0))
PROMPT = a_method("prompt", "soft <i>prompt</i>", 100, (0.8, 0.9), (2.0, 2.0))


def test_the_table_shows_means_ranges_costs_and_exact_zeros():
    made = str(methods_table(a_result(NONE, PROMPT, a_method())))
    assert "<i>prompt" not in made and "soft &lt;i&gt;prompt" in made
    rows = [re.sub("<[^>]+>", " ", row).split() for row in made.split("<tr")[2:]]
    assert "80–90" in rows[1] and rows[1][-2:] == ["0", "0"]  # exactly: no sign, no decimals
    lora = " ".join(rows[2])
    assert "60 %" in lora and "50–70" in lora and "1,000" in lora and "+0.60" in lora and "+0.50" in lora and "2 MB" in lora
    assert "Left out, full: Too large." in made and "lowest loss on 9 validation rows after 15 steps" in made


def test_a_rate_at_the_edge_of_those_tried_is_marked():
    assert "0.003 " in methods_text(a_result(a_method())) and "0.003*" not in methods_text(a_result(a_method()))
    edge = methods_text(a_result(a_method(rate=0.001)))
    assert "0.001*" in edge and "one beyond may be better: LoRA" in edge


def test_runs_that_ended_early_and_notes_are_told():
    text = methods_text(a_result(a_method(stopped=1, note="biases were added")))
    assert "LoRA: 1 of 2 runs ended early." in text and "LoRA: biases were added." in text


def test_the_figure_has_a_point_with_its_interval_for_each_method_and_a_line_for_each_baseline():
    value = figures.methods(a_result(NONE, PROMPT, a_method()))
    made = go.Figure(data=value["data"], layout=value["layout"])
    assert "<b>" not in str(value["data"]) and "<i>" not in str(value["data"])
    dashed = [trace for trace in made.data if trace.line.dash == "dash"]
    assert sorted(trace.y[0] for trace in dashed) == [10, 30]
    points = [trace for trace in made.data if trace.yaxis == "y" and trace.error_y.array is not None]
    assert [(trace.x[0], round(trace.y[0])) for trace in points] == [(100, 85), (1000, 60)]
    forgotten = [trace for trace in made.data if trace.yaxis == "y2"]
    assert [round(trace.y[0], 3) for trace in forgotten] == [0.0, 0.6]
    assert value["title"].startswith("Highest: soft") and "85 %" in value["title"]


def test_a_figure_of_no_trained_method_is_drawn():
    value = figures.methods(a_result(NONE))
    go.Figure(data=value["data"], layout=value["layout"])
    assert value["title"] == "No method was trained"


def test_where_all_are_high_the_axis_shows_what_lies_between_them_and_the_note_tells_the_rest():
    high = [a_method(accuracy=(0.93, 0.95), interval=(0.86, 0.99)), a_method("ia3", parameters=10, interval=(0.9, 1.0))]
    value = figures.methods(a_result(NONE, *high))
    assert 75 < value["layout"]["yaxis"]["range"][0] < 80 < 100 < value["layout"]["yaxis"]["range"][1]
    assert value["note"].endswith("Below the upper axis: <b>best</b> 30 %, no training 10 %.")
    assert not [trace for trace in value["data"] if trace.get("line", {}).get("dash") == "dash"]
