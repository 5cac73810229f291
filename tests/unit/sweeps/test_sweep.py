"""Sweeps over tiny models: what they train, what they keep, and what they choose."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import answer_task, label_task, make

import core
from core.errors import LabError
from core.methods import METHODS
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.sweeps.grid import Grid
from core.sweeps.outcome import SweepResult, spread
from core.sweeps.sweep import Planned, RunBegan, RunDone, RunFailed, RunStep, SweepDone, sweep_steps
from core.sweeps.variants import first_rows, swapped
from core.tasks.task import Example
from core.training.training import Training

TINY = Recipe(steps=4, batch_size=4, virtual_tokens=2)
SIX = {"virtual_tokens": (1, 2, 3)}


def run(lm, task, grid, done=None, **more):
    return [event for event in sweep_steps(lm, task, grid, Scorebook(), done, **more) if event is not None]


def test_events_say_what_is_planned_each_step_and_what_each_run_gave(lm):
    grid = Grid(TINY, {"virtual_tokens": (1, 3)}, seeds=2)
    events = run(lm, answer_task(), grid)
    assert isinstance(events[0], Planned) and (events[0].runs, len(events[0].cells)) == (4, 2)
    assert [event.plan for event in events if isinstance(event, RunBegan)] == grid.runs()
    assert [event.step for event in events if isinstance(event, RunStep)] == [1, 2, 3, 4] * 4
    done = [event for event in events if isinstance(event, RunDone)]
    result = events[-1].result
    assert isinstance(events[-1], SweepDone) and result.runs == tuple(event.result for event in done)
    for event in done:
        record = event.record
        assert record.finished and record.recipe["virtual_tokens"] == event.plan.cell.values["virtual_tokens"]
        assert record.recipe["task"] == "tiny" and record.final_vectors() is not None
        assert event.result.losses == tuple(record.losses)
        assert event.result.held_out.accuracy == record.held_out["learned"].accuracy
        assert event.result.held_out.right == tuple(row.correct for row in record.held_out["learned"].results)
        assert [step for step, *_ in event.result.curve] == [1, 2, 3, 4]


@pytest.mark.parametrize("finished", [0, 2, 5])
def test_six_runs_killed_and_resumed_equal_the_uninterrupted_ones(lm, finished):
    grid, task = Grid(TINY, SIX, seeds=2), answer_task()
    whole = run(lm, task, grid)[-1].result
    kept = {}
    events = sweep_steps(make("llama"), task, grid, Scorebook())
    for event in events:
        if isinstance(event, RunDone):
            kept[event.plan.key] = event.result
        if len(kept) == finished and isinstance(event, RunStep) and event.step == 2:
            events.close()  # amid the next run
    resumed = run(make("llama"), task, grid, kept)
    assert [event.known for event in resumed if isinstance(event, RunDone)] == [True] * finished + [False] * (6 - finished)
    assert resumed[-1].result == whole and len(whole.runs) == 6


def test_stopping_ends_the_sweep_and_keeps_the_finished_runs(lm):
    seen = []
    events = sweep_steps(lm, answer_task(), Grid(TINY, SIX, seeds=2), Scorebook(), stopping=lambda: len(seen) >= 2)
    last = None
    for event in events:
        if isinstance(event, RunDone):
            seen.append(event)
        last = event or last
    assert len(last.result.runs) == 2 and last.result.stopped == "stopped by hand after 2 of 6 runs"


def test_a_run_that_cannot_be_made_is_told_and_the_others_go_on(lm):
    task = label_task(template="{input}")
    events = run(lm, task, Grid(TINY, {"virtual_tokens": (2, 200)}, seeds=1))
    failed = [event for event in events if isinstance(event, RunFailed)]
    assert [event.plan.cell.values for event in failed] == [{"virtual_tokens": 200}] and "positions" in failed[0].reason
    result = events[-1].result
    assert len(result.runs) == 1 and result.failed[0].reason == failed[0].reason and result.best is not None


@pytest.mark.parametrize("method", METHODS)
def test_parameters_are_those_that_are_trained(lm, method):
    grid = Grid(Recipe(steps=1, batch_size=2), {"method": (method,), "virtual_tokens": (1, 4)}, seeds=1)
    for plan, result in zip(grid.runs(), run(lm, answer_task(), grid)[-1].result.runs, strict=True):
        training = Training(lm, answer_task(), plan.recipe)
        assert result.parameters == sum(p.numel() for p in training.prefix.parameters() if p.requires_grad)
        recipe = plan.recipe
        assert result.parameters == METHODS[method].parameter_count(lm.shape, recipe.virtual_tokens, recipe.mlp)


def test_held_out_rows_have_no_say_in_the_choice(lm):
    task = label_task()
    grid = Grid(replace(TINY, steps=6), {"learning_rate": (0.001, 0.05, 1.0)}, seeds=2)
    clean = run(lm, task, grid)[-1].result
    garbage = tuple(Example(f"zzz {number} ### call()", task.labels[number % 2]) for number in range(7))
    poisoned = run(lm, replace(task, held_out=garbage), grid)[-1].result
    assert [one.held_out for one in clean.runs] != [one.held_out for one in poisoned.runs]
    assert [(one.validation, one.curve, one.losses) for one in clean.runs] == [
        (one.validation, one.curve, one.losses) for one in poisoned.runs
    ]
    assert clean.best == poisoned.best


def test_the_best_cell_is_chosen_on_validation_then_parameters_then_loss(lm):
    result = run(lm, label_task(), Grid(TINY, SIX, seeds=2))[-1].result

    def given(*rows):
        """Each cell's validation accuracy and loss, and its parameters; its held-out accuracy says the opposite."""
        runs = []
        for one in result.runs:
            accuracy, loss, parameters = rows[one.settings["virtual_tokens"] - 1]
            validation, held_out = replace(one.validation, accuracy=accuracy, loss=loss), replace(one.held_out, accuracy=1 - accuracy)
            runs.append(replace(one, validation=validation, held_out=held_out, parameters=parameters))
        return replace(result, runs=tuple(runs))

    assert given((0.5, 1.0, 10), (0.75, 9.0, 20), (0.5, 0.1, 30)).best.values == {"virtual_tokens": 2}
    assert given((0.5, 1.0, 10), (0.75, 1.0, 30), (0.75, 9.0, 20)).best.values == {"virtual_tokens": 3}
    assert given((0.75, 2.0, 10), (0.75, 1.0, 10), (0.75, 3.0, 10)).best.values == {"virtual_tokens": 2}
    part = given((0.5, 1.0, 10), (0.75, 1.0, 20), (0.6, 1.0, 30))
    assert replace(part, runs=tuple(one for one in part.runs if (one.settings["virtual_tokens"], one.seed) != (2, 1))).best.values == {
        "virtual_tokens": 3
    }, "a cell with a seed missing takes no part"


def test_swapped_labels_are_permuted_alike_everywhere_and_scored_so(lm):
    task = label_task(labels=("bad", "very good"))
    other = swapped(task)
    after = {"bad": "very good", "very good": "bad"}
    for part in ("train", "validation", "held_out"):
        assert [(row.input, row.output) for row in getattr(other, part)] == [(row.input, after[row.output]) for row in getattr(task, part)]
    assert other.labels == task.labels and other.slug != task.slug and swapped(other).train == task.train
    result = run(lm, task, Grid(TINY, {"answers": ("right", "swapped")}, seeds=1))[-1].result
    names = {name: one.held_out.accuracy for name, one in result.baselines.items()}
    bare = [value for name, value in names.items() if name.startswith("no prompt")]
    assert len(bare) == 2 and sum(bare) == pytest.approx(1), "two labels: right on one mapping is wrong on the other"
    with pytest.raises(LabError, match="among labels only"):
        run(lm, answer_task(), Grid(TINY, {"answers": ("swapped",)}))


def test_three_labels_are_swapped_in_a_circle():
    rows = tuple(Example(f"row {number}", "abc"[number % 3]) for number in range(9))
    other = swapped(label_task(labels=("a", "b", "c"), train=rows, validation=rows[:3], held_out=rows[3:]))
    assert "".join(row.output for row in other.train) == "bcabcabca"


def test_fewer_rows_are_nested_follow_the_seed_and_all_rows_are_the_task_itself():
    task = answer_task()
    few, more = first_rows(task, 4, 0), first_rows(task, 8, 0)
    assert set(few.train) < set(more.train) < set(task.train) and len(few.train) == 4
    assert first_rows(task, len(task.train), 0) == task and first_rows(task, 4, 1).train != few.train
    assert few.validation == task.validation and few.held_out == task.held_out


def test_runs_on_few_rows_are_also_scored_on_these(lm):
    result = run(lm, answer_task(), Grid(TINY, {"rows": (4, "all")}, seeds=1))[-1].result
    assert [(one.train_rows, one.seen.n) for one in result.runs] == [(4, 4), (12, 12)]
    assert [list(curve.x) for curve in result.curve("rows", "seen_loss")] == [[4, 12]]


def test_from_python_the_result_has_tables_plots_data_and_survives_json(lm):
    seen = []
    vary = {"virtual_tokens": [1, 3], "method": ["prompt", "prefix"]}
    result = core.sweep(lm, answer_task(), TINY, vary=vary, seeds=2, progress=seen.append)
    assert isinstance(result, SweepResult) and any(isinstance(event, SweepDone) for event in seen)
    assert len(result.table()) == 8 and list(result.summary()["runs"]) == [2, 2, 2, 2]
    curves = result.curve("virtual_tokens", "held_out_loss")
    assert [curve.name for curve in curves] == ["soft prompt", "K/V prefix"] and list(curves[0].x) == [1, 3]
    heat = result.grid("virtual_tokens", "method", "held_out_loss")
    assert np.array_equal(heat.mean[0], curves[0].mean) and heat.n.tolist() == [[2, 2], [2, 2]]
    assert SweepResult.from_json(result.to_json()) == result
    assert "8 of 8 runs" in repr(result) and "no prompt" in repr(result) and "<table>" in result._repr_html_()
    rates = {one.settings["method"]: Recipe(method=one.settings["method"]).learning_rate for one in result.runs}
    assert rates == {"prompt": 0.03, "prefix": 0.01}
    for wrong in ("{}", "x", result.to_json().replace('"seeds":2', '"seeds":"x"')):
        with pytest.raises(LabError, match="not the result of a sweep"):
            SweepResult.from_json(wrong)
    for call in (lambda: result.curve("rows"), lambda: result.curve("method", "held_out_acuracy"), lambda: result.grid("method", "method")):
        with pytest.raises(LabError):
            call()


def test_the_interval_is_students_and_one_seed_has_none():
    found = spread([0.5, 0.7, 0.6])
    assert (found.mean, found.sd, found.high) == (
        pytest.approx(0.6),
        pytest.approx(0.1),
        pytest.approx(0.6 + 4.3027 * 0.1 / 3**0.5, abs=1e-4),
    )
    assert np.isnan(spread([0.5]).low) and spread([1.0, 1.0]).low == 1.0 and spread([0.9, 1.0], "held_out_accuracy").high == 1.0
