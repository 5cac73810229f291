"""The picture of the machine: a strip for each virtual token, every text escaped, the same for the same record."""

import re

import numpy as np
import pytest

from app.view.machine import Machine, machine, vectors_at
from app.view.trying import Row, rows
from core.inspection.strips import strips
from core.runs.recordings import recorded, recordings
from core.scoring.trying import Tried

SLUGS = [one.slug for one in recordings()]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_strip_for_each_virtual_token_and_the_same_picture_for_the_same_record(slug):
    record = recorded(slug)
    shown = Machine(0, ["die"], "died", True, chosen=1, muted={0})
    picture = machine(record, shown)
    count = record.recipe["virtual_tokens"]
    assert re.findall(r'data-token="(\d+)"', picture) == [str(i) for i in range(count)]
    assert picture.count('aria-pressed="true"') == 1 and picture.count('class="strip muted"') == 1
    assert picture == machine(record, shown)
    assert f"{record.base['layers']} frozen layers" in picture


def test_strips_follow_the_step_and_a_muted_one_has_no_colours():
    record = recorded(SLUGS[0])
    start, end = machine(record, Machine(0, [])), machine(record, Machine(record.step, []))
    shades = r"<path d=.*?>"
    assert re.findall(shades, start) != re.findall(shades, end)
    everything = range(record.recipe["virtual_tokens"])
    assert "--shade" in end and "--shade" not in machine(record, Machine(record.step, [], muted=everything))


def test_tokens_and_answers_are_escaped():
    record = recorded(SLUGS[0])
    picture = machine(record, Machine(0, ["<b>", "\u202ex"], "<script>"))
    assert "<b>" not in picture and "<script>" not in picture and "&lt;b&gt;" in picture and "\u202e" not in picture
    listed = rows([Row("instruction", "instruction", "<i>{input}", Tried("<u>", (("<s>", 0.5),)))], "<q>")
    assert not re.search(r"<(i>|u>|s>|q>)", listed)


def test_the_vectors_of_a_step_are_those_kept_at_it_or_before():
    record = recorded(SLUGS[0])
    assert vectors_at(record, 5)[1] == 0 and vectors_at(record, record.step)[1] == record.step
    assert vectors_at(recorded("capitals-prefix"), 5) == (None, 5)


def test_a_strip_holds_means_in_units_of_the_start():
    vectors = np.random.default_rng(0).normal(size=(3, 60)).astype(np.float32)
    made = strips(vectors, bins=24)
    assert made.shape == (3, 24) and np.abs(made).max() <= 1
    assert np.allclose(strips(vectors * 2, vectors, 4), np.clip(strips(vectors, bins=4) * 2, -1, 1))
    assert strips(np.zeros((2, 5))).shape == (2, 5), "no more bins than dimensions, and nothing to divide by"
