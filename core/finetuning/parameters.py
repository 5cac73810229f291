"""How many parameters each way of adapting a model trains, from the model's sizes alone."""

from dataclasses import dataclass

from core.methods import METHODS
from core.models.sizes import Shape


@dataclass(frozen=True)
class Size:
    """What one way of adapting a model trains. counted: the sum that `parameters` is. paper: where the method comes from."""

    method: str
    parameters: int
    counted: str
    paper: str


def lora_parameters(shape: Shape, rank: int) -> int:
    """LoRA on the query and value projections (Hu et al. 2021, "LoRA"): layers x rank x (inputs + outputs of both).

    >>> lora_parameters(Shape(4096, 32, 32, 32, 128, 0), 8)
    4194304
    """
    query, value = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return shape.layers * rank * ((shape.d_model + query) + (shape.d_model + value))


def adapter_parameters(shape: Shape, size: int) -> int:
    """Two bottleneck adapters a layer (Houlsby et al. 2019): layers x 2 x (2 d_model x size + size + d_model), biases included."""
    return shape.layers * 2 * (2 * shape.d_model * size + size + shape.d_model)


def adapters_after_mlp(shape: Shape, size: int) -> int:
    """One bottleneck adapter a layer (Pfeiffer et al. 2021): half of `adapter_parameters`."""
    return adapter_parameters(shape, size) // 2


def ia3_parameters(shape: Shape, inner: int) -> int:
    """IA3 (Liu et al. 2022) on a Llama-like model: a factor for each key, each value and each of the MLP's `inner` numbers, a layer."""
    return shape.layers * (2 * shape.kv_heads * shape.head_dim + inner)


def bitfit_parameters(shape: Shape, inner: int) -> int:
    """A bias for each output of a Llama-like layer's linear maps: query, key, value and out, and the MLP's gate, up and down.

    >>> bitfit_parameters(Shape(4096, 32, 32, 32, 128, 0), 11008)
    1359872
    """
    return shape.layers * ((shape.heads + 2 * shape.kv_heads) * shape.head_dim + 2 * shape.d_model + 2 * inner)


def spectrum(shape: Shape, tokens: int, rank: int, adapter: int, mlp: int = 0) -> list[Size]:
    """What each method trains on a model of this shape. mlp: also with an encoder of this hidden size; 0: without."""
    s = shape
    found = []
    for method in METHODS.values():
        directly = [] if method.defaults["mlp"] else [0]
        for size in directly + ([mlp] if mlp and "mlp" in method.settings else []):
            name = f"{method.label}, MLP of {size}" if size else method.label
            found.append(Size(name, method.parameter_count(s, tokens, size), method.counted(s, tokens, size), method.paper))
    query, value = s.heads * s.head_dim, s.kv_heads * s.head_dim
    lora = f"{s.layers} layers × {rank} × (({s.d_model:,} + {query:,}) + ({s.d_model:,} + {value:,}))"
    adapters = f"{s.layers} layers × 2 × (2 × {s.d_model:,} × {adapter} + {adapter} + {s.d_model:,})"
    return [
        *found,
        Size(f"LoRA, rank {rank}", lora_parameters(s, rank), lora, "Hu et al. 2021"),
        Size(f"adapters of {adapter}", adapter_parameters(s, adapter), adapters, "Houlsby et al. 2019"),
        Size("full fine-tuning", s.parameters, "every parameter of the model", ""),
    ]
