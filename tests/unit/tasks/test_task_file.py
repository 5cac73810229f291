"""Task files: written and read back as equal tasks; a bad one is refused in one sentence that names the file and the row."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import ANSWERS, LABELS, PARTS, as_csv, messy_rows, refused

from core.errors import LabError
from core.tasks.built_in import shuffled
from core.tasks.columns import Columns
from core.tasks.load import load_task, read_task, task_from_json
from core.tasks.table import LARGEST_TASK
from core.tasks.task import Example
from core.tasks.task_file import task_to_json

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
        task = read_task(as_csv(rows, ("text", "label") if labelled else ("input", "output")), "rows.csv", Columns(template=template))
    except LabError:
        return
    for one in (task, shuffled(task, 3)):
        assert task_from_json(task_to_json(one).encode(), "other.json") == one


PROMPT = {"name": "a", "template": "{input}"}
BAD_FIELDS: dict[str, tuple[dict[str, object], str]] = {
    "no training rows": ({"train": []}, "has no rows in train"),
    "null in place of rows": ({"train": None}, "has no rows in train"),
    "no held-out rows": ({"held_out": []}, "has no rows in held_out"),
    "rows that are a text": ({"train": "abc"}, "train in 'x.json' is no list"),
    "rows that are an object": ({"train": {"a": "b"}}, "train in 'x.json' is no list"),
    "a row that is a text": ({"train": ["ab", "cd"]}, "Row 1 of train in 'x.json' is no pair of texts"),
    "a row of three": ({"train": [["a", "b", "c"]]}, "Row 1 of train in 'x.json' is no pair of texts"),
    "a number": ({"train": [["a", "b"], ["a", 1]]}, "Row 2 of train in 'x.json' is no pair of texts"),
    "lists in a row": ({"train": [[["a"], ["b"]]]}, "Row 1 of train in 'x.json' is no pair of texts"),
    "an empty output": ({"held_out": [["a", " "]]}, "Row 1 of held_out in 'x.json' has no output"),
    "half a character": ({"held_out": [["a\ud800", "b"]]}, "Row 1 of held_out in 'x.json' has a character that is no text"),
    "NUL": ({"held_out": [["a\0", "b"]]}, "Row 1 of held_out in 'x.json' has a character that is no text"),
    "a giant cell": ({"train": [["a" * 200_000, "b"]]}, "Row 1 of train in 'x.json' has a cell of more than 131,072 characters"),
    "too many rows": ({"train": [[str(i), str(i)] for i in range(5001)]}, "5,001 rows in train and validation, more than 5,000"),
    "one output": ({"train": [["a", "y"], ["b", "y"]]}, "'x.json' has the same output"),
    "held-out rows seen": ({"held_out": [["A.", "y"]]}, "Every row of held_out in 'x.json' is among the training rows"),
    "an unknown field": ({"heldout": []}, "'x.json' has the unknown field 'heldout'"),
    "an unknown field with markup": ({"<img src=x>": 1}, "'x.json' has the unknown field '<img src=x>'"),
    "rows of another task": ({"rows_of": "sentiment", "change": "swap"}, "'x.json' has the unknown field 'rows_of'"),
    "an unknown kind": ({"kind": "ranks"}, "kind in 'x.json' is 'ranks'"),
    "a list of kinds": ({"kind": ["labels"]}, "kind in 'x.json' is "),
    "answers with labels": ({"kind": "answers", "labels": ["x", "y"]}, "'x.json' has the kind answers and a list of labels"),
    "labels that are a text": ({"labels": "xy"}, "labels in 'x.json' is no list of words"),
    "labels that are an object": ({"labels": {"x": 1}}, "labels in 'x.json' is no list of words"),
    "labels that are numbers": ({"labels": [0, 1]}, "labels in 'x.json' is no list of words"),
    "labels that are lists": ({"labels": [["x"], ["y"]]}, "labels in 'x.json' is no list of words"),
    "an empty label": ({"labels": ["x", "y", ""]}, "labels in 'x.json' is no list of words"),
    "a label with spaces": ({"labels": ["x", "y "]}, "labels in 'x.json' is no list of words"),
    "a label with half a character": ({"labels": ["x", "y", "\ud800"]}, "labels in 'x.json' has a character that is no text"),
    "a label with NUL": ({"labels": ["x", "y", "z\0"]}, "labels in 'x.json' has a character that is no text"),
    "a giant label": ({"labels": ["x", "y", "z" * 200_000]}, "labels in 'x.json' has a cell of more than 131,072 characters"),
    "one label": ({"labels": ["x"]}, "'x.json' has 1 labels"),
    "201 labels": ({"labels": ["x", "y", *map(str, range(199))]}, "'x.json' has 201 labels"),
    "a label twice": ({"labels": ["x", "y", "x"]}, "'x.json' has 3 labels: give from 2 to 200 different ones"),
    "an unlisted label": ({"labels": ["x", "z"]}, "Row 2 of train in 'x.json' has the output 'y', which is none of its labels"),
    "a template without a place": ({"template": "Label:"}, "The template of 'x.json' can't be used: .*{input} 0 times"),
    "a template with two places": ({"template": "{input} {input}"}, "The template of 'x.json' can't be used: .*{input} 2 times"),
    "a template that is a number": ({"template": 3}, "template in 'x.json' is '3'"),
    "a template that is a list": ({"template": [[[["{input}"]]]]}, "template in 'x.json' is "),
    "a giant template": ({"template": "{input}" + "x" * 5000}, "template in 'x.json' is .*: give a text of up to 4,000 characters"),
    "a template with half a character": ({"template": "{input}\ud800"}, "template in 'x.json' has a character that is no text"),
    "a long name": ({"name": "x" * 201}, "name in 'x.json' is 'xxx"),
    "a name that is a number": ({"name": 5}, "name in 'x.json' is '5'"),
    "an empty name": ({"name": " "}, "name in 'x.json' is ' '"),
    "an empty slug": ({"slug": " "}, "slug in 'x.json' is ' '"),
    "a slug with NUL": ({"slug": "a\0b"}, "slug in 'x.json' has a character that is no text"),
    "prompts that are no list": ({"handcrafted": {"a": 1}}, "handcrafted in 'x.json' is no list of up to 20"),
    "21 prompts": (
        {"handcrafted": [PROMPT | {"name": str(i)} for i in range(21)]},
        "handcrafted in 'x.json' is no list of up to 20 prompts",
    ),
    "a prompt without a name": ({"handcrafted": [{"template": "{input}"}]}, "Prompt 1 in 'x.json' has other fields"),
    "a prompt with another field": ({"handcrafted": [PROMPT | {"run": "rm"}]}, "Prompt 1 in 'x.json' has other fields"),
    "a prompt without a place": ({"handcrafted": [{"name": "a", "template": "x"}]}, "Prompt 1 in 'x.json' can't be used"),
    "a long prompt": ({"handcrafted": [{"name": "a", "template": "{input}" + "x" * 40001}]}, "up to 40,000 characters"),
    "a prompt's name twice": ({"handcrafted": [PROMPT] * 2}, "Prompt 2 in 'x.json' has the name of an earlier one"),
    "a recipe that is no table": ({"recipe": ["steps"]}, "recipe in 'x.json' is no table of settings"),
    "a task in the recipe": ({"recipe": {"task": "news"}}, "The recipe in 'x.json' can't be used: it can't hold 'task'"),
    "a model in the recipe": ({"recipe": {"model": "/etc"}}, "it can't hold 'model'"),
    "a file to start from in the recipe": ({"recipe": {"init_from": "/etc"}}, "it can't hold 'init_from'"),
    "a dtype in the recipe": ({"recipe": {"dtype": "float16"}}, "it can't hold 'dtype'"),
    "an unknown setting": ({"recipe": {"stepz": 3}}, "it can't hold 'stepz'"),
    "a setting named as Python names its own": ({"recipe": {"__class__": "x"}}, "it can't hold '__class__'"),
    "a setting out of bounds": ({"recipe": {"steps": 10**9}}, "The recipe in 'x.json' can't be used: steps is 1000000000"),
    "a truth value as a setting": ({"recipe": {"steps": True}}, "The recipe in 'x.json' can't be used: steps is True"),
    "a giant number as a setting": ({"recipe": {"learning_rate": 10**400}}, "learning rate is 1000"),
    "NaN as a setting": ({"recipe": {"clip": float("nan")}}, "gradient clip is nan"),
    "settings that don't fit": ({"recipe": {"method": "prompt", "mlp": 8}}, "MLP size is 8, and a soft prompt has no such setting"),
    "notes that are a text": ({"notes": "a"}, "notes in 'x.json' is no list"),
    "a thousand notes": ({"notes": ["x"] * 1000}, "notes in 'x.json' is no list of up to 100 texts"),
    "a note that is an object": ({"notes": [{}]}, "notes in 'x.json' is no list"),
    "a note with half a character": ({"notes": ["\ud800"]}, "notes in 'x.json' has a character that is no text"),
}


@pytest.mark.parametrize("read", [read_task, task_from_json])
@pytest.mark.parametrize("changes, sentence", BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_a_bad_task_file_is_refused_in_a_sentence_that_says_where(changes, sentence, read):
    with refused(f"(?=.*{sentence}).*'x.json'"):
        read(as_json(**changes), "x.json")


NO_TASK_FILES = {
    "nothing": b"",
    "a brace": b"{",
    "a list": b"[]",
    "null": b"null",
    "an empty object": b"{}",
    "deep lists": b'{"train": ' + b"[" * 100_000,
    "two objects": b'{"train": 1}{"train": 2}',
    "cut off after NaN": b'{"train": NaN',
    "UTF-16": b"\xff\xfe{",
    "a table": ANSWERS,
}


@pytest.mark.parametrize("data", NO_TASK_FILES.values(), ids=NO_TASK_FILES)
def test_what_is_no_task_file_is_refused(data):
    with refused("'x.json'"):
        task_from_json(data, "x.json")


@pytest.mark.parametrize("field", ["template", "name", "recipe", "train", "labels", "kind", "notes", "handcrafted", "unknown"])
def test_lists_of_any_depth_are_refused(field):
    for depth in (50, 500, *range(960, 1000)):  # Python's own limit of recursion is near the last
        data = as_json(**{field: "HERE"}).replace(b'"HERE"', b"[" * depth + b"]" * depth)
        with refused():
            read_task(data, "x.json")


def test_a_task_file_beyond_8_mb_is_not_parsed_and_takes_no_columns_or_words():
    with refused("larger than 8 MB"):
        read_task(as_json(teaches="x" * LARGEST_TASK), "x.json")
    for more in (Columns(("a",), "b"), Columns(words={"x": "y"})):
        with refused(r"'x\.json' is a task file"):
            read_task(as_json(), "x.json", more)


def test_rows_that_repeat_an_earlier_side_are_dropped_and_counted():
    held_out = [["d", "y"], ["D!", "y"], [" A", "x"], ["b", "y"]]
    task = read_task(as_json(validation=[["e", "x"], ["c.", "x"]], held_out=held_out), "x.json")
    assert [[e.input for e in getattr(task, part)] for part in PARTS] == [["a", "b", "c"], ["e"], ["d"]]
    assert task.notes == (
        "1 rows that repeat an earlier input were dropped.",
        "1 validation row was left out: training has the same inputs.",
        "2 test rows were left out: training has the same inputs.",
    )


def test_no_file_takes_the_slug_of_a_built_in_task():
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


@pytest.mark.parametrize("name", ["learned", "No prompt", "always 'yes'", "mine 1", "run 1", "control 1: x", "snapped: x"])
def test_a_task_files_prompt_never_takes_the_name_of_another_contender(name):
    data = json.loads(task_to_json(load_task("plural")))
    data["handcrafted"][0]["name"] = name
    with refused("a name that others have here"):
        task_from_json(json.dumps(data).encode(), "mine.json")
