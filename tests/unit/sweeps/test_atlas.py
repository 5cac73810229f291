"""Recorded results: made and gone on with, and read again."""

import pytest

from app.view.atlas import HEADS, table_lines
from core.errors import LabError
from core.files import ROOT
from core.methods import METHODS
from core.recipe import SETTINGS, Recipe
from core.sweeps import atlas
from core.sweeps.atlas import CHOICE_TASKS, CHOICES, SIZES, atlas_grids, atlas_steps, load_atlas
from core.sweeps.defaults import choices
from core.sweeps.grid import Grid
from core.sweeps.sweep import RunDone
from core.tasks.built_in import built_in, checked

QUICK = Recipe(steps=1, batch_size=2, virtual_tokens=1)


def test_it_is_made_task_by_task_gone_on_with_and_read_again(lm, tmp_path, monkeypatch):
    def grids(task, seeds):
        made = {"sizes": Grid(QUICK, {"virtual_tokens": (1, 2)}, seeds)}
        return made | ({"prompt-warmup": Grid(QUICK, {"warmup": (5, 0)}, seeds)} if task.slug == "plural" else {})

    monkeypatch.setattr(atlas, "atlas_grids", grids)
    out = tmp_path / "atlas.json"

    def runs(slug):
        return [event.known for _, event in atlas_steps(lm, [slug], tmp_path / "work", out, seeds=1) if isinstance(event, RunDone)]

    assert load_atlas(out) is None
    events = atlas_steps(lm, ["plural"], tmp_path / "work", out, seeds=1)
    next(event for _, event in events if isinstance(event, RunDone))
    events.close()
    assert load_atlas(out) is None
    assert runs("plural") == [True, False, True, False], "the recipe with its default warm-up is trained once"
    assert runs("plural") == [True] * 4
    runs("capitals")
    made = load_atlas(out)
    assert list(made.tasks) == ["capitals", "plural"] and made.made["date"] and list(made.choices) == ["plural"]
    assert [one.runs for one in made.tasks["plural"].cells()] == [1, 1] and made.tasks["plural"].baselines["no prompt"].held_out.n
    assert made.choices["plural"][0].head.vary == {"warmup": (5, 0)}
    assert all(not run.losses and run.curve and not run.held_out.right for one in made.tasks.values() for run in one.runs)
    assert out.stat().st_size < 30_000


def test_what_is_recorded_has_the_defaults_first():
    """So that the rule finds the value that the others are compared with."""
    for method, settings in CHOICES.items():
        for name, values in settings.items():
            assert name == "steps" or values[0] == SETTINGS[name].default_for(method)
    assert SIZES["virtual_tokens"][0] == SETTINGS["virtual_tokens"].default and {*SIZES["method"]} == {*CHOICES} <= {*METHODS}
    grids = atlas_grids(built_in(CHOICE_TASKS[0]))
    assert len(grids) == 1 + sum(map(len, CHOICES.values())) and len(atlas_grids(built_in("plural"))) == 1
    assert len(grids["sizes"].runs()) == 18


def test_a_file_that_is_something_else_and_an_unknown_task_are_told(tmp_path):
    (tmp_path / "atlas.json").write_text("[]")
    with pytest.raises(LabError, match="not a file of recorded results"):
        load_atlas(tmp_path / "atlas.json")
    with pytest.raises(LabError, match="no built-in task 'nope'"):
        checked(["nope"])


def test_the_readme_shows_the_recorded_table():
    if (made := load_atlas()) is None:
        pytest.skip("nothing is recorded: make atlas")
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    head, _, *lines = table_lines(made)
    assert any(line.startswith("| task") and line.endswith(" | ".join(HEADS) + " |") for line in readme), head
    for line in lines:
        slug, scores = line.split("|")[1].strip(), line.split("|")[2:]
        shown = next(one for one in readme if one.startswith(f"| {slug}"))
        assert shown.split("|")[3:] == scores, slug  # after the column that says what the task needs


def test_the_defaults_are_those_that_the_rule_finds():
    if (made := load_atlas()) is None:
        pytest.skip("nothing is recorded: make atlas")
    found = choices(made)
    assert {(one.method, one.setting) for one in found} == {(m, s) for m in CHOICES for s in ("virtual_tokens", *CHOICES[m])}
    assert [(one.method, one.setting, one.found) for one in found if not one.stays] == []
