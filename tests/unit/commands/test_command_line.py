"""The command line: the JSON that scripts rely on, and one sentence with exit code 2 for whatever can be put right."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from command_line import SHORT, call, error
from tiny_models import make, random_prefix

import core.models.language_model
from app.__main__ import main, parser
from app.commands import COMMANDS
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.record_json import record_from_json
from core.tasks.load import load_task

ROOT = Path(__file__).resolve().parents[3]
ROW = {
    *("name", "kind", "accuracy", "interval", "loss", "n", "token_loss", "first_choice", "exact", "agreement"),
    *("positions", "parameters", "examples"),
}


def test_train_prints_what_it_did_and_saves_a_prompt_that_scores_the_same(capsys, lm, csv, tmp_path):
    out = tmp_path / "out"
    found = call(capsys, "train", "--task", csv, *SHORT, "--out", out)
    assert set(found) >= {"recipe", "parameters", "seconds", "contenders", "out"}
    assert found["recipe"] == Recipe(task=csv, steps=3, virtual_tokens=4, batch_size=4).to_dict()
    assert found["parameters"] == 4 * lm.d_model and found["seconds"] > 0 and found["out"] == str(out)
    assert Counter(row["kind"] for row in found["contenders"]).keys() == {"prompt", "none", "handcrafted", "majority"}
    for row in found["contenders"]:
        assert set(row) == ROW
        low, high = row["interval"]
        assert 0 <= low <= row["accuracy"] <= high <= 1 and row["n"] == len(load_task(csv).held_out)
    learned = next(row for row in found["contenders"] if row["kind"] == "prompt")
    assert learned["loss"] > 0 and learned["name"] == "learned"
    again = call(capsys, "evaluate", "--task", csv, "--learned", out)
    saved_row = next(row for row in again["contenders"] if row["name"] == "out")
    assert saved_row | {"name": "learned"} == learned


def test_train_without_out_saves_nothing(capsys, csv, tmp_path):
    before = set(tmp_path.iterdir())
    assert call(capsys, "train", "--task", csv, *SHORT)["out"] is None
    assert set(tmp_path.iterdir()) == before


def test_train_takes_the_test_file_as_held_out_rows(capsys, csv, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("input,output\nnew one,yes\nnew two,no\npet 1,yes\n")
    found = call(capsys, "train", "--task", csv, "--test", test, *SHORT)
    assert {row["n"] for row in found["contenders"]} == {2}


def test_every_setting_of_a_recipe_can_be_given(capsys, csv):
    given = {
        "method": "prefix", "init": "random", "init-scale": "0.5", "mlp": "4", "learning-rate": "0.02", "warmup": "1", "schedule": "linear",
        "clip": "1", "weight-decay": "0.01", "seed": "7", "order-seed": "-1", "pull-text": "a pet", "pull": "0", "template": "{input} is",
    }  # fmt: skip
    flags = [word for name, value in given.items() for word in (f"--{name}", value)]
    recipe = call(capsys, "train", "--task", csv, *SHORT, *flags)["recipe"]
    wanted = Recipe(
        task=csv, steps=3, virtual_tokens=4, batch_size=4, method="prefix", init="random", init_scale=0.5, mlp=4, learning_rate=0.02,
        warmup=1, schedule="linear", clip=1.0, weight_decay=0.01, seed=7, pull_text="a pet", template="{input} is",
    )  # fmt: skip
    assert recipe == wanted.to_dict()


def test_train_goes_on_from_a_saved_prompt_with_its_method_and_length(capsys, lm, csv, saved, tmp_path):
    out, common = tmp_path / "second", ("train", "--task", csv, "--steps", "2", "--batch-size", "4")
    recipe = call(capsys, *common, "--init-from", saved, "--out", out)["recipe"]
    assert (recipe["method"], recipe["virtual_tokens"], recipe["init_from"]) == ("prompt", 3, saved)
    assert storage.load(out, lm).record["start"]["prompt"] == saved
    assert "has 3 virtual tokens, the recipe 5: set them to 3." in error(capsys, *common, "--init-from", saved, "--virtual-tokens", "5")
    assert "There is no learned prompt at 'nowhere'" in error(capsys, *common, "--init-from", "nowhere")


@pytest.mark.parametrize("kind", ["answers", "labels"])
def test_train_imitates_a_teacher_and_says_how_like_it_is(capsys, csv, tmp_path, kind):
    common = ("train", "--task", csv, *SHORT, "--kind", kind, "--loss", "imitate", "--teacher", "pet 90 yes, pet 91 no, {input}")
    found = call(capsys, *common, "--out", tmp_path / "out")
    measured = found["imitation"]
    assert found["recipe"]["teacher"].startswith("pet 90") and found["recipe"]["continuation"] == "own"
    assert {row["name"] for row in found["contenders"]} >= {"learned", measured["teacher"]}
    assert measured["saved"] == measured["teacher_tokens"] - measured["tokens"] and measured["tokens"] >= 4
    for name in ("learned", "start", "nothing"):
        assert 0 <= measured[name]["same"] <= measured[name]["n"] and measured[name]["kl"] > 0
    assert main([*map(str, common), "--continuation", "rows"]) == 0
    assert "give the same answer on" in capsys.readouterr().out


def test_evaluate_scores_prompts_and_saved_prompts_beside_each_other(capsys, csv, saved):
    found = call(
        capsys,
        "evaluate",
        "--task",
        csv,
        "--prompt",
        "Is {input} a pet?",
        "--prompt",
        "{input}:",
        "--learned",
        saved,
        "--label-score",
        "sum",
    )
    assert set(found) == {"contenders", "label_score", "evidence"}
    made = {prompt.name for prompt in load_task(csv).handcrafted}
    calibrated = [row["name"] for row in found["contenders"] if row["name"].endswith(", calibrated")]
    assert len(calibrated) == 1, "the handcrafted prompt that did best on validation rows"
    rows = [row for row in found["contenders"] if row["name"] not in {*made, *calibrated}]
    assert len(rows) < len(found["contenders"]) and [(row["name"], row["kind"]) for row in rows] == [
        ("no prompt", "none"),
        ("Is {input} a pet?", "handcrafted"),
        ("{input}:", "handcrafted"),
        ("saved", "prompt"),
        ("always 'yes'", "majority"),
    ]
    for row in found["contenders"]:
        assert set(row) == ROW and row["n"] == len(load_task(csv).held_out)
    assert rows[3]["parameters"] == 3 * 32 and rows[4]["loss"] is None


def test_a_row_that_stands_in_a_prompt_is_left_out_for_all_and_said(capsys, csv):
    row = load_task(csv).held_out[0]
    assert main(["evaluate", "--task", csv, "--prompt", f"{row.input} {row.output}, {{input}}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert {found["n"] for found in json.loads(out)["contenders"]} == {len(load_task(csv).held_out) - 1}
    assert "note: 1 rows do not count for any contender: one was trained on them or shows them." in err


def test_nearest_lists_tokens_with_their_distances(capsys, lm, saved):
    found = call(capsys, "nearest", saved, "--k", "2")
    assert set(found) == {"tokens"} and [token["position"] for token in found["tokens"]] == [0, 1, 2]
    for token in found["tokens"]:
        assert set(token) == {"position", "nearest"} and len(token["nearest"]) == 2
        first, second = token["nearest"]
        assert set(first) == {"token", "id", "cosine", "l2"}
        assert first["cosine"] >= second["cosine"] and first["l2"] > 0
        assert first["token"] == lm.token_text(first["id"])


def test_tasks_lists_the_built_in_ones(capsys):
    found = call(capsys, "tasks")["tasks"]
    assert found[0]["slug"] == "past-tense"
    assert all({"slug", "name", "labels", "train", "validation", "held_out"} <= set(task) for task in found)


@pytest.mark.parametrize("command", ["tasks", "nearest", "evaluate", "train"])
def test_without_json_people_get_text(capsys, csv, saved, command):
    arguments = {
        "tasks": [],
        "nearest": [saved],
        "evaluate": ["--task", csv],
        "train": ["--task", csv, *SHORT],
    }
    assert main([command, *arguments[command]]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) >= 3 and not out.startswith("{")


# --- what can be put right --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--steps", "0"], "steps is 0: choose a whole number"),
        (["--steps", "many"], "steps is many: choose a whole number"),
        (["--steps", "1e3"], "choose a whole number"),
        (["--steps", "9" * 5000], "choose a whole number"),
        (["--learning-rate", "nan"], "learning rate is nan"),
        (["--learning-rate", "inf"], "learning rate is inf"),
        (["--virtual-tokens", "10000"], "virtual tokens is 10000"),
        (["--init", "text"], "start text is empty"),
        (["--mlp", "5"], "a soft prompt has no such setting"),
        (["--template", "no place"], "{input} 0 times"),
        (["--loss", "imitate"], "The teacher prompt is empty"),
        (["--loss", "imitate", "--teacher", "no place"], "The teacher prompt 'no place' holds {input} 0 times"),
        (["--loss", "imitate", "--teacher", "long " * 300 + "{input}"], "positions with row 1"),
        (["--teacher", "A pet: {input} is"], "--teacher is for --loss imitate"),
        (["--method", "prefix", "--init", "labels"], "can't start from label words"),
        (["--loss", "labels", "--kind", "answers"], "no label words"),
        (["--virtual-tokens", "200"], "the model has 160"),
        (["--test", "nowhere.csv"], "can't be read"),
    ],
)
def test_train_says_what_is_wrong(capsys, csv, arguments, sentence):
    assert sentence in error(capsys, "train", "--task", csv, *arguments)


def test_a_bad_task_is_told_before_the_model_is_loaded(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))
    bad = tmp_path / "bad.csv"
    bad.write_text("input,output\nonly one cell\n")
    assert "nothing in the column 'output' (row 2)" in error(capsys, "train", "--task", bad)
    assert "no task or file" in error(capsys, "evaluate", "--task", "nope")
    assert "{input} 0 times" in error(capsys, "evaluate", "--task", "capitals", "--prompt", "x")
    assert "steps is 0" in error(capsys, "train", "--task", "capitals", "--steps", "0")
    assert "--k is 0" in error(capsys, "nearest", tmp_path, "--k", "0")


def test_a_target_that_cannot_be_saved_to_is_told_before_training(capsys, csv, tmp_path, monkeypatch):
    monkeypatch.setattr("core.training.training.Training.advance", lambda *_: pytest.fail("it was trained before the target was checked"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert "is not a saved prompt" in error(capsys, "train", "--task", csv, "--out", tmp_path / "mine")
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: make("llama", bos=True))
    assert "placement 'after'" in error(capsys, "train", "--task", csv, "--placement", "after", "--out", tmp_path / "new")


def test_what_is_no_prompt_is_refused_by_name(capsys, lm, csv, tmp_path):
    assert "no learned prompt at" in error(capsys, "nearest", tmp_path / "nowhere")
    assert "is missing" in error(capsys, "evaluate", "--task", csv, "--learned", tmp_path)
    files = storage.to_files(lm, random_prefix(lm, "prefix", 3), {})
    assert "soft prompts only" in error(capsys, "nearest", adapter_files.save(tmp_path / "kv", files))


def test_scoring_a_prompt_on_its_own_training_rows_is_refused(capsys, csv, saved, tmp_path):
    task = load_task(csv)
    seen = tmp_path / "seen.csv"
    seen.write_text("input,output\n" + "".join(f"{row.input},{row.output}\n" for row in task.train))
    spare = tmp_path / "spare.csv"
    spare.write_text("input,output\n" + "".join(f"word {i},{'yes' if i % 2 else 'no'}\n" for i in range(8)))
    assert "used in training" in error(capsys, "evaluate", "--task", spare, "--test", seen, "--learned", saved)


def test_a_model_that_is_not_there_is_named(capsys, csv, tmp_path, monkeypatch):
    monkeypatch.undo()  # the real load_model; it must fail before it loads anything
    assert "no model folder" in error(capsys, "evaluate", "--task", csv, "--model", tmp_path / "nowhere")
    assert "holds no model" in error(capsys, "evaluate", "--task", csv, "--model", tmp_path)
    assert "device 'abacus' is not available" in error(capsys, "evaluate", "--task", csv, "--device", "abacus")
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--task", csv, "--method", "lora"])
    assert stopped.value.code == 2 and "lora" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda command: " ".join(command) or "core")
def test_help_works_and_names_the_options(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    out = capsys.readouterr().out
    assert stopped.value.code == 0 and "usage: python -m app" in out
    assert f"examples:\n  {'hf auth login' if command == ['push'] else 'python -m app'}" in out
    assert command or all(code in out for code in ("exit codes", "0 ", "2 ", "3 ", "130 "))
    if command == ["train"]:
        for name in Recipe.__dataclass_fields__:
            assert re.search(rf"--{name.replace('_', '-')}\b", out)


def test_an_unknown_command_is_an_error_with_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["trian"])
    assert stopped.value.code == 2 and "usage" in capsys.readouterr().err


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "app", "train", "--task", "capitals", "--steps", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: steps is 0: choose a whole number from 1 to 10000.\n"


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_was_learned_so_far(capsys, csv, tmp_path, monkeypatch):
    from core.training.training import Training

    advance = Training.advance

    def interrupted(self, state, steps=1):
        if state.step == 2:
            signal.raise_signal(signal.SIGINT)
        return advance(self, state, steps)

    monkeypatch.setattr(Training, "advance", interrupted)
    assert main(["train", "--task", csv, "--steps", "50", "--batch-size", "4", "--out", str(tmp_path / "out"), "--json"]) == 130
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 3 and "stopped by hand" in found["stopped"]
    assert (tmp_path / "out" / adapter_files.WEIGHTS).is_file()
    assert {row["name"] for row in found["contenders"]} >= {"learned", "no prompt"}


def test_a_second_ctrl_c_saves_it_unscored(capsys, csv, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        yield None

    monkeypatch.setattr(sys.modules["core.runs.run"], "contest", interrupted)
    assert main(["train", "--task", csv, *SHORT, "--out", str(tmp_path / "out"), "--json"]) == 130
    found = json.loads(capsys.readouterr().out)
    assert found["contenders"] == [] and "interrupted after step" in found["stopped"]
    assert (tmp_path / "out" / adapter_files.WEIGHTS).is_file()
    assert "saved without having been scored" in (tmp_path / "out" / "README.md").read_text()


def test_a_run_that_diverges_says_so_by_its_exit_code_and_is_saved(capsys, csv, tmp_path, monkeypatch):
    from core.training.training import Training

    loss, calls = Training.loss, []

    def broken(self, rows, frame):
        calls.append(rows)
        return loss(self, rows, frame) * (1 if len(calls) < 3 else float("nan"))

    monkeypatch.setattr(Training, "loss", broken)
    assert main(["train", "--task", csv, *SHORT, "--out", str(tmp_path / "out"), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert "no longer a number at step 3" in found["stopped"] and found["contenders"]
    assert "NaN" not in (tmp_path / "out" / "run.json").read_text()


# --- reports, and the Hub ---------------------------------------------------------------------------------------------------------


def test_a_saved_run_is_reported_without_its_model(capsys, csv, tmp_path, monkeypatch):
    call(capsys, "train", "--task", csv, *SHORT, "--out", tmp_path / "out")
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))
    found = call(capsys, "report", tmp_path / "out", "--out", tmp_path / "it.html")
    text = (tmp_path / "it.html").read_text("utf-8")
    assert found == {"out": str(tmp_path / "it.html"), "bytes": len(text.encode())} and text.count("<section") == 7
    (tmp_path / "out" / "run.json").write_text("{}")
    assert "not one that this program wrote" in error(capsys, "report", tmp_path / "out", "--out", tmp_path / "it.html")
    assert "is a folder: name a file" in error(capsys, "report", tmp_path / "out", "--out", tmp_path)


def test_a_plain_adapter_is_reported_as_far_as_it_can_be_read(capsys, lm, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(capsys, "report", saved)
    text = (tmp_path / "saved-report.html").read_text("utf-8")
    assert "No prompt was scored" in text and "no curves" in text and "start is not known" in text and '<section id="nearest">' in text
    assert "no learned prompt at" in error(capsys, "report", tmp_path / "nowhere")


def test_names_on_the_hub_get_a_sentence_without_a_network(capsys, csv, saved):
    for arguments in (["nearest", "some/one"], ["evaluate", "--task", csv, "--learned", "some/one"], ["report", "some/one"]):
        assert "'some/one' is not on this machine, and the Hub can't be reached" in error(capsys, *arguments)
    assert main(["push", saved, "me/prompt"]) == 2
    assert "The Hub can't be reached, so nothing was uploaded" in capsys.readouterr().err


def test_a_recording_is_made_from_its_recipe_and_an_unknown_one_is_named(tmp_path, capsys):
    assert "choose from past-tense" in error(capsys, "record", "nothing")
    told = call(capsys, "record", "past-tense", "--out", tmp_path / "made")
    record = record_from_json((tmp_path / "made" / "past-tense.json").read_text("utf-8"))
    assert told["bytes"]["past-tense"] == (tmp_path / "made" / "past-tense.json").stat().st_size
    assert record.finished and record.recorded and record.step == 60


def test_the_rate_can_be_called_lr():
    options = parser().parse_args(["train", "--task", "capitals", "--lr", "0.1"])
    assert options.learning_rate == 0.1
