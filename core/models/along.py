"""Vectors run as one text with the tokens after them, each row of a batch its own: what comes next at each place."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.models.language_model import LanguageModel
from core.models.past import NO_TOKEN, Past, Vectors


def logits_along(
    lm: LanguageModel,
    vectors: Float[Tensor, "batch vectors d_model"],
    ids: Int[Tensor, "batch tokens"],
    past: Past | None = None,
    hidden: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch places vocab"]:
    """Logits after the last of `vectors` and after each of the tokens that follow it, float32, with the vectors' graph.

    places: 1 + tokens. past: of as many rows, what comes before the vectors; it grows. hidden: for each row a position, counted from
    the beginning of all, that no other one sees; only where `can_hide`.
    """
    batch, count, tokens = *vectors.shape[:2], ids.shape[1]
    rows = torch.arange(batch, device=lm.device).repeat_interleave(tokens + 1)
    columns = torch.arange(count - 1, count + tokens, device=lm.device).repeat(batch)
    past, mask = lm.nothing() if past is None else past, None
    if isinstance(past, Vectors):  # such a model runs all of them again, so all are put there
        past = Vectors(vectors.to(lm.dtype), torch.full(vectors.shape[:2], NO_TOKEN, device=lm.device))
        past.append(lm.embed(ids), ids)
        logits = lm._forward(past, {}, rows, columns - count - tokens)[0]
    else:
        if hidden is not None:
            mask = torch.ones(batch, past.get_seq_length() + count + tokens, dtype=torch.long, device=lm.device)
            mask[torch.arange(batch, device=lm.device), hidden] = 0
        inputs = torch.cat([vectors.to(lm.dtype), lm.embed(ids)], dim=1)
        logits = lm._forward(past, {"inputs_embeds": inputs}, rows, columns, mask=mask)[0]
    return logits[0].float().view(batch, tokens + 1, -1)


def can_hide(lm: LanguageModel) -> bool:
    """Whether a single position of this model can be hidden from all others."""
    return lm.way.caches and "attention_mask" in lm.way.extras
