"""Forms that files of other people have: what goes in and what comes out, unaided, or a refusal by what the file is."""

import json

import pytest

from core.errors import LabError
from core.tasks.columns import decide
from core.tasks.reader import read_table

WORDS = ("the soup was cold today", "a kind man at the desk", "we lost our way twice", "no guide was there", "the map is wrong again")


def text(at: int) -> str:
    return f"{WORDS[at % 5]}, {at}"


def lines(header: str, row, count: int = 60) -> bytes:
    return "\n".join([header, *(row(at) for at in range(count))]).encode()


def objects(row, count: int = 60) -> bytes:
    return "\n".join(json.dumps(row(at)) for at in range(count)).encode()


READ = {  # name: file, the columns that go in, the one that comes out
    "a column named as one of its labels": (
        lines("comments\tbias\thate", lambda at: f"{text(at)}\t{('none', 'gender')[at % 2]}\t{('none', 'hate', 'offensive')[at % 3]}"),
        ("comments",),
        "bias",
    ),
    "an answer in half of the rows, beside a label in few": (
        lines("node;question_type;core_question;core_answer", lambda at: f"n{at};{'FAQ' * (at % 3 > 1)};{text(at)}?;it is {text(at)}"),
        ("core_question",),
        "core_answer",
    ),
    "a gold answer beside a category": (
        lines("q_id;question;category;gold_answer", lambda at: f"Q{at};{text(at)}?;{('fees', 'dates')[at % 2]};because {text(at + 3)}"),
        ("question",),
        "gold_answer",
    ),
    "the source of an answer": (
        lines("question;answer;source", lambda at: f"{text(at)}?;because {text(at + 3)};q{at % 7:03}"),
        ("question",),
        "answer",
    ),
    "a translation as an object": (objects(lambda at: {"translation": {"en": text(at), "xx": text(at)[::-1]}}), ("en",), "xx"),
    "the first of a row's instances": (
        objects(lambda at: {"id": f"t{at}", "instruction": text(at), "instances": [{"input": f"see {at}", "output": text(at)[::-1]}]}),
        ("instruction", "input"),
        "output",
    ),
    "chats in a few rows": (
        objects(
            lambda at: (
                {"prompt": text(at), "tool": ("clock", "map")[at % 2]}
                | ({"history": [{"role": "user", "content": "hi"}]} if at % 20 == 0 else {})
            )
        ),
        ("prompt",),
        "tool",
    ),
    "rows beside other lists of objects": (
        json.dumps(
            {
                "name": "home",
                "entities": [{"name": "room"}],
                "patterns": [{"pattern": "{room} on", "intent": "light"}],
                "utterances": [{"text": text(at), "intent": ("light", "heat")[at % 2], "entities": []} for at in range(40)],
            }
        ).encode(),
        ("text",),
        "intent",
    ),
    "a label and its description": (
        objects(lambda at: {"label": 100 + at % 3, "label_desc": ("news", "sport", "home")[at % 3], "sentence": text(at)}),
        ("sentence",),
        "label_desc",
    ),
    "one text in many languages": (
        lines("aa\tbb\tcc\tdd\tee", lambda at: "\t".join(f"{word} {text(at)}" for word in "vwxyz")),
        ("aa",),
        "bb",
    ),
    "the first of several flags": (
        lines("remark;rude;rude_1;rude_2", lambda at: f"{text(at)};{at % 2};{at % 2 * (at % 3 > 0)};{at % 2 * (at % 5 > 0)}"),
        ("remark",),
        "rude",
    ),
    "two bars between the sides": (
        lines("", lambda at: f"name : x{at}{' | area : town' * (at % 2)}||There is {text(at)}").strip(),
        ("input",),
        "output",
    ),
    "paths of files beside sentences": (
        lines("", lambda at: f"en/{at % 4}/a.xml.gz\tbs/{at % 4}/b.xml.gz\t{text(at)}\t{text(at)[::-1]}").strip(),
        ("column 3",),
        "column 4",
    ),
}


@pytest.mark.parametrize("data, inputs, output", READ.values(), ids=READ)
def test_what_goes_in_and_what_comes_out(data, inputs, output):
    found = decide(read_table(data, "rows.txt"))
    assert (found.inputs, found.output) == (inputs, output)


def test_empty_cells_between_single_bars_are_cells():
    table = read_table(lines("id||text|label", lambda at: f"{at}||{text(at)}|{('yes', 'no')[at % 2]}"), "rows.csv")
    assert len(table.columns) == 4 and decide(table).output == "label"


def test_a_column_of_lists_does_not_go_in():
    data = lines("remark;notes;kind", lambda at: f"{text(at)};['a{at % 4}', 'b'];{('race', 'age')[at % 2]}")
    found = decide(read_table(data, "rows.csv"))
    assert (found.inputs, found.output) == (("remark",), "kind")


def test_a_column_of_train_trial_and_test_parts_the_rows_whatever_its_name():
    parts = ("train", "train", "trial", "test")
    table = read_table(lines("data;sentence;label", lambda at: f"{parts[at % 4]};{text(at)};{('yes', 'no')[at % 3 % 2]}"), "rows.csv")
    assert decide(table).split == "data"


REFUSED = {
    "tokens with tags": (
        "\n\n".join("\n".join(f"{word}\t{'B-LOC' if word == 'map' else 'O'}" for word in text(at).split()) for at in range(30)).encode(),
        "has a token and its tag on each line",
    ),
    "numbers of users and files": (
        lines("file_id,user_id,contexts,label", lambda at: f"{at}_1,{at % 9},{at % 5},{('hate', 'none')[at % 2]}"),
        "has no column of text that could go in",
    ),
    "a text beside lists": (
        objects(lambda at: {"qid": at, "question": text(at), "sql": {"cond": [at]}, "valid": True}),
        r"one column of plain text \('question'\).* The column 'sql' holds nested objects",
    ),
    "chats without an answer": (objects(lambda at: {"messages": [{"role": "user", "content": text(at)}]}), "No chat of .* has an answer"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "only points to the file"),
}


@pytest.mark.parametrize("data, sentence", REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_is_refused_by_what_it_is(data, sentence):
    with pytest.raises(LabError, match=sentence):
        decide(read_table(data, "rows.txt"))


def test_a_lock_file_of_a_workbook_is_no_workbook():
    with pytest.raises(LabError, match="is no workbook, though it is named so"):
        read_table(b"\x05owner" + b" \x00" * 60, "~$rows.xlsx")
