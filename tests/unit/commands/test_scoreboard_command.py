"""python -m app scoreboard: from the options to the file, continued, and what it refuses."""

import json

from command_line import call, error

from app.__main__ import main
from core.sweeps.result import from_json
from core.truths.result import Board

TRUTHS = [{"name": name, "kind": "task", "text": f"say {name}", "near": []} for name in ("yes", "no", "good")]
SHORT = ("--steps", "1", "--prompts", "1", "--truths", "yes", "no")


def test_a_scoreboard_is_printed_written_and_continued(capsys, tmp_path, monkeypatch):
    work, out = tmp_path / "work" / "board.jsonl", tmp_path / "board.json"
    file = tmp_path / "truths.json"
    file.write_text(json.dumps({"template": " {input}\n", "inputs": ["jump", "sea"], "held_out": ["walk"], "truths": TRUTHS}))
    options = ("scoreboard", *SHORT, "--file", file, "--work", work)
    found = call(capsys, *options, "--out", out)
    board = from_json(Board, out.read_bytes(), "a scoreboard")
    assert board.truths == ["yes", "no"] == list(found["board"]["kinds"])
    assert {"behaviour", "states", "means"} <= {one["reading"] for one in found["readings"]}
    assert len(work.read_text().splitlines()) == 3

    def refuse(*_):
        raise AssertionError("it is trained again")

    monkeypatch.setattr("core.truths.scoreboard.prompt_read", refuse)
    again = call(capsys, *options)
    assert json.dumps(again["readings"]) == json.dumps(found["readings"])
    assert main([*map(str, options)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("reading") and "logit lens" in text and "chance is 50 %" in text


def test_wrong_options_are_one_sentence(capsys, tmp_path):
    assert "There is no truth 'frensh'" in error(capsys, "scoreboard", "--truths", "frensh")
    assert "choose a whole number from 1 to 4" in error(capsys, "scoreboard", "--prompts", "9")
    assert "name a file in a folder that exists" in error(capsys, "scoreboard", "--out", tmp_path)
    assert "is no file" in error(capsys, "scoreboard", "--file", tmp_path / "none.json")
