"""What PEFT's encoders come to: a file that holds an encoder in place of the prompt that it makes is computed once, to final vectors.

P-tuning (Liu et al. 2021) makes vectors by an MLP, or by an LSTM followed by an MLP; prefix tuning (Li & Liang 2021) may make its
keys and values by an MLP with a tanh. PEFT itself saves what they make; training checkpoints hold the encoder.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.errors import LabError, shown

PARTS = r"embedding\.weight|(?:mlp_head|transform)\.\d\.(?:weight|bias)|lstm_head\.(?:weight|bias)_[ih]h_l\d(?:_reverse)?"
ENCODER = re.compile(rf"(?:[\w.]+\.)?(?:{PARTS})")  # a tensor's name, after that of the module that the encoder is in


def encoded(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The prompt (virtual tokens, width) that an encoder's `tensors` make, float32. LabError where they are not one whole encoder."""
    prefixes = {each[: -len("embedding.weight")] for each in tensors if each.endswith("embedding.weight")}
    broken = LabError(f"{shown(name)} holds the tensors {shown(', '.join(tensors))}, which are not a whole encoder: save the prompt again.")
    if len(prefixes) != 1 or not all(each.startswith(min(prefixes)) for each in tensors):
        raise broken
    parts = {each.removeprefix(min(prefixes)): tensor for each, tensor in tensors.items()}
    embedding = parts.pop("embedding.weight")
    if embedding.ndim != 2:
        raise broken
    lstm = {each.removeprefix("lstm_head."): tensor for each, tensor in parts.items() if each.startswith("lstm_head.")}
    try:
        with torch.inference_mode():
            hidden = _lstm(lstm, embedding) if lstm else embedding
            made = _mlp({each: tensor for each, tensor in parts.items() if not each.startswith("lstm_head.")}, hidden)
    except (RuntimeError, KeyError, ValueError) as error:  # sizes that don't fit each other, a part that is missing
        raise broken from error
    return made.clone()


def _mlp(parts: Mapping[str, Tensor], hidden: Tensor) -> Tensor:
    """Linear layers numbered 0, 2, 4 with ReLU (`mlp_head`) or tanh (`transform`) between them; nothing where there are no parts."""
    kinds = {each.split(".")[0] for each in parts}
    if not kinds:
        return hidden
    (kind,) = kinds
    last = max(int(each.split(".")[1]) for each in parts)
    if set(parts) != {f"{kind}.{place}.{part}" for place in range(0, last + 1, 2) for part in ("weight", "bias")}:
        raise KeyError(kind)
    for place in range(0, last + 1, 2):
        hidden = nn.functional.linear(hidden, parts[f"{kind}.{place}.weight"], parts[f"{kind}.{place}.bias"])
        if place < last:
            hidden = hidden.relu() if kind == "mlp_head" else hidden.tanh()
    return hidden


def _lstm(parts: Mapping[str, Tensor], embedding: Tensor) -> Tensor:
    """A bidirectional LSTM over the virtual tokens: (virtual tokens, 2 x hidden)."""
    layers = 1 + max(int(each.split("_l")[1][0]) for each in parts)
    hidden = parts["weight_hh_l0"].shape[1]
    lstm = nn.LSTM(embedding.shape[1], hidden, layers, bidirectional=True, batch_first=True)
    lstm.load_state_dict(dict(parts))
    made: Tensor = lstm.eval()(embedding[None])[0][0]
    return made
