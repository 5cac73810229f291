"""Where a model computes, and in which number format."""

import torch

from core.errors import LabError, shown

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(device: str | None = None) -> torch.device:
    """The device that is named, or the first available of cuda, mps and cpu. LabError if it is not available."""
    if not device or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        picked = torch.device(device)
        torch.empty(1, device=picked)
    except Exception as error:
        raise LabError(f"The device {shown(device)} is not available here: try cpu, or leave it out.") from error
    return picked


def pick_dtype(dtype: str | None, device: torch.device, parameters: int) -> torch.dtype:
    """The dtype that is named. auto: float32, or bfloat16 where float32 would take more than a quarter of a GPU's memory.

    fast: as auto, but bfloat16 on a CPU that multiplies it in hardware (a step takes about half the time there).
    """
    if dtype == "fast" and device.type == "cpu":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if dtype and dtype not in ("auto", "fast"):
        if dtype not in DTYPES:
            raise LabError(f"The dtype {shown(dtype)} is unknown: choose one of auto, fast, {', '.join(DTYPES)}.")
        return DTYPES[dtype]
    if device.type == "cuda" and 4 * parameters > torch.cuda.get_device_properties(device).total_memory / 4:
        return torch.bfloat16
    return torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether this is a CPU that multiplies bfloat16 in hardware."""
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
