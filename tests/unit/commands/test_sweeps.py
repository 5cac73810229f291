"""The commands sweep and atlas, as people call them."""

import json

import pytest
from command_line import error
from tiny_models import make

import core.models.language_model
from app.__main__ import main

TOML = """
task = "pets.csv"
seeds = 2
[vary]
virtual_tokens = [1, 2]
[recipe]
steps = 2
batch_size = 4
"""


@pytest.fixture
def toml(tmp_path, csv):
    path = tmp_path / "pets.toml"
    path.write_text(TOML)
    return str(path)


def lines(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_sweep_prints_a_line_for_each_run_and_a_summary_and_goes_on_where_it_was(capsys, toml, tmp_path):
    found = lines(capsys, "sweep", toml, "--out", tmp_path / "kept")
    summary = found[-1]["summary"]
    assert [row["settings"]["virtual_tokens"] for row in found[:-1]] == [1, 1, 2, 2]
    assert (summary["runs"], summary["planned"], len(summary["cells"])) == (4, 4, 2) and summary["best"] in (
        {"virtual_tokens": n} for n in (1, 2)
    )
    assert {"no prompt"} <= set(summary["baselines"]) and summary["stopped"] == ""
    kept = (tmp_path / "kept" / "runs.jsonl").read_text()
    assert lines(capsys, "sweep", toml, "--out", tmp_path / "kept") == found
    assert (tmp_path / "kept" / "runs.jsonl").read_text() == kept
    (tmp_path / "pets.toml").write_text(TOML.replace("[1, 2]", "[1, 3]"))
    assert "holds a sweep with another grid" in error(capsys, "sweep", toml, "--out", tmp_path / "kept")


def test_without_json_there_is_a_table(capsys, toml):
    assert main(["sweep", toml]) == 0
    out = capsys.readouterr().out
    assert "virtual tokens" in out and "4 of 4 runs" in out and "{" not in out


def test_a_dry_run_says_runs_parameters_and_time_and_trains_nothing(capsys, lm, toml, tmp_path):
    (found,) = lines(capsys, "sweep", toml, "--dry-run", "--out", tmp_path / "kept")
    assert found["runs"] == 4 and [cell["parameters"] for cell in found["cells"]] == [lm.d_model, 2 * lm.d_model]
    assert found["seconds"] > 0 and not (tmp_path / "kept").exists()
    assert main(["sweep", toml, "--dry-run"]) == 0
    assert "4 runs, 2 seeds each; about" in capsys.readouterr().out


def test_a_question_is_answered(capsys, csv):
    found = lines(capsys, "sweep", "--question", "start", "--task", csv, "--steps", "1", "--seeds", "1")
    assert "Best on validation rows" in found[-1]["summary"]["answer"] and len(found) == found[-1]["summary"]["runs"] + 1
    assert main(["sweep", "--question", "seeds", "--task", csv, "--steps", "1", "--seeds", "2"]) == 0
    assert "Measured here: " in capsys.readouterr().out


def test_an_answer_is_recorded_for_the_page(capsys, csv, tmp_path, monkeypatch):
    from core.sweeps import recorded

    monkeypatch.setattr(recorded, "FOLDER", tmp_path / "experiments")
    recorded.recorded.cache_clear()
    found = lines(capsys, "sweep", "--question", "start", "--task", csv, "--steps", "1", "--seeds", "1", "--record")
    kept = recorded.recorded("start")
    recorded.recorded.cache_clear()
    assert len(kept.result.runs) == len(found) - 1 and "--question start" in kept.made["command"]


def test_more_than_a_hundred_runs_are_asked_about_with_their_time(capsys, toml, tmp_path):
    (tmp_path / "pets.toml").write_text(TOML.replace("[1, 2]", str(list(range(1, 61)))))
    told = error_after_notes(capsys, "sweep", toml)
    assert "120 runs and would take about" in told and "--yes" in told


def error_after_notes(capsys, *arguments):
    assert main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


BAD = {
    "no TOML": ("task = ", "is no TOML file"),
    "unknown key": (TOML.replace("seeds", "seed"), "unknown key 'seed': did you mean seeds"),
    "no task": (TOML.replace('task = "pets.csv"', ""), "not right at 'task'"),
    "nothing varied": ('task = "plural"', "not right at 'vary'"),
    "empty grid": ('task = "plural"\n[vary]\n', "grid is empty"),
    "unknown setting": (TOML.replace("virtual_tokens", "virtual_token"), "did you mean virtual_tokens"),
    "unknown in recipe": (TOML.replace("batch_size", "batchsize"), "did you mean batch_size"),
    "task in recipe": (TOML + 'task = "plural"\n', "put it above the first table"),
    "out of bounds": (TOML.replace("[1, 2]", "[0]"), "virtual tokens is 0"),
    "recipe out of bounds": (TOML.replace("steps = 2", "steps = 0"), "steps is 0"),
    "seeds": (TOML.replace("seeds = 2", "seeds = 0"), "seeds is 0"),
    "seeds as text": (TOML.replace("seeds = 2", 'seeds = "two"'), "not right at 'seeds'"),
    "no such task": (TOML.replace("pets.csv", "dogs.csv"), "no task or file"),
    "too many": (TOML.replace("[1, 2]", str(list(range(1, 200)))).replace("seeds = 2", "seeds = 20"), "3,980 runs, and 500 are the most"),
    "too many rows": (TOML.replace("virtual_tokens = [1, 2]", "rows = [4, 400]"), "fewer than 400"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_told_before_the_model_is_loaded(capsys, csv, tmp_path, monkeypatch, text, words):
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))
    (tmp_path / "bad.toml").write_text(text)
    assert words in error(capsys, "sweep", tmp_path / "bad.toml")


def test_options_that_do_not_go_together_are_told_before_the_model_is_loaded(capsys, toml, csv, tmp_path, monkeypatch):
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))
    for arguments, words in (
        ([], "Name either a TOML file or a --question"),
        ([toml, "--question", "rates"], "Name either"),
        ([toml, "--task", csv], "--task is for a --question"),
        ([toml, "--record"], "--record is for a --question"),
        ([toml, "--workers", "2"], "add --engine ray"),
        (["--question", "rate", "--task", csv], "did you mean rates"),
        (["--question", "rates"], "add --task"),
        (["--question", "swapped", "--task", "plural"], "free answers"),
        (["--question", "rates", "--task", csv, "--seeds", "0"], "--seeds is 0"),
        (["--question", "rates", "--task", csv, "--steps", "0"], "steps is 0"),
        ([tmp_path / "nowhere.toml"], "There is no file"),
        ([csv], "is no TOML file"),
        ([toml, "--out", tmp_path], "holds other files"),
        ([toml, "--out", csv], "is a file"),
    ):
        assert words in error(capsys, "sweep", *arguments)
    assert "no built-in task" in error(capsys, "atlas", "--tasks", "nope")
    assert "is a folder" in error(capsys, "atlas", "--out", tmp_path)


def test_ctrl_c_keeps_the_finished_runs(capsys, toml, tmp_path, monkeypatch):
    from core.training.training import Training

    advance, steps = Training.advance, []

    def interrupted(self, state, count=1):
        steps.append(state)
        if len(steps) == 4:  # the second step of the second run
            raise KeyboardInterrupt
        return advance(self, state, count)

    monkeypatch.setattr(Training, "advance", interrupted)
    assert main(["sweep", toml, "--out", str(tmp_path / "kept"), "--json"]) == 130
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 2 and found[-1]["summary"]["stopped"] == "interrupted after 1 of 4 runs"
    assert len(lines(capsys, "sweep", toml, "--out", tmp_path / "kept")) == 5


def test_the_atlas_is_written_and_tells_what_its_rule_chose(capsys, tmp_path, monkeypatch):
    from core.recipe import Recipe
    from core.sweeps import atlas
    from core.sweeps.grid import Grid

    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: make("llama"))
    quick = {"sizes": Grid(Recipe(steps=1, batch_size=2), {"method": ("prompt",), "virtual_tokens": (10,)}, 1)}
    monkeypatch.setattr(atlas, "atlas_grids", lambda task, seeds=1: quick)
    out = str(tmp_path / "atlas.json")
    assert main(["atlas", "--tasks", "plural", "--out", out, "--work", str(tmp_path / "work"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tasks"], found["changes"], found["failed"]) == (["plural"], [], [])
    assert found["bytes"] == (tmp_path / "atlas.json").stat().st_size
    assert main(["atlas", "--table", "--out", out]) == 0
    shown = capsys.readouterr().out
    assert "| `plural` (" in shown and "| soft prompt | virtual tokens | 10: " in shown
    assert "run it without --table" in error(capsys, "atlas", "--table", "--out", tmp_path / "none.json")
