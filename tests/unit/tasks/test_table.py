"""Tables: every format gives the same rows; a file that can't be read is refused in one sentence that says where."""

import datetime
import io
import zipfile
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_files import workbook
from task_files import everything, refused

from core.errors import LabError
from core.tasks.load import read, read_task
from core.tasks.reader import read_bytes, read_table
from core.tasks.table import LARGEST_FILE, MOST_READ, MOST_ROWS, Format, spread

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
def test_every_format_gives_the_same_rows(data):
    table = read_table(data, "x")
    assert table.columns == ("input", "output") and table.rows == ROWS and table.notes == ()


CELLS = {
    "quotes": (b'input,output\n"a, ""b""\nc",d\n', ("input", "output"), [('a, "b"\nc', "d")]),
    "a comma in the header": (b"text, or so;label\na;b\n", ("text, or so", "label"), [("a", "b")]),
    "commas between tabs": (b"id\ttext, with commas\tlabel\n1\ta\tb\n", ("id", "text, with commas", "label"), [("1", "a", "b")]),
    "no names": (b",input,\n0,a,x\n", ("column 1", "input", "column 3"), [("0", "a", "x")]),
    "names twice": (b"input,output,Output\na,b,c\n", ("input", "output", "Output (3)"), [("a", "b", "c")]),
    "braces in a name": (b"{input},label\na,b\n", ("(input)", "label"), [("a", "b")]),
    "a short row": (b"input,output,more\na,b\nc,d,e\n", ("input", "output", "more"), [("a", "b", ""), ("c", "d", "e")]),
    "quotes of two rows": (b'text\tlabel\n"Hello\tA\nbye"\tB\nyes\tA\n', ("text", "label"), [('"Hello', "A"), ('bye"', "B"), ("yes", "A")]),
    "lines in quotes": (b'text,label\n"one, two\nthree",A\nfour,B\n', ("text", "label"), [("one, two\nthree", "A"), ("four", "B")]),
    "lines in quotes between tabs": (b'text\tlabel\n"one\nthree"\tA\nfour\tB\n', ("text", "label"), [("one\nthree", "A"), ("four", "B")]),
    "commas without quotes": (b"text,label\na, b and c,x\nd,y\n", ("text", "label"), [("a, b and c", "x"), ("d", "y")]),
    "a title": (b"Results,,\n\ntext,label,id\na,b,1\nc,d,2\n", ("text", "label", "id"), [("a", "b", "1"), ("c", "d", "2")]),
    "names of rows, as R writes them": (
        b'"text","label"\n"r1","a","b"\n"r2","c","d"\n',
        ("column 1", "text", "label"),
        [("r1", "a", "b"), ("r2", "c", "d")],
    ),
    "a sign named": (b"sep=;\r\ntext;label\r\na,b;c\r\n", ("text", "label"), [("a,b", "c")]),
    "pipes": (b"text|label\na, b|c\n", ("text", "label"), [("a, b", "c")]),
    "Markdown": (b"# x\n\n| text | label |\n|:--|---|\n| a \\| b | c |\n\nend\n", ("text", "label"), [("a | b", "c")]),
    "columns as lists": (b'{"text": ["a", "b"], "label": [1, 2]}', ("text", "label"), [("a", "1"), ("b", "2")]),
    "columns by index": (b'{"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 2}}', ("text", "label"), [("a", "1"), ("b", "2")]),
    "rows by index": (b'{"0": {"text": "a", "label": 1}, "1": {"text": "b", "label": 2}}', ("text", "label"), [("a", "1"), ("b", "2")]),
    "rows under data": (b'{"version": 1, "data": [{"text": "a", "label": "b"}]}', ("text", "label"), [("a", "b")]),
    "columns and data": (b'{"columns": ["text", "label"], "data": [["a", "b"]]}', ("text", "label"), [("a", "b")]),
    "lists": (b'[["text", "label"], ["a", "b"]]', ("text", "label"), [("a", "b")]),
    "a mapping": (
        b'{"dog": "chien", "cat": "chat", "sun": "soleil", "sea": "mer"}',
        ("input", "output"),
        [("dog", "chien"), ("cat", "chat"), ("sun", "soleil"), ("sea", "mer")],
    ),
    "objects over several lines": (
        b'{\n"text": "a",\n"label": "b"\n}\n{\n"text": "c",\n"label": "d"\n}\n',
        ("text", "label"),
        [("a", "b"), ("c", "d")],
    ),
    "a chat": (
        b'{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"},'
        b' {"role": "user", "content": "bye"}]}\n{"messages": [{"role": "user", "content": "R"}, {"role": "assistant", "content": "B"}]}',
        ("messages", "last answer"),
        [("system: S\nuser: Q", "A"), ("R", "B")],
    ),
    "bare quotes": (b'input\toutput\n"Stop" he said\tx\n', ("input", "output"), [('"Stop" he said', "x")]),
    "a tab in quotes": (b'text\tlabel\n"a\tb"\tx\n', ("text", "label"), [("a\tb", "x")]),
    "values of JSON": (
        '{"a": 1.50, "b": true, "c": null}\n{"d": -1e5, "a": NaN}\n{"a": " \u2028é"}'.encode(),
        ("a", "b", "c", "d"),
        [("1.50", "true", "", ""), ("NaN", "", "", "-1e5"), ("é", "", "", "")],
    ),
    "a long number": (b'{"n": ' + b"9" * 5000 + b"}", ("n",), [("9" * 5000,)]),
    "brackets": (b"[input],[output]\na,b\nc,d\ne,f\n", ("[input]", "[output]"), [("a", "b"), ("c", "d"), ("e", "f")]),
    "a beginning as of a zip file": (b"PK,input,output\n1,a,b\n", ("PK", "input", "output"), [("1", "a", "b")]),
}


@pytest.mark.parametrize("data, columns, rows", CELLS.values(), ids=CELLS)
def test_cells_stay_as_they_are_written(data, columns, rows):
    table = read_table(data, "x")
    assert table.columns == columns and table.rows == tuple(rows)


def test_rows_are_numbered_as_in_the_file():
    assert read_table(b"input,output\n\na,b\n\nc,d\n", "x").numbers == (3, 5)
    assert read_table(b'\n{"a": 1}\n\n{"a": 2}\n', "x").numbers == (2, 4)
    assert read_table(b"\n\na -> b\n\nc -> d\n", "x").numbers == (3, 5)


@pytest.mark.parametrize(
    "text, rows",
    [
        ("France -> Paris\nItaly->Rome", [("France", "Paris"), ("Italy", "Rome")]),
        ("\n  France → Paris  \n\n Italy→ Rome\n", [("France", "Paris"), ("Italy", "Rome")]),
        ("a, b; c => d\ne => f", [("a, b; c", "d"), ("e", "f")]),
        ("a -> b => c\nd -> e", [("a", "b => c"), ("d", "e")]),
        ('"quoted" -> as it is\n[x] -> y', [('"quoted"', "as it is"), ("[x]", "y")]),
        ("word -> translation\nhouse -> Haus", [("house", "Haus")]),
        ("France\tParis\nItaly\tRome", [("France", "Paris"), ("Italy", "Rome")]),
        ("English\tFrench\nhouse\tmaison", [("house", "maison")]),
        ("\nHello, you\tBonjour, toi\nBye; see you\tSalut", [("Hello, you", "Bonjour, toi"), ("Bye; see you", "Salut")]),
        ("Great film, loved it; good\nDull; bad", [("Great film, loved it", "good"), ("Dull", "bad")]),
        ("France, Paris\nItaly, Rome", [("France", "Paris"), ("Italy", "Rome")]),
        ("one; two, three\nfour, five", [("one; two", "three"), ("four", "five")]),
        ("{x} -> y\nz -> w", [("{x}", "y"), ("z", "w")]),
        (
            "v1,v2\nham,hello\nspam,win now\nham,see you\nspam,cash",
            [("ham", "hello"), ("spam", "win now"), ("ham", "see you"), ("spam", "cash")],
        ),
    ],
)
def test_a_header_is_one_where_it_is_unlike_the_rows(text, rows):
    assert read_table(text.encode(), "your rows").rows == tuple(rows)


def test_a_person_can_say_how_a_file_is_read():
    data = "größe;x\nküche;y\n".encode("cp1252")
    for chosen, columns, row in [
        (Format(header="yes"), ("größe", "x"), ("küche", "y")),
        (Format(header="no"), ("column 1", "column 2"), ("größe", "x")),
        (Format(encoding="cp1251", header="no"), ("column 1", "column 2"), ("grцЯe", "x")),
    ]:
        table = read_table(data, "x", chosen)
        assert table.columns == columns and table.rows[0] == row
    assert read_table(b"a;b,c\nd;e,f\n", "x", Format(separator=",", header="no")).rows[0] == ("a;b", "c")
    with refused("can't be read as 'utf-8'"):
        read_table(data, "x", Format(encoding="utf-8"))


@pytest.mark.parametrize(
    "text, encoding, found",
    [
        ("text,label\nÜberprüfung der Größe – „gut“,ja\nSchöne Straße,nein\n", "cp1252", "cp1252"),
        ("text,label\nCafé fermé,1\n", "cp1252", "cp1252"),
        ("tekst,etykieta\nBardzo świetna obsada i żywe dialogi,1\nSłaby źle zrobiony,0\n", "cp1250", "cp1250"),
        ("text,label\nОчень хороший фильм и советую всем,1\nПлохо и скучно,0\n", "cp1251", "cp1251"),
        ("label,review\n1,很好的酒店，下次还会来\n0,房间太小\n", "gbk", "gb18030"),
        ("label,review\n1,這家飯店很好，下次還會再來\n0,房間太小了，服務也不好\n", "big5", "big5"),
        ("label,review\n1,とても良いホテルでした。また来たいです。\n", "cp932", "cp932"),
        ("label,review\n1,아주 좋은 영화였어요 다시 보고 싶어요\n", "cp949", "cp949"),
        ("text,label\nfünf,1\n", "utf-16", "utf-16"),
        ("text,label\nfive,1\n", "utf-16-le", "utf-16-le"),
        ("text,label\nfive,1\n", "utf-16-be", "utf-16-be"),
        ("text,label\nfive,1\n", "utf-32", "utf-32"),
    ],
)
def test_an_encoding_is_found_and_noted(text, encoding, found):
    table = read_table(text.encode(encoding), "x")
    assert table.columns == tuple(text.split("\n")[0].split(",")) and table.format.encoding == found
    assert table.rows[0][0] == text.split("\n")[1].split(",")[0] and any(table.notes)


def test_a_few_damaged_characters_do_not_change_the_encoding():
    table = read_table(b"text,label\n" + "很好的酒店 ".encode() * 40 + b"\xff,1\n", "x")
    assert table.format.encoding == "utf-8" and table.notes == ("1 characters are damaged (not UTF-8) and are shown as \ufffd.",)


def test_a_workbook_is_read_by_its_sheets():
    sheets = {
        "Empty": [],
        "Data": [["Survey"], [], ["text", "mark"], ["a b", 1.0], ["c", True], [None, datetime.date(2024, 2, 29)]],
        "More": [["x", "y"], ["1", "2"]],
    }
    table = read_table(workbook(sheets), "x.xlsx")
    assert table.columns == ("text", "mark") and table.rows == (("a b", "1"), ("c", "true"), ("", "2024-02-29"))
    assert table.numbers == (4, 5, 6) and table.sheets == tuple(sheets) and table.format.sheet == "Data" and table.format.encoding == "xlsx"
    assert table.notes == ("The workbook has 3 sheets; 'Data' was read.", "1 line above the table left out ('Survey').")
    assert read_table(workbook(sheets), "x.xlsx", Format(sheet="More")).rows == (("1", "2"),)
    with refused("has no sheet 'Other': it has 'Empty, Data, More'"):
        read_table(workbook(sheets), "x.xlsx", Format(sheet="Other"))


def test_the_saved_value_of_a_formula_is_taken():
    data, changed = io.BytesIO(workbook({"S": [["text", "sum"], ["a", 12345], ["b", 2]]})), io.BytesIO()
    with zipfile.ZipFile(data) as before, zipfile.ZipFile(changed, "w") as after:
        for part in before.namelist():
            after.writestr(part, before.read(part).replace(b"<v>12345</v>", b"<f>SUM(1,2)</f><v>3</v>"))
    assert read_table(changed.getvalue(), "x.xlsx").rows == (("a", "3"), ("b", "2"))


def archive(**parts):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name.replace("__", "/"), content)
    return data.getvalue()


OLD = b"\xd0\xcf\x11\xe0"
BAD = {
    "one column": (b"only\na\n", "has no two cells in a row"),
    "a line of prose": (b"just a line", "has no two cells in a row"),
    "an arrow and nothing else": (b"input -> output\n", "a header and no rows"),
    "more cells in most rows": (
        b"input,output,id\na,b,c,d,e\nf,g,h,i,k\nl,m,n\n",
        "2 of 3 rows of 'rows.csv' have more cells than there are columns",
    ),
    "a giant cell": (b"input,output,id\n" + b"x" * 200_000 + b",y,1\n", "a cell of more than 131,072 characters"),
    "a giant cell in JSON": (b'{"input": "' + b"x" * 200_000 + b'"}', "a cell of more than 131,072 characters"),
    "a broken workbook": (b"PK\x03\x04rest", "damaged zip archive or workbook"),
    "a workbook with a part missing": (archive(xl__workbook="no"), "can't be read as a workbook"),
    "an empty workbook": (workbook({"A": [], "B": []}), "'rows.csv' is empty"),
    "a bomb": (archive(xl__workbook="no", xl__bomb=b"0" * (101 * 2**20)), "more than 100 MB when it is unpacked"),
    "a workbook of 10,000 columns": (workbook({"A": [["x"] * 10_000] * 2}), "10,000 columns, more than 200"),
    "a zip archive": (archive(rows="a,b"), "is a zip archive: unpack it"),
    "a Word document": (archive(word__document_xml="x").replace(b"document_xml", b"document.xml"), "is a Word document"),
    "an OpenDocument sheet": (archive(mimetype="x", content_xml="y").replace(b"content_xml", b"content.xml"), "is an OpenDocument file"),
    "a Numbers sheet": (archive(Index__Tables_iwa="x").replace(b"_iwa", b".iwa"), "is a Numbers spreadsheet"),
    "an old spreadsheet": (OLD + b"rest", "old office file"),
    "a workbook with a password": (OLD + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
    "gzip": (b"\x1f\x8brest", "is compressed .gzip."),
    "a PDF": (b"%PDF-1.7", "is a PDF"),
    "Parquet": (b"PAR1rest", "is a Parquet file"),
    "xz": (b"\xfd7zXZ\0rest", "is compressed .xz."),
    "a web page": (b"<!doctype html>\n<html><body>a,b</body></html>\n", "is a web page or XML"),
    "binary": (b"input,output\na\0,b\n", "binary file"),
    "noise": (bytes(range(1, 256)) * 20, "binary file, not text"),
    "33 MB": (b"a,b\n" * 8_500_000, "'rows.csv' is larger than 32 MB"),
    "an open object": (b'{"input": "a"\n', "is not well-formed JSON"),
    "a list of words": (b'["a", "b"]', "holds values that are no objects"),
    "a deep list of objects": (b'[{"input": ' + b"[" * 50_000, "too deeply nested"),
    "deep objects": (b'{"input": ' * 50_000, "too deeply nested"),
    "nothing but lists": (b'{"a": [1, 2]}\n{"a": [3, 4]}\n', r"no column of plain text, but 'a' \(lists \(several labels"),
    "nothing but objects": (b'{"a": {"b": 1}, "c": {"d": 2}}\n{"a": {"b": 1}, "c": {"d": 2}}\n', "nested objects"),
    "chats of one turn": (b'{"messages": [{"role": "user", "content": "hi"}]}\n' * 5, "No chat of 'rows.csv' has an answer"),
    "a thousand keys": (b"\n".join(b'{"a%d": 1}' % i for i in range(1000)), "1,000 keys, more than 200"),
    "half a character": (b'{"a": "\\ud83d", "b": 1}', "a character that is no text"),
    "nothing in it": (b"", "'rows.csv' is empty"),
    "a byte order mark only": (b"\xef\xbb\xbf", "'rows.csv' is empty"),
    "blank lines only": (b" \n\n  \n", "'rows.csv' is empty"),
    "spaces of other alphabets only": ("\u3000\u2003\n".encode(), "'rows.csv' is empty"),
    "header only": (b"input,output\n", "a header and no rows"),
    "header and blank rows": (b"input,output\n\n , \n", "a header and no rows"),
    "201 columns": (b",".join(b"c%d" % i for i in range(201)) + b"\n", "201 columns, more than 200"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "binary file"),
    "an open list": (b'[{"input": "a"}', "'rows.csv' is not a well-formed JSON list"),
    "an empty list": (b"[]", "'rows.csv' is empty"),
    "empty objects": (b"{}\n{}\n", "'rows.csv' is empty"),
}


@pytest.mark.parametrize("reader", [read_table, read])  # the second first asks whether it is a task file
@pytest.mark.parametrize("data, sentence", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_a_sentence_that_says_what_it_is(data, sentence, reader):
    with refused(sentence):
        reader(data, "rows.csv")


def test_rows_that_cannot_be_read_are_left_out_and_listed():
    table = read_table(b"input,output,id\n" + b"a,b,1\n" * 5 + b"a,b,c,d\na,b\n", "x")
    assert len(table.rows) == 6 and [note[:30] for note in table.notes] == [
        "1 row was left out, with more ",
        "1 row was filled up: it has fe",
    ]
    table = read_table(
        b'{"a": 1, "b": 2}\nno\n{"a": "\\ud83d", "b": 2}\n{"a": 3, "b": 4}\n' + b'{"a": 6, "b": 7}\n' * 8 + b'{"a": 5, "b": [1, 2]}\n', "x"
    )
    assert table.rows == (("1", "2"), ("3", "4"), *[("6", "7")] * 8, ("5", ""))
    assert [note[:24] for note in table.notes] == ["1 row was left out: no J", "1 row was left out, with"]
    assert "row 2" in table.notes[0] and "row 3" in table.notes[1]


def test_a_file_that_is_not_there_is_named(tmp_path):
    for name in ("no.csv", "a\0b.csv"):
        with refused("can't be read: check its name"):
            read_bytes(tmp_path / name)


def test_a_large_file_is_cut_evenly_and_says_so():
    data = b"input,output\n" + b"".join(b"%d,x%d\n\n" % (i, i) for i in range(12_345))
    task = read_task(data, "x.csv")
    assert "12,345 rows, of which 5,000, spread evenly, were kept: a task has at most 5,000 rows and 2 MB." in task.notes
    kept = sorted(int(row.input) for row in everything(task))
    assert len(kept) == MOST_ROWS == len(set(kept)) and {b - a for a, b in pairwise(kept)} == {2, 3}


def test_of_a_file_of_a_million_rows_some_are_read():
    table = read_table(b"input,output\n" + b"".join(b"%d,b\n" % i for i in range(1_000_000)), "x.csv")
    assert len(table.rows) == MOST_READ and table.notes == ("1,000,000 rows, of which 50,000, spread evenly, were read.",)


def test_of_long_rows_no_more_than_2_mb_are_kept():
    task = read_task("".join(f"{'word ' * 2000}{i},{'ab'[i % 2]}\n" for i in range(400)).encode(), "x.csv")
    assert 0.9 * LARGEST_FILE < sum(len(row.input) for row in everything(task)) <= LARGEST_FILE


@given(st.integers(0, 300), st.integers(1, 300))
def test_spread_keeps_as_many_as_it_may_in_order(count, most):
    kept = spread(count, most)
    assert len(kept) == min(count, most) and kept == sorted(set(kept)) and all(0 <= i < count for i in kept)


@settings(max_examples=1000)
@given(st.binary(max_size=200) | st.text('abc,;\t\n"-> {}[]:1\r', max_size=80).map(str.encode))
def test_any_bytes_are_a_table_or_refused(data):
    try:
        table = read_table(data, "x")
    except LabError as error:
        assert "\n" not in str(error)
        return
    assert table.rows and len(table.numbers) == len(table.rows)
    assert all(len(row) == len(table.columns) and any(row) for row in table.rows)
    assert all(cell == cell.strip() for row in table.rows for cell in row)


def test_formulas_without_a_saved_value_are_counted():
    data = workbook({"Data": [["input", "output"], ["a", "=1+1"], ["b", "plain"], ["c", "=A1"], ["d", "more"]]})
    assert read_table(data, "x.xlsx").notes == (
        "2 formulas have no saved value and count as empty: open the file in a spreadsheet program, save it, and give it again.",
    )
    assert not read_table(workbook({"Data": [["input", "output"], ["a", "b"]]}), "x.xlsx").notes
