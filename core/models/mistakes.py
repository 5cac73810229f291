"""Common mistakes with soft prompts, made on purpose: the same model, run with another attention mask or other positions.

Code that fills a shared cache or collates rows can hide the virtual tokens from the input, hide them from each other, or let
the input's positions start again at 0. No error is raised; only the loss is worse.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import LabError, shown
from core.models.language_model import LanguageModel
from core.models.past import Past, expand
from core.models.probe import TOLERANCE, far, sample_ids

MISTAKES = {
    "hidden": "the input doesn't see the virtual tokens",
    "apart": "the virtual tokens don't see each other",
    "restart": "the input's positions start again, as if there were no virtual tokens before it",
}
COUNT = 3  # virtual tokens in the trial
LONGEST = 600  # of a sliding window that the trial's rows are longer than
LEAST = 1e-5  # of the logits' norm: a mistake changes more than rounding does


class Mistaken(LanguageModel):
    """A model that makes a mistake with the `virtual_tokens` positions after the first `before` positions.

    It shares the network of `lm`, and trains, scores and generates like it, for prompts of exactly that many virtual tokens.
    """

    def __init__(self, lm: LanguageModel, mistake: str, virtual_tokens: int, before: int = 0):
        """mistake: a key of `MISTAKES`. before: number of tokens before the virtual ones (BOS), often 0.

        Raises LabError for any other mistake, and, with the reason, where this model can't make it.
        """
        reason = impossible(lm, mistake)
        if reason:
            raise LabError(f"This mistake ({MISTAKES[mistake]}) can't be made with {shown(lm.name)}: {reason}.")
        self._become(lm, mistake, virtual_tokens, before)

    def _become(self, lm: LanguageModel, mistake: str, virtual_tokens: int, before: int = 0) -> "Mistaken":
        self.__dict__.update(lm.__dict__)  # the same network, tokenizer and sizes, without a copy
        self.mistake, self.start, self.end = mistake, before, before + virtual_tokens
        small = lm.for_scoring is not lm
        self.for_scoring = Mistaken.__new__(Mistaken)._become(lm.for_scoring, mistake, virtual_tokens, before) if small else self
        return self

    def positions(self, past: int, tokens: int) -> Int[Tensor, " tokens"]:
        """As in `LanguageModel`, with the mistake."""
        places = super().positions(past, tokens)
        if self.mistake == "restart":
            places = torch.where(places >= self.end, places - (self.end - self.start), places)
        return places

    def _seen(self, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """What the mistake leaves to be seen, for the positions `query` and `key`, as transformers combines masks."""
        virtual = (key >= self.start) & (key < self.end)
        if self.mistake == "hidden":
            return ~(virtual & (query >= self.end))
        if self.mistake == "apart":
            return ~(virtual & (query >= self.start) & (query < self.end) & (query != key))
        return key == key

    def _forward(self, *args: Any, **options: Any) -> tuple[Tensor, Any]:
        if self.mistake == "restart":
            return super()._forward(*args, **options)
        with _masked(self.model.config._attn_implementation, self._seen):
            return super()._forward(*args, **options)


@contextmanager
def _masked(attention: str, seen: Callable[..., Tensor]) -> Iterator[None]:
    """Within: every mask that transformers makes for this kind of attention also hides what is not `seen`; sliding windows stay."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, and_masks  # here: it takes longer to import than torch

    make = ALL_MASK_ATTENTION_FUNCTIONS[attention]

    def narrower(*args: Any, mask_function: Callable[..., Tensor], **options: Any) -> Any:
        return make(*args, mask_function=and_masks(mask_function, seen), **options | {"allow_is_causal_skip": False, "use_vmap": True})

    ALL_MASK_ATTENTION_FUNCTIONS[attention] = narrower
    try:
        yield
    finally:
        ALL_MASK_ATTENTION_FUNCTIONS[attention] = make


def impossible(lm: LanguageModel, mistake: str) -> str:
    """Why `lm` can't make this mistake, or "". Tried out once: without virtual tokens it must change nothing, on rows longer than a
    sliding window; with them, what its name says. LabError for an unknown mistake."""
    if mistake not in MISTAKES:
        raise LabError(f"The mistake {shown(mistake)} is unknown: choose one of {', '.join(MISTAKES)}.")
    lm = lm.for_scoring
    if mistake not in lm.impossible_mistakes:
        try:
            lm.impossible_mistakes[mistake] = _tried(lm, mistake)
        except Exception as error:  # of any type, where a model makes its masks in another way
            lm.impossible_mistakes[mistake] = f"it can't be run with this mask or these positions ({type(error).__name__})"
    return lm.impossible_mistakes[mistake]


def _tried(lm: LanguageModel, mistake: str) -> str:
    if not lm.way.caches:
        return "its cache can't be filled by hand"
    few = sample_ids(lm)
    length = min(int(getattr(lm.model.config.get_text_config(), "sliding_window", None) or 0), LONGEST) + len(few)
    ids = few.repeat(length // len(few) + 1)[: min(length, lm.window - COUNT)]
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, COUNT, lm.d_model, generator=generator).to(lm.device) * lm.embed(few).float().std()

    def logits(model: LanguageModel, prompt: Tensor) -> Tensor:
        past: Past = expand(model.prefill(prompt), 1)
        return model.logits_at(past, ids[None], torch.zeros_like(ids), torch.arange(len(ids), device=lm.device))

    with torch.inference_mode():
        nothing, made = (Mistaken.__new__(Mistaken)._become(lm, mistake, count) for count in (0, COUNT))
        if far(logits(nothing, vectors[0, :0]), logits(lm, vectors[0, :0])):
            return "without virtual tokens it would change what the model computes"
        found = logits(made, vectors[0])
        if mistake == "hidden" and far(logits(made, vectors[1]), found, TOLERANCE):
            return "its layers don't take such a mask"
        if not far(found, logits(lm, vectors[0]), LEAST):
            takes = "its layers take no positions (such as ALiBi)" if mistake == "restart" else "its layers don't take such a mask"
            return f"it would change nothing, since {takes}"
    return ""
