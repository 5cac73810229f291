"""The rule that takes defaults from recorded results, on made-up ones."""

from dataclasses import replace

import pytest
from tiny_models import answer_task

from app.view.atlas import choice_lines
from core.recipe import Recipe
from core.sweeps.atlas import Atlas
from core.sweeps.defaults import choices
from core.sweeps.grid import Grid
from core.sweeps.outcome import SweepResult
from core.sweeps.result import Part, RunResult, head_of

PROMPT = Recipe(method="prompt")


def sweep(lm, vary, accuracies, base=PROMPT, curves=None):
    """A sweep with three seeds whose validation accuracies are `accuracies`, by value."""
    grid = Grid(base, vary, 3)
    runs = []
    for plan in grid.runs():
        value = plan.cell.settings[-1][1]
        right = accuracies[value] + (plan.seed - 1) * 0.01
        curve = (curves or {}).get(value, ())
        part = Part(right, 1.0, 20)
        runs.append(RunResult(plan.key, plan.cell.values, plan.seed, 60, 10, 1.0, "", part, part, curve=curve))
    return SweepResult(head_of(lm, answer_task(), grid), tuple(runs))


def atlas(lm, name, by_task):
    made = {f"task-{number}": (sweep(lm, {name: tuple(values)}, values),) for number, values in enumerate(by_task)}
    return Atlas(choices=made)


def found(made):
    return {(one.method, one.setting): one.found for one in choices(made)}


def test_another_value_takes_the_place_of_a_default_where_it_gains_on_every_task(lm):
    clear = [{5: 0.5, 0: 0.60, 20: 0.55}, {5: 0.2, 0: 0.31, 20: 0.20}, {5: 0.8, 0: 0.89, 20: 0.1}]
    made = atlas(lm, "warmup", clear)
    assert found(made) == {("prompt", "warmup"): 0}
    one = choices(made)[0]
    assert one.means[0] == pytest.approx(0.6) and one.gains[0].mean == pytest.approx(0.1) and one.gains[0].low > 0 and one.tasks == 3
    assert "5 → 0" in choice_lines(choices(made))[-1] and "0: 60 % (+10, +8 to +12)" in choice_lines(choices(made))[-1]


def test_a_default_stays_where_the_gain_could_be_chance_or_is_on_some_tasks_alone(lm):
    assert found(atlas(lm, "warmup", [{5: 0.5, 0: 0.9}, {5: 0.5, 0: 0.5}, {5: 0.5, 0: 0.4}])) == {("prompt", "warmup"): 5}
    assert found(atlas(lm, "init", [{"vocab": 0.5, "examples": 0.5}] * 3)) == {("prompt", "init"): "vocab"}
    assert "| sampled vocabulary |" in choice_lines(choices(atlas(lm, "init", [{"vocab": 0.5, "examples": 0.5}] * 3)))[-1]


def test_more_of_what_costs_time_has_to_be_worth_it(lm):
    def sizes(gain):
        tasks = {}
        for number, base in enumerate((0.3, 0.5, 0.7)):
            values = {10: base, 5: base - 0.1, 20: base + gain + number * 0.001}
            tasks[f"task-{number}"] = sweep(lm, {"method": ("prompt",), "virtual_tokens": (10, 5, 20)}, values)
        return found(Atlas(tasks))

    assert sizes(0.03) == {("prompt", "virtual_tokens"): 10}
    assert sizes(0.06) == {("prompt", "virtual_tokens"): 20}


def test_steps_are_compared_along_the_same_runs(lm):
    def curves(late):
        return {120: tuple((step, right, 1.0) for step, right in ((30, 0.3), (60, 0.5), (90, 0.52), (120, late)))}

    def steps(*late):
        made = {f"task-{n}": (sweep(lm, {"steps": (120,)}, {120: 0.9}, curves=curves(one)),) for n, one in enumerate(late)}
        return found(Atlas(choices=made))

    assert steps(0.8, 0.79, 0.81) == {("prompt", "steps"): 120}
    assert steps(0.53, 0.53, 0.54) == {("prompt", "steps"): 60}


def test_held_out_rows_have_no_say(lm):
    made = atlas(lm, "warmup", [{5: 0.5, 0: 0.6}, {5: 0.2, 0: 0.3}])
    poisoned = {
        name: tuple(replace(one, runs=tuple(replace(run, held_out=Part(0.0, 9.0, 20)) for run in one.runs)) for one in sweeps)
        for name, sweeps in made.choices.items()
    }
    assert choices(replace(made, choices=poisoned)) == choices(made)


def test_each_method_is_judged_by_its_own_runs(lm):
    prefix = sweep(lm, {"warmup": (5, 0)}, {5: 0.9, 0: 0.1}, Recipe(method="prefix"))
    prompt = sweep(lm, {"warmup": (5, 0)}, {5: 0.1, 0: 0.9})
    made = Atlas(choices={f"task-{n}": (prompt, prefix) for n in range(3)})
    assert found(made) == {("prompt", "warmup"): 0, ("prefix", "warmup"): 5}
