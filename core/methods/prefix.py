"""The one idea: everything before the input is a prefix, and prefixes differ only in how they fill the cache.

| kind          | what is trained                                         | how it fills the cache          |
|---------------|---------------------------------------------------------|---------------------------------|
| none          | nothing                                                 | it doesn't                      |
| soft          | vectors `[virtual_tokens, d_model]`                     | they run through the model      |
| prefix        | `[layers, 2, virtual_tokens, kv_heads, head_dim]`       | it is the cache                 |

A handcrafted prompt is kind none with words in its template: the start that all rows share runs through the model once,
for every contender. Soft prompts: Lester et al. 2021. K/V prefixes and their MLP: Li & Liang 2021.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import DynamicCache

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.tasks.task import Task


class Prefix(nn.Module, ABC):
    """A prefix to the input. Its parameters are all that training changes, always float32."""

    kind: str
    virtual_tokens: int

    @abstractmethod
    def fill(self, lm: LanguageModel, before: Sequence[int] = (), after: Sequence[int] = ()) -> DynamicCache:
        """A cache of batch 1 that holds the tokens `before`, this prefix and the tokens `after`, in this order."""

    @abstractmethod
    def snapshot(self) -> np.ndarray:
        """What is stored, as a float32 copy in the shape of the module's table; for none an empty array."""

    def parameter_count(self) -> int:
        """How many numbers are trained (an MLP's included)."""
        return sum(parameter.numel() for parameter in self.parameters())


def _embed(lm: LanguageModel, ids: Sequence[int]) -> Float[Tensor, "tokens d_model"]:
    return lm.embed(torch.tensor(list(ids), dtype=torch.long, device=lm.device)).float()


class NoPrefix(Prefix):
    """Nothing: bare inputs, and handcrafted prompts, whose words are in the template."""

    kind = "none"
    virtual_tokens = 0

    def fill(self, lm: LanguageModel, before: Sequence[int] = (), after: Sequence[int] = ()) -> DynamicCache:
        return lm.prefill(_embed(lm, [*before, *after]))

    def snapshot(self) -> np.ndarray:
        return np.empty((0, 0), dtype=np.float32)


class SoftPrompt(Prefix):
    """Vectors in the space of the input embeddings, seen causally by each other and by the input."""

    kind = "soft"

    def __init__(self, vectors: Float[Tensor, "virtual_tokens d_model"]):
        super().__init__()
        self.vectors = nn.Parameter(vectors.detach().clone().float())

    @property
    def virtual_tokens(self) -> int:  # type: ignore[override]
        return self.vectors.shape[0]

    def fill(self, lm: LanguageModel, before: Sequence[int] = (), after: Sequence[int] = ()) -> DynamicCache:
        return lm.prefill(torch.cat([_embed(lm, before), self.vectors.to(lm.device), _embed(lm, after)]))

    def snapshot(self) -> np.ndarray:
        return self.vectors.detach().cpu().numpy().copy()


class KVPrefix(Prefix):
    """Keys and values for every layer; keys as stored in the cache, that is after rotation."""

    kind = "prefix"

    def __init__(self, values: Float[Tensor, "layers 2 virtual_tokens kv_heads head_dim"]):
        super().__init__()
        self.values = nn.Parameter(values.detach().clone().float())

    @property
    def virtual_tokens(self) -> int:  # type: ignore[override]
        return self.keys_values().shape[2]

    def keys_values(self) -> Float[Tensor, "layers 2 virtual_tokens kv_heads head_dim"]:
        """The keys (index 0) and values (index 1) of each layer."""
        return self.values

    def fill(self, lm: LanguageModel, before: Sequence[int] = (), after: Sequence[int] = ()) -> DynamicCache:
        if before:
            raise LabError("A K/V prefix comes before every token, BOS included: set the placement to 'before BOS'.")
        cache = DynamicCache()
        for index, layer in enumerate(self.keys_values().to(lm.device, lm.dtype)):
            keys, values = layer.transpose(1, 2)[:, None]  # each (1, kv_heads, virtual_tokens, head_dim)
            cache.update(keys, values, index)
        return lm.prefill(_embed(lm, after), cache)

    def snapshot(self) -> np.ndarray:
        return self.keys_values().detach().cpu().numpy().copy()


class ReparameterisedKVPrefix(KVPrefix):
    """A K/V prefix that an MLP makes from small embeddings, added to a fixed start (zeros for a random start).

    Li & Liang 2021 train it so because it is steadier; only what it makes is kept when it is saved.
    """

    def __init__(
        self,
        start: Float[Tensor, "layers 2 virtual_tokens kv_heads head_dim"],
        hidden: int,
        width: int,
        generator: torch.Generator,
        from_zero: bool,
    ):
        """from_zero: the MLP's last layer starts at zero, so that training starts exactly at `start`."""
        nn.Module.__init__(self)
        layers, two, tokens, heads, head_dim = start.shape
        out = layers * two * heads * head_dim

        def normal(*shape: int, std: float) -> nn.Parameter:
            return nn.Parameter((torch.randn(*shape, generator=generator) * std).to(start.device))

        self.register_buffer("start", start.detach().clone().float())
        self.embeddings = normal(tokens, width, std=1.0)
        self.up_weight = normal(hidden, width, std=width**-0.5)
        self.up_bias = normal(hidden, std=0.0)
        self.down_weight = normal(out, hidden, std=0.0 if from_zero else hidden**-0.5)
        self.down_bias = normal(out, std=0.0)

    def keys_values(self) -> Float[Tensor, "layers 2 virtual_tokens kv_heads head_dim"]:
        hidden = torch.tanh(nn.functional.linear(self.embeddings, self.up_weight, self.up_bias))  # (P, hidden)
        made = nn.functional.linear(hidden, self.down_weight, self.down_bias)  # (P, layers * 2 * kv_heads * head_dim)
        start: Tensor = self.start  # type: ignore[assignment]
        layers, two, tokens, heads, head_dim = start.shape
        return start + made.view(tokens, layers, two, heads, head_dim).permute(1, 2, 0, 3, 4)


def from_snapshot(values: np.ndarray) -> SoftPrompt | KVPrefix:
    """The prefix that `snapshot` was taken of, by its number of axes: vectors (2), or keys and values (5)."""
    tensor = torch.from_numpy(values)
    return SoftPrompt(tensor) if tensor.ndim == 2 else KVPrefix(tensor)


def in_peft_layout(values: Tensor) -> Float[Tensor, "virtual_tokens width"]:
    """A snapshot (or its gradient) as PEFT stores it: vectors as they are, keys and values a row for each virtual token."""
    return values if values.ndim == 2 else values.permute(2, 0, 1, 3, 4).reshape(values.shape[2], -1)


def array_in_peft_layout(snapshot: np.ndarray) -> Float[np.ndarray, "virtual_tokens width"]:
    """`in_peft_layout` of a snapshot that is an array."""
    return in_peft_layout(torch.from_numpy(snapshot)).numpy()


def keys_values_of(lm: LanguageModel, ids: Sequence[int]) -> Float[Tensor, "layers 2 tokens kv_heads head_dim"]:
    """The K/V that real tokens leave in the cache: a prefix made of it *is* that text."""
    with torch.no_grad():
        cache = lm.prefill(_embed(lm, ids))
    return torch.stack([torch.cat([layer.keys, layer.values]) for layer in cache.layers]).transpose(2, 3).float()


def create(lm: LanguageModel, task: Task, recipe: Recipe) -> Prefix:
    """The untrained prefix that `recipe` starts from. Depends on nothing but its arguments (own generator)."""
    generator = torch.Generator().manual_seed(recipe.seed)
    count = recipe.virtual_tokens
    if recipe.method == "prompt":
        if recipe.init == "random":
            spread = lm.vocabulary.std(dim=0).cpu() * recipe.init_scale  # (d_model,): each dimension's own
            return SoftPrompt(torch.randn(count, lm.d_model, generator=generator) * spread).to(lm.device)
        return SoftPrompt(_embed(lm, start_tokens(lm, task, recipe, generator))).to(lm.device)
    if recipe.init == "random":
        real = keys_values_of(lm, _sampled(lm, min(64, max(8, count)), generator)).cpu()
        spread = real.std(dim=(2, 3, 4), keepdim=True) * recipe.init_scale  # (layers, 2, 1, 1, 1)
        layers, two, _, heads, head_dim = real.shape
        start = torch.randn(layers, two, count, heads, head_dim, generator=generator) * spread
    else:
        start = keys_values_of(lm, start_tokens(lm, task, recipe, generator))
    start = start.to(lm.device)
    if not recipe.mlp:
        return KVPrefix(start)
    random = recipe.init == "random"
    return ReparameterisedKVPrefix(start * 0 if random else start, recipe.mlp, lm.d_model, generator, from_zero=not random)


def start_tokens(lm: LanguageModel, task: Task, recipe: Recipe, generator: torch.Generator | None = None) -> list[int]:
    """The real tokens that a start by vocabulary, text or labels is made of: `virtual_tokens` ids.

    A text is repeated or cut to fit. Label words (for answers: the training rows' answers) are followed by sampled tokens.
    """
    generator = generator or torch.Generator().manual_seed(recipe.seed)
    count = recipe.virtual_tokens
    if recipe.init == "vocab":
        return _sampled(lm, count, generator)
    if recipe.init == "text":
        ids = lm.tokenise(recipe.init_text)
        if not ids:
            raise LabError("A start from a text needs a text: give the start text, or start from the vocabulary.")
        return [ids[i % len(ids)] for i in range(count)]
    words = task.labels or tuple(dict.fromkeys(example.output for example in task.train))
    ids = list(dict.fromkeys(token for word in words for token in lm.tokenise(" " + word)))[:count]
    return ids + _sampled(lm, count - len(ids), generator)


def _sampled(lm: LanguageModel, count: int, generator: torch.Generator) -> list[int]:
    ordinary = lm.ordinary_tokens
    picks = torch.randint(len(ordinary), (count,), generator=generator)
    return ordinary[picks].tolist()
