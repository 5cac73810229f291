"""python -m app spectrum: from the options to the file, and what it refuses."""

import json

import pytest
from command_line import call, error

from app.__main__ import main
from core.errors import LabError
from core.finetuning.result import SpectrumResult

SHORT = ("--steps", "2", "--seeds", "1", "--batch-size", "4", "--virtual-tokens", "2")


def test_a_comparison_is_printed_as_json_and_written(capsys, csv, tmp_path):
    file = tmp_path / "spectrum.json"
    result = call(capsys, "spectrum", "--task", csv, *SHORT, "--methods", "none, prompt,lora", "--out", file)
    assert [one["name"] for one in result["methods"]] == ["none", "prompt", "lora"] and result["steps"] == 2
    again = SpectrumResult.from_json(file.read_text("utf-8"))
    assert json.loads(json.dumps(again.to_dict())) == result


def test_a_comparison_is_printed_as_a_table_that_says_how_it_was_measured(capsys, csv):
    assert main(["spectrum", "--task", csv, *SHORT, "--methods", "prompt,bitfit"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("method") and "soft prompt" in out and "BitFit" in out
    assert "zero ones were added to 14 linear layers" in out and "autograd keeps" in out and "validation rows" in out


def test_wrong_options_are_one_sentence(capsys, csv, tmp_path):
    assert "There is no method 'lore'" in error(capsys, "spectrum", "--task", csv, "--methods", "lore")
    assert "steps is 0" in error(capsys, "spectrum", "--task", csv, "--steps", "0")
    assert "0 seeds" in error(capsys, "spectrum", "--task", csv, "--seeds", "0")
    assert "name a file in a folder that exists" in error(capsys, "spectrum", "--task", csv, "--out", tmp_path)
    assert "name a file in a folder that exists" in error(capsys, "spectrum", "--task", csv, "--out", tmp_path / "no" / "file")


def test_without_peft_nothing_is_trained_and_one_sentence_says_so(capsys, csv, monkeypatch):
    def absent():
        raise LabError("LoRA and IA3 need PEFT, which is not installed: pip install -r requirements-spectrum.txt.")

    monkeypatch.setattr("core.finetuning.spectrum.need_peft", absent)
    assert "pip install -r requirements-spectrum.txt" in error(capsys, "spectrum", "--task", csv, *SHORT, "--methods", "none,lora")


@pytest.mark.parametrize("names", ["full", "none,full"])
def test_where_every_method_is_refused_the_reason_is_the_error(capsys, csv, monkeypatch, names):
    monkeypatch.setattr("core.training.memory.available", lambda device: 1000)
    if names == "full":
        assert "1 kB are free" in error(capsys, "spectrum", "--task", csv, *SHORT, "--methods", names)
    else:
        result = call(capsys, "spectrum", "--task", csv, *SHORT, "--methods", names)
        assert [one["name"] for one in result["methods"]] == ["none"] and "1 kB are free" in result["refused"]["full"]
