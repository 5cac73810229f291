"""Rows of the Hub: read by the real `datasets` from local folders; without a network, refused in one sentence, soon."""

import builtins
import datetime
import time

import pytest

from core.errors import LabError
from core.tasks.columns import Columns
from core.tasks.from_table import task_from_table
from core.tasks.hub_rows import _within, load_hub_table, read_dataset
from core.tasks.table import LARGEST_FILE

datasets = pytest.importorskip("datasets")


def read(path, columns=None, split="train", rows=5000):
    return read_dataset("owner/pets", str(path), "", columns, split, rows)


@pytest.fixture
def typed(tmp_path):
    """A dataset with a schema: class names, a list, a date, a picture's bytes."""
    features = {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["bad", "good"]),
        "tags": datasets.List(datasets.Value("string")),
        "sure": datasets.Value("bool"),
        "stars": datasets.Value("float64"),
        "day": datasets.Value("date32"),
        "picture": datasets.Value("binary"),
    }
    rows = {
        "text": [f" text {i}\n" for i in range(12)],
        "label": [-1, *(i % 2 for i in range(11))],
        "tags": [["a"]] * 12,
        "sure": [True] * 12,
        "stars": [None, *[1.5] * 11],
        "day": [datetime.date(2024, 2, 29)] * 12,
        "picture": [b"\x89PNG"] * 12,
    }
    datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet(tmp_path / "train.parquet")
    return tmp_path


def test_a_folder_of_csv_files_is_read_by_split(tmp_path):
    for split, count in (("train", 9), ("test", 3)):
        (tmp_path / f"{split}.csv").write_text("text,label\n" + "".join(f'"{split}, {i}",{i % 2}\n' for i in range(count)))
    table = read(tmp_path)
    assert table.name == "owner/pets" and table.columns == ("text", "label") and table.notes == ()
    assert len(table.rows) == 9 and table.rows[1] == ("train, 1", "1") and table.numbers[1] == 2
    assert len(read(tmp_path, split="test").rows) == 3
    assert task_from_table(table).labels == ("0", "1")
    with pytest.raises(LabError, match="'owner/pets' has no split 'dev': it has 'train, test'"):
        read(tmp_path, split="dev")


def test_json_lines_are_read_without_their_lists(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"question": "q{i}", "answer": {i}, "more": [1]}}\n' for i in range(5)))
    table = read(tmp_path)
    assert table.columns == ("question", "answer") and table.rows[4] == ("q4", "4")
    with pytest.raises(LabError, match=r"no column 'more' of plain values: its columns are 'question, answer'\."):
        read(tmp_path, Columns(("question",), "more"))


def test_class_numbers_become_their_names_and_what_is_no_text_is_left_out(typed):
    table = read(typed)
    assert table.columns == ("text", "label", "sure", "stars", "day")
    assert table.rows[:2] == (("text 0", "", "true", "", "2024-02-29"), ("text 1", "bad", "true", "1.5", "2024-02-29"))


def test_only_the_columns_that_are_asked_for_are_read(typed):
    assert read(typed, Columns(("text",), "label")).columns == ("text", "label")
    for column in ("tags", "nothing"):
        with pytest.raises(LabError, match=f"no column '{column}' of plain values"):
            read(typed, Columns(("text",), column))


def test_rows_are_spread_over_more_than_are_kept_and_the_notes_say_so(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"text {i},{i // 50}\n" for i in range(100)))
    table = read(tmp_path, rows=20)
    assert [row[1] for row in table.rows] == ["0"] * 10 + ["1"] * 10 and table.numbers[1] == 6
    assert table.notes == ("100 rows, of which 20, spread evenly, were kept.",)
    assert read(tmp_path, rows=10).notes == ("The first 60 rows, of which 10, spread evenly, were kept.",)


def test_no_more_than_2_mb_of_text_is_kept(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"{'ä' * 5000} {i},{i % 2}\n" for i in range(400)))
    table = read(tmp_path)
    size = sum(len(cell.encode()) for row in table.rows for cell in row)
    assert 0.9 * LARGEST_FILE < size <= LARGEST_FILE
    assert table.notes == (f"400 rows, of which {len(table.rows)}, spread evenly, were kept.",)


def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"a": [1]}\n{"a": [2]}\n')
    with pytest.raises(LabError, match="no rows of plain text and numbers"):
        read(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(LabError, match=r"'owner/pets' can't be read \(.*\): check") as caught:
        read(tmp_path / "broken")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["", "imdb", "/etc/passwd", "../a/b", "a/../b", "a/b/c", "a/b:c:d", "a b/c", "owner/", "\0/a"])
def test_what_names_no_dataset_is_refused(name):
    with pytest.raises(LabError, match="names no dataset: write owner/name"):
        load_hub_table(name)


def test_a_local_folder_does_not_pass_for_a_dataset(tmp_path, monkeypatch):
    (tmp_path / "owner" / "pets").mkdir(parents=True)
    (tmp_path / "owner" / "pets" / "train.csv").write_text("text,label\na,b\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match="is a folder here"):
        load_hub_table("owner/pets")


def test_it_waits_neither_offline_nor_for_ever():  # conftest sets HF_HUB_OFFLINE=1
    with pytest.raises(LabError, match=r"'owner/missing:config' can't be read \(.*Offline.*\): check owner/name:config and the network\."):
        load_hub_table("owner/missing:config")
    with pytest.raises(LabError, match=r"'owner/pets' was not there after 0\.05 seconds"):
        _within(0.05, "owner/pets", lambda: time.sleep(5))


def test_without_the_package_its_name_is_told(monkeypatch):
    real = builtins.__import__

    def no_datasets(name, *more):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", no_datasets)
    with pytest.raises(LabError, match="install datasets"):
        load_hub_table("owner/pets")
