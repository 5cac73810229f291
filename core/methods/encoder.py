"""A soft prompt with an encoder: a small MLP over the vectors while they train, of which only the result is stored.

The vectors are e + MLP(e), one MLP for all of them: P-tuning's encoder (Liu et al. 2021, "GPT understands, too") with the skip
connection of Razdaibiedina et al. 2023 ("Residual prompt tuning"), so that training starts exactly at e. A step along one
direction moves all vectors together, which is what makes it steadier at high learning rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.methods.contract import Parameters, Start, Tensors
from core.methods.soft_prompt import SoftPrompt

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.language_model import LanguageModel
    from core.models.sizes import Shape


class Encoder(SoftPrompt):
    """Array: vectors (virtual_tokens, d_model), as a soft prompt's."""

    name = "encoder"
    label = "soft prompt with an encoder"
    about = "input vectors through a small MLP"
    paper = "Liu et al. 2021; Razdaibiedina et al. 2023"
    order = 3
    defaults = {"learning_rate": 0.003, "mlp": 128}
    settings = SoftPrompt.settings | {"mlp"}

    def start(self, lm: LanguageModel, start: Start) -> Parameters:
        import torch

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=start.generator)

        vectors = super().start(lm, start).trained["vectors"]
        layers = {
            "up_weight": normal(start.mlp, lm.d_model) * lm.d_model**-0.5,
            "up_bias": torch.zeros(start.mlp),
            "down_weight": torch.zeros(lm.d_model, start.mlp),
            "down_bias": torch.zeros(lm.d_model),
        }
        return Parameters({"vectors": vectors, **layers})

    def array(self, tensors: Tensors) -> Tensor:
        vectors = tensors["vectors"]
        if "up_weight" not in tensors:
            return vectors
        from torch.nn.functional import linear

        # Embeddings are short (0.1 to 3 long, by the model): scaled to unit variance the MLP's units are not all linear.
        scaled = vectors / vectors.std(dim=1, keepdim=True)
        hidden = linear(scaled, tensors["up_weight"], tensors["up_bias"]).relu()  # (virtual_tokens, mlp)
        return vectors + linear(hidden, tensors["down_weight"], tensors["down_bias"])

    def parameter_count(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> int:
        """virtual_tokens x d_model + mlp (d_model + 1) + d_model (mlp + 1)."""
        return virtual_tokens * model.d_model + mlp * (model.d_model + 1) + model.d_model * (mlp + 1)

    def counted(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> str:
        d = model.d_model
        return f"{virtual_tokens} × {d:,} + {mlp} × {d + 1:,} + {d:,} × {mlp + 1}"
