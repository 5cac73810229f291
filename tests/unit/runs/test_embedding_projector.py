"""Files for the Embedding Projector: a label for every line of numbers, and no text that begins a cell or a line of its own."""

import csv
import io

import numpy as np
import pytest
from tiny_models import answer_task, make

from core.errors import LabError
from core.recipe import Recipe
from core.runs.embedding_projector import LABELS, VECTORS, projector_files
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job


@pytest.fixture(scope="module")
def lm():
    return make("llama", max_position_embeddings=1024)


@pytest.fixture(scope="module")
def vocabulary(lm):
    return Vocabulary(lm)


def trained(lm, vocabulary, **settings):
    recipe = Recipe(task="tiny", steps=2, batch_size=4, virtual_tokens=3, **settings)
    record = new_record(answer_task(), recipe)
    for _ in training_job(lm, answer_task(), recipe, vocabulary, Scorebook(), record, lambda: False):
        pass
    return record


@pytest.fixture(scope="module")
def made(lm, vocabulary):
    """A soft prompt and a K/V prefix."""
    return trained(lm, vocabulary), trained(lm, vocabulary, method="prefix")


def read(files):
    """Rows of numbers, and of labels as a reader of tab-separated values takes them."""
    assert set(files) == {VECTORS, LABELS}
    numbers = np.array([[float(cell) for cell in line.split("\t")] for line in files[VECTORS].decode().splitlines()])
    rows = list(csv.DictReader(io.StringIO(files[LABELS].decode(), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(numbers) == len(rows) == files[LABELS].count(b"\n") - 1
    assert all(None not in row and None not in row.values() for row in rows)  # as many cells as the head has
    return numbers, rows


def test_every_line_has_its_label(lm, vocabulary, made):
    soft, _ = made
    numbers, rows = read(projector_files(lm, vocabulary, {"mine": soft}))
    assert [row["kind"] for row in rows] == ["start"] * 3 + ["learned"] * 3 + ["word"] * len(vocabulary.sample)
    assert [row["vector"] for row in rows[:6]] == ["1", "2", "3"] * 2 and {row["run"] for row in rows[:6]} == {"mine"}
    np.testing.assert_allclose(numbers[:3], soft.vectors[0], rtol=1e-5)
    np.testing.assert_allclose(numbers[3:6], soft.final_vectors(), rtol=1e-5)
    np.testing.assert_allclose(numbers[6:], lm.vocabulary[vocabulary.sample].numpy(), rtol=1e-5)
    for place, reading in ((0, soft.readings[0]), (3, soft.readings[-1])):
        words = [soft.texts[ids[0]] for ids in reading.ids]
        assert [row["nearest"] for row in rows[place : place + 3]] == [word if word.isprintable() else repr(word)[1:-1] for word in words]


def test_a_prefix_is_written_with_all_that_a_virtual_token_has(lm, vocabulary, made):
    _, prefix = made
    numbers, rows = read(projector_files(lm, vocabulary, {"mine": prefix}))
    assert numbers.shape == (6, lm.layers * 2 * lm.kv_heads * lm.head_dim)
    assert [row["kind"] for row in rows] == ["start"] * 3 + ["learned"] * 3 and {row["nearest"] for row in rows} == {""}
    np.testing.assert_allclose(np.sort(numbers[4]), np.sort(prefix.final_vectors()[:, :, 1].reshape(-1)), rtol=1e-5)


def test_names_and_tokens_stay_in_their_cells(lm, vocabulary):
    soft = trained(lm, vocabulary)
    soft.texts = {token: "a\tb\nc\r\u2028" for token in soft.texts}
    _, rows = read(projector_files(lm, vocabulary, {"one\ttwo\nthree": soft}))
    assert rows[0]["run"] == "one\\ttwo\\nthree" and rows[0]["nearest"] == "a\\tb\\nc\\r\\u2028"
    words = [lm.token_text(token) for token in vocabulary.sample]
    assert any(not word.isprintable() for word in words)  # this vocabulary has such tokens, too
    assert all(row["nearest"].isprintable() for row in rows)


def test_only_runs_of_the_first_ones_kind_are_written(lm, vocabulary, made):
    soft, prefix = made
    numbers, rows = read(projector_files(lm, vocabulary, {"a": prefix, "b": soft, "c": prefix}))
    assert [row["run"] for row in rows] == ["a"] * 6 + ["c"] * 6 and numbers.shape[1] != lm.d_model
    _, rows = read(projector_files(lm, vocabulary, {"b": soft, "a": prefix}))
    assert {row["run"] for row in rows} == {"b", ""}


def test_an_unknown_start_is_not_written_and_without_vectors_there_is_nothing_to_write(lm, vocabulary):
    record = trained(lm, vocabulary)
    record.start_known = False
    _, rows = read(projector_files(lm, vocabulary, {"mine": record}))
    assert [row["kind"] for row in rows[:4]] == ["learned"] * 3 + ["word"]
    for runs in ({}, {"mine": new_record(answer_task(), Recipe(task="tiny"))}):
        with pytest.raises(LabError, match="no vectors to write"):
            projector_files(lm, vocabulary, runs)
