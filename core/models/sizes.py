"""The sizes of a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The sizes of a model. heads: of queries. parameters: all of the model, which full fine-tuning trains."""

    d_model: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    parameters: int
