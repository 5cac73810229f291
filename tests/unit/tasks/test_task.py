"""Tasks: a bad file is refused in one sentence that names the row; what is trained on is never what is reported on."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_files import cases
from task_files import ANSWERS, FILL, LABELS, PARTS, WORDS, as_csv, everything, marked_rows, messy_rows, refused

from core.errors import LabError
from core.tasks.columns import Columns, decide
from core.tasks.load import load_task, read, read_task
from core.tasks.reader import read_table
from core.tasks.task import Example

BAD = {
    "one column": (b"input\na\nb\nc\nd\n", "has no two cells in a row"),
    "a column of lists": (b'{"text": "a", "labels": ["x", "y"]}\n' * 5, "The column 'labels' holds lists .several labels"),
    "no input in most rows": (
        as_csv([("a", "x"), ("", "y"), ("", "z")]),
        r"2 of 3 rows of 'rows.csv' can't be used: nothing in the column 'input'",
    ),
    "no label in most rows": (as_csv([("a", "x"), ("b", ""), ("c", "")], ("text", "label")), "no answer in the column 'label' .rows 3, 4."),
    "texts with two labels each": (
        as_csv([(f"text {i // 2}", "xy"[i % 2]) for i in range(12)], ("text", "label")),
        "12 of 12 rows of 'rows.csv' can't be used: the same text has another label in another row",
    ),
    "three rows": (as_csv([("a", "x"), ("b", "y"), ("c", "z")]), "has 3 different rows: at least 4"),
    "one row four times": (as_csv([("a", "x"), ("A", "x"), (" a. ", "x"), ("a", "y")]), "has 1 different row:"),
    "one output": (as_csv([(str(i), "x") for i in range(6)]), "same output"),
    "one label": (as_csv([(f"a{i}", "x") for i in range(6)], ("text", "label")), "same output"),
    "no test rows": (as_csv([(i, i, "train") for i in range(6)], ("input", "output", "part")), "marks no row as test"),
    "no training rows": (as_csv([(i, i, "dev" if i < 3 else "eval") for i in range(6)], ("input", "output", "part")), "no row as train"),
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
        read_task(data, "rows.csv", Columns(split="part") if b"part" in data else None)


def test_missing_folder_and_huge_files_are_refused_by_name(tmp_path):
    big, bigger, good = (tmp_path / name for name in ("big.csv", "big.json", "good.csv"))
    good.write_bytes(ANSWERS)
    for place, data, sentence in (
        ("nope", None, r"no task or file 'nope'.*past-tense"),
        (tmp_path, None, "is a folder"),
        (big, ANSWERS + b"x,y\n" * 2**23, r"'big\.csv' is larger than 32 MB"),
        (bigger, b"[" + b" " * 2**25, r"'big\.json' is larger than 32 MB"),
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


@pytest.mark.parametrize("name, data, inputs, output, labels", cases(), ids=[case[0] for case in cases()])
def test_files_such_as_people_have_are_read_unaided(name, data, inputs, output, labels):
    made = read(data, name)
    assert (made.columns.inputs, made.columns.output, len(made.task.labels or ())) == (inputs, output, labels), made.sentence
    for column in set(made.table.columns) - {*inputs, output, made.columns.split}:
        assert column in " ".join(made.task.notes)
    again = read(data, name, made.columns, made.table.format if made.table.format.encoding != "xlsx" else None)
    assert again.columns == made.columns and set(everything(again.task)) == set(everything(made.task))  # all that was decided, said aloud


def test_what_is_decided_is_one_plain_sentence():
    rows = [[f"tweet number {i}", i, ("yes", "no")[i % 2]] for i in range(20)]
    made = read(as_csv(rows, ("Tweet text", "ID", "Label")), "x.csv")
    assert made.sentence == "Read as 2 labels from the column Label; Tweet text goes in; ID is not used."
    assert made.to_dict() == {
        **{
            "kind": "labels",
            "input_columns": ["Tweet text"],
            "output_column": "Label",
            "template": "{input}\nLabel:",
            "labels": ["no", "yes"],
        },
        **{"rows": {part: len(getattr(made.task, part)) for part in PARTS}, "encoding": "utf-8", "notes": list(made.task.notes)},
    }
    assert "Not used: ID." in made.task.notes
    assert read(ANSWERS, "x.csv").sentence == "Read as free answers from the column output; input goes in."


def test_what_is_chosen_is_kept_and_the_rest_is_decided():
    rows = [(f"why {i}", f"because {i}", "ab"[i % 2], "train" if i % 3 else "test") for i in range(24)]
    table = read_table(as_csv(rows, ("question", "reason", "Label", "split")), "x.csv")
    assert decide(table) == Columns(("question",), "Label", "labels", "split")
    assert decide(table, Columns(output="reason")) == Columns(("question",), "reason", "answers", "split")
    assert decide(table, Columns(("reason",))) == Columns(("reason",), "Label", "labels", "split")
    assert decide(table, Columns(kind="answers", split="")) == Columns(("question",), "Label", "answers", "")
    assert decide(table, Columns(template="{reason}, {question}?")).inputs == ("reason", "question")
    assert decide(table, Columns(words={"a": "x"})).kind == "labels"


PAIRS = as_csv([(f"who {i}", f"Bob {i}" if i % 3 else "", "yn"[i % 2]) for i in range(24)], ("question", "sentence", "label"))


def test_several_columns_go_in_by_a_template():
    task = read_task(PAIRS, "x.csv")
    inputs = {row.input for row in everything(task)}
    assert task.template == "{input}\nLabel:" and {"question: who 1\nsentence: Bob 1", "question: who 3"} < inputs
    task = read_task(PAIRS, "x.csv", Columns(template='Q: "{question}" S: {sentence}.\nSo:'))
    assert task.template == 'Q: "{input}.\nSo:' and 'who 1" S: Bob 1' in {row.input for row in everything(task)}
    task = read_task(PAIRS, "x.csv", Columns(template="{Sentence} {x}"))
    assert task.template == "{input} {x}" and "Bob 1" in {row.input for row in everything(task)}
    assert "8 rows were left out: nothing in the column 'sentence'" in " ".join(task.notes)
    task = read_task(PAIRS, "x.csv", Columns(("question", "sentence"), template="Read: {input} !"))
    assert task.template == "Read: {input} !" and "question: who 1\nsentence: Bob 1" in {row.input for row in everything(task)}


@pytest.mark.parametrize(
    "template, sentence",
    [
        ("{questoin}: {sentence}", "The template has '{questoin}', and no column is named so: its places can be {question}, {sentence}"),
        ("{other}", "The template has '{other}', and no column is named so"),
        ("no place", "{input} 0 times"),
        ("x" * 4001 + "{input}", "4,008 characters"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(template, sentence):
    with refused(re.escape(sentence)):
        read_task(PAIRS, "x.csv", Columns(template=template))


def test_rows_that_cannot_be_used_are_left_out_and_listed():
    rows = [(f"text {i}", "xy"[i % 2]) for i in range(20)]
    rows += [("", "x"), ("no label", ""), ("both", "x"), ("Both  ", "y"), ("both", "y"), ("both", "x"), ("rare", "z"), ("TEXT 1!", "y")]
    task = read_task(as_csv(rows, ("text", "label")), "x.csv")
    assert task.notes == (
        "1 row was left out: nothing in the column 'text' (row 22).",
        "1 row was left out: no label in the column 'label' (row 23).",
        "3 rows were left out: the same text has another label in another row (rows 24, 26, 27).",
        "1 row was dropped: it repeats an earlier input.",
        "1 row was left out: a label of one row can't be both trained on and tested on ('z').",
    )
    assert len(everything(task)) == 21


def test_texts_that_differ_in_case_or_a_sign_and_have_other_outputs_are_different_rows():
    rows = [("You are here.", "a"), ("You are here?", "b"), ("one", "a"), ("two", "b"), ("three", "a"), ("four", "b")]
    task = read_task(as_csv(rows, ("text", "label")), "x.csv")
    assert {(row.input, row.output) for row in everything(task)} == set(rows)
    rows = [("hello", "x1"), ("HELLO", "x2"), ("one", "x3"), ("two", "x4"), ("three", "x5")]
    task = read_task(as_csv(rows), "x.csv")
    assert {(row.input, row.output) for row in everything(task)} == set(rows)
    assert sum("hello" in {row.input.lower() for row in getattr(task, part)} for part in PARTS) == 1  # on one side of the split


def test_a_few_conflicting_rows_among_many_are_dropped():
    rows = [(f"text number {i}", "xy"[i % 2]) for i in range(600)] + [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("b", "y"),
        ("c", "x"),
        ("c", "y"),
        ("c", "x"),
    ]
    task = read_task(as_csv(rows, ("text", "label")), "x.csv")
    assert len(everything(task)) == 600 and task.notes[0].startswith("7 rows were left out: the same text has another label")


def test_labels_that_differ_in_case_can_be_merged_and_share_words():
    data = as_csv(
        [(f"text {i}", ("Complaint", "complaint", "COMPLAINT", "Complaint", "Praise")[i % 5]) for i in range(30)], ("text", "label")
    )
    task = read_task(data, "x.csv")
    assert task.labels == ("COMPLAINT", "Complaint", "Praise", "complaint")
    assert task.notes == ("These labels differ only in case or spaces and can be merged: COMPLAINT, Complaint, complaint.",)
    assert read_task(data, "x.csv", Columns(merge=True)).labels == ("Complaint", "Praise")
    assert read_task(data, "x.csv", Columns(merge=True, words={"Complaint": "bad"})).labels == ("Praise", "bad")
    stars = as_csv([(f"text {i}", i % 5 + 1) for i in range(30)], ("text", "stars"))
    words = {"1": "bad", "2": "bad", "3": "okay", "4": "good", "5": "good"}
    assert read_task(stars, "x.csv", Columns(words=words)).labels == ("bad", "good", "okay")


def test_there_are_up_to_200_labels():
    rows = [(f"text {i}", f"label {i % 200}") for i in range(800)]
    assert len(read_task(as_csv(rows, ("text", "label")), "x.csv").labels) == 200
    with refused("201 different labels, more than 200"):
        read_task(as_csv([(f"text {i}", f"label {i % 201}") for i in range(804)], ("text", "label")), "x.csv", Columns(kind="labels"))


def test_columns_can_be_named():
    data = as_csv([(f"q{i}", f"a{i}", "xy"[i % 2]) for i in range(8)], ("front", "back", "pile"))
    assert {e.output for e in everything(read_task(data, "x.csv", Columns(("front",), "BACK", "answers")))} == {f"a{i}" for i in range(8)}
    task = read_task(data, "x.csv", Columns(("front",), "pile", template="{input}?"))
    assert task.labels == ("x", "y") and task.template == "{input}?"


@pytest.mark.parametrize(
    "columns, sentence",
    [
        (Columns(("text",), "mark"), "'x.csv' has no column 'mark': its columns are 'text, label'"),
        (Columns(("text",), "text"), "The column 'text' is asked for twice"),
        (Columns(("text",), "label", split="label"), "The column 'label' is asked for twice"),
        (Columns(("text",), "label", "regression"), "The kind is 'regression': choose answers or labels"),
        (Columns(("text",), "label", split="fold"), "no column 'fold'"),
    ],
)
def test_columns_that_are_not_there_are_refused(columns, sentence):
    with refused(sentence):
        read_task(LABELS, "x.csv", columns)


def test_words_stand_for_labels():
    numbers = LABELS.replace(b",yes", b",1").replace(b",no", b",0")
    task = read_task(numbers, "x.csv", Columns(words={"0": "bad", " 1": "good "}))
    assert task.labels == ("bad", "good")
    assert {e.input: e.output for e in everything(task)}["good film"] == "good"
    assert read_task(numbers, "x.csv", Columns(words={"1": "good"})).labels == ("0", "good")


@pytest.mark.parametrize(
    "data, words, sentence",
    [
        (LABELS, {"yes": "no"}, "has one label only .'no'."),
        (LABELS, {"yes": " "}, "label 'yes' of 'x.csv' is given no word"),
        (LABELS, {"maybe": "x"}, "'x.csv' has no label 'maybe': its labels are 'yes, no'"),
        (ANSWERS, {"eins": "uno"}, "labels of 'x.csv' have one row each"),
    ],
)
def test_bad_words_are_refused(data, words, sentence):
    with refused(sentence):
        read_task(data, "x.csv", Columns(words=words))


def test_the_same_rows_read_in_two_ways_are_two_tasks_and_in_one_way_one():
    tasks = [read_task(LABELS, "x.csv"), read_task(LABELS, "x.csv", Columns(kind="answers"))]
    tasks += [read_task(LABELS, "x.csv", Columns(words={"yes": "good"})), read_task(LABELS, "x.csv", Columns(template="{input}:"))]
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
    assert (len(task.train), len(task.validation), len(task.held_out)) == (572, 128, 300)
    assert Counter(e.output for e in task.held_out) == {"yes": 150, "no": 150}


@given(st.lists(st.sampled_from(["one", "One", "ONE. ", " o n e", "o  n e", '"two"', "Two", "three", "three?!"]), min_size=1, max_size=20))
def test_variants_of_case_spacing_and_end_marks_are_one_row(inputs):
    task = task_of([*FILL, *((word, "x") for word in inputs)], False)
    different = {" ".join(word.strip(' ".?!').casefold().split()) for word in inputs}
    assert len(everything(task)) == len(different) + len(FILL) == len({e.key for e in everything(task)})
    dropped = len(inputs) - len(different)
    assert (f"{dropped} row{'s were' if dropped > 1 else ' was'} dropped" in " ".join(task.notes)) == (dropped > 0)


def test_the_first_answer_of_a_repeated_row_is_kept_and_the_notes_hold_what_was_dropped():
    task = task_of([*FILL, ("one", "first"), ("one ", "second")], False)
    assert Example("one", "first") in everything(task) and len(everything(task)) == 5
    task = task_of([(f"row {i}", f"{i % 1700}!") for i in range(6000)], False)
    assert task.notes == (
        "6,000 rows, of which 5,000, spread evenly, were kept: a task has at most 5,000 rows and 2 MB.",
        "400 of 5,000 rows are held out, so that scoring a prompt takes about a minute; the others train.",
    )
    assert len(everything(task)) == 5000


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
        "1 validation row was left out: training has the same inputs.",
        "1 test row was left out: training has the same inputs.",
        "1 test row was left out: it nearly repeats rows of training.",
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
    parts = [{example.key for example in getattr(task, part)} for part in PARTS]
    assert len(set().union(*parts)) == sum(map(len, parts))  # texts that differ in case and in their answer share a key, and a part
    together = "both sides" not in " ".join(task.notes) and "all the same" not in " ".join(task.notes)
    if together:
        homes = {part for part in PARTS for example in getattr(task, part) if "kettle" in example.input.lower()}
        assert len(homes) <= 1
