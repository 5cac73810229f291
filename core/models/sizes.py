"""How many parameters each way of adapting a model trains, computed from the model's shapes."""

from dataclasses import dataclass

from core.models.language_model import LanguageModel


@dataclass(frozen=True)
class Shape:
    """The sizes of a model. heads: of queries. parameters: all of the model, which full fine-tuning trains."""

    d_model: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    parameters: int


@dataclass(frozen=True)
class Size:
    """What one method trains. sum: the formula of the count, with its values. paper: its source."""

    method: str
    parameters: int
    sum: str
    paper: str


def shape_of(lm: LanguageModel) -> Shape:
    """The sizes of a loaded model, as it really computes."""
    heads = int(lm.model.config.get_text_config().num_attention_heads)
    return Shape(lm.d_model, lm.layers, heads, lm.kv_heads, lm.head_dim, lm.model.num_parameters())


def prompt_parameters(shape: Shape, tokens: int) -> int:
    """A soft prompt: tokens x d_model (Lester et al. 2021, "The power of scale for parameter-efficient prompt tuning").

    >>> [prompt_parameters(Shape(4096, 32, 32, 32, 128, 0), tokens) for tokens in (10, 20, 50, 100)]
    [40960, 81920, 204800, 409600]
    """
    return tokens * shape.d_model


def prefix_parameters(shape: Shape, tokens: int) -> int:
    """A K/V prefix: tokens x layers x 2 x kv_heads x head_dim (Li & Liang 2021, "Prefix-tuning"): a key and a value each.

    >>> prefix_parameters(Shape(4096, 32, 32, 32, 128, 0), 10)
    2621440
    """
    return tokens * shape.layers * 2 * shape.kv_heads * shape.head_dim


def mlp_parameters(shape: Shape, tokens: int, hidden: int) -> int:
    """A K/V prefix that an MLP makes while it trains (Li & Liang 2021): tokens x d_model + hidden (d_model + 1) + out (hidden + 1).

    out = layers x 2 x kv_heads x head_dim. Only what the MLP makes is kept afterwards: `prefix_parameters`.
    """
    return tokens * shape.d_model + hidden * (shape.d_model + 1) + prefix_parameters(shape, 1) * (hidden + 1)


def lora_parameters(shape: Shape, rank: int) -> int:
    """LoRA on the query and value projections (Hu et al. 2021, "LoRA"): layers x rank x (inputs + outputs of both).

    >>> lora_parameters(Shape(4096, 32, 32, 32, 128, 0), 8)
    4194304
    """
    query, value = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return shape.layers * rank * ((shape.d_model + query) + (shape.d_model + value))


def adapter_parameters(shape: Shape, size: int) -> int:
    """Two bottleneck adapters a layer (Houlsby et al. 2019): layers x 2 x (2 d_model x size + size + d_model), biases counted."""
    return shape.layers * 2 * (2 * shape.d_model * size + size + shape.d_model)


def spectrum(shape: Shape, tokens: int, rank: int, adapter: int, hidden: int = 0) -> list[Size]:
    """What each method trains on a model of this shape. hidden: also a prefix made by an MLP of this size; 0: not."""
    s = shape
    each = f"{s.layers:,} layers × 2 × {s.kv_heads} K/V heads × {s.head_dim}"
    found = [
        Size("soft prompt", prompt_parameters(s, tokens), f"{tokens} × {s.d_model:,}", "Lester et al. 2021"),
        Size("K/V prefix", prefix_parameters(s, tokens), f"{tokens} × {each}", "Li & Liang 2021"),
        Size(
            f"LoRA, rank {rank}",
            lora_parameters(s, rank),
            f"{s.layers} layers × {rank} × (({s.d_model:,} + {s.heads * s.head_dim:,}) + ({s.d_model:,} + {s.kv_heads * s.head_dim:,}))",
            "Hu et al. 2021",
        ),
        Size(
            f"adapters of {adapter}",
            adapter_parameters(s, adapter),
            f"{s.layers} layers × 2 × (2 × {s.d_model:,} × {adapter} + {adapter} + {s.d_model:,})",
            "Houlsby et al. 2019",
        ),
        Size("full fine-tuning", s.parameters, "all parameters of the model", ""),
    ]
    if hidden:
        out = prefix_parameters(s, 1)
        made = f"{tokens} × {s.d_model:,} + {hidden} × {s.d_model + 1:,} + {out:,} × {hidden + 1}"
        found.insert(2, Size(f"K/V prefix while an MLP of {hidden} makes it", mlp_parameters(s, tokens, hidden), made, "Li & Liang 2021"))
    return found
