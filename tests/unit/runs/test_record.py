"""What the page is told of a run: it grows step by step, says what the run says, and comes back from a file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import answer_task, make

from core.recipe import Recipe
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.record_json import record_from_json, record_to_json
from core.runs.record_writer import loaded_record
from core.runs.saved_adapter import from_files, record_of, to_files
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.training.start import create
from core.training.training import StepEvent

RECIPES = [Recipe(steps=5, batch_size=4, virtual_tokens=4), Recipe(method="prefix", steps=5, batch_size=4, virtual_tokens=4)]


@pytest.fixture(scope="module")
def lm():
    return make("gemma3")


@pytest.fixture(scope="module", params=RECIPES, ids=["prompt", "prefix"])
def trained(request, lm):
    """A finished record, and the events that made it."""
    record = new_record(answer_task(), request.param)
    events = list(training_job(lm, answer_task(), request.param, Vocabulary(lm), Scorebook(), record, lambda: False))
    return record, events


def test_a_record_says_what_the_run_said(lm, trained):
    record, events = trained
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert record.finished and record.step == 5 and record.stopped == ""
    assert record.losses == [event.loss for event in steps]
    assert len(record.readings) == 6  # the start, and after each step
    assert np.array_equal(record.final_vectors(), steps[-1].vectors)
    assert record.scores[0].name == "learned" and len(record.scores) == 5
    assert list(record.held_out.values()) == record.scores
    assert list(record.validation)[-1] == 5
    assert {line.name for line in record.lines} == {"no prompt", "sentence", "example"}


def test_a_reading_measures_from_the_start(trained):
    record, events = trained
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert np.allclose(record.readings[0].moved, 0)
    if record.kind == "prompt":
        start = record.vectors[0]
        moved = np.linalg.norm(steps[-1].vectors - start, axis=1)
        np.testing.assert_allclose(record.readings[-1].moved, moved, rtol=1e-4)
    assert (record.readings[-1].moved > 0).all()


def test_nearest_tokens_of_a_start_from_tokens_are_those_tokens(trained):
    record, _ = trained
    if record.kind == "prefix":
        assert record.readings[0].ids == []  # a K/V prefix has none
        return
    first = record.readings[0]
    assert [row[0] for row in first.ids] == first.by_l2
    assert first.control_ids == [first.by_l2] * 3  # a start that has not moved
    assert all(row[0] == pytest.approx(1, abs=1e-5) for row in first.cosine)
    named = {token for reading in record.readings for row in reading.ids for token in row} | set(record.cloud_ids)
    assert named <= set(record.texts)


def test_a_record_comes_back_from_a_file(trained):
    record, _ = trained
    text = record_to_json(record)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = record_from_json(text)
    assert record_to_json(again) == text
    assert again.step == 5 and again.texts == record.texts and again.finished
    np.testing.assert_allclose(again.readings[-1].place, record.readings[-1].place, atol=1e-3)
    assert again.difference == record.difference and list(again.validation) == list(record.validation)
    for name in ("lines", "scores"):  # of a row's result, numbers are rounded
        before, after = ([replace(score, results=()) for score in getattr(one, name)] for one in (record, again))
        assert after == before


def test_a_record_of_an_earlier_version_is_read(trained):
    """Before methods had one name, a soft prompt was of the kind soft; older files lack what came later."""
    record, _ = trained
    data = json.loads(record_to_json(record).replace('"kind":"prompt"', '"kind":"soft"'))
    del data["rows"], data["held_out"]
    for row in (*data["scores"], *data["lines"], *data["validation"]):
        for name in ("exact", "agreement", "examples", "seconds", "group", "final"):
            row.pop(name, None)
    again = record_from_json(json.dumps({**data, "unknown": 1}))
    assert again.kind == record.kind and [score.kind for score in again.scores] == [score.kind for score in record.scores]
    assert [score.accuracy for score in again.lines] == [score.accuracy for score in record.lines] and not again.held_out


def test_the_first_and_last_vectors_come_back_exactly(trained):
    record, _ = trained
    again = record_from_json(record_to_json(record))
    if record.kind == "prefix":
        assert again.vectors == {} and again.final_vectors() is None  # too many numbers for a recording
        return
    assert set(again.vectors) == {0, -1}
    for step in (0, -1):
        assert again.vectors[step].dtype == np.float32
        assert np.array_equal(again.vectors[step], record.vectors[step])
    assert not np.array_equal(again.vectors[0], again.vectors[-1])
    again.vectors[-1][0] = 0  # an array of its own, not a view of what was read


def test_what_is_usual_in_the_vocabulary_goes_with_a_record(lm, trained):
    record, _ = trained
    again = record_from_json(record_to_json(record))
    if record.kind == "prefix":
        assert record.usual is again.usual is None and again.gaussian_ids == again.gaussian_cosine == []
        return
    for name in ("cosine", "l2", "norms"):
        whole, kept = getattr(record.usual, name), getattr(again.usual, name)
        assert len(kept) == 100 < len(whole) and kept.dtype == np.float32
        np.testing.assert_allclose(kept[[0, -1]], whole[[0, -1]], atol=1e-4)
        # A share read off the thinned values is the whole ones' to about one per cent.
        middle = np.quantile(whole, 0.3)
        assert np.searchsorted(kept, middle) / 100 == pytest.approx(np.searchsorted(whole, middle) / len(whole), abs=0.02)


def test_random_vectors_nearest_tokens_stand_beside_every_vector(lm, trained):
    record, _ = trained
    if record.kind == "prefix":
        return
    nearest = Vocabulary(lm).gaussian
    assert record.gaussian_ids == nearest.ids[:4, 0].tolist() and set(record.gaussian_ids) <= set(record.texts)
    assert record.gaussian_cosine == pytest.approx(nearest.cosine[:4, 0].tolist(), abs=1e-4)
    again = record_from_json(record_to_json(record))
    assert (again.gaussian_ids, again.gaussian_cosine) == (record.gaussian_ids, record.gaussian_cosine)


def test_the_control_is_drawn_three_times_at_the_start_and_the_end_and_once_between(lm, trained):
    record, _ = trained
    draws = [len(reading.control_ids) for reading in record.readings]
    if record.kind == "prefix":
        assert draws == [0] * 6
        return
    assert draws == [len(reading.control_cosine) for reading in record.readings] == [3, 1, 1, 1, 1, 3]
    assert all(len(draw) == 4 for reading in record.readings for draw in reading.control_ids)
    again = record_from_json(record_to_json(record))
    assert [reading.control_ids for reading in again.readings] == [reading.control_ids for reading in record.readings]


def test_a_loaded_prompt_gets_its_start_back_where_its_recipe_says_how(lm, trained):
    record, _ = trained
    task = answer_task()
    recipe = Recipe.from_dict({**record.recipe, "task": task.slug})
    prefix = create(lm, task, recipe)
    start = prefix.snapshot()
    with torch.no_grad():
        next(prefix.parameters()).add_(0.5)
    files = to_files(lm, prefix, record_of(lm, task, recipe, "{input}"))
    loaded = loaded_record(lm, task, from_files(files, lm, "x"), Vocabulary(lm))
    assert loaded.start_known and loaded.step == 0 and len(loaded.readings) == 2
    assert np.array_equal(loaded.vectors[0], start)
    assert np.array_equal(loaded.final_vectors(), prefix.snapshot())
    assert (loaded.readings[1].moved > 0).all()
    assert len(loaded.readings[1].control_ids) == (3 if record.kind == "prompt" else 0)


def test_a_loaded_prompt_without_a_recipe_has_no_control(lm, trained):
    prefix = create(lm, answer_task(), Recipe.from_dict(trained[0].recipe))
    files = to_files(lm, prefix, {})
    del files["recipe.json"]
    loaded = loaded_record(lm, answer_task(), from_files(files, lm, "x"), Vocabulary(lm))
    assert not loaded.start_known and len(loaded.readings) == 1 and loaded.finished
