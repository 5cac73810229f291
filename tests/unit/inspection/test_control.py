"""The control that is moved at random: as far as learning moved the start, in another direction."""

import pytest
import torch
from tiny_models import answer_task, make

from core.inspection.control import moved_at_random
from core.recipe import Recipe
from core.training.start import create


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
    start, learned = (torch.randn(2, 2, 3, 2, 8, generator=generator) for _ in range(2))  # of a K/V prefix: each head by its own length
    moved = moved_at_random(start, learned)
    torch.testing.assert_close(torch.linalg.vector_norm(moved - start, dim=-1), torch.linalg.vector_norm(learned - start, dim=-1))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_control_owes_nothing_to_a_random_start_of_the_same_seed(seed):
    start = torch.from_numpy(create(make("llama"), answer_task(), Recipe(init="random", seed=seed, virtual_tokens=50)).snapshot())
    moved = moved_at_random(start, start + 1, seed=seed)
    along = torch.nn.functional.cosine_similarity(moved - start, start, dim=1)
    assert along.abs().mean() < 0.3  # a direction drawn from a sphere of 32 dimensions: about 0.14
