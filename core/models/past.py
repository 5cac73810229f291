"""What stands before a row's tokens, kept in one of two ways, which all other parts use alike.

| way              | what is kept                          | how a row runs after it                                       |
|------------------|---------------------------------------|---------------------------------------------------------------|
| `DynamicCache`   | each layer's keys and values          | its tokens alone run, and attend to what is kept              |
| `Vectors`        | the input vectors                     | they run again before each row's tokens: the plain way        |

The first runs a prefix once for all rows. The second is for models whose past is no keys and values (recurrent and hybrid ones),
or whose cache can't be filled by one row and used by many.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

NO_TOKEN = -1  # the id of a position that holds a vector of its own


@dataclass(eq=False)
class Vectors:
    """Input vectors, and the token ids that they are of (NO_TOKEN for a learned vector). It grows in place, as a cache does."""

    rows: Float[Tensor, "batch tokens d_model"]
    ids: Int[Tensor, "batch tokens"]

    def get_seq_length(self) -> int:
        """How many positions it holds."""
        return self.ids.shape[1]

    def append(self, rows: Float[Tensor, "batch tokens d_model"], ids: Int[Tensor, "batch tokens"]) -> None:
        """Put more positions at its end."""
        self.rows, self.ids = torch.cat([self.rows, rows.to(self.rows.dtype)], dim=1), torch.cat([self.ids, ids], dim=1)

    @property
    def are_tokens(self) -> bool:
        """Whether no position holds a vector of its own."""
        return bool((self.ids != NO_TOKEN).all())


Past: TypeAlias = DynamicCache | Vectors


def expand(past: Past, rows: int) -> Past:
    """A past of batch `rows` whose tensors are views of the one row of `past`: nothing is copied.

    Rows that run after it leave `past` unchanged, and the gradients of all rows add up in it.
    """
    return _changed(past, lambda tensor: tensor.expand(rows, *[-1] * (tensor.ndim - 1)))


def pick(past: Past, rows: Int[Tensor, " picked"]) -> Past:
    """A new past with the rows of `past` that `rows` lists; a row may be listed several times."""
    return _changed(past, lambda tensor: tensor[rows])


def _changed(past: Past, change: Callable[[Tensor], Tensor]) -> Past:
    """A copy with `change` done to every tensor, whose first dimension is the batch."""
    if isinstance(past, Vectors):
        return Vectors(change(past.rows), change(past.ids))
    changed = DynamicCache()
    for layer in past.layers:
        copy = DynamicLayer()
        copy.lazy_initialization(layer.keys, layer.values)
        copy.keys, copy.values = change(layer.keys), change(layer.values)
        changed.layers.append(copy)
    return changed
