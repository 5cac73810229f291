"""Which token to put in place of another one: ranked by the gradient of a loss with respect to the one-hot tokens.

A swap's first-order change of the loss is the gradient at that position times the difference of the two embeddings (HotFlip,
Ebrahimi et al. 2018). It is true only for small steps, and a token is a large one: so it only chooses what is then tried exactly, among
the best at each position and in random order (GCG, Zou et al. 2023).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def predicted_changes(
    gradient: Float[Tensor, "positions d_model"], ids: Int[Tensor, " positions"], vocabulary: Float[Tensor, "vocab d_model"]
) -> Float[Tensor, "positions vocab"]:
    """The predicted change of the loss by each swap: gradient_i . (w_v - w_ids[i]); below 0: a better text.

    >>> words = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> predicted_changes(torch.tensor([[2.0, -1.0]]), torch.tensor([0]), words)
    tensor([[ 0., -3.]])
    """
    dots = gradient @ vocabulary.T
    return dots - dots.gather(1, ids[:, None])


def swaps(
    changes: Float[Tensor, "positions vocab"],
    ids: Int[Tensor, " positions"],
    allowed: Int[Tensor, " allowed"],
    top: int,
    generator: torch.Generator,
) -> Int[Tensor, "swaps 2"]:
    """(position, token) of the `top` most promising tokens of `allowed` at each position, in an order drawn by `generator`.

    The token that a position has is no swap. Each swap comes once.

    >>> changes = torch.tensor([[0.0, -3.0, 5.0]])
    >>> swaps(changes, torch.tensor([0]), torch.arange(3), 1, torch.Generator()).tolist()
    [[0, 1]]
    """
    own = allowed[None] == ids[:, None]  # (positions, allowed)
    promising = changes[:, allowed].masked_fill(own, torch.inf)
    count = min(top, len(allowed))
    best = promising.topk(count, dim=1, largest=False)  # (positions, count)
    positions = torch.arange(len(ids), device=ids.device)[:, None].expand(-1, count)
    pairs = torch.stack([positions, allowed[best.indices]], dim=2)[best.values < torch.inf].cpu()  # (swaps, 2)
    return pairs[torch.randperm(len(pairs), generator=generator)]
