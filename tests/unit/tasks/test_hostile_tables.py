"""Tables and task files that are made to do harm or that a spreadsheet mangled: a task that can be trained on, or one sentence."""

import json
import string
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from task_files import assert_one_sentence, everything, refused
from tiny_models import make

from app.view.reading import read_words
from core.errors import LabError
from core.scoring.rows import encode
from core.tasks.columns import Columns
from core.tasks.from_table import task_from_table
from core.tasks.load import read_task, task_from_json
from core.tasks.reader import read_table
from core.tasks.table import LARGEST_FILE, MOST_COLUMNS, Table
from core.tasks.task import Task
from core.tasks.task_file import task_to_json

LM = make("llama", max_position_embeddings=10**6)
HEAD = b"input,output\n"
ROWS = HEAD + b"one,eins\ntwo,zwei\nthree,drei\nfour,vier\nfive,funf\n"
TASK = {"train": [["one", "eins"], ["two", "zwei"], ["three", "drei"], ["four", "vier"]], "held_out": [["five", "fünf"], ["six", "sechs"]]}


def assert_sound(task: Task, own_validation: bool = False) -> None:
    """The task can be saved, previewed and trained on. A file that lists its own validation rows, or has few rows, may have none."""
    keys = [{row.key for row in side} for side in (task.train, task.validation, task.held_out)]
    assert (
        keys[0] and keys[2] and (keys[1] or own_validation or len(everything(task)) < 3 * len(task.labels or ".."))
    )  # a label may be rare
    assert not keys[0] & keys[1] and not keys[1] & keys[2] and not keys[0] & keys[2]
    assert all(row.input.strip() and row.output.strip() for row in everything(task))
    assert task.labels is None or {row.output for row in everything(task)} <= set(task.labels)
    assert task_from_json(task_to_json(task).encode(), "x.json") == task
    try:  # as the preview of the page
        encode(LM, task.template, task.train[:5], task.labels)
    except LabError as error:
        assert_one_sentence(error)


def brought(data: bytes, name: str = "rows.csv", own_validation: bool = False) -> Task | None:
    """The sound task that a page makes of a file, or None after a sentence."""
    try:
        task = read_task(data, name)
    except LabError as error:
        assert_one_sentence(error)
        return None
    assert_sound(task, own_validation)
    return task


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
    assert {row.input: row.output for row in everything(task)} == {
        f"{text} {word}".strip(): f"{text} {word[::-1]}".strip() for word in SPELLED
    }


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a\nb.csv", "<b>.csv", "x" * 5000, "\ud800.csv", "con.csv", "${x}.csv", "=1+1.csv"])
def test_a_files_name_is_a_name_and_nothing_else(name):
    for data in (rows_of("a"), json.dumps(TASK).encode(), b"{", b"\0"):
        task = brought(data, name)
        assert task is None or (len(task.name) <= 200 and task.name.encode())


def test_a_message_never_carries_a_columns_line_breaks():
    table = read_table(b'"in\nput ",output\na,b\nc,d\n ,e\n', "x.csv")
    assert table.columns == ("in put", "output")
    with refused("has no column 'in\\\\nput'"):
        task_from_table(table, Columns(("in\nput",), "output"))


often = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
LINES = ("input,output", "text\tlabel", "question;answer", "text,label,split", "a,b", "c\td", "France -> Paris", "e;f", "")
JSON = (
    *('{"input": "a", "output": "b"}\n', '{"text": 1e999, "label": true}\n', '{"x": [1]}\n', '{"input"', "null", "NaN", '"\\ud800"'),
    *('{"train": [["a", "b"], ["c", "d"]], "held_out": [["e", "f"]]}', '{"train": ', '"held_out": ', '["a", "b"]', '"\\u0000"'),
)
SIGNS = ("[", "]", "{", "}", ",", ":", "=", "->", '"', "\r", "\0", "\ufeff", "é", "train", "test", "9" * 5000, "[" * 3000)
PIECES = st.sampled_from([*(f"{line}\n" for line in LINES), *JSON, *SIGNS])
odd = st.text(max_size=12) | st.sampled_from(
    [*("", " ", '"', ",", ";", "\t", "\n", "\r", "\0", "é", "\ufeff", "\u202e", "\u2028", "\x85"),
     *("=1+1", "<b>", "{input}", "{", "[", "->", "x", "yes", "no")]
)  # fmt: skip
names = st.text(max_size=6) | st.sampled_from(["input", "output", "text", "label", "split", "Input", " input", "train"])
headers = st.just(["input", "output"]) | st.lists(names, min_size=1, max_size=5)


@settings(often, max_examples=600)
@given(
    st.binary(max_size=300) | st.lists(PIECES, max_size=14).map(lambda pieces: "".join(pieces).encode()),
    st.sampled_from([b"", HEAD, ROWS]),
)
def test_any_bytes_are_a_task_or_refused(data, before):
    brought(before + data)


@often
@given(
    headers,
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
    table = Table(
        "x",
        ("input", "output"),
        tuple((a.replace("\0", "").strip(), b.replace("\0", "").strip()) for a, b in rows),
        tuple(range(2, 2 + len(rows))),
    )
    try:
        task = task_from_table(table, Columns(("input",), "output", kind, template=template, words=words))
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
@example({"validation": []}, True)
@example({"validation": None}, True)
def test_any_task_file_is_a_task_or_refused(changes, whole):
    about = {**(TASK if whole else {"train": []}), **changes}
    brought(json.dumps(about).encode(), "x.json", own_validation=about.get("validation") is not None)


@often
@given(st.lists(st.dictionaries(names, anything, max_size=4) | anything, max_size=8), st.sampled_from(["lines", "list"]))
def test_any_json_is_a_task_or_refused(items, form):
    texts = [json.dumps(item) for item in items]
    brought(("\n".join(texts) if form == "lines" else f"[{', '.join(texts)}]").encode(), "x")


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


def test_a_label_and_its_word_may_hold_a_sign():
    pairs = {"pos = good": ("pos", "good"), "pos=good": ("pos", "good"), "a=b = a=b": ("a=b", "a=b"), "== = equal": ("==", "equal")}
    for line, (label, word) in {**pairs, "x = =": ("x", "=")}.items():
        assert read_words(line) == {label: word}


def test_the_largest_tables_take_seconds():
    began = time.process_time()  # of this process alone: other programs do not count
    words = string.ascii_lowercase
    full = HEAD + "".join(f"{words[i % 26]}{i} {'word ' * 60},{words[i % 7]}\n" for i in range(5500)).encode()
    assert LARGEST_FILE * 0.8 < len(full) <= LARGEST_FILE
    for data in (full, HEAD + b"\n" * 200_000, HEAD + b'"","\n' * 100_000, b'{"input":"a","output":"b"}\n' * 30_000):
        brought(data)
    assert time.process_time() - began < 120  # about 5 where nothing is quadratic
