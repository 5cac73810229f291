"""A soft prompt: vectors in the space of the input embeddings, trained directly.

Lester et al. 2021, "The power of scale for parameter-efficient prompt tuning".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.methods.contract import Method, Parameters, Start, Tensors

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.language_model import LanguageModel
    from core.models.past import Past
    from core.models.sizes import Shape


class SoftPrompt(Method):
    """Array: vectors (virtual_tokens, d_model), seen causally by each other and by the input."""

    name = "prompt"
    label = "soft prompt"
    about = "input vectors"
    paper = "Lester et al. 2021"
    order = 1
    defaults = {"learning_rate": 0.03, "mlp": 0}
    settings = frozenset({"placement", "pull", "frames"})
    starts = ("random", "vocab", "text", "labels", "examples")
    in_embedding_space = True
    token_axis = 0
    peft_type = "PROMPT_TUNING"

    def start(self, lm: LanguageModel, start: Start) -> Parameters:
        import torch

        if start.array is not None:
            return Parameters({"vectors": start.array})
        if start.tokens is None:
            spread = lm.vocabulary.std(dim=0).cpu() * start.scale  # (d_model,): each dimension's own
            return Parameters({"vectors": torch.randn(start.virtual_tokens, lm.d_model, generator=start.generator) * spread})
        return Parameters({"vectors": lm.embed_ids(start.tokens)})

    def array(self, tensors: Tensors) -> Tensor:
        return tensors["vectors"]

    def from_array(self, array: Tensor, train: str = "both") -> Parameters:
        return Parameters({"vectors": array})

    def fill(self, lm: LanguageModel, array: Tensor, before: Sequence[int], after: Sequence[int]) -> Past:
        return lm.prefill(before, array, after)

    def shape(self, model: Shape, virtual_tokens: int) -> tuple[int, ...]:
        return (virtual_tokens, model.d_model)

    def parameter_count(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> int:
        """virtual_tokens x d_model.

        >>> from core.models.sizes import Shape
        >>> [SoftPrompt().parameter_count(Shape(4096, 32, 32, 32, 128, 0), tokens) for tokens in (10, 20, 50, 100)]
        [40960, 81920, 204800, 409600]
        """
        return virtual_tokens * model.d_model

    def counted(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> str:
        return f"{virtual_tokens} × {model.d_model:,}"

    def positions_run(self, virtual_tokens: int) -> int:
        return virtual_tokens

    def of_tokens(self, lm: LanguageModel, ids: Sequence[int]) -> Tensor:
        return lm.embed_ids(ids)

    def peft_config(self, model: Shape) -> dict[str, Any]:
        start = {"prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": None, "tokenizer_name_or_path": None}
        return {"token_dim": model.d_model, "num_attention_heads": model.heads, **start}

    def described(self, virtual_tokens: int) -> str:
        return f"{virtual_tokens} learned vectors"
