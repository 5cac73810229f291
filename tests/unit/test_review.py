"""Faults that a review found, each with the case that showed it."""

import json
import math

import pytest
from tiny_models import label_task, make

from app.__main__ import parser
from app.components.widgets import drawn
from core import LabError, Recipe, Training
from core.scoring.rows import encode
from core.tasks.task import Example, task_from_csv


def test_the_rate_can_be_called_lr():
    options = parser().parse_args(["train", "--task", "capitals", "--lr", "0.1"])
    assert options.learning_rate == 0.1


def test_a_prompt_never_tells_which_label_is_right():
    lm = make("llama")
    labels = ("()", "no", "yes")  # "call()" is a token of its own in the tiny tokenizer's sentences, so a cut may move
    for template in ("call{input} (", 'run "{input}" is "', "go {input}"):
        rows = [encode(lm, template, [Example("stop", label)], labels)[0] for label in labels]
        assert len({row.prompt for row in rows}) == 1
        assert len({row.candidates for row in rows}) == 1
        assert all(row.answer == row.candidates[row.label] for row in rows)


def test_two_files_of_one_name_are_two_tasks():
    one = task_from_csv(b"input,output\n" + b"".join(b"a%d,b%d\n" % (i, i) for i in range(9)), "capitals.csv")
    two = task_from_csv(b"input,output\n" + b"".join(b"c%d,d%d\n" % (i, i) for i in range(9)), "capitals.csv")
    assert len({one.slug, two.slug, "capitals"}) == 3


def test_a_first_column_that_begins_with_pk_is_no_zip():
    rows = b"PK,input,output\n" + b"".join(b"1,a%d,b%d\n" % (i, i) for i in range(9))
    assert len(task_from_csv(rows, "x.csv").train) > 0


def test_a_diverged_runs_figure_can_be_read_by_a_browser():
    text = drawn({"data": [{"y": [1.0, math.nan, math.inf]}]})
    assert json.loads(text)["data"] == [{"y": [1.0, None, None]}]


def test_a_batch_that_would_not_fit_is_refused_before_training():
    lm = make("llama", max_position_embeddings=4096)
    task = label_task(train=tuple(Example(f"{i} " + "sea shore " * 300, "bad") for i in range(8)))
    with pytest.raises(LabError, match="smaller batch size"):
        Training(lm, task, Recipe(task="tiny", batch_size=16))


def test_a_held_out_row_too_long_for_the_model_is_named_before_training():
    lm = make("llama")
    task = label_task(held_out=(Example("sea shore " * 100, "bad"),))
    with pytest.raises(LabError, match="positions"):
        Training(lm, task, Recipe(task="tiny"))
