"""A second file with held-out rows: what training has is left out, and what can't be used is refused."""

import pytest
from task_files import ANSWERS, FILL, LABELS, NEAR, as_csv, marked_rows, refused

from core.tasks.built_in import slugs
from core.tasks.columns import Columns
from core.tasks.from_table import with_test
from core.tasks.load import load_task, read_task
from core.tasks.reader import read_table
from core.tasks.task import Example
from core.tasks.task_file import task_to_json


def table_of(rows):
    return read_table(as_csv(rows), "test.csv")


def test_test_rows_that_training_has_are_left_out():
    task = read_task(ANSWERS, "rows.csv")
    tested = with_test(task, table_of([("TWO", "zwei"), ("ten", "zehn"), ("nine", "neun")]), reuse_held_out=True)
    assert [e.input for e in tested.held_out] == ["ten", "nine"]
    assert "1 test row was left out: training has the same inputs." in tested.notes
    assert {e.key for e in tested.held_out}.isdisjoint(tested.seen)
    assert len(tested.train) + len(tested.validation) == 6  # the file's own held-out rows are free for training now


@pytest.mark.parametrize(
    "task, data, sentence",
    [
        (ANSWERS, ANSWERS, "Every row of 'test.csv' is among the training rows"),
        (LABELS, ANSWERS, "has the label 'eins', which no training row has"),
        (LABELS, b"text,label\nnew film,maybe\n", "has the label 'maybe', which no training row has"),
        (ANSWERS, b"", "'test.csv' is empty"),
        (ANSWERS, b"input,output\nten,\n", "1 of 1 rows of 'test.csv' can't be used"),
    ],
)
def test_a_bad_test_file_is_refused(task, data, sentence):
    with refused(sentence):
        with_test(read_task(task, "rows.csv"), read_table(data, "test.csv"), reuse_held_out=True)


def test_a_test_file_of_other_columns_and_words(tmp_path):
    rows, test = tmp_path / "rows.tsv", tmp_path / "test.jsonl"
    rows.write_bytes(LABELS.replace(b"text,label", b"front,pile").replace(b",", b"\t"))
    test.write_text('{"front": "odd film", "pile": "yes", "split": "train"}\n{"front": "Good film.", "pile": "no", "split": "x"}\n')
    task = load_task(str(rows), test, Columns(("front",), "pile", words={"yes": "good", "no": "bad"}))
    assert task.held_out == (Example("odd film", "good"),) and task.labels == ("bad", "good")
    assert task.notes == ("1 test row was left out: training has the same inputs.",)


def test_test_rows_that_nearly_repeat_training_rows_are_left_out():
    task = read_task(as_csv([*FILL, *((f"text {i}", "x") for i in range(9)), (NEAR[0], "bad")]), "rows.csv")
    tested = with_test(task, table_of([(NEAR[1], "bad"), (NEAR[2], "good"), ("new", "good")]), reuse_held_out=True)
    assert [e.input for e in tested.held_out] == [NEAR[2], "new"]  # the second has another output: no repetition
    assert tested.notes == ("1 test row was left out: it nearly repeats rows of training.",)


def test_held_out_rows_of_a_built_in_task_or_a_file_are_not_trained_on(tmp_path):
    marked, own = tmp_path / "marked.csv", tmp_path / "own.json"
    marked.write_bytes(marked_rows(*((f"text {i}", f"answer {i}", "test" if i < 3 else "train") for i in range(12))))
    own.write_text(task_to_json(load_task("sentiment")))
    test = tmp_path / "test.csv"
    test.write_bytes(as_csv([("zzzz", "yyyy")]))
    tested = load_task(slugs()[0], test)
    assert tested.held_out == (Example("zzzz", "yyyy"),) and tested.seen == load_task(slugs()[0]).seen
    test.write_bytes(as_csv([("new text", "answer 1")]))
    assert load_task(str(marked), test).seen == load_task(str(marked)).seen
    test.write_bytes(as_csv([("new text", "positive")], ("text", "label")))
    assert load_task(str(own), test).seen == load_task("sentiment").seen
