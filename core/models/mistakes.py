"""Common mistakes with soft prompts, made on purpose: the same model, run with another attention mask or other positions.

Code that fills a shared cache or collates rows can hide the virtual tokens from the input, hide them from each other, or let
the input's positions start again at 0. No error is raised; only the loss is worse.
"""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from core.errors import LabError, shown
from core.models.language_model import LanguageModel

MISTAKES = {
    "hidden": "the input doesn't see the virtual tokens",
    "apart": "the virtual tokens don't see each other",
    "restart": "the input's positions start again, as if there were no virtual tokens before it",
}


class Mistaken(LanguageModel):
    """A model that makes a mistake with the `virtual_tokens` positions after the first `before` positions.

    It shares the network of `lm`, and trains, scores and generates like it, for prompts of exactly that many virtual tokens.
    """

    def __init__(self, lm: LanguageModel, mistake: str, virtual_tokens: int, before: int = 0):
        """mistake: a key of `MISTAKES`. before: number of tokens before the virtual ones (BOS), often 0.

        Raises LabError for any other mistake.
        """
        if mistake not in MISTAKES:
            raise LabError(f"The mistake {shown(mistake)} is unknown: choose one of {', '.join(MISTAKES)}.")
        self.__dict__.update(lm.__dict__)  # the same network, tokenizer and sizes, without a copy
        self.mistake, self.start, self.end = mistake, before, before + virtual_tokens
        self.for_scoring = self if lm.for_scoring is lm else Mistaken(lm.for_scoring, mistake, virtual_tokens, before)

    def positions(self, past: int, tokens: int) -> Int[Tensor, " tokens"]:
        """As in `LanguageModel`, with the mistake."""
        places = super().positions(past, tokens)
        if self.mistake == "restart":
            places = torch.where(places >= self.end, places - (self.end - self.start), places)
        return places

    def sees(self, past: int, tokens: int) -> Bool[Tensor, "tokens keys"]:
        """The causal mask of a row's last `tokens` over its first `past + tokens` positions, with the mistake in it."""
        query = torch.arange(past, past + tokens, device=self.device)[:, None]
        key = torch.arange(past + tokens, device=self.device)[None]
        virtual = (key >= self.start) & (key < self.end)
        seen = key <= query
        if self.mistake == "hidden":
            seen = seen & ~(virtual & (query >= self.end))
        if self.mistake == "apart":
            seen = seen & ~(virtual & (query >= self.start) & (query < self.end) & (query != key))
        return seen

    def attention_mask(self, past: int, tokens: int, batch: int) -> Any:
        """What is added to attention scores: 0 or the lowest float. A mask for each kind of layer if there are two."""
        seen = self.sees(past, tokens)
        config = self.model.config.get_text_config()
        if "sliding_attention" not in (getattr(config, "layer_types", None) or []):
            return self._mask(seen, batch)
        query = torch.arange(past, past + tokens, device=self.device)[:, None]
        near = query - torch.arange(past + tokens, device=self.device)[None] < config.sliding_window
        return {"full_attention": self._mask(seen, batch), "sliding_attention": self._mask(seen & near, batch)}

    def _mask(self, seen: Bool[Tensor, "tokens keys"], batch: int) -> Tensor:
        nothing = torch.zeros(seen.shape, dtype=self.dtype, device=self.device)
        return nothing.masked_fill(~seen, torch.finfo(self.dtype).min)[None, None].expand(batch, -1, -1, -1)
