"""The Experiments page's figure and table: what was found is drawn as it is, text is escaped, and nothing is drawn of nothing."""

import math

import plotly.graph_objects as go
import pytest
from tiny_models import answer_task, label_task, make

from app.view import experiments as view
from app.view import figures
from core.recipe import Recipe
from core.sweeps.grid import Grid
from core.sweeps.outcome import SweepResult
from core.sweeps.questions import QUESTIONS
from core.sweeps.recorded import recorded
from core.sweeps.result import head_of
from core.sweeps.sweep import sweep_grid

BASE = Recipe(steps=2, batch_size=4, virtual_tokens=2)


@pytest.fixture(scope="module")
def lm():
    return make("llama")


def drawn(result):
    made = figures.sweep(result)
    go.Figure(made["data"], made["layout"])  # plotly knows every attribute
    return made


def test_one_setting_is_a_line_with_a_dot_for_every_run(lm):
    result = sweep_grid(lm, answer_task(), Grid(BASE, {"virtual_tokens": (1, 3)}, 2), progress=False)
    made = drawn(result)
    dots = next(trace for trace in made["data"] if trace["mode"] == "markers")
    assert len(dots["x"]) == 4
    table = view.results(result, {run.key: place for place, run in enumerate(result.runs)})
    assert table.count("data-cell=") == 4 and "★" in table and "nan" not in table


def test_words_as_a_second_setting_are_lines_and_numbers_a_heat_map(lm):
    lines = sweep_grid(lm, answer_task(), Grid(BASE, {"virtual_tokens": (1, 2), "method": ("prompt", "prefix")}, 1), progress=False)
    assert {"soft prompt", "K/V prefix"} <= {trace["name"] for trace in drawn(lines)["data"]}
    numbers = Grid(BASE, {"virtual_tokens": (1, 2, 3, 4, 5), "batch_size": (1, 2, 3, 4, 5)}, 1)
    head = head_of(lm, answer_task(), numbers)
    some = sweep_grid(lm, answer_task(), Grid(BASE, {"virtual_tokens": (1,), "batch_size": (2,)}, 1), progress=False)
    made = drawn(SweepResult(head, some.runs))
    cells = made["data"][0]["z"]
    assert len(cells) == 5 and sum(not math.isnan(value) for line in cells for value in line) == 1


def test_nothing_trained_draws_nothing_and_what_can_not_be_trained_is_named(lm):
    grid = Grid(BASE, {"virtual_tokens": (200,)}, 1)
    result = sweep_grid(lm, answer_task(), grid, progress=False)
    assert figures.sweep(result) is None and not view.results(result, {})
    assert "use fewer virtual tokens" in view.failures(result)


def test_names_of_prompts_and_values_are_text(lm):
    task = label_task(name="<img src=x>")
    result = sweep_grid(lm, task, Grid(BASE, {"template": ("{input} <b>", "{input} %{x}")}, 1), progress=False)
    assert "<b>" not in view.results(result, {}) and "&lt;b&gt;" in view.results(result, {})
    assert "%{x}" not in str(drawn(result)["layout"]["xaxis"]["ticktext"])
    assert "<img" not in view.planned(result.head.grid, task.name, None, False)


def test_every_recorded_answer_is_shown_with_its_origin():
    shown = [(one, found) for one in QUESTIONS if (found := recorded(one.slug))]
    assert shown
    for asked, found in shown:
        told = view.recorded(found, asked.reading(found.result))
        assert "Recorded" in told and "python -m app sweep" in told and "%" in told
        drawn(found.result)
        assert view.results(found.result, {})
