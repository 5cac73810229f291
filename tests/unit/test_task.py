"""Tasks: a bad file is refused in one sentence that names the row; what is trained on is never what is reported on."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LabError
from core.scoring import handcrafted
from core.task import BUILT_IN, Example, load_task, parse_csv, slugs, task_from_csv, with_test

ANSWERS = b"input,output\none,eins\ntwo,zwei\nthree,drei\nfour,vier\nfive,funf\nsix,sechs\n"
LABELS = b"text,label\ngood film,yes\nbad film,no\nfine book,yes\npoor book,no\ngreat day,yes\nsad day,no\n"


def as_csv(rows, header=("input", "output")) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue().encode()


# --- files that can't be used ---------------------------------------------------------------------------------------------------

BAD = {
    "nothing in it": (b"", "'rows.csv' is empty"),
    "blank lines only": (b" \n\n  \n", "'rows.csv' is empty"),
    "a blank first line": (b"\ninput,output\n", "'rows.csv' is empty"),
    "header only": (b"input,output\n", "a header and no rows"),
    "header and blank rows": (b"input,output\n\n , \n", "a header and no rows"),
    "no header": (b"one,eins\ntwo,zwei\n", "has the columns 'one, eins': it needs input and output"),
    "semicolons": (b"input;output\none;eins\n", "has the columns"),
    "half a header": (b"input,label\none,eins\n", "has the columns"),
    "a column twice": (b"input,output,output\na,b,c\n", "two columns of the same name"),
    "too few cells": (b"input,output\none,eins\ntwo\n", "Row 3 of 'rows.csv' has 1 cells, the header 2"),
    "too many cells": (b"input,output\none,eins,uno\n", "Row 2 of 'rows.csv' has 3 cells"),
    "no input": (b"input,output\none,eins\n ,zwei\n", "Row 3 of 'rows.csv' has no input"),
    "no output": (b"input,output\none,\n", "Row 2 of 'rows.csv' has no output"),
    "no label": (b"text,label\none,\n", "Row 2 of 'rows.csv' has no label"),
    "no text": (b"text,label\n,yes\n", "Row 2 of 'rows.csv' has no text"),
    "an open quote": (b'input,output\n"one,eins\n', "not a well-formed CSV"),
    "text after a quote": (b'input,output\n"one" x,eins\n', "not a well-formed CSV"),
    "a giant cell": (b"input,output\n" + b"x" * 200_000 + b",y\n", "not a well-formed CSV"),
    "a text with two labels": (b"text,label\na,yes\nb,no\nA ,no\n", "Row 4 of 'rows.csv' repeats an earlier text with another label"),
    "a spreadsheet": (b"PK\x03\x04rest", "compressed or office file"),
    "an old spreadsheet": (b"\xd0\xcf\x11\xe0rest", "compressed or office file"),
    "gzip": (b"\x1f\x8brest", "compressed or office file"),
    "a PDF": (b"%PDF-1.7", "compressed or office file"),
    "UTF-16": ("input,output\na,b\n".encode("utf-16"), "is UTF-16"),
    "binary": (b"input,output\na\0,b\n", "binary file"),
    "Latin-1": ("input,output\none,eins\nfive,fünf\n".encode("latin-1"), r"not UTF-8 text \(line 3\)"),
    "three rows": (as_csv([("a", "x"), ("b", "y"), ("c", "z")]), "has 3 different rows: at least 4"),
    "one row four times": (as_csv([("a", "x"), ("A", "x"), (" a ", "x"), ("a", "y")]), "has 1 different rows"),
    "one output": (as_csv([(str(i), "x") for i in range(6)]), "same output"),
    "one label": (as_csv([(str(i), "x") for i in range(6)], ("text", "label")), r"one label only \('x'\)"),
    "a rare label": (as_csv([(str(i), "xy"[i == 5]) for i in range(6)], ("text", "label")), "label 'y' .* has one row"),
    "51 labels": (as_csv([(str(i), str(i % 51)) for i in range(204)], ("text", "label")), "51 different labels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_a_sentence_that_says_where(name):
    data, sentence = BAD[name]
    with pytest.raises(LabError, match=sentence) as caught:
        task_from_csv(data, "rows.csv")
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 300


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ANSWERS,
        ANSWERS.replace(b"\n", b"\r\n"),
        ANSWERS.replace(b"\n", b"\n\n"),
        ANSWERS.replace(b"input,output", b" Input , OUTPUT"),
        b"".join(b"%s,%s,more\n" % tuple(reversed(line.split(b","))) for line in ANSWERS.split()).replace(b"more", b"note", 1),
    ],
    ids=["from Excel", "from Windows", "blank lines", "spaced header", "other order, more columns"],
)
def test_an_odd_but_sound_file_reads_like_the_plain_one(data):
    assert parse_csv(data, "x.csv")[0] == parse_csv(ANSWERS, "x.csv")[0]


def test_quotes_commas_and_line_breaks_stay_inside_a_cell():
    examples, labelled, notes = parse_csv(b'input,output\n"a, ""b""\nc",d\n', "x.csv")
    assert examples == [Example('a, "b"\nc', "d")] and not labelled and not notes


def test_missing_folder_and_huge_files_are_refused_by_name(tmp_path):
    with pytest.raises(LabError, match=r"no task or file 'nope'.*past-tense"):
        load_task("nope")
    with pytest.raises(LabError, match="is a folder"):
        load_task(str(tmp_path))
    big = tmp_path / "big.csv"
    big.write_bytes(ANSWERS + b"x,y\n" * 2**19)
    with pytest.raises(LabError, match=r"'big\.csv' is larger than 2 MB"):
        load_task(str(big))
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


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    try:
        examples, _, _ = parse_csv(data, "x.csv")
    except LabError:
        return
    assert all(example.input and example.output for example in examples)


@settings(max_examples=300)
@given(st.lists(st.lists(st.text(max_size=6) | st.sampled_from(["a", '"', "\0", "\r", "é", "", " ", ","]), max_size=3), max_size=8))
def test_any_text_below_a_header_is_read_or_refused(rows):
    text = "input,output\n" + "\n".join(",".join(row) for row in rows)
    try:
        task = task_from_csv(text.encode("utf-8", "surrogatepass"), "x.csv")
    except LabError:
        return
    assert task.train and task.held_out


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
    return task_from_csv(as_csv(rows, ("text", "label") if labelled else ("input", "output")), "rows.csv")


@given(tables(), st.randoms())
def test_the_split_depends_on_content_not_on_order(table, random):
    rows, labelled = table
    shuffled = random.sample(rows, len(rows))
    first, second = task_of(rows, labelled), task_of(shuffled, labelled)
    for part in ("train", "validation", "held_out"):
        assert set(getattr(first, part)) == set(getattr(second, part))


@given(tables())
def test_every_row_is_in_exactly_one_part(table):
    rows, labelled = table
    task = task_of(rows, labelled)
    keys = [{example.key for example in part} for part in (task.train, task.validation, task.held_out)]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    parts = (*task.train, *task.validation, *task.held_out)
    assert sorted((e.input, e.output) for e in parts) == sorted(rows)
    assert task.train and task.held_out
    if labelled:
        assert {example.output for example in task.train} == {example.output for example in task.held_out} == set(task.labels)


def test_the_split_has_the_shares_that_it_promises():
    task = task_of([(f"row {i}", "yes" if i % 2 else "no") for i in range(1000)], True)
    assert (len(task.train), len(task.validation), len(task.held_out)) == (668, 32, 300)
    assert Counter(e.output for e in task.held_out) == {"yes": 150, "no": 150}


@given(st.lists(st.sampled_from(["one", "One", "ONE ", " o n e", "o  n e", "two", "Two", "three"]), min_size=1, max_size=20))
def test_variants_of_case_and_spacing_are_one_row(inputs):
    examples, _, notes = parse_csv(as_csv([(word, "x") for word in inputs]), "x.csv")
    different = {" ".join(word.casefold().split()) for word in inputs}
    assert len(examples) == len(different) == len({e.key for e in examples})
    dropped = len(inputs) - len(different)
    assert notes == ([f"{dropped} rows that repeat an earlier input were dropped."] if dropped else [])


def test_a_repeated_row_keeps_its_first_answer():
    examples, _, _ = parse_csv(as_csv([("one", "first"), ("ONE", "second")]), "x.csv")
    assert examples == [Example("one", "first")]


# --- a test file of one's own -------------------------------------------------------------------------------------------------


def test_test_rows_that_training_has_are_left_out():
    task = task_from_csv(ANSWERS, "rows.csv")
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
        with_test(task_from_csv(task, "rows.csv"), data, "test.csv", spare=True)


# --- the tasks that are there from the start ------------------------------------------------------------------------------------

FILES = sorted(BUILT_IN.glob("*.json"))


def test_there_are_built_in_tasks_and_all_are_listed():
    assert {path.stem for path in FILES} == set(slugs())
    assert set(slugs()) >= {"past-tense", "capitals", "plural", "capitalise", "french", "sentiment", "news"}
    assert slugs()[0] == "past-tense"


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
        data = json.loads(path.read_text("utf-8"))
        training = [Example(*row) for row in data["train"]]
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

    def test_its_own_settings_are_valid(self, path):
        from core.recipe import Recipe

        task = load_task(path.stem)
        Recipe.from_dict({**task.recipe, "task": task.slug})
        assert set(task.recipe) <= set(Recipe.__dataclass_fields__)
