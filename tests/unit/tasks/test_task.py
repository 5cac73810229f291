"""Tasks: a bad file is refused in one sentence that names the row; what is trained on is never what is reported on."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import ANSWERS, LABELS, NEAR, PARTS, WORDS, as_csv, everything, messy_rows, refused

from core.errors import LabError
from core.tasks.built_in import slugs
from core.tasks.from_table import Columns, fill_columns, guess_columns, with_test
from core.tasks.load import load_task, read_task
from core.tasks.table import read_table
from core.tasks.task import Example
from core.tasks.task_file import task_to_json

BAD = {
    "unknown columns": (
        b"one,eins\ntwo,zwei\n",
        "has the columns 'one, eins': it needs input and output, or text and label, or the names of the two columns",
    ),
    "one column": (b"input\na\nb\nc\nd\n", "has the columns 'input': it needs input and output"),
    "a web page": (b"<!doctype html>\n<html><body>no</body></html>\n", "has the columns '<!doctype html>'"),
    "half a header": (b"input,eins\none,eins\n", "has the columns 'input, eins'"),
    "no input": (b"input,output\none,eins\n ,zwei\n", "Row 3 of 'rows.csv' has no input"),
    "no output": (b"input,output\none,\n", "Row 2 of 'rows.csv' has no output"),
    "no label": (b"text,label\none,\n", "Row 2 of 'rows.csv' has no label"),
    "no text": (b"text,label\n,yes\n", "Row 2 of 'rows.csv' has no text"),
    "no answer, in other words": (b"question;answer\nwhy?;\n", "Row 2 of 'rows.csv' has no answer"),
    "a null": (b'{"text": "a", "label": "x"}\n{"text": "b", "label": null}\n', "Row 2 of 'rows.csv' has no label"),
    "a text with two labels": (b"text,label\na,yes\nb,no\nA .,no\n", "Row 4 of 'rows.csv' repeats an earlier text with another label"),
    "three rows": (as_csv([("a", "x"), ("b", "y"), ("c", "z")]), "has 3 different rows: at least 4"),
    "one row four times": (as_csv([("a", "x"), ("A", "x"), (" a. ", "x"), ("a", "y")]), "has 1 different rows"),
    "one output": (as_csv([(str(i), "x") for i in range(6)]), "same output"),
    "one label": (as_csv([(str(i), "x") for i in range(6)], ("text", "label")), r"one label only \('x'\)"),
    "a rare label": (as_csv([(str(i), "xy"[i == 5]) for i in range(6)], ("text", "label")), "label 'y' .* has one row"),
    "51 labels": (as_csv([(str(i), str(i % 51)) for i in range(204)], ("text", "label")), "51 different labels"),
    "a side that is none": (
        as_csv([("a", "x", "train"), ("b", "y", "Test"), ("c", "y", "later")], ("input", "output", "split")),
        "Row 4 of 'rows.csv' has 'later' in the column 'split': write train, validation or test",
    ),
    "a side left empty": (as_csv([("a", "x", ""), ("b", "y", "test")], ("input", "output", "split")), "Row 2 of 'rows.csv' has ''"),
    "no test rows": (as_csv([(i, i, "train") for i in range(6)], ("input", "output", "split")), "marks no row as test"),
    "no training rows": (as_csv([(i, i, "dev" if i < 3 else "eval") for i in range(6)], ("input", "output", "split")), "no row as train"),
    "test rows that training has": (
        as_csv([*((i, i, "train") for i in range(6)), (1, 1, "test"), (" 2.", 2, "test")], ("input", "output", "split")),
        "Every test row of 'rows.csv' is among the training rows",
    ),
    "a label in the test rows only": (
        as_csv([*((i, "xy"[i % 2], "train") for i in range(6)), ("a", "z", "test")], ("text", "label", "split")),
        "has the label 'z', which no training row has",
    ),
}


@pytest.mark.parametrize("data, sentence", BAD.values(), ids=BAD)
def test_a_bad_table_is_refused_in_a_sentence_that_says_where(data, sentence):
    with refused(sentence):
        read_task(data, "rows.csv")


def test_missing_folder_and_huge_files_are_refused_by_name(tmp_path):
    big, bigger, good = (tmp_path / name for name in ("big.csv", "big.json", "good.csv"))
    good.write_bytes(ANSWERS)
    for place, data, sentence in (
        ("nope", None, r"no task or file 'nope'.*past-tense"),
        (tmp_path, None, "is a folder"),
        (big, ANSWERS + b"x,y\n" * 2**19, r"'big\.csv' is larger than 2 MB"),
        (bigger, b"[" + b" " * 2**23, r"'big\.json' is larger than 8 MB"),
        (bigger, b"[" + b" " * 2**22, r"'big\.json' is larger than 2 MB"),
    ):
        if data:
            place.write_bytes(data)
        with refused(sentence):
            load_task(str(place))
    for name in ("x" * 5000, "x" * 252, "a\0b"):
        with refused():
            load_task(name)
        with refused("can't be"):
            load_task("capitals", name)
    with refused("can't be read"):
        load_task(str(good), tmp_path / "no.csv")
    assert load_task(str(good)).name == "good"


@pytest.mark.parametrize(
    "header, found",
    [
        ("input,output", ("input", "output", "answers")),
        ("Text , LABEL", ("Text", "LABEL", "labels")),
        ("text,label,input,output", ("input", "output", "answers")),
        ("question,answer", ("question", "answer", "answers")),
        ("sentence,category", ("sentence", "category", "labels")),
        ("id,review,stars,sentiment", ("review", "sentiment", "labels")),
        ("input,label", ("input", "label", "labels")),
        ("word,Translation", ("word", "Translation", "answers")),
        ("source,title,topic", ("title", "topic", "labels")),
    ],
)
def test_columns_are_guessed_by_their_names(header, found):
    table = read_table(f"{header}\n{','.join('abcd'[: header.count(',') + 1])}\n".encode(), "x.csv")
    assert guess_columns(table) == Columns(*found)


def test_a_split_column_is_found_and_empty_fields_are_filled():
    assert guess_columns(read_table(b"SPLIT,input,output\ntrain,a,b\n", "x.csv")).split == "SPLIT"
    table = read_table(b"front,back,label,text,split\na,b,c,d,train\n", "x.csv")
    assert fill_columns(table) == Columns("text", "label", "labels", "split")
    assert fill_columns(table, Columns("front", "back", "")) == Columns("front", "back", "answers", "split")
    assert fill_columns(table, Columns("", "", "answers")) == Columns("text", "label", "answers", "split")
    assert fill_columns(table, Columns("front", "LABEL", "", "back")) == Columns("front", "LABEL", "labels", "back")


def test_columns_can_be_named():
    data = as_csv([(f"q{i}", f"a{i}", "xy"[i % 2]) for i in range(8)], ("front", "back", "pile"))
    assert {e.output for e in everything(read_task(data, "x.csv", Columns("front", "BACK", "answers")))} == {f"a{i}" for i in range(8)}
    task = read_task(data, "x.csv", Columns("front", "pile", "labels"), template="{input}?")
    assert task.labels == ("x", "y") and task.template == "{input}?"


@pytest.mark.parametrize(
    "columns, sentence",
    [
        (Columns("text", "mark", "labels"), "'x.csv' has no column 'mark': its columns are 'text, label'"),
        (Columns("text", "text", "labels"), "The column 'text' is asked for twice"),
        (Columns("text", "label", "labels", "label"), "The column 'label' is asked for twice"),
        (Columns("text", "label", "regression"), "The kind is 'regression': choose answers or labels"),
        (Columns("text", "label", "labels", "fold"), "no column 'fold'"),
    ],
)
def test_columns_that_are_not_there_are_refused(columns, sentence):
    with refused(sentence):
        read_task(LABELS, "x.csv", columns)


def test_a_template_without_a_place_for_the_input_is_refused():
    with refused(r"\{input\} 0 times"):
        read_task(LABELS, "x.csv", template="Sentiment:")
    with refused("The template has 5,007 characters"):
        read_task(LABELS, "x.csv", template="{input}" + "x" * 5000)


def test_words_stand_for_labels():
    numbers = LABELS.replace(b",yes", b",1").replace(b",no", b",0")
    task = read_task(numbers, "x.csv", words={"0": "bad", " 1": "good "})
    assert task.labels == ("bad", "good")
    assert {e.input: e.output for e in everything(task)}["good film"] == "good"
    assert read_task(numbers, "x.csv", words={"1": "good"}).labels == ("0", "good")


@pytest.mark.parametrize(
    "data, words, sentence",
    [
        (LABELS, {"yes": "no"}, "Two labels of 'x.csv' become the word 'no'"),
        (LABELS, {"yes": "same", "no": "same "}, "Two labels of 'x.csv' become the word 'same'"),
        (LABELS, {"yes": " "}, "label 'yes' of 'x.csv' is given no word"),
        (LABELS, {"maybe": "x"}, "'x.csv' has no label 'maybe': its labels are 'yes, no'"),
        (ANSWERS, {"eins": "uno"}, "Words can only replace labels"),
    ],
)
def test_bad_words_are_refused(data, words, sentence):
    with refused(sentence):
        read_task(data, "x.csv", words=words)


def test_the_same_rows_read_in_two_ways_are_two_tasks_and_in_one_way_one():
    tasks = [read_task(LABELS, "x.csv"), read_task(LABELS, "x.csv", Columns("text", "label", "answers"))]
    tasks += [read_task(LABELS, "x.csv", words={"yes": "good"}), read_task(LABELS, "x.csv", template="{input}:")]
    assert len({task.slug for task in tasks}) == 4 and all(task.slug.startswith("x-") for task in tasks)
    assert read_task(LABELS.replace(b",", b";"), "x.csv") == tasks[0]
    two = [read_task(as_csv([(f"{letter}{i}", f"b{i}") for i in range(9)]), "capitals.csv") for letter in "ac"]  # of one name
    assert len({two[0].slug, two[1].slug, "capitals"}) == 3


@st.composite
def tables(draw):
    """Rows that can be a task: different inputs, at least two outputs, every label twice; and whether they have labels."""
    inputs = draw(st.lists(WORDS, min_size=4, max_size=40, unique_by=lambda word: Example(word, "").key))
    labelled = draw(st.booleans())
    outputs = [draw(st.sampled_from(["yes", "no"])) for _ in inputs[4:]]
    return list(zip(inputs, ["yes", "no", "yes", "no", *outputs], strict=True)), labelled


def task_of(rows, labelled):
    return read_task(as_csv(rows, ("text", "label") if labelled else ("input", "output")), "rows.csv")


@given(tables(), st.randoms())
def test_the_split_depends_on_content_not_on_order(table, random):
    rows, labelled = table
    shuffled = random.sample(rows, len(rows))
    first, second = task_of(rows, labelled), task_of(shuffled, labelled)
    for part in PARTS:
        assert set(getattr(first, part)) == set(getattr(second, part))


@given(tables())
def test_every_row_is_in_exactly_one_part(table):
    rows, labelled = table
    task = task_of(rows, labelled)
    keys = [{example.key for example in getattr(task, part)} for part in PARTS]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert sorted((e.input, e.output) for e in everything(task)) == sorted(rows)
    assert task.train and task.held_out
    if labelled:
        assert {example.output for example in task.train} == {example.output for example in task.held_out} == set(task.labels)


def test_the_split_has_the_shares_that_it_promises():
    task = task_of([(f"row {i}", "yes" if i % 2 else "no") for i in range(1000)], True)
    assert (len(task.train), len(task.validation), len(task.held_out)) == (668, 32, 300)
    assert Counter(e.output for e in task.held_out) == {"yes": 150, "no": 150}


FILL = [(f"filler {word}", word) for word in ("alpha", "beta", "gamma", "delta")]


@given(st.lists(st.sampled_from(["one", "One", "ONE. ", " o n e", "o  n e", '"two"', "Two", "three", "three?!"]), min_size=1, max_size=20))
def test_variants_of_case_spacing_and_end_marks_are_one_row(inputs):
    task = task_of([*FILL, *((word, "x") for word in inputs)], False)
    different = {" ".join(word.strip(' ".?!').casefold().split()) for word in inputs}
    assert len(everything(task)) == len(different) + len(FILL) == len({e.key for e in everything(task)})
    dropped = len(inputs) - len(different)
    assert task.notes == ((f"{dropped} rows that repeat an earlier input were dropped.",) if dropped else ())


def test_the_first_answer_of_a_repeated_row_is_kept_and_the_notes_hold_what_was_dropped():
    task = task_of([*FILL, ("one", "first"), ("ONE", "second")], False)
    assert Example("one", "first") in everything(task) and len(everything(task)) == 5
    task = task_of([(f"row {i}", i % 7) for i in range(6000)], False)
    assert task.notes == ("6,000 rows, of which 5,000, spread evenly, were kept.",)
    assert len(everything(task)) == 5000


def marked_rows(*sides):
    return as_csv([(text, output, side) for text, output, side in sides], ("input", "output", "split"))


def test_a_split_column_says_the_part_of_a_row():
    spelled = ("train", "Training", "val", "DEV", "held-out", "eval")
    task = read_task(marked_rows(*((f"text {i}", f"answer {i}", side) for i, side in enumerate(spelled))), "x.csv")
    assert [[e.input for e in getattr(task, part)] for part in PARTS] == [["text 0", "text 1"], ["text 2", "text 3"], ["text 4", "text 5"]]
    assert task.notes == ()
    sides = [*(("train",) * 20), *(("test",) * 5)]  # some training rows become validation rows
    task = read_task(marked_rows(*((f"text {i}", f"answer {i}", side) for i, side in enumerate(sides))), "x.csv")
    assert [len(getattr(task, part)) for part in PARTS] == [16, 4, 5]
    assert {e.input for e in task.held_out} == {f"text {i}" for i in range(20, 25)}


def test_test_rows_that_repeat_training_rows_are_dropped_and_counted():
    long = "The kettle that I bought last month leaks from its base every single morning"
    rows = [(f"text {i}", f"answer {i}", "train") for i in range(12)] + [(long, "bad", "train"), ("Text 1.", "answer 1", "val")]
    rows += [("own validation", "x", "val"), ("own test", "y", "test"), (" text 2", "z", "test"), (f"{long} again!", "bad", "test")]
    task = read_task(marked_rows(*rows), "x.csv")
    assert [e.input for e in task.validation] == ["own validation"] and [e.input for e in task.held_out] == ["own test"]
    assert task.notes == (
        "1 validation rows were left out: training has the same inputs.",
        "1 test rows were left out: training has the same inputs.",
        "1 test rows were left out: they nearly repeat rows of training.",
    )


@given(messy_rows(), st.booleans(), st.lists(st.sampled_from(["train", "val", "test"]), min_size=30, max_size=30) | st.none())
def test_no_input_is_on_two_sides_of_any_split(rows, labelled, sides):
    header = ("text", "label") if labelled else ("input", "output")
    if sides:
        rows, header = [(*row, side) for row, side in zip(rows, sides, strict=False)], (*header, "split")
    try:
        task = read_task(as_csv(rows, header), "rows.csv")
    except LabError:
        return  # too few rows, or one label
    assert len({example.key for example in everything(task)}) == len(everything(task))
    together = "both sides" not in " ".join(task.notes) and "all the same" not in " ".join(task.notes)
    if together:
        homes = {part for part in PARTS for example in getattr(task, part) if "kettle" in example.input.lower()}
        assert len(homes) <= 1


def test_test_rows_that_training_has_are_left_out():
    task = read_task(ANSWERS, "rows.csv")
    tested = with_test(task, as_csv([("TWO", "zwei"), ("ten", "zehn"), ("nine", "neun")]), "test.csv", reuse_held_out=True)
    assert [e.input for e in tested.held_out] == ["ten", "nine"]
    assert "1 test rows were left out: training has the same inputs." in tested.notes
    assert {e.key for e in tested.held_out}.isdisjoint(tested.seen)
    assert len(tested.train) + len(tested.validation) == 6  # the file's own held-out rows are free for training now


@pytest.mark.parametrize(
    "task, data, sentence",
    [
        (ANSWERS, ANSWERS, "Every row of 'test.csv' is among the training rows"),
        (ANSWERS, LABELS, "has the columns text and label, the task input and output"),
        (LABELS, ANSWERS, "has the columns input and output, the task text and label"),
        (LABELS, b"text,label\nnew film,maybe\n", "has the label 'maybe', which no training row has"),
        (ANSWERS, b"", "'test.csv' is empty"),
        (ANSWERS, b"input,output\nten\n", "Row 2 of 'test.csv'"),
    ],
)
def test_a_bad_test_file_is_refused(task, data, sentence):
    with refused(sentence):
        with_test(read_task(task, "rows.csv"), data, "test.csv", reuse_held_out=True)


def test_a_test_file_of_other_columns_and_words(tmp_path):
    rows, test = tmp_path / "rows.tsv", tmp_path / "test.jsonl"
    rows.write_bytes(LABELS.replace(b"text,label", b"front,pile").replace(b",", b"\t"))
    test.write_text('{"front": "odd film", "pile": "yes", "split": "train"}\n{"front": "Good film.", "pile": "no", "split": "x"}\n')
    task = load_task(str(rows), test, Columns("front", "pile", "labels"), {"yes": "good", "no": "bad"})
    assert task.held_out == (Example("odd film", "good"),) and task.labels == ("bad", "good")
    assert task.notes == ("1 test rows were left out: training has the same inputs.",)


def test_test_rows_that_nearly_repeat_training_rows_are_left_out():
    task = read_task(as_csv([*FILL, *((f"text {i}", "x") for i in range(9)), (NEAR[0], "bad")]), "rows.csv")
    tested = with_test(task, as_csv([(NEAR[1], "bad"), (NEAR[2], "good"), ("new", "good")]), "test.csv", reuse_held_out=True)
    assert [e.input for e in tested.held_out] == [NEAR[2], "new"]  # the second has another output: no repetition
    assert tested.notes == ("1 test rows were left out: they nearly repeat rows of training.",)


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
