"""The one tensor of a PEFT prompt, `prompt_embeddings`, read from a safetensors file that anyone may have made."""

import json
import math
import struct
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from core.errors import LabError, shown

TENSOR = "prompt_embeddings"
LARGEST_HEADER = 64 * 2**10
LARGEST_NUMBER = 1e4  # no trained vector comes near; larger ones only break the arithmetic


def read_tensor(data: bytes, name: str) -> Tensor:
    """The one tensor of an adapter, float32, after its header has been found sane."""
    damaged = LabError(f"{shown(name)} has damaged weights (not a whole safetensors file): save the prompt again.")
    if len(data) < 8:
        raise damaged
    (size,) = struct.unpack("<Q", data[:8])
    if size > min(LARGEST_HEADER, len(data) - 8):
        raise damaged
    try:
        header = json.loads(data[8 : 8 + size], object_pairs_hook=_once)
        header.pop("__metadata__", None)
        names = list(header)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise damaged from error
    if names != [TENSOR]:
        raise LabError(f"{shown(name)} holds the tensors {shown(', '.join(names))}: a learned prompt holds {TENSOR} alone.")
    entry = header[TENSOR]
    shape, dtype = (entry.get("shape"), entry.get("dtype")) if isinstance(entry, dict) else (None, None)
    if dtype not in ("F32", "F16", "BF16"):
        raise LabError(f"{shown(name)} holds numbers of type {shown(dtype)}: a learned prompt holds floating-point ones.")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int and 0 < n < 2**31 for n in shape)):
        raise LabError(f"{shown(name)} holds a tensor of shape {shown(shape)}: a learned prompt has two sizes, tokens and width.")
    if math.prod(shape) * (4 if dtype == "F32" else 2) != len(data) - 8 - size:
        raise damaged
    try:
        tensor = safetensors.torch.load(data)[TENSOR].float()
    except Exception as error:
        raise damaged from error
    if not torch.isfinite(tensor).all() or tensor.abs().max() > LARGEST_NUMBER:
        raise LabError(f"{shown(name)} holds numbers that are not finite or far too large: train the prompt again.")
    return tensor


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ: of two of one name, readers would not all take the same."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)
