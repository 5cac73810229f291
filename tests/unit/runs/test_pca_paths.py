"""Paths in a plane: every number against its own definition, on vectors made up for it."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import answer_task, label_task, make

from core.errors import LabError
from core.inspection.plane import fit, random_walk
from core.methods import METHODS
from core.recipe import Recipe
from core.runs.contest import baselines
from core.runs.pca_paths import Slice, view, word_groups
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord, new_record

SHAPES = {"prompt": (3, 32), "prefix": (2, 2, 3, 2, 8)}


@pytest.fixture(scope="module")
def vocabulary(lm):
    return Vocabulary(lm)


def a_record(method="prompt", kept=(0, 1, 2), step=2, seed=0, shape=None) -> RunRecord:
    """A record of made-up vectors: those of the steps `kept`, and the last ones."""
    record = new_record(answer_task(), Recipe(method=method, virtual_tokens=3, steps=max(step, 1)))
    numbers = np.random.default_rng(seed)
    record.vectors = {n: numbers.standard_normal(shape or SHAPES[method], dtype=np.float32) for n in (*kept, -1)}
    if kept and kept[-1] == step:
        record.vectors[-1] = record.vectors[step]
    record.losses = [1.0] * step
    return record


def path_of(record, which, kept=(0, 1, 2)):
    return np.stack([which.of(record.method, record.vectors[step]) for step in kept])


def test_a_slice_is_one_layers_keys_or_values():
    soft = np.arange(12.0).reshape(3, 4)
    assert Slice(layer=9, part=0, head=5).of(METHODS["prompt"], soft) is soft  # a soft prompt has but one kind
    values = np.arange(2 * 2 * 3 * 2 * 4.0).reshape(2, 2, 3, 2, 4)
    assert np.array_equal(Slice(1, 0).of(METHODS["prefix"], values), values[1, 0].reshape(3, 8))
    assert np.array_equal(Slice(1, 0).of(METHODS["prefix"], values)[2], [*values[1, 0, 2, 0], *values[1, 0, 2, 1]])  # heads side by side
    assert np.array_equal(Slice(0, 1, head=1).of(METHODS["prefix"], values), values[0, 1, :, 1])


@pytest.mark.parametrize("which", [Slice(), Slice(1, 0), Slice(0, 1, 1)], ids=["prompt", "keys", "one head"])
@pytest.mark.parametrize("basis", ["vocabulary", "path", "vectors"])
def test_coordinates_and_shares_are_those_of_the_plane(lm, vocabulary, basis, which):
    record = a_record("prompt" if which == Slice() else "prefix")
    soft = record.kind == "prompt"
    path = path_of(record, which)
    real = None if soft else which.of(record.method, vocabulary.keys_values(3).numpy())
    fitted = {"vocabulary": None if soft else real, "path": path.reshape(9, -1), "vectors": path[[0, 2]].reshape(6, -1)}[basis]
    plane = vocabulary.plane if fitted is None else fit(fitted)
    found = view(lm, vocabulary, record, basis, which)
    assert (found.basis, found.steps, found.paths.shape) == (basis, (0, 1, 2), (3, 3, 3))
    np.testing.assert_allclose(found.paths, plane.project(path), atol=1e-5)
    np.testing.assert_allclose(found.explained, plane.explained, atol=1e-6)
    flat = path.reshape(9, -1).astype(float)
    centred = flat - flat.mean(axis=0)
    np.testing.assert_allclose(found.seen, ((centred @ plane.components.T) ** 2).sum(axis=0) / (centred**2).sum(), atol=1e-6)
    away = path.astype(float) - plane.mean
    for shown, hidden in ((2, found.hidden), (3, found.hidden_in_three)):
        share = ((away @ plane.components[:shown].T) ** 2).sum(axis=-1) / (away**2).sum(axis=-1)
        np.testing.assert_allclose(hidden, 1 - share, atol=1e-5)
    assert len(found.cloud) == len(found.cloud_texts) == len(vocabulary.sample if soft else vocabulary.sample_of_keys)
    assert found.cloud_texts[5] == lm.token_text((vocabulary.sample if soft else vocabulary.sample_of_keys)[5])
    np.testing.assert_allclose(found.cloud, plane.project(lm.vocabulary[vocabulary.sample].numpy() if soft else real), atol=1e-5)


def test_a_plane_of_its_own_shows_a_path_better_than_the_vocabularys(lm, vocabulary):
    own, words = (view(lm, vocabulary, a_record(), basis, Slice()) for basis in ("path", "vocabulary"))
    assert own.seen[:2].sum() > words.seen[:2].sum() + 0.1
    np.testing.assert_allclose(own.seen, own.explained, atol=1e-6)


def test_a_path_along_one_line_is_seen_whole_and_its_walk_is_not(lm, vocabulary):
    record = a_record(kept=tuple(range(9)), step=8)
    direction = np.random.default_rng(1).standard_normal((1, 32), dtype=np.float32)
    record.vectors = {step: step * direction for step in range(9)}
    found = view(lm, vocabulary, record, "path", Slice())
    assert found.seen == pytest.approx([1, 0, 0], abs=1e-5)
    assert found.hidden.max() < 1e-4
    walk = random_walk(path_of(record, Slice(), range(9)))
    assert found.walk_seen == pytest.approx(fit(walk[:, 0]).explained, abs=1e-6)
    assert found.walk_seen[0] < 0.9


def test_walk_and_control_go_as_far_as_the_path():
    lm = make("llama", head_dim=2)  # in two dimensions a plane hides nothing, so lengths can be measured in it
    record = a_record("prefix", kept=tuple(range(5)), step=4, shape=(2, 2, 3, 2, 2))
    found = view(lm, Vocabulary(lm), record, "path", Slice(1, 1, 0))
    assert found.hidden == pytest.approx(0, abs=1e-4)
    assert (found.paths[..., 2] == 0).all()  # there is no third component
    steps = [np.linalg.norm(np.diff(places, axis=0), axis=-1) for places in (found.paths, found.walk)]
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-4)
    away = [np.linalg.norm(places - places[0], axis=-1) for places in (found.paths, found.control)]
    np.testing.assert_allclose(away[0], away[1], atol=1e-4)
    assert not np.allclose(found.walk[1:], found.paths[1:], atol=0.1)
    assert not np.allclose(found.control[1:], found.paths[1:], atol=0.1)
    for places in (found.walk, found.control):
        np.testing.assert_allclose(places[0], found.paths[0], atol=1e-5)


def test_few_kept_snapshots_end_with_the_last_vectors(lm, vocabulary):
    record = a_record(kept=(0, 4), step=7)
    found = view(lm, vocabulary, record, "vocabulary", Slice())
    assert found.steps == (0, 4, 7)
    np.testing.assert_allclose(found.paths[-1], vocabulary.plane.project(record.vectors[-1]), atol=1e-5)
    assert [found.at(step) for step in (0, 3, 4, 6, 7, 99)] == [0, 0, 1, 1, 2, 2]
    found = view(lm, vocabulary, a_record(kept=(), step=7), "vocabulary", Slice())  # a recording may keep its last vectors only
    assert found.steps == (7,) and found.at(0) == found.at(7) == 0
    np.testing.assert_allclose(found.walk, found.paths)


def test_a_step_without_numbers_is_left_out_and_without_vectors_there_is_no_view(lm, vocabulary):
    record = a_record(kept=(0, 1, 2, 3), step=3)
    record.vectors[2] = np.full((3, 32), np.inf, np.float32)
    assert view(lm, vocabulary, record, "path", Slice()).steps == (0, 1, 3)
    record.vectors = {}
    with pytest.raises(LabError, match="train it live"):
        view(lm, vocabulary, record, "path", Slice())


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # the variance of one vector
@pytest.mark.parametrize("basis", ["vocabulary", "path", "vectors"])
@pytest.mark.parametrize("kept", [(), (0, 1)])
def test_one_vector_is_enough(lm, vocabulary, basis, kept):
    record = a_record(kept=kept, step=1, shape=(1, 32))
    found = view(lm, vocabulary, record, basis, Slice())
    assert found.paths.shape == found.walk.shape == found.control.shape == (max(len(kept), 1), 1, 3)
    for values in (found.paths, found.walk, found.control, found.explained, found.seen, found.walk_seen, found.hidden):
        assert np.isfinite(values).all()


def test_other_runs_of_the_kind_are_marked_where_they_ended(lm, vocabulary):
    other, empty = a_record(seed=1), a_record(seed=2)
    empty.vectors = {}
    others = {"other": other, "prefix": a_record("prefix"), "empty": empty}
    found = view(lm, vocabulary, a_record(), "vocabulary", Slice(), others)
    assert [(marks.kind, marks.name, marks.texts) for marks in found.marks] == [("run", "other", ("1", "2", "3"))]
    np.testing.assert_allclose(found.marks[0].places, vocabulary.plane.project(other.final_vectors()), atol=1e-5)


def test_a_plane_of_several_runs_vectors_takes_prompts_of_any_length(lm, vocabulary):
    mine, other = a_record(), a_record(seed=1, shape=(5, 32))
    found = view(lm, vocabulary, mine, "vectors", Slice(), {"other": other})
    plane = fit(np.concatenate([mine.vectors[0], mine.vectors[2], other.vectors[0], other.vectors[2]]))
    np.testing.assert_allclose(found.explained, plane.explained, atol=1e-6)
    assert found.marks[0].places.shape == (5, 3)
    alone = view(lm, vocabulary, mine, "vectors", Slice())
    assert not np.allclose(alone.explained, found.explained, atol=1e-3)


def test_words_are_marked_at_their_embeddings_of_a_soft_prompt_only(lm, vocabulary):
    ids = lm.tokenise("the quick")
    found = view(lm, vocabulary, a_record(), "vocabulary", Slice(), words=[("mine", ids)])
    (marks,) = found.marks
    assert (marks.kind, marks.name, marks.texts) == ("words", "mine", tuple(lm.token_text(token) for token in ids))
    np.testing.assert_allclose(marks.places, vocabulary.plane.project(lm.vocabulary[ids].numpy()), atol=1e-5)
    assert view(lm, vocabulary, a_record("prefix"), "vocabulary", Slice(), words=[("mine", ids)]).marks == ()


def test_words_to_be_marked_are_those_of_prompts_and_answers(lm):
    groups = dict(word_groups(lm, label_task(), baselines(label_task())[1:]))
    assert list(groups) == ["review", "label words"]
    assert groups["review"] == list(dict.fromkeys(lm.tokenise("Review: \nIt was")))
    assert set(groups["label words"]) == {*lm.tokenise(" bad"), *lm.tokenise(" very good")}
    free = dict(word_groups(lm, answer_task(), []))
    assert set(free["answers"]) == {*lm.tokenise(" yes"), *lm.tokenise(" no")}
    assert len(word_groups(lm, answer_task(), [replace(baselines(answer_task())[1], template="{input}")])) == 1  # no word, no group
