"""Readings of vectors, on vectors whose reading is known."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from tiny_models import answer_task, make

from core.inspection.control import moved_at_random
from core.inspection.nearest import _among_likely, nearest, neighbours, share_farther, share_less_alike, share_shorter
from core.inspection.plane import explained_by, fit, random_walk
from core.inspection.snap import retention, snap
from core.methods.prefix import create
from core.recipe import Recipe
from core.runs.readings import Vocabulary

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


def test_a_tokens_neighbour_is_another_token():
    words = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = neighbours(words)
    assert found.cosine.tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 1.0, 1.0])
    assert found.l2.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert found.norms.tolist() == pytest.approx([1.0, 1.0, 2**0.5, 2.0])
    lonely = neighbours(torch.eye(300))
    assert lonely.cosine.shape == (300,) and lonely.cosine.max() == 0
    some = neighbours(torch.eye(300), sample=40)
    assert some.cosine.shape == some.l2.shape == (40,) and some.norms.shape == (300,)


def test_the_nearest_by_distance_need_not_be_the_nearest_by_cosine():
    found = neighbours(torch.tensor([[1.0, 0.0], [9.0, 0.0], [1.0, 1.0]]))
    assert found.cosine.tolist() == pytest.approx([0.5**0.5, 1.0, 1.0])
    assert found.l2.tolist() == pytest.approx([1.0, 1.0, 8.0])  # the last one's: to 1, 0 it is 8, to 1, 1 the root of 65


def test_neighbours_agree_with_brute_force_and_twins_are_at_no_distance():
    words = 100 + torch.randn(400, 16, generator=torch.Generator().manual_seed(0))  # squares far larger than the distances
    words[7], words[300] = words[8], 0
    found = neighbours(words)
    cosine = torch.nn.functional.cosine_similarity(words[:, None].double(), words[None].double(), dim=2).fill_diagonal_(-2)
    exact = torch.linalg.vector_norm(words[:, None] - words[None], dim=2).fill_diagonal_(torch.inf)
    np.testing.assert_allclose(found.cosine, cosine.amax(dim=1).sort().values.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.l2, exact.amin(dim=1).sort().values.numpy(), rtol=0.02)
    assert found.l2[:2].tolist() == [0, 0] and found.l2[2] > 0 and found.cosine[0] == 0
    np.testing.assert_allclose(found.norms, torch.linalg.vector_norm(words, dim=1).sort().values.numpy(), rtol=1e-6)
    assert found.cosine.dtype == found.l2.dtype == found.norms.dtype == np.float32


def test_a_drawn_sample_of_neighbours_is_the_same_at_every_call():
    words = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    first, again, other = neighbours(words, sample=50), neighbours(words, sample=50), neighbours(words, sample=50, seed=1)
    assert np.array_equal(first.l2, again.l2) and not np.array_equal(first.l2, other.l2)


def test_shares_say_how_many_words_are_less_near_and_count_no_ties():
    usual = np.array([1.0, 2.0, 2.0, 4.0], dtype=np.float32)
    own = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 5.0], dtype=np.float32)
    larger = [(usual > value).mean() for value in own]
    smaller = [(usual < value).mean() for value in own]
    assert larger == [1, 0.75, 0.25, 0.25, 0, 0] and smaller == [0, 0, 0.25, 0.75, 0.75, 1]
    assert share_farther(own, usual).tolist() == larger
    assert share_less_alike(own, usual).tolist() == share_shorter(own, usual).tolist() == smaller


def test_the_control_that_left_the_vocabulary_is_farther_than_words_are_from_each_other():
    lm = make("llama")
    ids = torch.arange(10, 30)
    usual = neighbours(lm.vocabulary)
    home = nearest(lm.embed(ids), lm.vocabulary, k=1)
    away = nearest(moved_at_random(lm.embed(ids), 20 * lm.embed(ids)), lm.vocabulary, k=1)
    assert share_farther(home.distance.numpy(), usual.l2).min() == 1 and share_farther(away.distance.numpy(), usual.l2).max() == 0
    assert share_less_alike(home.cosine[:, 0].numpy(), usual.cosine).min() == 1
    assert share_less_alike(away.cosine[:, 0].numpy(), usual.cosine).mean() < 0.6  # no nearer than words: a draw from the sphere
    assert share_shorter(away.norm.numpy(), usual.norms).min() == 1


def test_a_vocabulary_is_read_once_for_its_neighbours():
    read = Vocabulary(make("gpt2"))
    assert read.usual is read.usual
    assert read.gaussian.ids.shape == (200, 1) and read.gaussian is read.gaussian


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


def rows(*counts):
    """(none, snapped, soft) of rows: counts[i] of the pattern whose bits are i, in this order."""
    patterns = np.repeat(np.arange(8), counts)
    return tuple((patterns & bit) > 0 for bit in (4, 2, 1))


def test_retention_is_the_share_of_the_gain_that_is_kept():
    none, snapped, soft = rows(20, 20, 0, 40, 0, 0, 0, 20)  # 20 right of 100 alone, 60 snapped, 80 soft
    found = retention(none, snapped, soft)
    assert found.value == pytest.approx(40 / 60) and found.gain == pytest.approx(0.6)
    assert found.gain_interval[0] == pytest.approx(0.5, abs=0.02) and found.gain_interval[1] == pytest.approx(0.69, abs=0.02)
    # The rows gained are 60 on average, and of each 2/3 are kept: a share's standard error is (2/3 * 1/3 / 60) ** 0.5 = 0.061.
    assert found.interval[0] == pytest.approx(2 / 3 - 0.12, abs=0.02) and found.interval[1] == pytest.approx(2 / 3 + 0.12, abs=0.02)
    assert found.words.startswith("Keeps 67% of the gain (5")
    assert found == retention(none, snapped, soft) != retention(none, snapped, soft, seed=1)


def test_retention_is_paired():
    none = np.arange(100) < 50
    soft = ~none & (np.arange(100) < 80) | none  # 30 rows gained
    found = retention(none, soft, soft)
    assert found.value == 1 and found.interval == (1, 1)  # rows drawn apart would differ


def test_retention_may_be_below_none_and_of_a_loss():
    harm = retention(*rows(0, 50, 0, 0, 0, 50, 0, 0))  # none has what the tokens lose, and the soft prompt the rest too
    assert harm.value == -1 and harm.gain == 0.5 and harm.interval[1] < 0
    loss = retention(*rows(0, 0, 0, 0, 30, 0, 30, 40))
    assert loss.gain == pytest.approx(-0.6) and loss.value == pytest.approx(0.5) and "of the loss" in loss.words


@pytest.mark.parametrize(
    "counts",
    [
        (30, 4, 0, 1, 3, 0, 0, 30),  # a gain of 2 rows in 68
        (10, 0, 10, 0, 0, 0, 0, 10),  # none at all, though snapping gains
        (10, 0, 0, 0, 0, 0, 0, 0),
        (0, 1, 0, 0, 0, 0, 0, 0),  # one row says nothing
    ],
)
def test_retention_is_not_defined_where_the_gain_may_be_nothing(counts):
    found = retention(*rows(*counts))
    assert found.value is None and found.interval is None
    assert found.gain_interval[0] <= 0 <= found.gain_interval[1] and found.words.startswith("Not defined")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(3))
def test_resamples_without_gain_leave_finite_bounds(seed):
    none, snapped, soft = rows(100, 5, 2, 2, 1, 0, 0, 30)  # a gain of 6: some resamples have none, a few a loss
    draws = np.random.default_rng(seed).integers(len(none), size=(2000, len(none)))
    gains = soft[draws].mean(axis=1) - none[draws].mean(axis=1)
    assert 0 < (gains <= 0).sum() < 50
    found = retention(none, snapped, soft, seed=seed)
    assert found.value == pytest.approx(0.5) and np.isfinite(found.interval).all() and found.gain_interval[0] > 0
    assert found.interval[0] < found.value < found.interval[1]


def test_retention_of_no_rows_or_of_others_is_an_error():
    some, nobody = np.ones(3, dtype=bool), np.zeros(0, dtype=bool)
    with pytest.raises(ValueError, match="3, 3 and 0 rows don't go together"):
        retention(some, some, nobody)
    with pytest.raises(ValueError, match="no rows"):
        retention(nobody, nobody, nobody)


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


def test_in_three_dimensions_less_is_hidden():
    plane = fit(np.diag([8.0, 4.0, 2.0, 1.0]).astype(np.float32) - 1, k=3)
    vectors = (plane.mean + plane.components[2:]).astype(np.float32)  # along the third component only
    assert plane.hidden_share(vectors)[0] == pytest.approx(1, abs=1e-4)
    assert plane.hidden_share(vectors, shown=3)[0] == pytest.approx(0, abs=1e-4)


def test_a_plane_explains_its_own_cloud_as_it_says_and_another_as_numpy_counts():
    random = np.random.default_rng(0)
    cloud, other = (random.standard_normal((60, 6)).astype(np.float32) * np.arange(1, 7, dtype=np.float32) for _ in range(2))
    plane = fit(cloud)
    np.testing.assert_allclose(explained_by(plane, cloud), plane.explained, rtol=1e-4)
    expected = [np.var(other @ axis) / np.var(other, axis=0).sum() for axis in plane.components]
    np.testing.assert_allclose(explained_by(plane, other + 50), expected, rtol=1e-3)  # wherever the other cloud lies
    assert explained_by(plane, np.ones((4, 6), dtype=np.float32)).tolist() == [0, 0, 0]


def test_a_random_walk_takes_each_vectors_own_steps_elsewhere():
    path = np.random.default_rng(0).standard_normal((9, 5, 64)).astype(np.float32)
    path[4:, 2] = path[4, 2]  # this one stops
    walk = random_walk(path)
    assert walk.dtype == np.float32 and np.array_equal(walk[0], path[0])
    steps, own = np.diff(walk, axis=0), np.diff(path, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=2), np.linalg.norm(own, axis=2), rtol=1e-4, atol=1e-5)
    unit = steps[:3] / np.linalg.norm(steps[:3], axis=2, keepdims=True)
    towards = (unit * own[:3] / np.linalg.norm(own[:3], axis=2, keepdims=True)).sum(axis=2)
    assert np.abs(towards).max() < 0.5  # in 64 dimensions: about 0.125
    assert np.abs((unit[:, 0] * unit[:, 1]).sum(axis=1)).max() < 0.5  # each vector has directions of its own
    assert np.array_equal(walk, random_walk(path)) and not np.array_equal(walk, random_walk(path, seed=1))


def test_a_random_walk_too_fills_two_components_of_its_own_plane():
    straight = np.linspace(0, 1, 51, dtype=np.float32)[:, None, None] * np.ones((1, 1, 3000), dtype=np.float32)
    explained = fit(random_walk(straight)[:, 0]).explained
    assert explained[0] == pytest.approx(6 / np.pi**2, abs=0.05) and explained[1] == pytest.approx(1.5 / np.pi**2, abs=0.03)


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


def test_a_rough_search_finds_what_the_whole_one_finds():
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(3000, 48, generator=generator) * torch.rand(3000, 1, generator=generator)
    vectors = torch.cat([words[:8], torch.randn(8, 48, generator=generator), 9 * words[8:12], 0.01 * words[12:16]])
    whole, rough = nearest(vectors, words, 3), nearest(vectors, words, 3, rough=words.bfloat16())
    assert torch.equal(rough.ids, whole.ids) and torch.equal(rough.by_l2, whole.by_l2)
    for name in ("cosine", "l2", "distance", "norm"):
        torch.testing.assert_close(getattr(rough, name), getattr(whole, name), atol=1e-5, rtol=1e-5)


def test_a_rough_search_that_is_not_certain_is_done_again():
    word = torch.randn(16, generator=torch.Generator().manual_seed(0))
    words = word + 1e-4 * torch.arange(200)[:, None]  # in bfloat16 they are all one
    vectors = words[[7, 150]]
    lengths, norms = torch.linalg.vector_norm(words, dim=1), torch.linalg.vector_norm(vectors, dim=1)
    assert _among_likely(vectors, words, 3, lengths, norms, words.bfloat16()) is None
    assert torch.equal(nearest(vectors, words, 3, rough=words.bfloat16()).ids, nearest(vectors, words, 3).ids)
