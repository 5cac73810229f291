"""Every question runs on tiny models and says what was measured; the estimate counts what is really trained."""

import pytest
from tiny_models import answer_task, label_task, make

from core.errors import LabError
from core.recipe import Recipe
from core.sweeps.compare import compare
from core.sweeps.estimate import Estimated, estimate_steps
from core.sweeps.questions import QUESTIONS, question
from core.sweeps.sweep import RunDone, SweepDone, sweep_grid, sweep_steps

BASE = Recipe(steps=3, batch_size=4, virtual_tokens=2)


@pytest.fixture(scope="module")
def lm():
    return make("llama")


@pytest.mark.parametrize("slug", [one.slug for one in QUESTIONS])
def test_a_question_is_answered_in_a_sentence_of_what_was_measured(lm, slug):
    asked, task = question(slug), label_task()
    result = sweep_grid(lm, task, asked.grid(task, BASE, lm.shape, seeds=2), progress=False)
    assert not result.failed and len(result.runs) == result.planned
    said = asked.reading(result)
    assert "%" in said and said.endswith(".") and "nan" not in said


def test_labels_can_be_swapped_only_where_there_are_some(lm):
    with pytest.raises(LabError, match="choose a task with labels"):
        question("swapped").grid(answer_task(), BASE, lm.shape)


def test_an_unknown_question_names_those_that_are_near():
    with pytest.raises(LabError, match="did you mean virtual-tokens"):
        question("virtual-token")


def test_at_equal_parameters_they_are_equal(lm):
    task = label_task()
    grid = question("equal-parameters").grid(task, BASE, lm.shape)
    done = [event for event in sweep_steps(lm, task, grid) if isinstance(event, RunDone)]
    counts = [event.record.parameters for event in done]
    assert counts[: len(counts) // 2 * 2 : 2 * grid.seeds] and all(
        abs(counts[place] - counts[place + grid.seeds]) <= lm.shape.d_model for place in range(0, len(counts), 2 * grid.seeds)
    )


def test_the_estimate_counts_what_is_trained_and_names_what_can_not_be(lm):
    task = answer_task()
    grid = question("virtual-tokens").grid(task, BASE, lm.shape, seeds=1)
    estimated = next(event for event in estimate_steps(lm, task, grid) if isinstance(event, Estimated))
    trained = {event.plan.cell: event.record for event in sweep_steps(lm, task, grid) if isinstance(event, RunDone)}
    assert {cost.cell: cost.parameters for cost in estimated.cells} == {cell: record.parameters for cell, record in trained.items()}
    assert all(record.parameters == record.final_vectors().size for record in trained.values())
    assert estimated.seconds > 0
    too_long = question("virtual-tokens").grid(task, BASE.but(template="{input} " + "word " * 150), lm.shape, seeds=1)
    costs = next(event for event in estimate_steps(lm, task, too_long) if isinstance(event, Estimated)).cells
    assert all(cost.problem for cost in costs)


def test_a_cell_compared_with_itself_is_zero_apart_and_a_difference_of_all_rows_is_clear(lm):
    task = label_task()
    done = next(event for event in sweep_steps(lm, task, question("seeds").grid(task, BASE, lm.shape)) if isinstance(event, SweepDone))
    cell = done.result.cells()[0].cell
    apart = compare(done.result, cell, cell)
    assert apart and apart.difference == 0 and not apart.clear and "too close to call" in apart.words
