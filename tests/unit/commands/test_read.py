"""`read`: how a file is read, as JSON and in words, without a model."""

import json

import pytest
from command_line import call, error
from people_files import said, workbook

import core.models.language_model
from app.__main__ import main


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: pytest.fail("the model was loaded"))


@pytest.fixture
def tweets(tmp_path):
    path = tmp_path / "tweets.csv"
    path.write_text("Tweet text,ID,Label\n" + "".join(f"{said()},{at},{('no', 'yes')[at % 2]}\n" for at in range(40)))
    return path


def test_the_json_says_what_was_decided(capsys, tweets):
    found = call(capsys, "read", tweets)
    assert list(found) == ["kind", "input_columns", "output_column", "template", "labels", "rows", "encoding", "notes"]
    assert found["kind"] == "labels" and found["input_columns"] == ["Tweet text"] and found["output_column"] == "Label"
    assert found["labels"] == ["no", "yes"] and sum(found["rows"].values()) == 40 and found["encoding"] == "utf-8"
    assert "Not used: ID." in found["notes"]


def test_in_words_it_is_a_sentence_and_the_first_rows(capsys, tweets):
    assert main(["read", str(tweets)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Read as 2 labels from the column Label; Tweet text goes in; ID is not used."
    assert lines[-1].endswith(("-> 'yes'", "-> 'no'"))


def test_each_part_can_be_said_by_an_option(capsys, tmp_path):
    path = tmp_path / "survey.xlsx"
    rows = [[said(), said(), at % 5 + 1] for at in range(40)]
    path.write_bytes(workbook({"2023": [["a", "b"], ["c", "d"]], "2024": [["liked", "missed", "stars"], *rows]}))
    given = ["--sheet", "2024", "--columns", "missed,liked,stars", "--words", "1,2=bad,3=okay,4,5=good"]
    found = call(capsys, "read", path, *given, "--template", "{liked} / {missed} =")
    assert found["labels"] == ["bad", "good", "okay"] and found["input_columns"] == ["liked", "missed"]
    assert found["template"] == "{liked} / {missed} ="
    assert "has no column 'nothing'" in error(capsys, "read", path, "--columns", "nothing,stars", "--sheet", "2024")
    table = tmp_path / "t.csv"
    table.write_bytes("küche;a\nküste;b\n".encode("cp1252") * 1 + "".join(f"öl {at};{'ab'[at % 2]}\n" for at in range(9)).encode("cp1252"))
    assert call(capsys, "read", table, "--header", "no")["encoding"] == "cp1252"
    found = call(capsys, "read", table, "--header", "yes", "--separator", ";", "--encoding", "latin-1")
    assert found["input_columns"] == ["küche"] and found["encoding"] == "latin-1"
    table.write_text("text,label\n" + "".join(f"row {at},{('Bug', 'bug', 'idea')[at % 3]}\n" for at in range(12)))
    assert call(capsys, "read", table, "--merge-labels")["labels"] == ["Bug", "idea"]


def test_tasks_are_read_too(capsys):
    found = call(capsys, "read", "sentiment")
    assert found["labels"] and found["output_column"] == "output" and json.dumps(found)


@pytest.mark.parametrize(
    "data, sentence",
    [(b"%PDF-1", "is a PDF"), (b"", "is empty"), (b"a\nb\n", "no two cells in a row"), (b'{"a": [1, 2]}\n' * 4, "no column of plain text")],
)
def test_a_file_that_is_no_table_gets_one_sentence_without_a_flag(capsys, tmp_path, data, sentence):
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    told = error(capsys, "read", path)
    assert sentence in told and "--" not in told
