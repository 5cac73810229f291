"""Tables: every format gives the same rows; a file that can't be read is refused in one sentence that says where."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_files import refused

from core.errors import LabError
from core.tasks.load import table_or_task
from core.tasks.table import MOST_ROWS, read_bytes, read_table, spread

ROWS = (("one", "eins"), ("two", "zwei"), ("x = 1", "=SUM(A1)"))
SAME = {
    "commas": b"input,output\none,eins\ntwo,zwei\nx = 1,=SUM(A1)\n",
    "semicolons": b"input;output\none;eins\ntwo;zwei\nx = 1;=SUM(A1)\n",
    "tabs": b"input\toutput\none\teins\ntwo\tzwei\nx = 1\t=SUM(A1)\n",
    "from Excel": b"\xef\xbb\xbfinput;output\r\none;eins\r\ntwo;zwei\r\nx = 1;=SUM(A1)\r\n",
    "blank lines": b"input,output\n\none,eins\n , \ntwo,zwei\n\nx = 1,=SUM(A1)",
    "spaces": b" input , output \n one,eins \n two , zwei\nx = 1,=SUM(A1)",
    "quotes": b'"input","output"\n"one","eins"\n"two",zwei\n"x = 1",=SUM(A1)\n',
    "JSON Lines": b'{"input": "one", "output": "eins"}\n\n{"output": " zwei ", "input": "two"}\r\n{"input": "x = 1", "output": "=SUM(A1)"}',
    "a JSON list": b'[{"input": "one", "output": "eins"}, {},\n'
    b'{"input": "two", "output": "zwei"}, {"input": "x = 1", "output": "=SUM(A1)"}]',
}


@pytest.mark.parametrize("data", SAME.values(), ids=SAME)
@pytest.mark.parametrize("pasted", [False, True])
def test_every_format_gives_the_same_rows(data, pasted):
    table = read_table(data, "x", pasted)
    assert table.columns == ("input", "output") and table.rows == ROWS and table.notes == ()


CELLS = {
    "quotes": (b'input,output\n"a, ""b""\nc",d\n', ("input", "output"), [('a, "b"\nc', "d")]),
    "a comma in the header": (b"text, or so;label\na;b\n", ("text, or so", "label"), [("a", "b")]),
    "commas between tabs": (b"id\ttext, with commas\tlabel\n1\ta\tb\n", ("id", "text, with commas", "label"), [("1", "a", "b")]),
    "no names": (b",input,\n0,a,x\n", ("column 1", "input", "column 3"), [("0", "a", "x")]),
    "one column": (b"only\na\n", ("only",), [("a",)]),
    "bare quotes": (b'input\toutput\n"Stop" he said\tx\n', ("input", "output"), [('"Stop" he said', "x")]),
    "a tab in quotes": (b'text\tlabel\n"a\tb"\tx\n', ("text", "label"), [("a\tb", "x")]),
    "values of JSON": (
        '{"a": 1.50, "b": true, "c": null}\n{"d": -1e5, "a": NaN}\n{"a": " \u2028é"}'.encode(),
        ("a", "b", "c", "d"),
        [("1.50", "true", "", ""), ("NaN", "", "", "-1e5"), ("é", "", "", "")],
    ),
    "a long number": (b'{"n": ' + b"9" * 5000 + b"}", ("n",), [("9" * 5000,)]),
    "brackets": (b"[input],[output]\na,b\n", ("[input]", "[output]"), [("a", "b")]),
    "a beginning as of a zip file": (b"PK,input,output\n1,a,b\n", ("PK", "input", "output"), [("1", "a", "b")]),
}


@pytest.mark.parametrize("data, columns, rows", CELLS.values(), ids=CELLS)
def test_cells_stay_as_they_are_written(data, columns, rows):
    table = read_table(data, "x")
    assert table.columns == columns and table.rows == tuple(rows)


def test_rows_are_numbered_as_in_the_file():
    assert read_table(b"input,output\n\na,b\n\nc,d\n", "x").numbers == (3, 5)
    assert read_table(b'\n{"a": 1}\n\n{"a": 2}\n', "x").numbers == (2, 4)
    assert read_table(b"\n\na -> b\n\nc -> d\n", "x", pasted=True).numbers == (3, 5)


@pytest.mark.parametrize(
    "text, rows",
    [
        ("France -> Paris\nItaly->Rome", [("France", "Paris"), ("Italy", "Rome")]),
        ("\n  France → Paris  \n\n Italy→ Rome\n", [("France", "Paris"), ("Italy", "Rome")]),
        ("a, b; c => d\ne => f", [("a, b; c", "d"), ("e", "f")]),
        ("a -> b => c\nd -> e", [("a", "b => c"), ("d", "e")]),
        ('"quoted" -> as it is\n[x] -> y', [('"quoted"', "as it is"), ("[x]", "y")]),
        ("word -> Wort\nhouse -> Haus", [("word", "Wort"), ("house", "Haus")]),
        ("input -> output\nhouse -> Haus", [("house", "Haus")]),
        ("France\tParis\nItaly\tRome", [("France", "Paris"), ("Italy", "Rome")]),
        ("\nHello, you\tBonjour, toi\nBye; see you\tSalut", [("Hello, you", "Bonjour, toi"), ("Bye; see you", "Salut")]),
        ("Great film, loved it; good\nDull; bad", [("Great film, loved it", "good"), ("Dull", "bad")]),
        ("France, Paris\nItaly, Rome", [("France", "Paris"), ("Italy", "Rome")]),
        ("one; two, three\nfour, five", [("one; two", "three"), ("four", "five")]),
        ("{x} -> y\nz -> w", [("{x}", "y"), ("z", "w")]),
        ("[MASK] -> y\nz -> w", [("[MASK]", "y"), ("z", "w")]),
    ],
)
def test_pasted_lines_need_no_header(text, rows):
    table = read_table(text.encode(), "your rows", pasted=True)
    assert table.columns == ("input", "output") and table.rows == tuple(rows)


def test_a_pasted_header_is_one_when_a_name_in_it_is_known():
    assert read_table(b"\n\nquestion;notes\na;b\n", "x", pasted=True).columns == ("question", "notes")
    assert read_table(b"id,text,label\n1,a,b\n", "x", pasted=True).rows == (("1", "a", "b"),)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("France -> Paris\nItaly Rome\n", "Row 2 of 'your rows' has -> in it 0 times"),
        ("France -> Paris\n\nItaly -> Rome -> x", "Row 3 of 'your rows' has -> in it 2 times"),
        ("just a line", "The first row of 'your rows' has no two cells"),
        ("a,b,c\nd,e,f", "The first row of 'your rows' has no two cells"),
        ("a\tb\nc", "Row 2 of 'your rows' has 1 cells"),
        ("input -> output\n", "a header and no rows"),
        ("  \n\n", "'your rows' is empty"),
        ("a -> b\nc -> " + "x" * 200_000, "Row 2 of 'your rows' has a cell of more than 131,072 characters"),
        ('a,"b\n', "The first row of 'your rows' has no two cells"),
        ('a,b\nc,"d\n', "'your rows' is not a well-formed CSV"),
    ],
)
def test_a_bad_pasted_line_is_named(text, sentence):
    with refused(sentence):
        read_table(text.encode(), "your rows", pasted=True)


BAD = {
    "nothing in it": (b"", "'rows.csv' is empty"),
    "a byte order mark only": (b"\xef\xbb\xbf", "'rows.csv' is empty"),
    "blank lines only": (b" \n\n  \n", "'rows.csv' is empty"),
    "spaces of other alphabets only": ("\u3000\u2003\n".encode(), "'rows.csv' is empty"),
    "a blank first line": (b"\ninput,output\n", "'rows.csv' is empty"),
    "header only": (b"input,output\n", "a header and no rows"),
    "header and blank rows": (b"input,output\n\n , \n", "a header and no rows"),
    "a column twice": (b"input,output,Output\na,b,c\n", r"two columns of the same name \('output'\)"),
    "columns that differ in spaces": (b"my  input,my input,output\na,b,c\n", "two columns of the same name"),
    "a giant column name": (b"input," + b"word " * 200 + b"\na,b\n", "has a column name of 999 characters"),
    "201 columns": (b",".join(b"c%d" % i for i in range(201)) + b"\n", "201 columns, more than 200"),
    "too few cells": (b"input,output\none,eins\ntwo\n", "Row 3 of 'rows.csv' has 1 cells, the header 2"),
    "too many cells": (b"input,output\none,eins,uno\n", "Row 2 of 'rows.csv' has 3 cells"),
    "a million commas": (b"input,output\n" + b"," * 10**6, "a header and no rows"),
    "too few cells between tabs": (b"input\toutput\none\teins\ntwo\n", "Row 3 of 'rows.csv' has 1 cells"),
    "an open quote": (b'input,output\n"one,eins\n', "not a well-formed CSV"),
    "an open quote in the header": (b'"input,output\none,eins\n', "not a well-formed CSV"),
    "a million quotes": (b"input,output\n" + b'"' * (10**6 + 1), "not a well-formed CSV"),
    "text after a quote": (b'input,output\n"one" x,eins\n', "not a well-formed CSV"),
    "a giant cell": (b"input,output\n" + b"x" * 200_000 + b",y\n", "not a well-formed CSV"),
    "a giant cell between tabs": (b"input\toutput\n" + b"x" * 200_000 + b"\ty\n", "not a well-formed CSV"),
    "a giant cell in JSON": (b'{"input": "' + b"x" * 200_000 + b'"}', "Line 1 of 'rows.csv' has a cell of more than 131,072 characters"),
    "a spreadsheet": (b"PK\x03\x04rest", "compressed or office file"),
    "an old spreadsheet": (b"\xd0\xcf\x11\xe0rest", "compressed or office file"),
    "gzip": (b"\x1f\x8brest", "compressed or office file"),
    "a PDF": (b"%PDF-1.7", "compressed or office file"),
    "Parquet": (b"PAR1rest", "compressed or office file"),
    "xz": (b"\xfd7zXZ\0rest", "compressed or office file"),
    "UTF-16": ("input,output\na,b\n".encode("utf-16"), "is UTF-16"),
    "UTF-16, the other order of bytes": (b"\xfe\xff" + "input,output\na,b\n".encode("utf-16-be"), "is UTF-16"),
    "UTF-16 without a mark": ("input,output\na,b\n".encode("utf-16-le"), "binary file"),
    "UTF-32": ("input,output\na,b\n".encode("utf-32"), "is UTF-16"),
    "binary": (b"input,output\na\0,b\n", "binary file"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "binary file"),
    "Latin-1": ("input,output\none,eins\nfive,fünf\n".encode("latin-1"), r"not UTF-8 text \(line 3\)"),
    "an overlong sequence of UTF-8": (b"input,output\na\xc0\xaf,b\n", "not UTF-8"),
    "half a character in UTF-8": (b"input,output\na\xed\xa0\x80,b\n", "not UTF-8"),
    "3 MB": (b"input,output\n" + b"a,b\n" * 2**20, "'rows.csv' is larger than 2 MB"),
    "an open object": (b'{"input": "a"\n', "Line 1 of 'rows.csv' is not a JSON object"),
    "a line that is no object": (b'{"input": "a"}\n["b"]\n', "Line 2 of 'rows.csv' is not a JSON object"),
    "a nested value": (b'{"input": "a"}\n\n{"input": {"a": "b"}}\n', "Line 3 of 'rows.csv' has a list or an object under 'input'"),
    "a list of lists": (b'[["a", "b"]]', "Row 1 of 'rows.csv' is not a JSON object"),
    "a list of words": (b'["a", "b"]', "Row 1 of 'rows.csv' is not a JSON object"),
    "a deep list of objects": (b'[{"input": ' + b"[" * 50_000, r"not a well-formed JSON list \(too deeply nested\)"),
    "deep objects": (b'{"input": ' * 50_000, "too deeply nested"),
    "an open list": (b'[{"input": "a"}', "'rows.csv' is not a well-formed JSON list"),
    "a nested value in a list": (b'[{"a": 1}, {"a": [1]}]', "Row 2 of 'rows.csv' has a list or an object under 'a'"),
    "an empty list": (b"[]", "'rows.csv' is empty"),
    "empty objects": (b"{}\n{}\n", "'rows.csv' is empty"),
    "a key twice": (b'{"a": 1, " a": 2}', "Line 1 of 'rows.csv' has 'a' twice"),
    "keys that differ in case": (b'{"a": 1}\n{"A": 2}', "two columns of the same name"),
    "half a character": (b'{"a": "\\ud83d"}', "Line 1 of 'rows.csv' has a character that is no text"),
    "NUL in JSON": (b'{"a\\u0000": "b"}', "Line 1 of 'rows.csv' has a character that is no text"),
    "a deep list": (b'{"a": ' + b"[" * 100_000, r"Line 1 of 'rows.csv' is not a JSON object \(too deeply nested\)"),
    "a thousand keys": (
        b"\n".join(b'{"a%d": 1}' % i for i in range(1000)),
        "Line 201 of 'rows.csv' brings the number of columns above 200",
    ),
}


@pytest.mark.parametrize("read", [read_table, table_or_task])  # the second first asks whether it is a task file
@pytest.mark.parametrize("data, sentence", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_a_sentence_that_says_where(data, sentence, read):
    with refused(sentence):
        read(data, "rows.csv")


def test_a_file_that_is_not_there_is_named(tmp_path):
    for name in ("no.csv", "a\0b.csv"):
        with refused("can't be read: check its name"):
            read_bytes(tmp_path / name)


def test_a_large_file_is_cut_evenly_and_says_so():
    data = b"input,output\n" + b"".join(b"%d,x\n\n" % i for i in range(12_345))
    table = read_table(data, "x.csv")
    assert table.notes == ("12,345 rows, of which 5,000, spread evenly, were kept.",)
    kept = [int(row[0]) for row in table.rows]
    assert len(kept) == MOST_ROWS == len(set(kept)) and {b - a for a, b in pairwise(kept)} == {2, 3}
    assert table.numbers[1] == 2 + 2 * kept[1]


@given(st.integers(0, 300), st.integers(1, 300))
def test_spread_keeps_as_many_as_it_may_in_order(count, most):
    kept = spread(count, most)
    assert len(kept) == min(count, most) and kept == sorted(set(kept)) and all(0 <= i < count for i in kept)


@settings(max_examples=1000)
@given(st.binary(max_size=200) | st.text('abc,;\t\n"-> {}[]:1\r', max_size=80).map(str.encode), st.booleans())
def test_any_bytes_are_a_table_or_refused(data, pasted):
    try:
        table = read_table(data, "x", pasted)
    except LabError as error:
        assert "\n" not in str(error)
        return
    assert table.rows and len(table.numbers) == len(table.rows)
    assert all(len(row) == len(table.columns) and any(row) for row in table.rows)
    assert all(cell == cell.strip() for row in table.rows for cell in row)
