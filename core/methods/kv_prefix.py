"""A K/V prefix: keys and values for every layer, trained directly or through an MLP.

Li & Liang 2021, "Prefix-tuning: optimizing continuous prompts for generation". They train through an MLP because it is
steadier; only what the MLP makes is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.errors import LabError
from core.methods.contract import Method, Parameters, Start, Tensors

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from core.models.language_model import LanguageModel
    from core.models.past import Past
    from core.models.sizes import Shape

PARTS = ("keys", "values")  # by their place in the array
SAMPLE = (8, 64)  # real tokens, at least and at most, whose keys and values say how large random ones should be


class KVPrefix(Method):
    """Array: (layers, 2, virtual_tokens, kv_heads, head_dim), keys before values; keys as the cache holds them, after rotation."""

    name = "prefix"
    label = "K/V prefix"
    about = "keys and values in every layer"
    paper = "Li & Liang 2021"
    order = 2
    defaults = {"learning_rate": 0.01, "mlp": 0}
    settings = frozenset({"mlp", "train"})
    in_embedding_space = False
    token_axis = 2
    peft_type = "PREFIX_TUNING"

    def start(self, lm: LanguageModel, start: Start) -> Parameters:
        import torch

        if start.array is not None:
            array = start.array
        elif start.tokens is None:
            least, most = SAMPLE
            real = self.of_tokens(lm, lm.sample_tokens(min(most, max(least, start.virtual_tokens)), start.generator)).cpu()
            spread = real.std(dim=(2, 3, 4), keepdim=True) * start.scale  # (layers, 2, 1, 1, 1)
            array = torch.randn(self.shape(lm.shape, start.virtual_tokens), generator=start.generator) * spread
        else:
            array = self.of_tokens(lm, start.tokens)
        part, frozen = _split(array, start.train)
        if not start.mlp:
            return Parameters({"values": part}, frozen)
        # A random start is left to the MLP alone; any other is where training starts exactly, so the last layer is zero.
        random = start.tokens is None and start.array is None
        width, out = lm.d_model, self.parameter_count(lm.shape, 1, train=start.train)
        shapes = {
            "embeddings": ((start.virtual_tokens, width), 1.0),
            "up_weight": ((start.mlp, width), width**-0.5),
            "up_bias": ((start.mlp,), 0.0),
            "down_weight": ((out, start.mlp), start.mlp**-0.5 if random else 0.0),
            "down_bias": ((out,), 0.0),
        }
        trained = {name: torch.randn(shape, generator=start.generator) * std for name, (shape, std) in shapes.items()}
        return Parameters(trained, fixed={"start": part * 0 if random else part, **frozen})

    def array(self, tensors: Tensors) -> Tensor:
        import torch

        part = self._made(tensors) if "start" in tensors else tensors["values"]
        pieces = [piece for piece in (tensors.get("frozen_keys"), part, tensors.get("frozen_values")) if piece is not None]
        return torch.cat(pieces, dim=1) if len(pieces) > 1 else part

    def _made(self, tensors: Tensors) -> Tensor:
        """What the MLP makes: the whole array, or the part of it that is trained."""
        from torch.nn.functional import linear

        start = tensors["start"]
        layers, parts, tokens, heads, head_dim = start.shape  # parts: 2, or 1 where the other is frozen
        hidden = linear(tensors["embeddings"], tensors["up_weight"], tensors["up_bias"]).tanh()  # (P, mlp)
        made = linear(hidden, tensors["down_weight"], tensors["down_bias"])  # (P, layers * parts * kv_heads * head_dim)
        return start + made.view(tokens, layers, parts, heads, head_dim).permute(1, 2, 0, 3, 4)

    def from_array(self, array: Tensor, train: str = "both") -> Parameters:
        part, frozen = _split(array, train)
        return Parameters({"values": part}, frozen)

    def fill(self, lm: LanguageModel, array: Tensor, before: Sequence[int], after: Sequence[int]) -> Past:
        if before:
            raise LabError("A K/V prefix comes before every token, BOS included: set the placement to 'before BOS'.")
        return lm.prefill(after, past=lm.cache_of(array))

    def shape(self, model: Shape, virtual_tokens: int) -> tuple[int, ...]:
        return (model.layers, 2, virtual_tokens, model.kv_heads, model.head_dim)

    def parameter_count(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> int:
        """virtual_tokens x layers x 2 x kv_heads x head_dim: a key and a value each; half of it where one of them is frozen.

        Through an MLP: tokens x d_model + mlp (d_model + 1) + out (mlp + 1), where out = layers x 2 x kv_heads x head_dim, or half.

        >>> from core.models.sizes import Shape
        >>> KVPrefix().parameter_count(Shape(4096, 32, 32, 32, 128, 0), 10)
        2621440
        """
        out = model.layers * _parts(train) * model.kv_heads * model.head_dim
        return virtual_tokens * model.d_model + mlp * (model.d_model + 1) + out * (mlp + 1) if mlp else virtual_tokens * out

    def counted(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> str:
        if not mlp:
            return f"{virtual_tokens} × {model.layers:,} layers × {_parts(train)} × {model.kv_heads} K/V heads × {model.head_dim}"
        out = self.parameter_count(model, 1, train=train)
        return f"{virtual_tokens} × {model.d_model:,} + {mlp} × {model.d_model + 1:,} + {out:,} × {mlp + 1}"

    def positions_run(self, virtual_tokens: int) -> int:
        return 0

    def of_tokens(self, lm: LanguageModel, ids: Sequence[int]) -> Tensor:
        return lm.keys_values(ids)

    def to_rows(self, array: np.ndarray) -> np.ndarray:
        return array.transpose(2, 0, 1, 3, 4).reshape(array.shape[2], -1)

    def from_rows(self, rows: np.ndarray, model: Shape) -> np.ndarray:
        shape = (len(rows), model.layers, 2, model.kv_heads, model.head_dim)
        return rows.reshape(shape).transpose(1, 2, 0, 3, 4)

    def peft_config(self, model: Shape) -> dict[str, Any]:
        encoder = {"encoder_hidden_size": model.d_model, "prefix_projection": False}
        return {"token_dim": model.kv_heads * model.head_dim, "num_attention_heads": model.kv_heads, **encoder}

    def part(self, array: np.ndarray, layer: int = 0, part: int = 1, head: int | None = None) -> np.ndarray:
        chosen = array[layer, part]  # (virtual_tokens, kv_heads, head_dim)
        return chosen.reshape(len(chosen), -1) if head is None else chosen[:, head]

    def described(self, virtual_tokens: int) -> str:
        return f"{virtual_tokens} learned K/V positions"


def _parts(train: str) -> int:
    """How many of keys and values are trained."""
    return len(PARTS) if train == "both" else 1


def _split(array: Tensor, train: str) -> tuple[Tensor, dict[str, Tensor]]:
    """The part that is trained, (layers, parts, virtual_tokens, kv_heads, head_dim), and by name the one that stays as it is.

    Only the first is given to the optimiser, so neither its steps nor weight decay reach the other.
    """
    if train == "both":
        return array, {}
    place = PARTS.index(train)
    other = 1 - place
    return array[:, place : place + 1], {f"frozen_{PARTS[other]}": array[:, other : other + 1]}
