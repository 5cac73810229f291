"""Activation similarity: the hidden state after a prompt, against those after candidate texts."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.prefix import prefix_of
from core.probes.hears import states_alone, states_of_vectors
from core.scoring.contender import Contender

AFTER = "\n{input}"  # a line break is run after the vectors: its state is read


def states_after(lm: LanguageModel, vectors: Float[Tensor, "vectors d_model"]) -> Float[Tensor, "layers positions d_model"]:
    """The states before every layer and after the last, of the vectors and of a line break after them, on the model's device."""
    return states_alone(lm, _alone(lm, vectors))


def own_states(lm: LanguageModel, vectors: Float[Tensor, "vectors d_model"], layer: int) -> Float[Tensor, "vectors d_model"]:
    """The states at the vectors' own positions before layer `layer`; for 0 the vectors themselves."""
    return states_of_vectors(lm, _alone(lm, vectors))[layer]


def _alone(lm: LanguageModel, vectors: Float[Tensor, "vectors d_model"]) -> Contender:
    return Contender("read", "prompt", AFTER, prefix_of(METHODS["prompt"], vectors.float().cpu()).to(lm.device))


def text_states(lm: LanguageModel, texts: Sequence[str], layer: int) -> Float[Tensor, "texts d_model"]:
    """The state of the line break after each text, before layer `layer`."""
    return torch.stack([states_after(lm, lm.embed_ids(lm.tokenise(text)))[layer, -1].cpu() for text in texts])


def alike(own: Float[Tensor, " d_model"], candidates: Float[Tensor, "candidates d_model"]) -> Float[Tensor, " candidates"]:
    """Cosine of `own` with each candidate, after the mean of the candidates is taken off all of them.

    States of any two texts have a cosine near 1, because they share one large direction; without their mean, what differs is left.

    >>> alike(torch.tensor([9.0, 2.0]), torch.tensor([[9.0, 1.0], [9.0, -1.0]])).tolist()
    [1.0, -1.0]
    """
    centre = candidates.mean(dim=0)
    return torch.nn.functional.cosine_similarity((own - centre)[None], candidates - centre)
