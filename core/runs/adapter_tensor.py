"""The tensors of a PEFT prompt, read from a safetensors file that anyone may have made: mostly one, `prompt_embeddings`."""

import json
import math
import struct
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from core.errors import LabError, shown
from core.runs.adapter_encoder import ENCODER, encoded

TENSOR = "prompt_embeddings"
LARGEST_HEADER = 64 * 2**10
LARGEST_NUMBER = 1e4  # no trained vector comes near; larger ones only break the arithmetic
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def read_tensor(data: bytes, name: str) -> Tensor:
    """An adapter's prompt, (virtual tokens, width) in float32, after the file's header has been found sane.

    Where the file holds the encoder that made it in place of the prompt itself, the prompt is computed.
    """
    tensors = _read(data, name)
    tensor = tensors[TENSOR] if TENSOR in tensors else encoded(tensors, name)
    if not torch.isfinite(tensor).all() or tensor.abs().max() > LARGEST_NUMBER:
        raise LabError(f"{shown(name)} holds numbers that are not finite or far too large: train the prompt again.")
    return tensor


def _read(data: bytes, name: str) -> dict[str, Tensor]:
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
    others = ", ".join(each for each in names if each != TENSOR)
    if TENSOR in names and others and all(each == TENSOR or each.startswith("base_model.") for each in names):
        raise LabError(
            f"{shown(name)} holds the prompt and weights that were trained with it inside the model ({shown(others)}): "
            "only a prompt that leaves the model as it is can be loaded."
        )
    if names != [TENSOR] and not all(ENCODER.fullmatch(each) for each in names or [""]):
        raise LabError(f"{shown(name)} holds the tensors {shown(', '.join(names))}: a learned prompt holds {TENSOR} alone.")
    if sum(_bytes(entry, name, two=names == [TENSOR]) for entry in header.values()) != len(data) - 8 - size:
        raise damaged
    try:
        return {each: tensor.float() for each, tensor in safetensors.torch.load(data).items()}
    except Exception as error:
        raise damaged from error


def _bytes(entry: Any, name: str, two: bool) -> int:
    """The size of a tensor by its header's entry. two: it must have two sizes; else a bias's one will do."""
    shape, dtype = (entry.get("shape"), entry.get("dtype")) if isinstance(entry, dict) else (None, None)
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise LabError(f"{shown(name)} holds numbers of type {shown(dtype)}: a learned prompt holds floating-point ones of 16 to 64 bits.")
    sizes = shape if isinstance(shape, list) and all(type(n) is int and 0 < n < 2**31 for n in shape) else []
    if len(sizes) != 2 and (two or len(sizes) != 1):
        raise LabError(f"{shown(name)} holds a tensor of shape {shown(shape)}: a learned prompt has two sizes, tokens and width.")
    return math.prod(sizes) * BYTES[dtype]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ: of two of one name, readers would not all take the same."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)
