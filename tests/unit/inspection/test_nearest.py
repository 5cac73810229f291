"""Nearest tokens, on vectors whose nearest tokens are known."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from tiny_models import make

from core.inspection.control import moved_at_random
from core.inspection.nearest import _among_likely, nearest, neighbours, share_larger, share_smaller
from core.inspection.snap import snap
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


def test_zeros_are_near_to_nothing_and_another_width_is_an_error():
    found = nearest(torch.zeros(1, 2), WORDS, k=99)
    assert found.ids.shape == (1, 4)  # all that there are
    assert found.cosine.tolist() == [[0, 0, 0, 0]] and torch.isfinite(found.l2).all()
    with pytest.raises(TypeCheckError):
        nearest(torch.zeros(1, 3), WORDS)


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
    found = neighbours(torch.tensor([[1.0, 0.0], [9.0, 0.0], [1.0, 1.0]]))  # the nearest by distance is another one
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
    assert share_larger(own, usual).tolist() == larger
    assert share_smaller(own, usual).tolist() == smaller


def test_the_control_that_left_the_vocabulary_is_farther_than_words_are_from_each_other():
    lm = make("llama")
    ids = torch.arange(10, 30)
    usual = neighbours(lm.vocabulary)
    home = nearest(lm.embed(ids), lm.vocabulary, k=1)
    away = nearest(moved_at_random(lm.embed(ids), 20 * lm.embed(ids)), lm.vocabulary, k=1)
    assert share_larger(home.distance.numpy(), usual.l2).min() == 1 and share_larger(away.distance.numpy(), usual.l2).max() == 0
    assert share_smaller(home.cosine[:, 0].numpy(), usual.cosine).min() == 1
    assert share_smaller(away.cosine[:, 0].numpy(), usual.cosine).mean() < 0.6  # no nearer than words: a draw from the sphere
    assert share_smaller(away.norm.numpy(), usual.norms).min() == 1


def test_a_vocabulary_is_read_once():
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
    raw = lm.model.get_input_embeddings().weight[: lm.vocab_size].float()
    torch.testing.assert_close(lm.vocabulary, raw * 32**0.5)
    assert len(lm.vocabulary) == len(lm.tokenizer) < len(lm.model.get_input_embeddings().weight)  # no rows without a token


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
