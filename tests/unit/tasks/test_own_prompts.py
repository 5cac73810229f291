"""The handcrafted prompts that a task of one's own begins with."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from task_files import as_csv

from core.tasks.columns import Columns
from core.tasks.load import read_task, task_from_json
from core.tasks.own_prompts import MOST_BYTES, ORDERS
from core.tasks.task_file import task_to_json

PETS = as_csv([(f"pet number {i}", ("cat", "dog", "owl")[i % 3]) for i in range(60)], ("Description", "Kind of pet"))
FRENCH = as_csv([(f"word {i}", f"mot {i}") for i in range(40)], ("English", "French"))


def labelled(labels, rows=400, length=1):
    return read_task(as_csv([(f"row {i} {'x' * length}", f"label {i % labels}") for i in range(rows)], ("text", "label")), "rows.csv")


def blocks(prompt, task):
    """The worked examples of a prompt as (input, output)."""
    around = task.template if task.template != "{input}" else "{input} ->"
    pattern = re.escape(around).replace(re.escape("{input}"), "(.*?)") + " (.*)"
    return re.findall(pattern, prompt.template.rpartition("{input}")[0])


def test_the_instruction_names_columns_and_labels():
    task = read_task(PETS, "pets.csv", Columns(("Description",), "Kind of pet", "labels"))
    instruction = task.handcrafted[0]
    assert instruction.template.startswith("Give the Kind of pet of this Description. It is one of: cat, dog, owl.")
    assert instruction.template.endswith(task.template) and instruction.name.startswith("Give the Kind of pet")
    french = read_task(FRENCH, "french.csv", Columns(("English",), "French", "answers")).handcrafted[0]
    assert french.template == "Give the French for this English.\n\nEnglish: {input}\nFrench:"


def test_worked_examples_are_training_rows_one_of_each_label_at_least_in_three_orders():
    task = labelled(7)
    _, *orders = task.handcrafted
    assert len(orders) == ORDERS == len({one.template for one in orders}) == len({one.name for one in orders})
    train = {(row.input, row.output) for row in task.train}
    for one in orders:
        shown = blocks(one, task)
        assert set(shown) <= train and Counter(output for _, output in shown) == dict.fromkeys(task.labels, 1)
        assert one.template.count("{input}") == 1


def test_two_labels_are_shown_twice_and_many_labels_once_each():
    assert Counter(output for _, output in blocks(labelled(2).handcrafted[1], labelled(2))) == {"label 0": 2, "label 1": 2}
    assert len(blocks(labelled(40).handcrafted[1], labelled(40))) == 40


def test_labels_that_do_not_all_fit_are_drawn_and_are_not_the_first_of_the_alphabet():
    task = labelled(40, rows=400, length=1200)
    shown = [output for _, output in blocks(task.handcrafted[1], task)]
    assert 4 <= len(shown) < 40 and len(set(shown)) == len(shown)
    assert set(shown) != set(sorted(task.labels)[: len(shown)])
    assert all(len(one.template.encode()) < MOST_BYTES + 3000 for one in task.handcrafted)


def test_rows_that_are_far_too_long_are_not_shown():
    rows = [(f"row {i} {'x' * (20_000 if i % 2 else 5)}", "ab"[i % 3 == 0]) for i in range(80)]
    task = read_task(as_csv(rows, ("text", "label")), "rows.csv")
    assert len(task.handcrafted) == 1 + ORDERS and all(len(one.template) < 4000 for one in task.handcrafted)


@pytest.mark.parametrize("data", [PETS, FRENCH])
def test_prompts_and_slug_stay_the_same_when_the_task_is_saved_and_opened(data):
    header = data.split(b"\r\n")[0].decode().split(",")
    task = read_task(data, "mine.csv", Columns((header[0],), header[1], "labels" if data is PETS else "answers"))
    again = task_from_json(task_to_json(task).encode(), "mine.json")
    assert again == task


def test_a_task_file_without_prompts_gets_them_and_keeps_its_slug():
    task = labelled(3)
    old = replace(task, handcrafted=())
    opened = task_from_json(task_to_json(old).encode(), "old.json")
    assert opened.slug == task.slug and len(opened.handcrafted) == 1 + ORDERS


def test_text_that_looks_like_a_place_for_the_input_does_no_harm():
    rows = [(f"say {{input}} {i}", ("{input}", "plain")[i % 2]) for i in range(40)]
    task = read_task(as_csv(rows, ("text", "label")), "rows.csv")
    assert all(one.template.count("{input}") == 1 for one in task.handcrafted)
