"""Base models whose weights are stored quantised: whether they can be read here, and what is missing if not."""

from importlib import metadata
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.errors import LabError, reason, shown

if TYPE_CHECKING:
    from core.models.language_model import LanguageModel

PACKAGES = {  # what reads weights of each method of transformers', by the names that pip knows
    "bitsandbytes": ("bitsandbytes",),
    "bitsandbytes_4bit": ("bitsandbytes",),
    "bitsandbytes_8bit": ("bitsandbytes",),
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "auto-round": ("auto-round",),
    "aqlm": ("aqlm",),
    "vptq": ("vptq",),
    "quanto": ("optimum-quanto",),
    "eetq": ("kernels",),
    "hqq": ("hqq",),
    "compressed-tensors": ("compressed-tensors",),
    "torchao": ("torchao",),
    "quark": ("amd-quark",),
    "sinq": ("sinq",),
}
ONLY_GPU = {"eetq", "fbgemm_fp8", "fp_quant", "higgs", "nvfp4", "spqr", "vptq"}  # the others are tried


def check_quantisation(config: Any, device: str, name: str) -> tuple[bool, tuple[str, ...]]:
    """Whether the weights stay quantised when they are read, and what a person should know of it, in sentences.

    False for plain weights, and for quantised ones that are read as plain numbers, as of fp8 on a CPU. LabError where they can't be
    read: a package is missing, a GPU is needed, or transformers knows no such method.
    """
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, AutoHfQuantizer

    given = getattr(config, "quantization_config", None)
    if not given:
        return False, ()
    method = str(given.get("quant_method", "") if isinstance(given, dict) else given.quant_method).split(".")[-1].lower()
    what = f"The weights of {shown(name)} are quantised ({method[:30] or 'unknown'})"
    if not method or not any(key.startswith(method) for key in AUTO_QUANTIZER_MAPPING):
        raise LabError(f"{what}, which transformers can't read: choose the model with plain weights.")
    if method in ONLY_GPU and device == "cpu":
        raise LabError(f"{what}, which only a GPU can read: choose the model with plain weights, or a machine with a GPU.")
    if missing := [package for package in PACKAGES.get(method, ()) if not _installed(package)]:
        raise LabError(f"{what}, which needs `pip install {' '.join(missing)}`: install that, or choose the model with plain weights.")
    try:
        quantizer = AutoHfQuantizer.from_config(given, pre_quantized=True)
        quantizer.validate_environment(device_map={"": device})
    except Exception as error:  # each reader has its own kinds of errors for what it needs
        raise LabError(f"{what}, which can't be read here ({reason(error, 200)}): choose the model with plain weights.") from error
    if getattr(quantizer.quantization_config, "dequantize", False):
        return False, (f"its weights are stored quantised ({method}) and are read as plain numbers here",)
    return True, ()


def keep_gradients(model: Any) -> None:
    """Let no layer change its weights, at its first pass, into a form that gradients don't go through."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):  # bitsandbytes', which repacks 4-bit weights on such CPUs
            module.support_avx512bf16_for_cpu = False


def check_gradient(lm: "LanguageModel", vectors: Tensor) -> None:
    """LabError where a gradient ends at a layer of quantised weights: what is trained there would be wrong without a word.

    vectors: (tokens, d_model), any.
    """
    lost: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if given and isinstance(given[0], Tensor) and given[0].requires_grad and isinstance(made, Tensor) and not made.requires_grad:
                lost.append(name)

        return hook

    layers = [(name, module) for name, module in lm.model.named_modules() if hasattr(module, "weight") or hasattr(module, "qweight")]
    handles = [module.register_forward_hook(look(name)) for name, module in layers]
    try:
        with torch.enable_grad():
            lm.model(inputs_embeds=vectors.detach()[None].requires_grad_(), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    if lost:
        raise LabError(
            f"No gradient goes through the quantised weights of {shown(lm.name)} as they are read here (at {lost[0]}): "
            "choose the model with plain weights."
        )


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
