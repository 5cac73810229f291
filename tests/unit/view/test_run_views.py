"""Figures and HTML are pure functions of a record: what they draw, and that no text in them becomes markup."""

import json

import hypothesis.strategies as st
import plotly.graph_objects as go
import pytest
from hypothesis import given
from made_up import trained_record
from tiny_models import answer_task, make

from app.components.controls import control, recipe_from
from app.view import figures
from app.view.bars import bars
from app.view.headline import headline, imitated
from app.view.html import Html
from app.view.links import ON_PAGE
from app.view.nearest import chips, nearest_verdict
from app.view.progress import progress
from app.view.report import report
from app.view.samples import samples
from app.view.text import token
from core import LabError
from core.recipe import Recipe
from core.runs.record import RunRecord, new_record
from core.runs.record_json import record_from_json, record_to_json
from core.tasks.task import Handcrafted

HOSTILE = "<img src=x onerror=alert(1)>"


def test_what_a_prompt_imitates_is_told_on_every_page_and_in_the_report():
    lm = make("llama", max_position_embeddings=1024)
    task = answer_task(handcrafted=(Handcrafted(HOSTILE, "jump -> yes\n{input} ->"),))
    recipe = Recipe(task="tiny", loss="imitate", teacher="jump -> yes\n{input} ->", template="{input} ->", virtual_tokens=3, steps=2)
    made = trained_record(lm, task, recipe)
    found = made.imitation
    for text in (imitated(made), imitated(record_from_json(record_to_json(made)), "run 1"), report(made)):
        assert f"give the same answer on {found.learned.same} of {found.learned.n} held-out rows" in text
        assert "of “&lt;img src=x" in text and HOSTILE not in text
    assert "KL from teacher" in json.dumps(figures.curves(made)) and "KL" not in json.dumps(
        figures.curves(trained_record(lm, task, Recipe(task="tiny", virtual_tokens=3, steps=2)))
    )
    assert imitated(new_record(task, recipe)) == ""


@pytest.fixture(scope="module", params=["prompt", "prefix"])
def record(request) -> RunRecord:
    """A whole run on a tiny model, its task's names hostile."""
    lm = make("llama", max_position_embeddings=1024)
    task = answer_task(name=HOSTILE, handcrafted=(Handcrafted(HOSTILE, "Word: {input} gives"), Handcrafted("plain", "{input} ->")))
    recipe = Recipe(task="tiny", method=request.param, virtual_tokens=3, steps=6)
    made = trained_record(lm, task, recipe)
    assert made.finished and made.step == 6
    return made


def test_curves_hold_every_step_and_a_dashed_line_for_each_handcrafted_prompt(record):
    value = figures.curves(record)
    loss = next(trace for trace in value["data"] if trace["name"] == "training loss")
    assert loss["x"] == [1, 2, 3, 4, 5, 6]
    assert loss["y"] == pytest.approx(record.losses, abs=1e-3)
    dashed = [trace for trace in value["data"] if trace.get("line", {}).get("dash") == "dash"]
    assert len(dashed) == len(record.lines) == 3  # no prompt, and the two that were written
    assert value["layout"]["uirevision"] == "keep"


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_plane_ends_where_the_vectors_are(record, dimensions):
    value = figures.plane(record, 4, chosen=1, dimensions=dimensions)
    last = value["data"][-1]
    assert last["x"] == pytest.approx(record.readings[4].place[:, 0].tolist(), abs=2e-3)
    assert last["customdata"] == [0, 1, 2]
    others, mine = (trace for trace in value["data"] if trace["mode"] == "lines")
    assert len(mine["x"]) == 6 and len(others["x"]) == 12  # 5 places each, and a gap behind each path
    assert mine["x"][:5] == pytest.approx([float(record.readings[step].place[1, 0]) for step in range(5)], abs=2e-3)


def test_plotly_knows_everything_that_stands_in_a_figure(record):
    for value in (figures.curves(record, 2), figures.plane(record, 4, chosen=1, control=True), figures.plane(record, 4, dimensions=3)):
        made = go.Figure(data=value["data"], layout=value["layout"])  # raises for an unknown attribute
        assert len(made.data) == len(value["data"]) > 0
    assert "step 4" in value["note"] and "% of the variance" in value["note"]


def test_no_name_becomes_markup_in_a_figure_or_in_html(record):
    drawn = json.dumps([figures.curves(record), figures.plane(record, 6)])
    assert "<img" not in drawn
    pieces = [headline(record), bars(record.scores, "x", record.task["handcrafted"]), chips(record, 6, None)]
    assert "<img" not in "".join([*pieces, samples(record, 6), progress(record, "done", 0, None)])


@pytest.mark.parametrize(
    "status, others, wait, said",
    [
        ("waiting", 3, 2.2, "Waiting for the device: 3 before you, about 2 s."),
        ("waiting", 3, 0.1, "3 before you, about 1 s."),
        ("waiting", 3, None, "Waiting for the device: 3 before you."),
        ("waiting", 0, 0.0, "Starting …"),
        ("running", 4, None, "Step 0 of 60, sharing the device with 4 others."),
        ("running", 1, None, "Step 0 of 60, sharing the device with 1 other."),
        ("running", 0, None, "Step 0 of 60."),
    ],
)
def test_progress_says_who_else_wants_the_device(status, others, wait, said):
    assert said in progress(new_record(answer_task(), Recipe(steps=60)), status, others, None, wait)


def test_a_record_written_and_read_again_shows_the_same(record):
    again = record_from_json(record_to_json(record))
    assert chips(again, 6, 1) == chips(record, 6, 1)
    assert headline(again) == headline(record)
    assert figures.plane(again, 6)["data"][0]["x"] == pytest.approx(figures.plane(record, 6)["data"][0]["x"], abs=2e-3)


def test_the_control_stands_beside_every_nearest_token():
    made = trained_record(make("llama"), answer_task(), Recipe(task="tiny", virtual_tokens=4, steps=2))
    assert chips(made, 2, None).count("moved equally far in a random direction") == 4
    made.start_known = False
    assert "no control" in nearest_verdict(made, 2)


@given(st.text())
def test_any_token_is_legible_and_no_markup(text):
    shown = Html.escape(token(text))
    assert shown.strip()
    assert "<" not in shown and '"' not in shown


def test_every_recipe_field_has_a_control_with_the_recipes_default():
    values = {name: control(setting).value for name, setting in ON_PAGE.items()}
    assert values == {name: getattr(Recipe(), name) for name in ON_PAGE}
    assert recipe_from(values, answer_task()) == Recipe(task="tiny")


@pytest.mark.parametrize(
    ("name", "value"), [("steps", None), ("steps", 2.5), ("virtual_tokens", 0), ("learning_rate", None), ("method", "x")]
)
def test_a_controls_bad_value_is_named(name, value):
    values = {setting: control(facts).value for setting, facts in ON_PAGE.items()} | {name: value}
    with pytest.raises(LabError, match=ON_PAGE[name].label):
        recipe_from(values, answer_task())
