"""The same architecture with random weights: a model that has learned nothing, made for a while and then gone."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.errors import LabError
from core.models.language_model import LanguageModel

FLOAT = 4  # bytes of a float32


def bytes_untrained(lm: LanguageModel) -> int:
    """What `untrained` takes of the device's memory: all weights in float32, and again in the format in which `lm` trains, if another."""
    smaller = 0 if lm.for_scoring is lm else lm.dtype.itemsize
    return lm.shape.parameters * (FLOAT + smaller)


@contextmanager
def untrained(lm: LanguageModel, seed: int) -> Iterator[LanguageModel]:
    """Within: a model of `lm`'s configuration whose weights are drawn as its architecture draws them before training.

    On the same device and in the same number formats; `lm` is not changed, and shares its tokenizer alone. seed: of the weights, which
    are drawn on the CPU and so the same on every device. The memory is free again at the end, whatever still refers to
    the model. LabError where `lm` is quantised: such weights can't be drawn.
    """
    base = lm.for_scoring
    if getattr(base.model, "is_quantized", False):
        raise LabError("The weights of this model are quantised, and such weights can't be drawn at random: choose one that is not.")
    config = copy.deepcopy(base.model.config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = type(base.model)._from_config(config, dtype=torch.float32, attn_implementation=base.model.config._attn_implementation)
    made = LanguageModel(model, base.tokenizer, f"{lm.name}, random weights", base.way)
    whole = made
    try:
        made = made.to(lm.device, lm.dtype)
        yield made
    finally:
        for one in {made, whole}:
            one.model.to("meta")  # without numbers: a model refers to itself, so it would stay until Python collects its garbage
