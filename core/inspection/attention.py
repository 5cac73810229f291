"""Shares of attention on a prompt, on the first position and on the rest; and Petrov's identity about the limits of a prefix.

A large share does not show that a prompt is used: heads that find nothing attend to the first position (the attention sink,
Xiao et al. 2023, "Efficient streaming language models with attention sinks"), so its share is reported separately. The control
is the share of a handcrafted prompt with as many tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of one token's attention in each head: sink + prefix + rest = 1.

    sink: on the first position of the row. prefix: on the prompt's positions, without the sink if that is one of them.
    rest: on all other positions. by_token: on each of the prompt's P positions, the sink included.
    """

    sink: Float[np.ndarray, "layers heads"]
    prefix: Float[np.ndarray, "layers heads"]
    rest: Float[np.ndarray, "layers heads"]
    by_token: Float[np.ndarray, "layers heads P"]


def shares(weights: Float[np.ndarray, "layers heads keys"], first: int, count: int) -> Shares:
    """One token's attention `weights` as shares, for a prompt at the positions first, ..., first + count - 1.

    ValueError where the prompt reaches beyond the keys.

    >>> found = shares(np.array([[[0.5, 0.25, 0.125, 0.125]]]), first=0, count=2)
    >>> found.sink.item(), found.prefix.item(), found.rest.item(), found.by_token.tolist()
    (0.5, 0.25, 0.25, [[[0.5, 0.25]]])
    """
    end = first + count
    if not 0 <= first <= end <= weights.shape[-1]:
        raise ValueError(f"The positions {first} to {end - 1} are not among the {weights.shape[-1]} that are attended to.")
    begin, end_of_prefix = max(first, 1), max(end, 1)  # without the sink
    return Shares(
        sink=weights[..., 0],
        prefix=weights[..., begin:end_of_prefix].sum(axis=-1),
        rest=weights[..., 1:begin].sum(axis=-1) + weights[..., end_of_prefix:].sum(axis=-1),
        by_token=weights[..., first:end],
    )


def mean(several: Sequence[Shares]) -> Shares:
    """The mean of each share over rows with the same prompt. ValueError if there are no rows."""
    if not several:
        raise ValueError("There are no rows to take a mean of.")
    return Shares(**{field.name: np.mean([getattr(one, field.name) for one in several], axis=0) for field in fields(Shares)})


def petrov_residual(
    with_prefix: Float[np.ndarray, "layers heads T keys"], without: Float[np.ndarray, "layers heads T T"], P: int
) -> Float[np.ndarray, " layers"]:
    """How far a prefix of P positions changes the proportions of the T later tokens' attention to each other.

    max over heads, i and j of |A'_ij - A_ij (1 - sum_p A'_ip)|, where A' is with the prefix (keys = P + T), A without. It is 0
    in a layer that gets the same inputs in both: there a prefix only takes the same proportion of attention from all tokens (and
    adds a bias to the output). Deeper layers get other inputs, so there it need not be 0. Petrov, Torr & Bibi 2023, "When do prompting
    and prefix-tuning work? A theory of capabilities and limitations", section 4. ValueError where keys is not P + T.

    >>> alone, after = np.array([[[[1.0, 0.0], [0.5, 0.5]]]]), np.array([[[[0.5, 0.5, 0.0], [0.5, 0.25, 0.25]]]])
    >>> petrov_residual(after, alone, P=1).tolist()
    [0.0]
    """
    if with_prefix.shape[-1] != P + without.shape[-1]:
        raise ValueError(f"{with_prefix.shape[-1]} keys are not {P} of the prefix and {without.shape[-1]} tokens.")
    left = 1 - with_prefix[..., :P].sum(axis=-1, keepdims=True)  # (layers, heads, T, 1)
    residual: np.ndarray = np.abs(with_prefix[..., P:] - without * left).max(axis=(1, 2, 3))
    return residual
