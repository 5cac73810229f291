"""Bottleneck adapters: after each layer's MLP, a small MLP whose output is added (Pfeiffer et al. 2021, "AdapterFusion")."""

from typing import Any

import torch
from torch import Tensor, nn

from core.errors import LabError, shown

MLP_NAMES = ("mlp", "feed_forward", "ffn", "feedforward", "block_sparse_moe")  # of a layer's MLP, in transformers' models


class Adapter(nn.Module):
    """x -> x + up(gelu(down(x))), for x of (..., width). `up` starts at zero, so that the model starts unchanged."""

    def __init__(self, width: int, size: int, generator: torch.Generator):
        super().__init__()
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        with torch.no_grad():
            self.down.weight.copy_(torch.randn(size, width, generator=generator) * width**-0.5)
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                zero.zero_()

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.up(nn.functional.gelu(self.down(x)))
        return changed

    def after(self, _: nn.Module, __: Any, output: Any) -> Any:
        """A forward hook: the module's output, or the first of several, with this adapter's added."""
        return (self(output[0]), *output[1:]) if isinstance(output, tuple) else self(output)


def layers_of(model: nn.Module, count: int) -> nn.ModuleList:
    """The list of the model's `count` layers. LabError where there is none."""
    found = (part for part in model.modules() if isinstance(part, nn.ModuleList) and len(part) == count)
    if (layers := next(found, None)) is None:
        raise LabError("This model's layers can't be told apart, so adapters have no place in it: choose LoRA or BitFit.")
    return layers


def add_adapters(model: Any, layers: int, width: int, size: int, seed: int) -> None:
    """Put an adapter after the MLP of each of the `layers` layers of `model`, as the layer's module `adapter`. width: d_model.

    LabError where a layer has no MLP of a known name.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in layers_of(model, layers):
        mlp = next((getattr(layer, name) for name in MLP_NAMES if hasattr(layer, name)), None)
        if mlp is None:
            raise LabError(f"The layers of {shown(type(model).__name__)} have no MLP to put an adapter after: choose LoRA or BitFit.")
        place = next(mlp.parameters())
        layer.adapter = Adapter(width, size, generator).to(place.device, place.dtype)
        mlp.register_forward_hook(layer.adapter.after)
