"""A prefix: a method with its parameters, ready to fill the cache before an input."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from core.methods import NO_PROMPT
from core.methods.contract import Method, Parameters
from core.models.language_model import LanguageModel
from core.models.past import Past


class Prefix(nn.Module):
    """What stands before the input. Its parameters are all that training changes, always float32.

    >>> from core.methods import METHODS
    >>> prefix_of(METHODS["prompt"], np.zeros((3, 8), np.float32)).virtual_tokens
    3
    """

    def __init__(self, method: Method, parameters: Parameters):
        super().__init__()
        self.method = method
        for name, value in parameters.trained.items():
            self.register_parameter(name, nn.Parameter(value.detach().clone().float()))
        for name, value in parameters.fixed.items():
            self.register_buffer(name, value.detach().clone().float())

    @property
    def kind(self) -> str:
        """The method's name."""
        return self.method.name

    @property
    def virtual_tokens(self) -> int:
        return self.array().shape[self.method.token_axis]

    def array(self) -> Tensor:
        """What is stored, with its graph, in the shape that `Method.shape` says."""
        return self.method.array({**dict(self.named_parameters()), **dict(self.named_buffers())})

    def fill(self, lm: LanguageModel, before: Sequence[int] = (), after: Sequence[int] = ()) -> Past:
        """The past of batch 1 that holds the tokens `before`, this prefix and the tokens `after`, in this order."""
        return self.method.fill(lm, self.array(), before, after)

    def snapshot(self) -> np.ndarray:
        """A float32 copy of the array on the CPU."""
        copy: np.ndarray = self.array().detach().cpu().numpy().copy()
        return copy

    def parameter_count(self) -> int:
        """How many parameters are trained (an encoder's included)."""
        return sum(parameter.numel() for parameter in self.parameters())


def no_prefix() -> Prefix:
    """Nothing: bare inputs, and handcrafted prompts, whose words are in the template."""
    return Prefix(NO_PROMPT, Parameters({}))


def prefix_of(method: Method, array: np.ndarray | Tensor, train: str = "both") -> Prefix:
    """The prefix that `array` was stored of. train: the part of it that was trained, as the recipe says."""
    return Prefix(method, method.from_array(torch.as_tensor(array), train))
