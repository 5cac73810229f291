"""The memory that a training run needs on its device, and whether that much is free, checked before its first step."""

import contextlib
import ctypes
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.display import in_words
from core.errors import LabError
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.training.training import Training

MOST_SNAPSHOT_BYTES = 64 * 2**20  # of a run's vectors, step by step
FLOAT = 4  # bytes of a float32
# Of a parameter: itself, its gradient and Adam's two moments; on the CPU the states before and after a step, and the last good one.
COPIES = 12
WRITTEN_OUT = ("gelu_new", "gelu_fast", "gelu_python", "gelu_accurate", "quick_gelu")  # of transformers' functions
IMITATED = 6  # the same, and a teacher's
LOGITS = 4  # copies: as they come, their log-softmax, and a gradient of each


@dataclass(frozen=True)
class Estimate:
    """Bytes that a training run needs in addition to the model, by use (see `estimate`)."""

    parts: dict[str, int]

    @property
    def bytes(self) -> int:
        """The sum of all parts."""
        return sum(self.parts.values())


def estimate(
    lm: LanguageModel,
    recipe: Recipe,
    longest_row_tokens: int,
    answer_tokens: int = 1,
    labels: int = 0,
    shared_tokens: int = 0,
    rows: int | None = None,
) -> Estimate:
    """The memory that training `recipe` on `lm` takes at its peak, in bytes; all of it counted as if on the model's device.

    longest_row_tokens: of prompt and answer together, without the start that all rows share. answer_tokens: of the longest
    answer (label) alone. labels: how many label words of several tokens each row is run with; 0 where every row is run once.
    shared_tokens: of the start that all rows share, run once after the prefix. rows: that are run at a time, where that is not the
    whole batch.

    | part            | what it is                                                                                         |
    |-----------------|----------------------------------------------------------------------------------------------------|
    | parameters      | 12 float32 copies: values, gradient, Adam's two moments, and the states on the CPU                 |
    | activations     | tokens x layers x (4 d_model + 4 d_inner + 3 heads x head_dim): what a layer keeps to go backward; |
    |                 | and the gradients of one layer at a time;                                                          |
    |                 | d_inner counts 1.5 or 6 times in some architectures, d_model below float32 once for each norm        |
    | keys and values | rows x keys x layers x 2 x (kv_heads + heads) x head_dim: each row has its own copy, and another   |
    |                 | spread over the query heads; the cache of batch 1 and its gradient; eager attention's weights      |
    | logits          | answer positions x vocabulary x 4 float32 copies; 6 where a teacher's predictions are imitated     |
    | snapshots       | the vectors after each step, at most 64 MB                                                         |

    In a model without such a cache all that stands before a row runs with each row. With label words of several tokens, the pass over
    the prompts and the pass over rows x labels are both kept.

    `tests/benchmarks/memory.py` compares this with measured peaks (docs/server.md).
    """
    config = lm.model.config.get_text_config()
    item = lm.dtype.itemsize
    heads = lm.way.heads
    width, kv_width = heads * lm.head_dim, lm.kv_heads * lm.head_dim
    inner = int(getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * lm.d_model)
    eager = config._attn_implementation == "eager"

    rows, prompt = rows or recipe.batch_size, longest_row_tokens - answer_tokens
    passes = [(rows, prompt + answer_tokens - 1, 0)]  # (rows, tokens, keys before them)
    answers = rows * answer_tokens
    if recipe.loss == "labels":
        passes, answers = [(rows, prompt, 0)], rows
        if labels:
            passes.append((rows * labels, answer_tokens - 1, prompt))
            answers += rows * labels * (answer_tokens - 1)

    before = recipe.virtual_tokens + shared_tokens
    method = METHODS[recipe.method]
    if lm.way.caches:
        once = method.positions_run(recipe.virtual_tokens) + shared_tokens  # positions that run through the model, batch 1
        tokens = once + sum(many * length for many, length, _ in passes)
    else:
        tokens = sum(many * (before + past + length) for many, length, past in passes)
    # In a smaller format each norm keeps its input in float32; in float32 that is the input itself, and the rest makes room for what
    # is only made for a moment.
    norms = 4 if item == FLOAT else max(2, _norms(lm, lm.d_model))
    of_heads = (width + kv_width) * FLOAT if _norms(lm, lm.head_dim) else 0
    kept = norms * lm.d_model * FLOAT + int(_inners(lm, config, inner) * inner + 3 * width) * item + of_heads
    gradients = 3 * inner + 2 * lm.d_model  # of the layer that is gone through
    activations = tokens * (lm.layers * kept + gradients * item)
    keys = sum(many * (before + past + length) for many, length, past in passes)
    cached = keys * lm.layers * 2 * (kv_width + width) * item + before * lm.layers * 4 * kv_width * item
    if eager:
        seen = sum(many * length * (before + past + length) for many, length, past in passes)
        cached += seen * lm.layers * heads * (FLOAT if item == FLOAT else FLOAT + item)  # the softmax is float32, then cast

    stored = math.prod(method.shape(lm.shape, recipe.virtual_tokens))
    trained = method.parameter_count(lm.shape, recipe.virtual_tokens, recipe.mlp, recipe.train)
    vocabulary = lm.model.get_input_embeddings().num_embeddings
    return Estimate(
        {
            "parameters": trained * COPIES * FLOAT,
            "activations": activations,
            "keys and values": cached,
            "logits": answers * vocabulary * (IMITATED if recipe.loss == "imitate" else LOGITS) * FLOAT,
            "snapshots": min(MOST_SNAPSHOT_BYTES, recipe.steps * stored * FLOAT),
        }
    )


def _norms(lm: LanguageModel, size: int) -> int:
    """How many norms over `size` values a layer has: over d_model 2 in most architectures, 4 in Gemma 3; some have them over a head's."""
    named = [module for module in lm.model.modules() if "norm" in type(module).__name__.lower()]
    return len([module for module in named if getattr(getattr(module, "weight", None), "shape", None) == (size,)]) // lm.layers


def _inners(lm: LanguageModel, config: Any, inner: int) -> float:
    """How many times d_inner values a layer keeps, with room for what is only made for a moment.

    A gated layer keeps both factors and the gate before its function; one without a gate its input alone, unless the function is
    written out in Python, which keeps each step of it.
    """
    if (getattr(config, "activation_function", None) or getattr(config, "hidden_act", None)) in WRITTEN_OUT:
        return 6.0
    sizes = {(inner, lm.d_model), (lm.d_model, inner)}
    of_inner = [module for module in lm.model.modules() if tuple(getattr(getattr(module, "weight", None), "shape", ())) in sizes]
    return 1.5 if len(of_inner) == 2 * lm.layers else 4.0


def available(device: torch.device) -> int | None:
    """Bytes that are free for new tensors on `device`, or None where the system doesn't say.

    CUDA: what the driver has left, with what PyTorch holds and doesn't use. CPU: what Linux calls available, or what the
    control group (a container's limit) leaves where that is less; caches of files count as free.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    return min([free for free in (smallest_free(Path("/")), _within_limit()) if free is not None], default=None)


def _within_limit() -> int | None:
    """Bytes that a limit on this process's address space leaves (ulimit -v), or None without one."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # Windows; a Unix without /proc
        return None
    return None if limit == resource.RLIM_INFINITY else max(0, limit - used)


def smallest_free(root: Path) -> int | None:
    """What the files under `root` (a Linux system's) say is free for this process, in bytes: the least of them, or None."""
    found = []
    with contextlib.suppress(OSError, KeyError, ValueError):
        found.append(_table(root / "proc/meminfo")["MemAvailable:"] * 1024)
    groups = (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for folder, limit, used, files in groups:  # version 2 of control groups, version 1
        group = root / "sys/fs/cgroup" / folder
        with contextlib.suppress(OSError, KeyError, ValueError):  # "max" is no number: no limit
            most, now = (int((group / name).read_text("ascii")) for name in (limit, used))
            found.append(max(0, most - now + _table(group / "memory.stat")[files]))
    return min(found, default=None)


def _table(path: Path) -> dict[str, int]:
    """The first two words of every line: a name and a number."""
    lines = (line.split() for line in path.read_text("ascii").splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}


def needed_for(training: Training) -> Estimate:
    """The estimate for `training`."""
    lm, rows = training.lm, training.prepared.rows
    several = any(len(ids) > 1 for row in rows for ids in row.candidates)
    answer = max(max([len(row.answer), *map(len, row.candidates)]) for row in rows)
    longest = max(len(row.prompt) for row in rows) + answer
    labels = len(rows[0].candidates) if several else 0
    shared = len(training.prepared.shared) + training.frame_tokens
    return estimate(lm, training.recipe, longest, answer, labels, shared, training.most_rows())


def lacking(device: torch.device, needed: int) -> int | None:
    """The bytes that are free on `device` where `needed` are not; None where they are, or the system doesn't say."""
    free = available(device)
    if free is not None and needed > free:
        with contextlib.suppress(AttributeError, OSError):  # glibc keeps what earlier runs gave back; others may not know this call
            ctypes.CDLL(None).malloc_trim(0)
        free = available(device)
    return free if free is not None and needed > free else None


def check(training: Training) -> Estimate:
    """The estimate for `training`. LabError, with the numbers, where the device hasn't that much memory left."""
    needed = needed_for(training)
    free = lacking(training.lm.device, needed.bytes)
    if free is not None:
        raise LabError(
            f"This run would need about {in_words(needed.bytes)} of memory, and {in_words(free)} are free: "
            f"use fewer virtual tokens, a smaller batch or shorter rows."
        )
    return needed
