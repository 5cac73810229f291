"""Swaps of tokens: predicted as a small step would change the loss, drawn from the most promising, each once."""

import torch

from core.inspection.swaps import predicted_changes, swaps


def test_the_predicted_change_is_exact_for_a_linear_loss():
    generator = torch.Generator().manual_seed(0)
    vocabulary, slope = torch.randn(9, 4, generator=generator), torch.randn(3, 4, generator=generator)
    ids = torch.tensor([1, 8, 1])
    found = predicted_changes(slope, ids, vocabulary)
    before = (slope * vocabulary[ids]).sum()
    for place in range(3):
        for token in range(9):
            changed = ids.clone()
            changed[place] = token
            assert torch.isclose(found[place, token], (slope * vocabulary[changed]).sum() - before, atol=1e-5)


def test_swaps_are_the_most_promising_allowed_tokens_at_each_position():
    changes = torch.tensor([[0.0, -5.0, -1.0, -9.0, 2.0], [-7.0, 0.0, -2.0, -9.0, -3.0]])
    found = swaps(changes, torch.tensor([0, 1]), torch.tensor([0, 1, 2, 4]), 2, torch.Generator().manual_seed(0))
    assert sorted(found.tolist()) == [[0, 1], [0, 2], [1, 0], [1, 4]]  # token 3 is not allowed


def test_all_tokens_but_the_own_one_are_swaps_where_so_many_are_asked_for():
    changes = torch.zeros(2, 5)
    orders = [swaps(changes, torch.tensor([0, 4]), torch.arange(5), 99, torch.Generator().manual_seed(seed)).tolist() for seed in (0, 0, 1)]
    wanted = [[place, token] for place, own in ((0, 0), (1, 4)) for token in range(5) if token != own]
    assert sorted(orders[0]) == wanted and orders[0] == orders[1] != orders[2] != wanted
