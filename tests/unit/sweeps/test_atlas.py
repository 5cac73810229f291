"""Recorded results: made and gone on with, read again, and the rule that takes defaults from them."""

import pytest

from core.errors import LabError
from core.recipe import Recipe
from core.sweeps import atlas
from core.sweeps.atlas import atlas_steps, choose, load_atlas
from core.sweeps.grid import Cell, Grid
from core.sweeps.outcome import MEASURES, CellSummary, spread
from core.sweeps.sweep import RunDone
from core.tasks.built_in import checked


def cell(tokens, accuracies, parameters=None, complete=True):
    measures = {name: spread(accuracies, name) for name in MEASURES}
    return CellSummary(Cell((("virtual_tokens", tokens),)), len(accuracies), complete, parameters or tokens * 10, 1.0, measures)


def test_the_rule_takes_the_fewest_parameters_within_one_standard_error_of_the_best():
    best = cell(20, [0.80, 0.90, 1.00])  # mean 0.9, standard error 0.058
    assert choose([cell(5, [0.85, 0.85, 0.85]), cell(10, [0.88, 0.88, 0.88]), best]).cell.values == {"virtual_tokens": 5}
    assert choose([cell(5, [0.84, 0.84, 0.84]), cell(10, [0.88, 0.88, 0.88]), best]).cell.values == {"virtual_tokens": 10}
    assert choose([cell(5, [0.5, 0.5, 0.5]), best]).cell.values == {"virtual_tokens": 20}
    assert choose([cell(5, [0.99], complete=False), best]).cell.values == {"virtual_tokens": 20}, "a missing seed"
    assert choose([cell(5, [0.9, 0.9], 100), cell(7, [0.91, 0.91], 100)]).cell.values == {"virtual_tokens": 7}
    assert choose([]) is None


def test_it_is_made_task_by_task_gone_on_with_and_read_again(lm, tmp_path, monkeypatch):
    monkeypatch.setattr(atlas, "atlas_grid", lambda task, seeds: Grid(Recipe(steps=1, batch_size=2), {"virtual_tokens": (1, 2)}, seeds))
    out = tmp_path / "atlas.json"
    assert load_atlas(out) is None
    events = atlas_steps(lm, ["plural"], tmp_path / "work", out, seeds=1)
    next(event for _, event in events if isinstance(event, RunDone))
    events.close()
    assert load_atlas(out) is None
    done = [event.known for _, event in atlas_steps(lm, ["plural"], tmp_path / "work", out, seeds=1) if isinstance(event, RunDone)]
    assert done == [True, False]
    list(atlas_steps(lm, ["capitals"], tmp_path / "work", out, seeds=1))
    made = load_atlas(out)
    assert list(made.tasks) == ["capitals", "plural"] and made.made["date"] and made.cells("news") is None
    assert [one.runs for one in made.cells("plural")] == [1, 1] and made.tasks["plural"].baselines["no prompt"].held_out.n
    assert all(not run.losses and not run.held_out.right for one in made.tasks.values() for run in one.runs)
    assert out.stat().st_size < 20_000


def test_a_file_that_is_something_else_and_an_unknown_task_are_told(tmp_path):
    (tmp_path / "atlas.json").write_text("[]")
    with pytest.raises(LabError, match="not a file of recorded results"):
        load_atlas(tmp_path / "atlas.json")
    with pytest.raises(LabError, match="no built-in task 'nope'"):
        checked(["nope"])


def test_the_file_in_assets_can_be_read_where_there_is_one():
    found = load_atlas()
    assert found is None or all(one.head.vary == atlas.VARY and one.head.seeds == atlas.SEEDS for one in found.tasks.values())
