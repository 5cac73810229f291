"""Grids: what can be varied, which runs they make, and one sentence for each that can't be run."""

import pytest
from tiny_models import answer_task, label_task

from core.errors import LabError
from core.recipe import Recipe
from core.sweeps.grid import VARIABLES, Grid

BAD = {
    "empty": ({}, "grid is empty"),
    "no values": ({"steps": []}, "empty"),
    "three settings": ({"steps": [1], "rows": [4], "init": ["vocab"]}, "varies 3 settings"),
    "unknown": ({"virtual_token": [1]}, "did you mean virtual_tokens"),
    "unlike any": ({"qqq": [1]}, "choose one of method"),
    "the seed": ({"seed": [1, 2]}, "seed can't be varied"),
    "the task": ({"task": ["capitals"]}, "task can't be varied"),
    "out of bounds": ({"virtual_tokens": [10, 2000]}, "virtual tokens is 2000: choose a whole number from 1 to 200"),
    "not whole": ({"steps": [1.5]}, "steps is 1.5"),
    "true": ({"steps": [True]}, "steps is True"),
    "a text for a number": ({"learning_rate": ["x"]}, "learning rate is x"),
    "unknown choice": ({"method": ["lora"]}, "choose one of"),
    "no list": ({"steps": 5}, "give a list"),
    "a word for a list": ({"method": "prompt"}, "give a list"),
    "too few rows": ({"rows": [3]}, "4 or more, or all"),
    "a word for rows": ({"rows": ["most"]}, "4 or more, or all"),
    "answers": ({"answers": ["wrong"]}, "choose one of right, swapped"),
    "too many": ({"virtual_tokens": range(1, 101), "learning_rate": [0.1, 0.2]}, "600 runs, and 500 are the most"),
    "not of this method": ({"mlp": [0, 64]}, "has no such setting"),
    "no use": ({"init_text": ["a", "b"]}, "matters only where init is 'text'"),
    "no text to start from": ({"init": ["vocab", "text"]}, "start text is empty"),
    "bad template": ({"template": ["{input} is", "x"]}, "write it exactly once"),
}


@pytest.mark.parametrize(("vary", "words"), BAD.values(), ids=BAD)
def test_a_grid_that_cannot_be_run_is_told_in_one_sentence(vary, words):
    with pytest.raises(LabError) as told:
        Grid(Recipe(), {name: tuple(values) if isinstance(values, range) else values for name, values in vary.items()})
    assert words in str(told.value) and str(told.value).endswith(".") and "\n" not in str(told.value)


@pytest.mark.parametrize("seeds", [0, 21, 1.5, "3", True, None])
def test_seeds_have_bounds(seeds):
    with pytest.raises(LabError, match="seeds is"):
        Grid(Recipe(), {"steps": (1,)}, seeds)


def test_a_task_without_what_is_varied_is_told():
    for vary, task, words in (
        ({"rows": (4, 13)}, answer_task(), "has 12 training rows, fewer than 13"),
        ({"answers": ("swapped",)}, answer_task(), "has free answers"),
        ({"loss": ("vocabulary", "labels")}, answer_task(), "no difference to free answers"),
    ):
        with pytest.raises(LabError, match=words):
            Grid(Recipe(), vary).check(task)
    Grid(Recipe(), {"rows": (12, "all"), "answers": ("right", "swapped")}).check(label_task())


def test_every_other_field_of_a_recipe_can_be_varied():
    assert {*Recipe.__dataclass_fields__} - {*VARIABLES} == {"task", "dtype", "seed", "order_seed", "init_from"}
    assert {*VARIABLES} - {*Recipe.__dataclass_fields__} == {"rows", "answers"}


def test_each_method_has_its_own_rate_unless_one_was_given():
    def rates(base, **vary):
        return [plan.recipe.learning_rate for plan in Grid(base, vary, seeds=1).runs()]

    methods = ("prompt", "prefix", "encoder")
    assert rates(Recipe(), method=methods) == [0.03, 0.01, 0.003]
    assert rates(Recipe(learning_rate=0.02), method=methods) == [0.02] * 3
    assert rates(Recipe(), method=("prompt", "prefix"), learning_rate=(0.1, 1)) == [0.1, 1.0, 0.1, 1.0]


def test_seeds_count_up_from_the_recipes_and_keys_tell_runs_apart():
    plans = Grid(Recipe(seed=5), {"rows": (4, "all"), "answers": ("right", "swapped")}, seeds=3).runs()
    assert [plan.seed for plan in plans[:3]] == [plan.recipe.seed for plan in plans[:3]] == [5, 6, 7]
    assert len({plan.key for plan in plans}) == 12 and [plan.index for plan in plans] == list(range(12))


def test_values_are_tried_once_and_only_some_pairs_may_be_run():
    assert Grid(Recipe(), {"learning_rate": (1, 1.0, 0.5)}).vary == {"learning_rate": (1.0, 0.5)}
    grid = Grid(Recipe(), {"method": ("prompt", "prefix"), "virtual_tokens": (1, 20)}, 1, (("prefix", 1), ("prompt", 20)))
    assert [plan.cell.values for plan in grid.runs()] == [
        {"method": "prefix", "virtual_tokens": 1},
        {"method": "prompt", "virtual_tokens": 20},
    ]
    with pytest.raises(LabError, match="a combination whose values"):
        Grid(Recipe(), {"method": ("prompt",), "virtual_tokens": (1,)}, 1, (("prefix", 1),))
