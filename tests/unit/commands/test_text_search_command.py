"""python -m app text-search: from a saved prompt to its text, and what it refuses."""

import json

import pytest
from command_line import call, error
from tiny_models import random_prefix

import core.models.language_model
from app.__main__ import main
from core.runs import adapter_files
from core.runs import saved_adapter as storage

SHORT = ("--rounds", "2", "--candidates", "3", "--rows", "3")


def test_a_text_is_searched_for_scored_and_told(capsys, csv, saved):
    found = call(capsys, "text-search", saved, "--task", csv, *SHORT)
    roles = {one["role"]: one for one in found["prompts"]}
    assert {"learned", "words", "random", "none", "words start", "random start"} <= set(roles)
    assert len(found["kl_by_round"]["words"]) == len(found["kl_by_round"]["random"]) == 3 == found["rounds"] + 1
    assert roles["words"]["text"] and 0 <= roles["words"]["score"]["accuracy"] <= 1 and roles["words"]["likeness"]["kl"] >= 0
    assert json.dumps(found) == json.dumps(call(capsys, "text-search", saved, "--task", csv, *SHORT))  # the seed fixes all of it
    assert main(["text-search", saved, "--task", csv, *SHORT]) == 0
    text = capsys.readouterr().out
    assert repr(roles["words"]["text"]) in text and "held-out rows right" in text and "KL divergence" in text


def test_a_prefix_has_a_random_start_alone(capsys, lm, csv, tmp_path):
    folder = adapter_files.save(tmp_path / "kv", storage.to_files(lm, random_prefix(lm, "prefix", 3), {}))
    found = call(capsys, "text-search", folder, "--task", csv, "--template", "{input} is", *SHORT)
    assert list(found["kl_by_round"]) == ["random"]


def test_wrong_options_are_told_before_the_model_is_loaded(capsys, csv, saved, tmp_path, monkeypatch):
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))
    assert "0 rounds were asked for" in error(capsys, "text-search", saved, "--task", csv, "--rounds", "0")
    assert "The seed is -1" in error(capsys, "text-search", saved, "--task", csv, "--seed", "-1")
    assert "no task or file" in error(capsys, "text-search", saved, "--task", "nope")
    (tmp_path / "empty").mkdir()
    assert "is missing" in error(capsys, "text-search", tmp_path / "empty", "--task", csv)
