"""Readings of vectors, on vectors whose reading is known."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from tiny_models import answer_task, make

from core.inspection.control import moved_at_random
from core.inspection.nearest import nearest, neighbour_cosines
from core.inspection.plane import fit
from core.inspection.snap import snap
from core.prefix import create
from core.recipe import Recipe

WORDS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-1.0, 0.0]])


def test_cosine_and_distance_are_told_apart():
    found = nearest(torch.tensor([[4.0, 3.0]]), WORDS, k=2)
    assert found.ids.tolist() == [[2, 0]]
    assert found.cosine[0].tolist() == pytest.approx([7 / 50**0.5, 0.8])
    assert found.l2[0].tolist() == pytest.approx([1.0, 18**0.5])
    assert found.norm.tolist() == [5.0]
    short = nearest(torch.tensor([[0.6, 0.6]]), WORDS, k=1)
    assert short.ids.tolist() == [[2]] and short.by_l2.tolist() == [0]  # one has the same direction, another lies closer


def test_all_numbers_agree_with_brute_force():
    generator = torch.Generator().manual_seed(0)
    vectors, words = torch.randn(7, 16, generator=generator), torch.randn(50, 16, generator=generator)
    found = nearest(vectors, words, k=5)
    cosine = torch.nn.functional.cosine_similarity(vectors[:, None], words[None], dim=2)
    best = cosine.sort(dim=1, descending=True)
    distances = torch.cdist(vectors, words)
    assert torch.equal(found.ids, best.indices[:, :5])
    torch.testing.assert_close(found.cosine, best.values[:, :5])
    torch.testing.assert_close(found.l2, distances.gather(1, found.ids))
    assert torch.equal(found.by_l2, distances.argmin(dim=1))


def test_vectors_of_another_models_width_are_an_error_not_a_reading():
    with pytest.raises(TypeCheckError):
        nearest(torch.zeros(1, 3), WORDS)


def test_a_vector_of_zeros_is_near_to_nothing():
    found = nearest(torch.zeros(1, 2), WORDS, k=4)
    assert found.cosine.tolist() == [[0, 0, 0, 0]] and torch.isfinite(found.l2).all()


def test_asking_for_more_tokens_than_there_are_gives_them_all():
    assert nearest(torch.ones(1, 2), WORDS, k=99).ids.shape == (1, 4)


def test_neighbour_cosines_leave_the_token_itself_out():
    words = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert neighbour_cosines(words).tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 1.0, 1.0])
    lonely = neighbour_cosines(torch.eye(300))
    assert lonely.shape == (300,) and lonely.max() == 0
    assert neighbour_cosines(torch.eye(300), sample=40).shape == (40,)


def test_a_prompt_of_token_embeddings_reads_and_snaps_as_those_tokens():
    lm = make("gemma3")  # its embedding module scales: the raw weight is not what the model reads
    ids = torch.tensor([5, 99, 200, 200])
    vectors = lm.embed(ids)
    found = nearest(vectors, lm.vocabulary)
    assert found.ids[:, 0].tolist() == found.by_l2.tolist() == ids.tolist()
    assert found.cosine[:, 0].tolist() == pytest.approx([1.0] * 4)
    assert found.l2[:, 0].abs().max() < 1e-5
    snapped, embeddings = snap(vectors, lm.vocabulary)
    assert snapped.tolist() == ids.tolist() and torch.equal(embeddings, vectors)


def test_the_vocabulary_is_what_the_embedding_module_returns():
    lm = make("gemma3")
    raw = lm.model.get_input_embeddings().weight[: lm.vocab_size].float()
    torch.testing.assert_close(lm.vocabulary, raw * 32**0.5)
    assert len(lm.vocabulary) == len(lm.tokenizer) < len(lm.model.get_input_embeddings().weight)  # no rows without a token


def test_snap_takes_the_nearest_direction_in_its_own_length():
    ids, embeddings = snap(torch.tensor([[0.6, 0.6], [0.1, 5.0]]), WORDS)
    assert ids.tolist() == [2, 1] and embeddings.tolist() == [[3.0, 3.0], [0.0, 2.0]]


def test_the_control_moves_as_far_as_learning_did_and_elsewhere():
    generator = torch.Generator().manual_seed(0)
    start, learned = torch.randn(6, 64, generator=generator), torch.randn(6, 64, generator=generator)
    learned[2] = start[2]  # this one has not moved
    moved = moved_at_random(start, learned)
    distance = torch.linalg.vector_norm(learned - start, dim=1)
    torch.testing.assert_close(torch.linalg.vector_norm(moved - start, dim=1), distance)
    assert torch.equal(moved[2], start[2])
    directions = torch.nn.functional.cosine_similarity(moved - start, learned - start, dim=1)
    assert directions.abs().max() < 0.5
    assert torch.equal(moved, moved_at_random(start, learned)) and not torch.equal(moved, moved_at_random(start, learned, seed=1))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_control_owes_nothing_to_a_random_start_of_the_same_seed(seed):
    start = torch.from_numpy(create(make("llama"), answer_task(), Recipe(init="random", seed=seed, virtual_tokens=50)).snapshot())
    moved = moved_at_random(start, start + 1, seed=seed)
    along = torch.nn.functional.cosine_similarity(moved - start, start, dim=1)
    assert along.abs().mean() < 0.3  # a direction drawn from a sphere of 32 dimensions: about 0.14


def test_the_control_of_a_prefix_moves_each_head_by_its_own_length():
    generator = torch.Generator().manual_seed(0)
    start, learned = (torch.randn(2, 2, 3, 2, 8, generator=generator) for _ in range(2))
    moved = moved_at_random(start, learned)
    torch.testing.assert_close(torch.linalg.vector_norm(moved - start, dim=-1), torch.linalg.vector_norm(learned - start, dim=-1))


def test_the_plane_finds_the_two_directions_that_vary():
    random = np.random.default_rng(0)
    cloud = np.zeros((200, 5), dtype=np.float32)
    cloud[:, 3] = 10 * random.standard_normal(200)
    cloud[:, 1] = random.standard_normal(200)
    cloud += np.arange(5, dtype=np.float32)
    plane = fit(cloud, k=2)
    assert np.abs(plane.components[0]).argmax() == 3 and np.abs(plane.components[1]).argmax() == 1
    assert plane.explained[0] > 0.97 and plane.explained.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(plane.project(cloud) @ plane.components + plane.mean, cloud, atol=1e-4)
    assert plane.hidden_share(cloud).max() < 1e-3
    seen, unseen = plane.mean + plane.components[:1], plane.mean + np.eye(5, dtype=np.float32)[:1] * 4
    assert plane.hidden_share(seen.astype(np.float32))[0] == pytest.approx(0, abs=1e-4)
    assert plane.hidden_share(unseen.astype(np.float32))[0] == pytest.approx(1, abs=1e-2)


def test_the_planes_signs_are_the_same_at_every_fit():
    random = np.random.default_rng(0)
    cloud = random.standard_normal((50, 4)).astype(np.float32)
    plane = fit(cloud)
    assert all(row[np.abs(row).argmax()] > 0 for row in plane.components)
    np.testing.assert_allclose(fit(cloud[::-1].copy()).components, plane.components, atol=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_cloud_of_one_point_or_of_equal_points_is_no_error():
    plane = fit(np.ones((4, 3), dtype=np.float32))
    assert np.isfinite(plane.explained).all() and np.isfinite(plane.project(np.ones((2, 3), dtype=np.float32))).all()
    assert np.isfinite(plane.hidden_share(np.ones((2, 3), dtype=np.float32))).all()
