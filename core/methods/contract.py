"""The contract of a method. Everything that stands before the input is a prefix; a method says how it fills the cache.

| method         | what is stored                                          | how it fills the cache          |
|----------------|---------------------------------------------------------|---------------------------------|
| no prompt      | nothing                                                 | length 0                        |
| soft prompt    | vectors `[virtual_tokens, d_model]`                     | they run through the model      |
| K/V prefix     | `[layers, 2, virtual_tokens, kv_heads, head_dim]`       | it is the cache                 |

A handcrafted prompt is the method "no prompt" with words in its template. Training, scoring, generation and inspection are
written once and ask the method for the rest. To add one, add a file with a subclass: `core.methods` finds it by itself.

No file of a method imports torch when it is imported, so that the command line can name the methods at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from core.models.language_model import LanguageModel
    from core.models.past import Past
    from core.models.sizes import Shape

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Start:
    """Where training starts.

    tokens: ids of the `virtual_tokens` real tokens to start from, or None for random numbers, whose standard deviation is
    `scale` times that of the model's own. mlp: hidden size of an encoder, for methods that have one. generator: draws all
    random numbers of the start. array: that of a saved prompt, in place of tokens and random numbers. train: the recipe's: which part
    of a K/V prefix is trained.
    """

    virtual_tokens: int
    tokens: Sequence[int] | None
    scale: float
    mlp: int
    generator: torch.Generator
    array: Tensor | None = None
    train: str = "both"


@dataclass(frozen=True)
class Parameters:
    """The tensors of a prefix by name, float32. trained: what the optimiser changes. fixed: what stays as it is."""

    trained: Tensors
    fixed: Tensors = field(default_factory=dict)


class Method(ABC):
    """How something is put before the input, and all that other parts must know of it.

    "The array" of a prefix is what is stored of it: float32, in the shape that `shape` says.
    """

    name: ClassVar[str]  # in recipes, links, saved files and on the command line
    label: ClassVar[str]  # on the page
    about: ClassVar[str]  # one clause on what is trained
    paper: ClassVar[str]
    order: ClassVar[int]  # among the choices
    defaults: ClassVar[Mapping[str, Any]]  # recipe fields whose default is this method's own
    settings: ClassVar[frozenset[str]]  # recipe fields that only some methods have, and this one has
    starts: ClassVar[tuple[str, ...]] = ("random", "vocab", "text", "examples")  # values of the recipe's `init`
    in_embedding_space: ClassVar[bool]  # its vectors are comparable with token embeddings, so they have nearest tokens
    token_axis: ClassVar[int]  # of the array
    peft_type: ClassVar[str]

    # --- running ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def start(self, lm: LanguageModel, start: Start) -> Parameters:
        """The untrained parameters. Depends on nothing but its arguments."""

    @abstractmethod
    def array(self, tensors: Tensors) -> Tensor:
        """The array that `tensors` (trained and fixed ones) make, with its graph."""

    @abstractmethod
    def from_array(self, array: Tensor, train: str = "both") -> Parameters:
        """Parameters whose array is `array`: of a prompt that was trained before. train: the part of it that was trained."""

    @abstractmethod
    def fill(self, lm: LanguageModel, array: Tensor, before: Sequence[int], after: Sequence[int]) -> Past:
        """The past of batch 1 that holds the tokens `before`, the prefix and the tokens `after`, in this order."""

    # --- sizes ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def shape(self, model: Shape, virtual_tokens: int) -> tuple[int, ...]:
        """The shape of the array on a model of these sizes."""

    @abstractmethod
    def parameter_count(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> int:
        """How many parameters are trained."""

    @abstractmethod
    def counted(self, model: Shape, virtual_tokens: int, mlp: int = 0, train: str = "both") -> str:
        """The product or sum that `parameter_count` is, for people."""

    @abstractmethod
    def positions_run(self, virtual_tokens: int) -> int:
        """How many positions run through the model in a training step on behalf of the prefix."""

    # --- arrays -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def of_tokens(self, lm: LanguageModel, ids: Sequence[int]) -> Tensor:
        """The array that real tokens would have."""

    def to_rows(self, array: np.ndarray) -> np.ndarray:
        """The array as PEFT stores it: (virtual_tokens, width)."""
        return array

    def from_rows(self, rows: np.ndarray, model: Shape) -> np.ndarray:
        """The array that `to_rows` was given."""
        return rows

    def part(self, array: np.ndarray, layer: int = 0, part: int = 1, head: int | None = None) -> np.ndarray:
        """One vector for each virtual token, (virtual_tokens, d): what PCA and distances are computed on.

        layer, part, head: which of a K/V prefix's, whose parts are 0 keys and 1 values; None for all heads side by side.
        """
        return array

    @abstractmethod
    def peft_config(self, model: Shape) -> dict[str, Any]:
        """The fields of PEFT's configuration that depend on the method."""

    # --- words ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def described(self, virtual_tokens: int) -> str:
        """What was trained, for a sentence: "10 learned vectors"."""
