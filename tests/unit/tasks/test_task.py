"""Tasks: a bad file is refused in one sentence that names the row; what is trained on is never what is reported on."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LabError
from core.scoring.score import handcrafted
from core.tasks.table import read_table
from core.tasks.task import (
    BUILT_IN,
    Columns,
    Example,
    fill_columns,
    guess_columns,
    load_task,
    read_task,
    shuffled,
    slugs,
    task_from_json,
    task_to_json,
    with_test,
)

ANSWERS = b"input,output\none,eins\ntwo,zwei\nthree,drei\nfour,vier\nfive,funf\nsix,sechs\n"
LABELS = b"text,label\ngood film,yes\nbad film,no\nfine book,yes\npoor book,no\ngreat day,yes\nsad day,no\n"
PARTS = ("train", "validation", "held_out")


def as_csv(rows, header=("input", "output")) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue().encode()


def everything(task) -> tuple[Example, ...]:
    return (*task.train, *task.validation, *task.held_out)


def assert_one_sentence(error) -> None:
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 400


# --- files that can't be a task -----------------------------------------------------------------------------------------------

BAD = {
    "unknown columns": (
        b"one,eins\ntwo,zwei\n",
        "has the columns 'one, eins': it needs input and output, or text and label, or the names of the two columns",
    ),
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


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_a_sentence_that_says_where(name):
    data, sentence = BAD[name]
    with pytest.raises(LabError, match=sentence) as caught:
        read_task(data, "rows.csv")
    assert_one_sentence(caught)


def test_missing_folder_and_huge_files_are_refused_by_name(tmp_path):
    with pytest.raises(LabError, match=r"no task or file 'nope'.*past-tense"):
        load_task("nope")
    with pytest.raises(LabError, match="is a folder"):
        load_task(str(tmp_path))
    big = tmp_path / "big.csv"
    big.write_bytes(ANSWERS + b"x,y\n" * 2**19)
    with pytest.raises(LabError, match=r"'big\.csv' is larger than 2 MB"):
        load_task(str(big))
    bigger = tmp_path / "big.json"
    bigger.write_bytes(b"[" + b" " * 2**23)
    with pytest.raises(LabError, match=r"'big\.json' is larger than 8 MB"):
        load_task(str(bigger))
    bigger.write_bytes(b"[" + b" " * 2**22)
    with pytest.raises(LabError, match=r"'big\.json' is larger than 2 MB"):
        load_task(str(bigger))
    for name in ("x" * 5000, "x" * 252, "a\0b"):
        with pytest.raises(LabError):
            load_task(name)
        with pytest.raises(LabError, match="can't be"):
            load_task("capitals", name)
    good = tmp_path / "good.csv"
    good.write_bytes(ANSWERS)
    with pytest.raises(LabError, match="can't be read"):
        load_task(str(good), tmp_path / "no.csv")
    assert load_task(str(good)).name == "good"


# Bytes that get past the first checks: pieces of every format that we read.
PIECES = [
    *(
        "input,output\n",
        "text\tlabel\n",
        "question;answer\n",
        "text,label,split\n",
        "a,b\n",
        "c\td\n",
        "France -> Paris\n",
        "e;f\n",
        "\n",
        "\r",
    ),
    *(
        '{"input": "a", "output": "b"}\n',
        '{"text": 1e999, "label": true}\n',
        '{"x": [1]}\n',
        '{"input"',
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "NaN",
    ),
    *(
        '{"train": [["a", "b"], ["c", "d"]], "held_out": [["e", "f"]]}',
        '{"train": ',
        '"held_out": ',
        '["a", "b"]',
        '"\\ud800"',
        '"\\u0000"',
        "null",
    ),
    *('"', "\0", "\ufeff", "é", "train", "test", "9" * 5000, "[" * 3000, "->", "="),
]


@settings(max_examples=1000)
@given(st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: "".join(pieces).encode()), st.booleans())
def test_any_bytes_are_a_task_or_refused(data, pasted):
    for bytes_ in (data, b"input,output\n" + data):
        try:
            task = read_task(bytes_, "x.csv", pasted=pasted)
        except LabError as error:
            assert "\n" not in str(error)
            continue
        assert task.train and task.held_out and all(example.input and example.output for example in everything(task))
        assert task_from_json(task_to_json(task).encode(), "x.json") == task


@settings(max_examples=300)
@given(st.lists(st.lists(st.text(max_size=6) | st.sampled_from(["a", '"', "\0", "\r", "é", "", " ", ","]), max_size=3), max_size=8))
def test_any_text_below_a_header_is_read_or_refused(rows):
    text = "input,output\n" + "\n".join(",".join(row) for row in rows)
    try:
        task = read_task(text.encode("utf-8", "surrogatepass"), "x.csv")
    except LabError:
        return
    assert task.train and task.held_out


# --- columns and words --------------------------------------------------------------------------------------------------------


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


def test_a_column_named_split_is_one():
    assert guess_columns(read_table(b"SPLIT,input,output\ntrain,a,b\n", "x.csv")).split == "SPLIT"


def test_empty_fields_are_filled_and_the_others_kept():
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
    with pytest.raises(LabError, match=sentence) as caught:
        read_task(LABELS, "x.csv", columns)
    assert_one_sentence(caught)


def test_a_template_without_a_place_for_the_input_is_refused():
    with pytest.raises(LabError, match=r"\{input\} 0 times"):
        read_task(LABELS, "x.csv", template="Sentiment:")
    with pytest.raises(LabError, match="The template has 5,007 characters"):
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
        (ANSWERS, {"eins": "uno"}, "Words can stand for labels only"),
    ],
)
def test_bad_words_are_refused(data, words, sentence):
    with pytest.raises(LabError, match=sentence) as caught:
        read_task(data, "x.csv", words=words)
    assert_one_sentence(caught)


def test_the_same_rows_read_in_two_ways_are_two_tasks_and_in_one_way_one():
    tasks = [read_task(LABELS, "x.csv"), read_task(LABELS, "x.csv", Columns("text", "label", "answers"))]
    tasks += [read_task(LABELS, "x.csv", words={"yes": "good"}), read_task(LABELS, "x.csv", template="{input}:")]
    assert len({task.slug for task in tasks}) == 4 and all(task.slug.startswith("x-") for task in tasks)
    assert read_task(LABELS.replace(b",", b";"), "x.csv") == tasks[0]


# --- the split ----------------------------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).map(str.strip).filter(bool)


@st.composite
def tables(draw):
    """Rows that can be a task: different inputs, at least two outputs, every label twice; and whether they have labels."""
    inputs = draw(st.lists(words, min_size=4, max_size=40, unique_by=lambda word: Example(word, "").key))
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


def test_a_repeated_row_keeps_its_first_answer():
    task = task_of([*FILL, ("one", "first"), ("ONE", "second")], False)
    assert Example("one", "first") in everything(task) and len(everything(task)) == 5


def test_what_is_told_while_reading_is_in_the_notes():
    rows = "".join(f"row {i},{i % 7}\n" for i in range(6000)).encode()
    task = read_task(b"input,output\n" + rows, "x.csv")
    assert task.notes == ("6,000 rows, of which 5,000, spread evenly, were kept.",)
    assert len(everything(task)) == 5000


def marked_rows(*sides):
    return as_csv([(text, output, side) for text, output, side in sides], ("input", "output", "split"))


def test_a_split_column_says_where_a_row_stands():
    spelled = ("train", "Training", "val", "DEV", "held-out", "eval")
    task = read_task(marked_rows(*((f"text {i}", f"answer {i}", side) for i, side in enumerate(spelled))), "x.csv")
    assert [[e.input for e in getattr(task, part)] for part in PARTS] == [
        ["text 0", "text 1"],
        ["text 2", "text 3"],
        ["text 4", "text 5"],
    ]
    assert task.notes == ()


def test_without_validation_rows_some_are_parted_from_the_training_rows():
    sides = [*(("train",) * 20), *(("test",) * 5)]
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


SENTENCE = "My {} bought this {} kettle in {} and it leaks from its base every morning before breakfast"
NEAR = [SENTENCE.format(*filled) for filled in (("son", "blue", "May"), ("son", "blue", "June"), ("son", "blue", "July"))]
SHORT = ["What is the capital of France?", "What is the capital of Norway?", "one", "two", "Who wrote the novel Emma?", "ten green bottles"]


@st.composite
def messy_rows(draw):
    """Rows with repeats, variants and near-repeats among them, each input with one output, so that labels don't clash."""
    texts = draw(st.lists(st.sampled_from([*NEAR, *SHORT]) | words, min_size=4, max_size=30))
    rows = []
    for text in texts:
        dress = draw(st.sampled_from([str, str.upper, lambda t: f" {t}  ", lambda t: f'"{t}."', lambda t: t.replace(" ", "  ")]))
        rows.append((dress(text), "yes" if text in NEAR or len(Example(text, "").key.strip("01234567")) % 2 else "no"))
    return rows


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


# --- a test file of one's own -------------------------------------------------------------------------------------------------


def test_test_rows_that_training_has_are_left_out():
    task = read_task(ANSWERS, "rows.csv")
    tested = with_test(task, as_csv([("TWO", "zwei"), ("ten", "zehn"), ("nine", "neun")]), "test.csv", spare=True)
    assert [e.input for e in tested.held_out] == ["ten", "nine"]
    assert "1 test rows were left out: training has the same inputs." in tested.notes
    assert {e.key for e in tested.held_out}.isdisjoint(tested.seen)
    assert len(tested.train) + len(tested.validation) == 6  # the file's own held-out rows are free for training now


def test_a_built_in_tasks_held_out_rows_are_never_trained_on(tmp_path):
    slug = slugs()[0]
    task = load_task(slug)
    path = tmp_path / "test.csv"
    path.write_bytes(as_csv([("zzzz", "yyyy")]))
    tested = load_task(slug, path)
    assert tested.held_out == (Example("zzzz", "yyyy"),)
    assert tested.seen == task.seen


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
    with pytest.raises(LabError, match=sentence):
        with_test(read_task(task, "rows.csv"), data, "test.csv", spare=True)


def test_a_test_file_of_other_columns_and_words(tmp_path):
    rows, test = tmp_path / "rows.tsv", tmp_path / "test.jsonl"
    rows.write_bytes(LABELS.replace(b"text,label", b"front,pile").replace(b",", b"\t"))
    test.write_text('{"front": "odd film", "pile": "yes", "split": "train"}\n{"front": "Good film.", "pile": "no", "split": "x"}\n')
    task = load_task(str(rows), test, Columns("front", "pile", "labels"), {"yes": "good", "no": "bad"})
    assert task.held_out == (Example("odd film", "good"),) and task.labels == ("bad", "good")
    assert task.notes == ("1 test rows were left out: training has the same inputs.",)


def test_test_rows_that_nearly_repeat_training_rows_are_left_out():
    task = read_task(as_csv([*FILL, *((f"text {i}", "x") for i in range(9)), (NEAR[0], "bad")]), "rows.csv")
    tested = with_test(task, as_csv([(NEAR[1], "bad"), (NEAR[2], "good"), ("new", "good")]), "test.csv", spare=True)
    assert [e.input for e in tested.held_out] == [NEAR[2], "new"]  # the second has another output: no repetition
    assert tested.notes == ("1 test rows were left out: they nearly repeat rows of training.",)


def test_what_a_person_held_out_is_not_trained_on(tmp_path):
    marked, own = tmp_path / "marked.csv", tmp_path / "own.json"
    marked.write_bytes(marked_rows(*((f"text {i}", f"answer {i}", "test" if i < 3 else "train") for i in range(12))))
    own.write_text(task_to_json(load_task("sentiment")))
    test = tmp_path / "test.csv"
    test.write_bytes(as_csv([("new text", "answer 1")]))
    assert load_task(str(marked), test).seen == load_task(str(marked)).seen
    test.write_bytes(as_csv([("new text", "positive")], ("text", "label")))
    assert load_task(str(own), test).seen == load_task("sentiment").seen


# --- task files ---------------------------------------------------------------------------------------------------------------

SMALL = {"train": [["a", "x"], ["b", "y"], ["c", "x"]], "held_out": [["d", "y"]]}


def as_json(**changes) -> bytes:
    return json.dumps({**SMALL, **changes}).encode()


def test_a_task_file_needs_two_lists_only():
    task = read_task(as_json(), "My pets.json")
    assert task.name == "My pets" and task.template == "{input}" and task.labels is None and task.slug.startswith("My pets-")
    assert len(task.train) == 2 and len(task.validation) == 1 and task.held_out == (Example("d", "y"),)
    assert read_task(as_json(kind="labels"), "x.json").labels == ("x", "y")
    assert read_task(as_json(validation=[]), "x.json").validation == ()


@given(messy_rows(), st.booleans(), st.sampled_from(["{input} is", "Text: {input}\nMood:", ""]))
def test_a_task_file_is_read_back_as_an_equal_task(rows, labelled, template):
    try:
        task = read_task(as_csv(rows, ("text", "label") if labelled else ("input", "output")), "rows.csv", template=template)
    except LabError:
        return
    for one in (task, shuffled(task, 3)):
        assert task_from_json(task_to_json(one).encode(), "other.json") == one


BAD_JSON = {
    "no held-out rows": (as_json(held_out=[]), "has no rows in held_out"),
    "no training rows": (as_json(train=[]), "has no rows in train"),
    "rows that are no list": (as_json(train="abc"), "train in 'x.json' is no list"),
    "a row of three": (as_json(train=[["a", "b", "c"]]), "Row 1 of train in 'x.json' is no pair of texts"),
    "a number": (as_json(train=[["a", "b"], ["a", 1]]), "Row 2 of train in 'x.json' is no pair of texts"),
    "an empty output": (as_json(held_out=[["a", " "]]), "Row 1 of held_out in 'x.json' has no output"),
    "half a character": (as_json(held_out=[["a\ud800", "b"]]), "Row 1 of held_out in 'x.json' has a character that is no text"),
    "one output": (as_json(train=[["a", "y"], ["b", "y"]]), "same output"),
    "held-out rows seen": (as_json(held_out=[["A.", "y"]]), "Every row of held_out in 'x.json' is among the training rows"),
    "too many rows": (as_json(train=[[str(i), str(i)] for i in range(5001)]), "5,001 rows in train and validation, more than 5,000"),
    "an unknown field": (as_json(heldout=[]), "unknown field 'heldout'"),
    "rows of another task": (as_json(rows_of="sentiment", change="swap"), "unknown field 'rows_of'"),
    "an unknown kind": (as_json(kind="ranks"), "kind in 'x.json' is 'ranks'"),
    "answers with labels": (as_json(kind="answers", labels=["x", "y"]), "the kind answers and a list of labels"),
    "labels that are no list": (as_json(labels={"x": 1}), "labels in 'x.json' is no list of words"),
    "an empty label": (as_json(labels=["x", "y", ""]), "labels in 'x.json' is no list of words"),
    "one label": (as_json(labels=["x"]), "'x.json' has 1 labels"),
    "a label twice": (as_json(labels=["x", "y", "x"]), "'x.json' has 3 labels: give from 2 to 50 different ones"),
    "an unlisted label": (as_json(labels=["x", "z"]), "Row 2 of train in 'x.json' has the output 'y', which is none of its labels"),
    "a template without a place": (as_json(template="Label:"), "The template of 'x.json' can't be used: .*{input} 0 times"),
    "a template that is a number": (as_json(template=3), "template in 'x.json' is '3'"),
    "a long name": (as_json(name="x" * 201), "name in 'x.json' is 'xxx"),
    "an empty slug": (as_json(slug=" "), "slug in 'x.json' is ' '"),
    "prompts that are no list": (as_json(handcrafted={"a": 1}), "handcrafted in 'x.json' is no list of up to 20"),
    "21 prompts": (as_json(handcrafted=[{"name": str(i), "template": "{input}"} for i in range(21)]), "no list of up to 20 prompts"),
    "a prompt without a name": (as_json(handcrafted=[{"template": "{input}"}]), "Prompt 1 in 'x.json' has other fields"),
    "a prompt without a place": (as_json(handcrafted=[{"name": "a", "template": "x"}]), "Prompt 1 in 'x.json' can't be used"),
    "a long prompt": (as_json(handcrafted=[{"name": "a", "template": "{input}" + "x" * 4000}]), "up to 4,000 characters"),
    "a prompt's name twice": (as_json(handcrafted=[{"name": "a", "template": "{input}"}] * 2), "Prompt 2 in 'x.json' has the name of an"),
    "a recipe that is no table": (as_json(recipe=["steps"]), "recipe in 'x.json' is no table of settings"),
    "a task in the recipe": (as_json(recipe={"task": "news"}), "The recipe in 'x.json' can't be used: it can't hold 'task'"),
    "a model in the recipe": (as_json(recipe={"model": "/etc"}), "it can't hold 'model'"),
    "a dtype in the recipe": (as_json(recipe={"dtype": "float16"}), "it can't hold 'dtype'"),
    "an unknown setting": (as_json(recipe={"stepz": 3}), "it can't hold 'stepz'"),
    "a setting out of bounds": (as_json(recipe={"steps": 10**9}), "The recipe in 'x.json' can't be used: steps is 1000000000"),
    "settings that don't fit": (as_json(recipe={"method": "prompt", "mlp": 8}), "The MLP belongs to K/V prefixes"),
    "notes that are no list": (as_json(notes="a"), "notes in 'x.json' is no list"),
    "a number that is no number": (as_json(recipe={"clip": float("nan")}), "gradient clip is nan"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_a_bad_task_file_is_refused_in_a_sentence_that_says_where(name):
    data, sentence = BAD_JSON[name]
    for read in (read_task, task_from_json):
        with pytest.raises(LabError, match=sentence) as caught:
            read(data, "x.json")
        assert "x.json" in str(caught.value)
        assert_one_sentence(caught)


def test_rows_that_repeat_an_earlier_side_are_dropped_and_counted():
    held_out = [["d", "y"], ["D!", "y"], [" A", "x"], ["b", "y"]]
    task = read_task(as_json(validation=[["e", "x"], ["c.", "x"]], held_out=held_out), "x.json")
    assert [[e.input for e in getattr(task, part)] for part in PARTS] == [["a", "b", "c"], ["e"], ["d"]]
    assert task.notes == (
        "1 rows that repeat an earlier input were dropped.",
        "1 validation rows were left out: training has the same inputs.",
        "2 test rows were left out: training has the same inputs.",
    )


def test_a_table_is_no_task_file_and_a_task_file_needs_no_columns():
    with pytest.raises(LabError, match=r"'x\.csv' is no task file"):
        task_from_json(ANSWERS, "x.csv")
    for more in ({"columns": Columns("a", "b", "answers")}, {"words": {"x": "y"}}, {"template": "{input}"}):
        with pytest.raises(LabError, match=r"'x\.json' is a task file"):
            read_task(as_json(), "x.json", **more)


def test_nobodys_file_passes_for_a_built_in_task():
    task = load_task("sentiment")
    other = read_task(task_to_json(replace(task, held_out=task.held_out[1:])).encode(), "x.json")
    assert other.slug != "sentiment" and other.slug.startswith("sentiment-") and other.held_out == task.held_out[1:]
    assert read_task(task_to_json(other).encode(), "y.json") == other


@pytest.mark.parametrize("name", ["n" * 250 + ".csv", ".csv", "", "a\ud800b.csv", "ä.b.csv"])
def test_any_file_name_names_a_task(name):
    task = read_task(LABELS, name)
    for one in (task, shuffled(shuffled(task))):
        assert one.name and read_task(task_to_json(one).encode(), "x.json") == one


def test_the_largest_table_fits_into_a_task_file():
    row = ('"quoted"\\\n' * 21)[:200]
    task = read_task(as_csv([(f"{i} {row}", str(i % 9)) for i in range(5000)]), "x.csv")
    assert read_task(task_to_json(task).encode(), "x.json") == task


# --- tasks made of others -----------------------------------------------------------------------------------------------------


def test_shuffled_outputs_are_the_same_outputs_dealt_out_anew():
    task = load_task("sentiment")
    changed = shuffled(task)
    for part in PARTS:
        assert [e.input for e in getattr(changed, part)] == [e.input for e in getattr(task, part)]
    assert changed.held_out == task.held_out and changed.handcrafted == task.handcrafted
    before, after = ([e.output for e in (*t.train, *t.validation)] for t in (task, changed))
    assert Counter(before) == Counter(after)
    assert 0.35 < sum(a == b for a, b in zip(before, after, strict=True)) / len(before) < 0.65
    assert shuffled(task) == changed != shuffled(task, 1)
    assert changed.slug not in slugs() and changed.name == "Review sentiment (outputs shuffled)"


def test_swapped_sentiment_is_sentiment_with_the_other_label():
    task, swapped = load_task("sentiment"), load_task("swapped-sentiment")
    other = {"positive": "negative", "negative": "positive"}
    for part in PARTS:
        assert [(e.input, other[e.output]) for e in getattr(task, part)] == [(e.input, e.output) for e in getattr(swapped, part)]
    assert len(swapped.handcrafted) == 7
    training = (*swapped.train, *swapped.validation)
    for prompt, gap in zip(swapped.handcrafted[-2:], (" -> ", "\nSentiment: "), strict=True):
        assert sum(f"{example.input}{gap}{example.output}\n" in prompt.template for example in training) == 4


def test_shuffled_news_is_news_with_topics_that_tell_nothing():
    task, dealt = load_task("news"), load_task("shuffled-news")
    assert [e.input for e in dealt.held_out] == [e.input for e in task.held_out]
    assert Counter(e.output for e in everything(task)) == Counter(e.output for e in everything(dealt))
    for part in ("train", "held_out"):
        topic = {e.input: e.output for e in everything(task)}
        same = [topic[e.input] == e.output for e in getattr(dealt, part)]
        assert 0.15 < sum(same) / len(same) < 0.35
    training = {e.input: e.output for e in (*dealt.train, *dealt.validation)}
    shown = [text for text in training if text in dealt.handcrafted[-1].template]
    assert len(shown) == 4 and all(f"{text}\nTopic: {training[text]}" in dealt.handcrafted[-1].template for text in shown)


# --- the tasks that are there from the start ------------------------------------------------------------------------------------

FILES = sorted(BUILT_IN.glob("*.json"))


def test_there_are_built_in_tasks_and_all_are_listed():
    assert {path.stem for path in FILES} == set(slugs())
    assert " ".join(slugs()) == (
        "past-tense capitals plural capitalise opposites first-of-five dates number-words person-json negate sentiment swapped-sentiment "
        "news shuffled-news question-type french"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestBuiltIn:
    def test_no_input_is_on_both_sides(self, path):
        task = load_task(path.stem)
        rows = (*task.train, *task.validation, *task.held_out)
        assert len({e.key for e in rows}) == len(rows) >= 150
        assert len(task.held_out) >= 0.25 * len(rows) and 0 < len(task.validation) <= 32
        assert task.slug == path.stem and task.teaches

    def test_every_row_has_tidy_texts(self, path):
        task = load_task(path.stem)
        for example in (*task.train, *task.validation, *task.held_out):
            assert example.input == example.input.strip() != "" and example.output == example.output.strip() != ""

    def test_handcrafted_prompts_are_sound_and_give_no_answer_away(self, path):
        task = load_task(path.stem)
        assert len(task.handcrafted) >= 4
        assert len({prompt.name for prompt in task.handcrafted}) == len(task.handcrafted)
        for prompt in task.handcrafted:
            assert prompt.template.count("{input}") == 1
            assert not handcrafted(prompt.name, prompt.template, task.held_out).excluded

    def test_the_last_prompts_hold_four_worked_examples_from_the_training_rows(self, path):
        task = load_task(path.stem)
        worked = [prompt for prompt in task.handcrafted if "examples" in prompt.name]
        assert worked and tuple(worked) == task.handcrafted[-len(worked) :]
        training = (*task.train, *task.validation)
        for prompt in worked:
            inside = handcrafted(prompt.name, prompt.template, training).excluded
            assert len(inside) >= 4

    def test_labels_are_balanced(self, path):
        task = load_task(path.stem)
        if not task.labels:
            pytest.skip("free answers")
        for part in (task.train, task.validation, task.held_out):
            counts = Counter(example.output for example in part)
            assert set(counts) == set(task.labels)
            assert max(counts.values()) <= 1.25 * min(counts.values()) + 1

    def test_it_is_read_from_its_own_json_as_itself(self, path):
        task = load_task(path.stem)
        assert not task.notes
        assert read_task(task_to_json(task).encode(), "any.json") == task

    def test_its_own_settings_are_valid(self, path):
        from core.recipe import Recipe

        task = load_task(path.stem)
        Recipe.from_dict({**task.recipe, "task": task.slug})
        assert set(task.recipe) <= set(Recipe.__dataclass_fields__)


@pytest.mark.parametrize("name", ["learned", "No prompt", "always 'yes'", "mine 1", "run 1", "control 1: x", "snapped: x"])
def test_a_task_files_prompt_never_takes_the_name_of_another_contender(name):
    data = json.loads(task_to_json(load_task("plural")))
    data["handcrafted"][0]["name"] = name
    with pytest.raises(LabError, match="a name that others have here"):
        task_from_json(json.dumps(data).encode(), "mine.json")
