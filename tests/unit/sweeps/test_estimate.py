"""What a sweep will cost, before it starts."""

from tiny_models import answer_task, label_task

from core.recipe import Recipe
from core.sweeps import estimate as estimates
from core.sweeps.estimate import estimate
from core.sweeps.grid import Grid
from core.sweeps.result import Part, RunResult
from core.sweeps.sweep import sweep_grid


def test_parameters_are_those_of_the_runs_and_the_refused_are_named(lm):
    grid = Grid(Recipe(steps=2, batch_size=2), {"virtual_tokens": (1, 3, 200), "method": ("prompt", "prefix")}, seeds=1)
    found = estimate(lm, answer_task(), grid)
    result = sweep_grid(lm, answer_task(), grid, progress=False)
    assert {run.cell: run.parameters for run in result.runs} == {one.cell: one.parameters for one in found.cells if not one.problem}
    refused = [one.cell.values["virtual_tokens"] for one in found.cells if one.problem]
    assert refused == [200, 200] and len(result.failed) == 2
    assert found.runs == 6 and found.seconds > 0


def test_at_most_four_lengths_of_a_way_to_train_are_measured_and_known_runs_cost_nothing(lm, monkeypatch):
    measured = []

    def seconds(training):
        measured.append(training.recipe.virtual_tokens)
        return training.recipe.virtual_tokens / 10

    monkeypatch.setattr(estimates, "_step_seconds", seconds)
    monkeypatch.setattr(estimates, "_row_seconds", lambda *_: 0.0)
    grid = Grid(Recipe(steps=10, batch_size=2), {"virtual_tokens": tuple(range(1, 11))}, seeds=2)
    found = estimate(lm, label_task(), grid)
    assert measured == [1, 4, 7, 10]
    assert found.cells[1].seconds == 2.0 and round(found.seconds) == 2 * 55
    plans = grid.runs()
    known = {plan.key: RunResult(plan.key, plan.cell.values, plan.seed, 10, 1, 0.1, "", Part(0.5, 1.0, 4)) for plan in plans[2:]}
    rest = estimate(lm, label_task(), grid, known)
    assert (rest.runs, rest.seconds) == (2, 2.0)


def test_memory_that_is_not_there_is_told_before_anything_runs(lm, monkeypatch):
    from core.training import memory

    monkeypatch.setattr(memory, "available", lambda _: 1000)
    found = estimate(lm, answer_task(), Grid(Recipe(steps=2), {"virtual_tokens": (1, 2)}, 1))
    assert all("of memory" in one.problem for one in found.cells) and found.seconds == 0
