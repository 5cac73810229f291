"""Rows longer than the model's window are cut at the end that was chosen, or left out; others stay as they are."""

import pytest
from task_files import as_csv, everything, refused
from tiny_models import make

from core.scoring.fit_rows import fitted
from core.tasks.load import read_task


@pytest.fixture(scope="module")
def lm():
    return make("llama", max_position_embeddings=64)


@pytest.fixture(scope="module")
def task():
    return read_task(
        as_csv([(f"first{at} {'so ' * (200 if at % 4 == 0 else 2)}last{at}", "xy"[at % 2]) for at in range(24)], ("text", "label")), "x.csv"
    )


def test_rows_that_fit_are_the_same_task(lm):
    task = read_task(as_csv([(f"one {at}", "xy"[at % 2]) for at in range(12)], ("text", "label")), "x.csv")
    assert fitted(lm, task) is task


@pytest.mark.parametrize("way, kept, gone", [("end", "first", "last"), ("beginning", "last", "first")])
def test_a_long_row_is_cut_at_the_end_that_is_chosen(lm, task, way, kept, gone):
    made = fitted(lm, task, way)
    assert made.slug != task.slug and made.notes[-1] == f"6 rows were longer than the model's window of 64 tokens: their {way} was cut."
    short = {row.input for row in everything(task) if "so so so" not in row.input}
    changed = [row for row in everything(made) if row.input not in short]
    assert len(changed) == 6 and len(everything(made)) == 24
    for row in changed:
        assert kept in row.input and gone not in row.input
        assert len(lm.tokenise(made.template.replace("{input}", row.input))) + 16 < 64  # sixteen vectors fit before it


def test_long_rows_can_be_left_out(lm, task):
    made = fitted(lm, task, "leave out")
    assert len(everything(made)) == 18 and "they were left out" in made.notes[-1]


def test_a_template_that_fills_the_window_is_refused(lm):
    rows = as_csv([(f"one {at}", "xy"[at % 2] + " so" * 90) for at in range(12)])
    with refused("fill the model's window of 64 tokens"):
        fitted(lm, read_task(rows, "x.csv"))
