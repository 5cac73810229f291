"""Task files that somebody made to do harm, or that a spreadsheet mangled: a sentence, or a task that all else can work with."""

import json
import string
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import make

from app.pages.your_task import read_words
from core.errors import LabError
from core.scoring.rows import encode
from core.tasks.table import LARGEST_FILE, LARGEST_TASK, MOST_COLUMNS, MOST_ROWS, Table, read_bytes, read_table
from core.tasks.task import Columns, Task, read_task, table_or_task, task_from_json, task_from_table, task_to_json

LM = make("llama", max_position_embeddings=10**6)
HEAD = b"input,output\n"
ROWS = HEAD + b"one,eins\ntwo,zwei\nthree,drei\nfour,vier\nfive,funf\n"


def assert_one_sentence(error: LabError) -> None:
    sentence = str(error)
    assert "\n" not in sentence and len(sentence) < 600, sentence
    sentence.encode()  # it goes to a page, as UTF-8


def assert_sound(task: Task) -> None:
    """All that is later done with a task can be done with this one."""
    sides = (task.train, task.validation, task.held_out)
    assert all(sides)
    keys = [{row.key for row in side} for side in sides]
    assert not keys[0] & keys[1] and not keys[1] & keys[2] and not keys[0] & keys[2]
    assert all(row.input.strip() and row.output.strip() for side in sides for row in side)
    assert task.labels is None or {row.output for side in sides for row in side} <= set(task.labels)
    assert task_from_json(task_to_json(task).encode(), "x.json").train == task.train
    try:  # as the preview of the page
        encode(LM, task.template, task.train[:5], task.labels)
    except LabError as error:
        assert_one_sentence(error)


def brought(data: bytes, name: str = "rows.csv") -> Task | None:
    """What a page makes of a file: its task, or None after a sentence."""
    try:
        found = table_or_task(data, name)
        task = found if isinstance(found, Task) else task_from_table(found)
    except LabError as error:
        assert_one_sentence(error)
        return None
    assert_sound(task)
    return task


# --- tables by name ---------------------------------------------------------------------------------------------------------------


def cells(*rows: str) -> bytes:
    return HEAD + "\n".join(rows).encode()


BAD_TABLES = {
    "nothing": (b"", "is empty"),
    "a byte order mark": (b"\xef\xbb\xbf", "is empty"),
    "spaces that are none": ("\u3000\u2003\n".encode(), "is empty"),
    "a header": (HEAD, "a header and no rows"),
    "one column": (b"input\na\nb\nc\nd\n", "needs input and output"),
    "no known column": (b"left,right\na,b\nc,d\n", "needs input and output"),
    "a missing column": (b"input,label\n", "a header and no rows"),
    "duplicate columns": (b"input,output,INPUT\na,b,c\n", "two columns of the same name"),
    "columns that differ in spaces": (b"my  input,my input,output\na,b,c\n", "two columns of the same name"),
    "a row without an answer": (cells("a,b", "c,", "d,e", "f,g"), "Row 3 of 'rows.csv' has no output"),
    "a row without an input": (cells("a,b", " ,c", "d,e", "f,g"), "Row 3 of 'rows.csv' has no input"),
    "a row too short": (cells("a,b", "c"), "Row 3 of 'rows.csv' has 1 cells"),
    "a row too long": (cells("a,b", "c,d,e"), "Row 3 of 'rows.csv' has 3 cells"),
    "one class": (b"text,label\n" + b"".join(b"t%d,x\n" % i for i in range(9)), "one label only"),
    "one answer": (cells("a,x", "b,x", "c,x", "d,x", "e,x"), "the same output"),
    "a label of one row": (b"text,label\na,x\nb,x\nc,x\nd,y\n", "has one row"),
    "51 labels": (b"text,label\n" + b"".join(b"t%d,l%d\n" % (i, i % 51) for i in range(153)), "51 different labels"),
    "one input with two labels": (b"text,label\na,x\nA ,y\nb,x\nc,y\nd,x\n", "repeats an earlier text with another label"),
    "three rows": (cells("a,x", "b,y", "c,z"), "3 different rows"),
    "one row a thousand times": (HEAD + b"a,b\n" * 1000, "1 different rows"),
    "latin-1": ("input,output\nfünf,five\n".encode("latin-1"), r"not UTF-8 text \(line 2\)"),
    "UTF-16": (ROWS.decode().encode("utf-16"), "UTF-16"),
    "UTF-16, the other way": (b"\xfe\xff" + ROWS.decode().encode("utf-16-be"), "UTF-16"),
    "UTF-16 without a mark": (ROWS.decode().encode("utf-16-le"), "binary file"),
    "UTF-32": (ROWS.decode().encode("utf-32"), "UTF-16|binary"),
    "too long a sequence": (HEAD + b"a\xc0\xaf,b\n", "not UTF-8"),
    "half a character": (HEAD + b"a\xed\xa0\x80,b\n", "not UTF-8"),
    "NUL": (HEAD + b"a\0,b\n", "binary file"),
    "gzip": (b"\x1f\x8b\x08\0" + b"x" * 50, "compressed or office"),
    "zip": (b"PK\x03\x04" + b"x" * 50, "compressed or office"),
    "xz": (b"\xfd7zXZ\0" + b"x" * 50, "compressed or office"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "binary file"),
    "a program": (b"\x7fELF\x02\x01\x01\0" + b"\0" * 50, "binary file"),
    "a pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94.", "binary file"),
    "3 MB": (HEAD + b"a,b\n" * 800_000, "larger than 2 MB"),
    "one cell of 1 MB": (HEAD + b"x" * 2**20 + b",y\n", "field larger than field limit"),
    "one column's name of 1 MB": (b"x" * 2**20 + b",output\na,b\n", "well-formed|column name"),
    "a column's name of a page": (b"input," + b"word " * 200 + b"\na,b\n", "has a column name of 999 characters"),
    "10,000 columns": (b",".join(b"c%d" % i for i in range(10_000)) + b"\n1\n", "10,000 columns, more than 200"),
    "a million commas": (HEAD + b"," * 10**6, "cells, the header 2|a header and no rows"),
    "a million quotes": (HEAD + b'"' * (10**6 + 1), "well-formed"),
    "a quote that never ends": (HEAD + b'"' + b"a,b\n" * 1000, "well-formed"),
    "a quote in the middle": (HEAD + b'a "b" c,d\n"a" b,c\n', "well-formed"),
    "a million line breaks": (b"\n" * 10**6, "is empty"),
    "carriage returns alone": (b"input,output\ra,b\rc,d\r", "3 different|needs|2 different|well-formed"),
    "a path": (b"/etc/passwd", "needs input and output|no rows"),
    "an address": (b"https://example.org/rows.csv", "needs input and output|no rows"),
    "a web page": (b"<!doctype html>\n<html><body>no</body></html>\n", "needs input and output|cells"),
    "an object cut off": (b'{"input": "a", "output": "b"', "Line 1 of 'rows.csv' is not a JSON object"),
    "an object in an object": (b'{"input": {"a": 1}, "output": "b"}', "a list or an object under 'input'"),
    "a list of words": (b'["a", "b"]', "not a JSON object|needs"),
    "a list nested deeply": (b'[{"input": ' + b"[" * 50_000, "too deeply nested"),
    "an object nested deeply": (b'{"input": ' * 50_000, "too deeply nested"),
    "a key twice": (b'{"input": "a", "input": "b", "output": "c"}', "has 'input' twice"),
    "half a character in JSON": (b'{"input": "\\ud800", "output": "b"}', "no text"),
    "NUL in JSON": (b'{"input": "a\\u0000", "output": "b"}', "no text"),
    "another column in every line": (b"\n".join(b'{"k%d": 1}' % i for i in range(300)), "above 200"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_gets_one_sentence(name):
    data, sentence = BAD_TABLES[name]
    with pytest.raises(LabError, match=sentence) as caught:
        task_from_table(table_or_task(data, "rows.csv"))
    assert_one_sentence(caught.value)


SPELLED = ("one", "two", "three", "four", "five", "six", "seven", "eight")


def rows_of(text: str) -> bytes:
    """Eight rows with `text` in every cell."""
    quoted = text.replace('"', '""')
    return HEAD + "".join(f'"{quoted} {word}","{quoted} {word[::-1]}"\n' for word in SPELLED).encode()


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://x","y")', "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1+1", "<script>alert(1)</script>", "'; DROP TABLE rows; --",
        "{{value}} ${1} %{x} {input}", "../../etc/passwd", "\u202eabc\u202c", "e\u0301\u200d\u200b", "\U0001f469\u200d\U0001f467", "مرحبا",
        "\x07\x1b[31m", "a\nb", "a\r\nb", "\u2028\u2029", "\x85", "\ufffe\uffff", "\U0010ffff", "\ufdfa", "İı", "ß", "\ufeff",
        "\\", "\\n", "\\ud800", '"', "NaN", "null",
    ],
    ids=ascii,
)  # fmt: skip
def test_odd_texts_are_texts_like_any_other(text):
    task = brought(rows_of(text))
    assert task is not None
    rows = {row.input: row.output for side in (task.train, task.validation, task.held_out) for row in side}
    assert rows == {f"{text} {word}".strip(): f"{text} {word[::-1]}".strip() for word in SPELLED}


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a\nb.csv", "<b>.csv", "x" * 5000, "\ud800.csv", "con.csv", "${x}.csv", "=1+1.csv"])
def test_a_files_name_is_a_name_and_nothing_else(name):
    for data in (rows_of("a"), json.dumps(TASK).encode(), b"{", b"\0"):
        task = brought(data, name)
        assert task is None or (len(task.name) <= 200 and task.name.encode())


def test_a_name_with_nul_names_no_file(tmp_path):
    with pytest.raises(LabError, match="can't be read"):
        read_bytes(tmp_path / "a\0b.csv")


def test_a_message_never_carries_a_columns_line_breaks():
    table = read_table(b'"in\nput ",output\na,b\nc,d\n ,e\n', "x.csv")
    assert table.columns == ("in put", "output")
    with pytest.raises(LabError, match="has no in put") as caught:
        task_from_table(table, Columns("in put", "output", "answers"))
    assert_one_sentence(caught.value)


# --- task files by name -----------------------------------------------------------------------------------------------------------

TASK = {
    "train": [["one", "eins"], ["two", "zwei"], ["three", "drei"], ["four", "vier"]],
    "held_out": [["five", "fünf"], ["six", "sechs"]],
}
SIDED = {"train": [["a", "x"], ["b", "y"], ["c", "x"]], "held_out": [["d", "x"], ["e", "y"]], "labels": ["x", "y"]}
PROMPT = {"name": "one", "template": "{input} is"}

BAD_TASKS: dict[str, dict[str, object]] = {
    "no rows to learn from": {"train": []},
    "no rows held out": {"held_out": []},
    "rows that are a text": {"train": "abc"},
    "rows that are a table": {"train": {"a": "b"}},
    "rows that are null": {"train": None},
    "a row that is a text": {"train": ["ab", "cd"]},
    "a row of three": {"train": [["a", "b", "c"]]},
    "a row of numbers": {"train": [["a", 1]]},
    "a row of lists": {"train": [[["a"], ["b"]]]},
    "a row without an answer": {"train": [["a", "  "]]},
    "a row with half a character": {"train": [["a\udc00", "b"]]},
    "a row with NUL": {"held_out": [["a\0", "b"]]},
    "a giant row": {"train": [["a" * 200_000, "b"]]},
    "too many rows": {"train": [[str(i), "x"] for i in range(MOST_ROWS + 1)]},
    "one answer": {"train": [["a", "x"], ["b", "x"]], "held_out": [["c", "x"]]},
    "held-out rows to learn from": {"held_out": [["one", "eins"], ["TWO ", "zwei"]]},
    "a field that nobody knows": {"rows_of": "capitals"},
    "a field with markup": {"<img src=x>": 1},
    "a kind that nobody knows": {"kind": "regression"},
    "a kind that is a list": {"kind": ["labels"]},
    "labels that are a text": SIDED | {"labels": "xy"},
    "one label": SIDED | {"labels": ["x"]},
    "a label twice": SIDED | {"labels": ["x", "y", "y"]},
    "labels that are numbers": SIDED | {"labels": [0, 1]},
    "labels that are lists": SIDED | {"labels": [["x"], ["y"]]},
    "a label with spaces": SIDED | {"labels": ["x", "y "]},
    "an empty label": SIDED | {"labels": ["x", "y", ""]},
    "a label with half a character": SIDED | {"labels": ["x", "y", "\ud800"]},
    "a label with NUL": SIDED | {"labels": ["x", "y", "z\0"]},
    "a giant label": SIDED | {"labels": ["x", "y", "z" * 200_000]},
    "51 labels": SIDED | {"labels": ["x", "y", *map(str, range(49))]},
    "an answer that is no label": SIDED | {"labels": ["x", "z"]},
    "labels of free answers": SIDED | {"kind": "answers"},
    "a template without a place": {"template": "no place"},
    "a template with two": {"template": "{input} {input}"},
    "a template that is a list": {"template": ["{input}"]},
    "a template nested deeply": {"template": [[[[[[[[]]]]]]]]},
    "a giant template": {"template": "{input}" + "x" * 5000},
    "a template with half a character": {"template": "{input}\ud800"},
    "a giant name": {"name": "x" * 5000},
    "a name that is a number": {"name": 5},
    "a name of spaces": {"name": " "},
    "a slug with NUL": {"slug": "a\0b"},
    "prompts that are a table": {"handcrafted": {"name": "a"}},
    "a prompt with more to it": {"handcrafted": [PROMPT | {"run": "rm"}]},
    "two prompts of one name": {"handcrafted": [PROMPT, PROMPT]},
    "a prompt that calls itself learned": {"handcrafted": [PROMPT | {"name": "Learned by me"}]},
    "21 prompts": {"handcrafted": [PROMPT | {"name": str(i)} for i in range(21)]},
    "a recipe that is a list": {"recipe": ["prompt"]},
    "a recipe that names a model": {"recipe": {"model": "evil/model"}},
    "a recipe that names a task": {"recipe": {"task": "/etc/passwd"}},
    "a recipe of no known setting": {"recipe": {"__class__": "x"}},
    "a recipe with steps for days": {"recipe": {"steps": 10**9}},
    "a recipe with a rate that is none": {"recipe": {"learning_rate": float("nan")}},
    "a recipe with a rate beyond counting": {"recipe": {"learning_rate": 10**400}},
    "a recipe with a truth value": {"recipe": {"steps": True}},
    "notes that are a text": {"notes": "x"},
    "a thousand notes": {"notes": ["x"] * 1000},
    "a note that is a table": {"notes": [{}]},
    "a note with half a character": {"notes": ["\ud800"]},
}


@pytest.mark.parametrize("name", BAD_TASKS)
def test_a_bad_task_file_gets_one_sentence(name):
    with pytest.raises(LabError) as caught:
        task_from_json(json.dumps(TASK | BAD_TASKS[name]).encode(), "mine.task.json")
    assert "'mine.task.json'" in str(caught.value)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"train": ' + b"[" * 100_000,
        b'{"train": 1}{"train": 2}',
        b'{"train": NaN',
        b"\xff\xfe{",
        b'{"train": 1',
    ],
)
def test_what_is_no_task_file_gets_one_sentence(data):
    with pytest.raises(LabError) as caught:
        task_from_json(data, "x.json")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("field", ["template", "name", "recipe", "train", "labels", "kind", "notes", "handcrafted", "unknown"])
def test_no_depth_of_lists_gives_a_traceback(field):
    for depth in (50, 500, *range(960, 1000)):
        about = {**TASK, field: "HERE"}
        data = json.dumps(about).replace('"HERE"', "[" * depth + "]" * depth).encode()
        assert brought(data, "x.json") is None


def test_a_task_file_beyond_8_mb_is_not_looked_into():
    data = json.dumps(TASK | {"teaches": "x" * LARGEST_TASK}).encode()
    with pytest.raises(LabError, match="larger than 8 MB"):
        table_or_task(data, "x.json")
    with pytest.raises(LabError, match="larger than 2 MB"):
        table_or_task(b"[" + b'{"input": "a", "output": "b"},' * 100_000 + b"{}]", "x.json")


# --- whatever comes ---------------------------------------------------------------------------------------------------------------

often = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
odd = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        '"',
        ",",
        ";",
        "\t",
        "\n",
        "\r",
        "\ufeff",
        "\u202e",
        "\u2028",
        "\x85",
        "=1+1",
        "<b>",
        "{input}",
        "{",
        "[",
        "->",
        "x",
        "yes",
        "no",
    ]
)
names = st.text(max_size=6) | st.sampled_from(["input", "output", "text", "label", "split", "Input", " input", "train"])


@often
@given(
    st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: HEAD + tail) | st.binary(max_size=60).map(lambda tail: ROWS + tail)
)
def test_any_bytes_are_a_task_or_refused(data):
    brought(data)


@often
@given(
    st.lists(names, min_size=1, max_size=5),
    st.lists(st.lists(odd, min_size=1, max_size=5), max_size=12),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_any_rows_of_any_texts_are_a_task_or_refused(header, rows, delimiter, end, quoted):
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted else text

    lines = [delimiter.join(map(cell, row)) for row in (header, *rows)]
    brought(end.join(lines).encode("utf-8", "surrogatepass"))


@often
@given(
    st.lists(st.tuples(odd, st.sampled_from(["yes", "no", "maybe"]) | odd), min_size=4, max_size=12),
    st.sampled_from(["answers", "labels"]),
    odd | st.sampled_from(["{input}", "{input}:\n", '"{input}" is "']),
    st.dictionaries(odd, odd, max_size=2),
)
def test_any_table_with_any_choices_is_a_task_or_refused(rows, kind, template, words):
    table = Table("x", ("input", "output"), tuple((a.strip(), b.strip()) for a, b in rows), tuple(range(2, 2 + len(rows))))
    try:
        task = task_from_table(table, Columns("input", "output", kind), template, words)
    except LabError as error:
        assert_one_sentence(error)
        return
    assert_sound(task)


simple = st.none() | st.booleans() | st.integers() | st.floats() | odd
anything = st.recursive(simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6)
pairs = st.lists(st.lists(odd, min_size=2, max_size=2), max_size=6)
FIELDS = ("slug", "name", "kind", "template", "labels", "teaches", "recipe", "handcrafted", "train", "validation", "held_out", "notes")


@often
@given(st.dictionaries(st.sampled_from(FIELDS), anything | pairs, max_size=5), st.booleans())
def test_any_task_file_is_a_task_or_refused(changes, whole):
    about = {**(TASK if whole else {"train": []}), **changes}
    brought(json.dumps(about).encode(), "x.json")


@often
@given(st.lists(st.dictionaries(names, anything, max_size=4) | anything, max_size=8), st.sampled_from(["lines", "list"]), st.booleans())
def test_any_json_is_a_task_or_refused(items, form, pasted):
    texts = [json.dumps(item) for item in items]
    data = ("\n".join(texts) if form == "lines" else f"[{', '.join(texts)}]").encode()
    try:
        assert_sound(read_task(data, "x", pasted=pasted))
    except LabError as error:
        assert_one_sentence(error)


@settings(max_examples=60)
@given(st.integers(1, 2000), st.integers(1, 30), st.sampled_from(",;\t"))
def test_any_number_of_columns_is_read_or_refused(columns, rows, delimiter):
    header = delimiter.join(["input", "output", *(f"c{i}" for i in range(columns))])
    line = delimiter.join(["a"] * (columns + 2))
    try:
        table = read_table("\n".join([header, *[line] * rows]).encode(), "x")
    except LabError as error:
        assert_one_sentence(error)
        assert columns + 2 > MOST_COLUMNS
        return
    assert len(table.columns) == columns + 2 <= MOST_COLUMNS and len(table.rows) == rows


@pytest.mark.parametrize(
    "line, label, word",
    [
        ("pos = good", "pos", "good"),
        ("pos=good", "pos", "good"),
        ("a=b = a=b", "a=b", "a=b"),
        ("== = equal", "==", "equal"),
        ("x = =", "x", "="),
    ],
)
def test_a_label_and_its_word_may_hold_a_sign(line, label, word):
    assert read_words(line) == {label: word}


def test_the_largest_tables_are_answered_in_seconds():
    began = time.monotonic()
    words = string.ascii_lowercase
    full = HEAD + "".join(f"{words[i % 26]}{i} {'word ' * 60},{words[i % 7]}\n" for i in range(5500)).encode()
    assert LARGEST_FILE * 0.8 < len(full) <= LARGEST_FILE
    for data in (full, HEAD + b"\n" * 200_000, HEAD + b'"","\n' * 100_000, b'{"input":"a","output":"b"}\n' * 30_000):
        brought(data)
    assert time.monotonic() - began < 120
