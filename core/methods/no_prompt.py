"""No prompt: nothing is stored, and the cache holds only the tokens that all rows begin with. Handcrafted prompts are this, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.methods.contract import Method, Parameters, Start, Tensors

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.language_model import LanguageModel
    from core.models.past import Past
    from core.models.sizes import Shape


class NoPrompt(Method):
    """The words of a handcrafted prompt are in its template, so there is nothing to train or to store."""

    name = "none"
    label = "no prompt"
    about = "nothing"
    paper = ""
    order = 0
    defaults = {}
    settings = frozenset()
    starts = ()
    in_embedding_space = False
    token_axis = 0
    peft_type = ""

    def start(self, lm: LanguageModel, start: Start) -> Parameters:
        return Parameters({})

    def array(self, tensors: Tensors) -> Tensor:
        import torch

        return torch.empty(0, 0)

    def from_array(self, array: Tensor, train: str = "both") -> Parameters:
        return Parameters({})

    def fill(self, lm: LanguageModel, array: Tensor, before: Sequence[int], after: Sequence[int]) -> Past:
        return lm.prefill([*before, *after])

    def shape(self, model: Shape, virtual_tokens: int) -> tuple[int, ...]:
        return (0, 0)

    def parameter_count(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> int:
        return 0

    def counted(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> str:
        return "0"

    def positions_run(self, virtual_tokens: int) -> int:
        return 0

    def of_tokens(self, lm: LanguageModel, ids: Sequence[int]) -> Tensor:
        return self.array({})

    def peft_config(self, model: Shape) -> dict[str, Any]:
        return {}

    def described(self, virtual_tokens: int) -> str:
        return "no prompt"
