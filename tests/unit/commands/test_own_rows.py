"""Rows of your own on the command line: their columns, labels and split, and one sentence for what can't be read."""

import json
import re
from pathlib import Path

import pytest
from command_line import SHORT, call, error

import core.models.language_model
from app.__main__ import main
from core.tasks.load import load_task
from core.tasks.reader import read_table
from core.tasks.task_file import task_to_json


@pytest.fixture
def pets(tmp_path) -> Path:
    """A table whose column names say nothing."""
    path = tmp_path / "pets.tsv"
    rows = [f"pet {i}\t{i % 2}\t{'test' if i < 4 else 'train'}" for i in range(20)]
    path.write_text("\n".join(["animal\tmark\tside", *rows]) + "\n")
    return path


def test_columns_words_and_a_split_column_are_taken(capsys, pets):
    given = ["--columns", "animal, mark", "--kind", "labels", "--split-column", "side", "--words", "0=bad,1=good"]
    found = call(capsys, "train", "--task", pets, *SHORT, *given)
    assert {row["n"] for row in found["contenders"]} == {4} and found["recipe"]["task"] == str(pets)
    assert found["contenders"][-1]["name"] == "always 'bad'" and found["contenders"][-1]["accuracy"] == 0.5
    found = call(capsys, "evaluate", "--task", pets, *given)
    nothing, instruction, *examples, always = [row["name"] for row in found["contenders"]]
    assert (nothing, always) == ("no prompt", "always 'bad'") and instruction.startswith("Give the mark of this animal. It is one of:")
    assert [name.partition(":")[0] for name in examples] == [f"4 examples, order {number}" for number in (1, 2, 3)]
    assert found["evidence"]["held_out"] == 4 and "too few" in found["evidence"]["text"]


def test_what_is_left_out_is_guessed(capsys, tmp_path):
    path = tmp_path / "pets.jsonl"
    path.write_text(
        "\n".join(json.dumps({"question": f"pet {i}", "answer": i % 3, "split": "dev" if i < 9 else "eval"}) for i in range(18))
    )
    assert "marks no row as train" in error(capsys, "evaluate", "--task", path, "--split-column", "split")
    path.write_text(path.read_text().replace("dev", "train"))
    assert {row["n"] for row in call(capsys, "evaluate", "--task", path)["contenders"]} == {9}
    found = call(capsys, "evaluate", "--task", path, "--kind", "labels", "--words", "0=zero,1=one,2=two")
    assert found["contenders"][-1]["name"] in ("always 'zero'", "always 'one'", "always 'two'")


def test_columns_hold_for_the_test_file_too(capsys, pets, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("animal,mark\nnew one,1\nnew two,1\nPET 5.,1\n")
    given = ["--columns", "animal,mark", "--kind", "labels", "--words", "0=bad,1=good"]
    found = call(capsys, "train", "--task", pets, "--test", test, *SHORT, *given)
    assert {row["n"] for row in found["contenders"]} == {2}
    test.write_text("review,mark\nnew,+\n")
    given = ["--columns", "review,mark", "--kind", "labels", "--words", "+=positive"]
    assert {row["n"] for row in call(capsys, "evaluate", "--task", "sentiment", "--test", test, *given)["contenders"]} == {1}


def test_a_task_file_is_a_task(capsys, csv, tmp_path):
    path = tmp_path / "task.json"
    path.write_text(task_to_json(load_task(csv)))
    assert call(capsys, "evaluate", "--task", path)["contenders"] == call(capsys, "evaluate", "--task", csv)["contenders"]


def test_a_dataset_of_the_hub_is_a_task(capsys, pets, tmp_path, monkeypatch):
    asked = []

    def load(name, **more):
        asked.append(name)
        return read_table(pets.read_bytes(), name)

    monkeypatch.setattr("core.tasks.hub_rows.load_hub_table", load)
    found = call(capsys, "evaluate", "--task", "hub:owner/pets:small", "--columns", "animal,mark", "--split-column", "side")
    assert asked == ["owner/pets:small"] and {row["n"] for row in found["contenders"]} == {4}
    test = tmp_path / "test.csv"
    test.write_text("animal,mark\nnew one,1\n")
    found = call(capsys, "evaluate", "--task", "hub:owner/pets", "--columns", "animal,mark", "--test", test)
    assert {row["n"] for row in found["contenders"]} == {1}


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--columns", "animal"], "--columns is 'animal': name two columns or more"),
        (["--columns", "animal,"], "name two columns"),
        (["--columns", ""], "name two columns"),
        (["--columns", 'animal,"mark'], "--columns is .*: check its quotes"),
        (["--columns", "animal,weight"], "'pets.tsv' has no column 'weight'"),
        (["--columns", "animal,mark", "--kind", "rank"], "--kind is 'rank': choose answers or labels"),
        (["--columns", "animal,mark", "--split-column", "fold"], "no column 'fold'"),
        (["--columns", "animal,mark", "--split-column", ""], "--split-column is empty"),
        (["--columns", "animal,mark", "--split-column", "mark"], "asked for twice"),
        (["--columns", "animal,mark", "--kind", "answers", "--words", "0=bad"], "Words can only replace labels"),
        (["--columns", "animal,mark", "--kind", "labels", "--words", "bad"], "--words is 'bad': name each label once"),
        (["--columns", "animal,mark", "--kind", "labels", "--words", ""], "--words is ''"),
        (["--columns", "animal,mark", "--kind", "labels", "--words", "0=a,0=b"], "name each label once"),
        (["--columns", "animal,mark", "--kind", "labels", "--words", "0=a,1=a"], "'pets.tsv' has one label only .'a'."),
        (["--columns", "animal,mark", "--kind", "labels", "--words", "0="], "label '0' of 'pets.tsv' is given no word"),
        (["--columns", "animal,mark", "--kind", "labels", "--words", "2=x"], "has no label '2'"),
        (["--columns", "animal,mark", "--kind", "labels", "--words", "0,1"], "--words is '0,1'"),
        (["--separator", "ab"], "--separator is 'ab': give one sign"),
        (["--separator", ";"], "'pets.tsv' has one column of plain text"),
        (["--task", "sentiment", "--kind", "labels"], "sentiment is a built-in task"),
        (["--task", "sentiment", "--words", "positive=good"], "sentiment is a built-in task"),
        (["--task", "hub:nobody/nothing"], "The dataset 'nobody/nothing' can't be read"),
        (["--task", "hub:../pets"], "'../pets' names no dataset"),
    ],
)
def test_what_cannot_be_read_so_is_told(capsys, pets, arguments, sentence, monkeypatch):
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))
    assert main(["evaluate", "--task", str(pets), *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line != "reading the dataset …"]
    assert len(lines) == 1 and re.search(sentence, lines[0]) and lines[0].endswith(".")
