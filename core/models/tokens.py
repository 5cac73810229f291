"""The vocabulary of a model: text to token ids and back, and the embeddings of tokens."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import LabError, shown

BROKEN = "\ufffd"  # how a piece of a character is decoded
MOST_PIECES = 4  # of a character: UTF-8 has no more bytes


class Tokens:
    """What a model's tokenizer and embedding module give, without running the network.

    lead: the special tokens (BOS) that its tokenizer puts first, often none. for_scoring: the same weights in float32.
    """

    model: Any
    tokenizer: Any
    name: str
    lead: list[int]
    for_scoring: Any

    @property
    def device(self) -> torch.device:
        return self.model.device

    def embed(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        """The output of the embedding *module*: some models scale in it, so its weight is not the vocabulary."""
        return self.model.get_input_embeddings()(ids)

    def embed_ids(self, ids: Sequence[int]) -> Float[Tensor, "tokens d_model"]:
        """The embeddings of these token ids, float32."""
        return self.embed(torch.tensor(list(ids), dtype=torch.long, device=self.device)).float()

    @cached_property
    def vocabulary(self) -> Float[Tensor, "vocab d_model"]:
        """Every token's input embedding, float32. Padding rows of the matrix, which belong to no token, are left out."""
        ids = torch.arange(self.vocab_size, device=self.device)
        return self.for_scoring.embed(ids).detach().float()

    @property
    def vocab_size(self) -> int:
        return min(len(self.tokenizer), self.model.get_input_embeddings().num_embeddings)

    @cached_property
    def ordinary_tokens(self) -> Int[Tensor, " ordinary"]:
        """Ids of the vocabulary without special tokens, on the CPU."""
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        return torch.tensor([i for i in range(self.vocab_size) if i not in special])

    def sample_tokens(self, count: int, generator: torch.Generator) -> list[int]:
        """`count` ordinary token ids, drawn uniformly with replacement."""
        picks = torch.randint(len(self.ordinary_tokens), (count,), generator=generator)
        return self.ordinary_tokens[picks].tolist()

    def token_text(self, token: int) -> str:
        """A token as text. A leading space is kept; a piece of a character shows as U+FFFD."""
        # Decoded after another token: some tokenizers drop the space that begins a text.
        before, start = self._anchor
        whole = self.decode([*before, token])
        return whole[len(start) :] if whole.startswith(start) else self.decode([token])

    @cached_property
    def _anchor(self) -> tuple[list[int], str]:
        """A token that others are decoded after, and its text."""
        ids = self.tokenise("a")[-1:]
        return ids, self.decode(ids)

    def texts(self, ids: Sequence[int]) -> list[str]:
        """The tokens of one text as texts. Tokens that are pieces of one character are one text together."""
        made: list[str] = []
        held: list[int] = []
        for token in ids:
            held.append(token)
            text = self.token_text(token) if len(held) == 1 else self.decode(held)
            if BROKEN not in text or len(held) == MOST_PIECES:
                made.append(text)
                held = []
        return [*made, self.decode(held)] if held else made

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these tokens, as it is."""
        return self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a text without special tokens. LabError as in `tokenise_all`."""
        return self.tokenise_all([text])[0]

    def tokenise_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for several texts. LabError where the model has no embedding for a token: the tokenizer is another model's."""
        made = self.tokenizer(list(texts), add_special_tokens=False, verbose=False).input_ids if texts else []
        most = self.model.get_input_embeddings().num_embeddings
        if (largest := max((token for ids in made for token in ids), default=0)) >= most:
            raise LabError(
                f"The tokenizer of {shown(self.name)} makes the token {largest:,}, the model has {most:,} embeddings: "
                "put the model's own tokenizer into its folder."
            )
        return made

    def continued(self, text: str) -> list[int]:
        """Token ids of a text that follows other text: without what some tokenizers put before a text."""
        for before in ("\n", "a", "0", "."):
            head, (both,) = self.tokenise(before), self.tokenise_all([before + text])
            if both[: len(head)] == head and self.decode(both) == self.decode(head) + text:
                return both[len(head) :]
        return self.tokenise(text)

    @cached_property
    def stop_tokens(self) -> set[int]:
        """The ids that end a text, from the generation config and the tokenizer."""
        own = self.tokenizer.eos_token_id
        return {*self._generation_ends, *([] if own is None else [int(own)])}

    @property
    def end_token(self) -> int:
        """The id that a prompt is trained to end answers with: one at which plain `generate` stops, the tokenizer's where it can be."""
        own = self.tokenizer.eos_token_id
        return int(own) if own is not None and (own in self._generation_ends or not self._generation_ends) else self._generation_ends[0]

    @property
    def _generation_ends(self) -> list[int]:
        ends = getattr(self.model.generation_config, "eos_token_id", None)
        return [int(end) for end in (ends if isinstance(ends, list) else [ends]) if end is not None]


def lead_tokens(tokenizer: Any) -> list[int]:
    """The special tokens that this tokenizer puts before a text."""
    plain = tokenizer("a", add_special_tokens=False).input_ids
    full = tokenizer("a").input_ids
    for start in range(len(full)):
        if full[start : start + len(plain)] == plain:
            return list(full[:start])
    return []
