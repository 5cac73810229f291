"""Time a training step against PEFT's: same model, rows, dtype and threads, the two in turn, medians."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.errors import LabError
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.prefix import Prefix, prefix_of
from core.runs.saved_adapter import peft_config
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import Prepared
from core.scoring.rows import Row
from core.tasks.task import Example

CASES = (("prompt", 16, 20, 20), ("prefix", 16, 20, 10))  # method, batch, input tokens, virtual tokens
ROUNDS = 7


def bench(lm: LanguageModel, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of one forward and backward pass, PEFT's and ours, with the difference of loss and gradient.

    Each input has 20 tokens, of which the last is the answer. LabError where peft is not installed.
    """
    try:
        import peft  # noqa: F401  a test dependency: only the benchmark and the tests need it
    except ImportError as error:
        raise LabError("The benchmark compares with PEFT, which is not installed: pip install peft.") from error
    cases = [_case(lm, *case, rounds) for case in CASES]
    return {"device": lm.device.type, "dtype": lm.dtype_name, "threads": torch.get_num_threads(), "cases": cases}


def _case(lm: LanguageModel, method: str, batch: int, tokens: int, virtual: int, rounds: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    ordinary = lm.ordinary_tokens
    ids = ordinary[torch.randint(len(ordinary), (batch, tokens), generator=generator)]  # (batch, tokens)
    start = ordinary[torch.randint(len(ordinary), (virtual,), generator=generator)]
    prefix = prefix_of(METHODS[method], METHODS[method].of_tokens(lm, start.tolist())).to(lm.device)
    model = peft_model(lm, prefix)
    theirs = next(parameter for parameter in model.parameters() if parameter.requires_grad)
    (ours,) = prefix.parameters()
    rows = tuple(Row(Example("", ""), tuple(row[:-1]), tuple(row[-1:])) for row in ids.tolist())
    prepared = Prepared(prefix, "before", (), rows, 0)
    labels = torch.full_like(ids, -100)
    labels[:, -1] = ids[:, -1]
    inputs = {"input_ids": ids.to(lm.device), "attention_mask": torch.ones_like(ids).to(lm.device), "labels": labels.to(lm.device)}
    runs: dict[str, Callable[[], Tensor]] = {
        "peft": lambda: model(**inputs).loss,
        "ours": lambda: answer_loss(lm, prepared.fill(lm), rows),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    losses: dict[str, float] = {}
    for number in range(rounds + 1):  # the first round only warms up
        for name, forward in runs.items():
            theirs.grad = ours.grad = None
            before = _now(lm)
            loss = forward()
            loss.backward()
            if number:
                seconds[name].append(_now(lm) - before)
            losses[name] = loss.item()
            if name == "peft":
                their_grad = theirs.grad
    assert their_grad is not None and ours.grad is not None
    our_grad = torch.from_numpy(prefix.method.to_rows(ours.grad.cpu().numpy()))
    error = (our_grad - their_grad.cpu()).norm() / their_grad.norm().cpu()
    peft_seconds, own_seconds = (statistics.median(seconds[name]) for name in ("peft", "ours"))
    lm.model.zero_grad()
    lm.model.requires_grad_(False)
    if hasattr(lm.model, "peft_config"):
        del lm.model.peft_config
    return {
        "method": method,
        "batch": batch,
        "input_tokens": tokens,
        "virtual_tokens": virtual,
        "peft_seconds": peft_seconds,
        "seconds": own_seconds,
        "ratio": peft_seconds / own_seconds,
        "loss_difference": abs(losses["peft"] - losses["ours"]),
        "gradient_relative_error": error.item(),
    }


def peft_model(lm: LanguageModel, prefix: Prefix) -> Any:
    """PEFT's own model around the same frozen base, given the same vectors as `prefix`. Only for tests and the benchmark."""
    import peft

    if not prefix.virtual_tokens:
        raise LabError("PEFT has no model without a prompt: give a soft prompt or a K/V prefix.")
    model = peft.get_peft_model(lm.model, peft.get_peft_config(peft_config(lm, prefix)))
    weight = model.prompt_encoder["default"].embedding.weight
    with torch.no_grad():
        weight.copy_(torch.from_numpy(prefix.method.to_rows(prefix.snapshot())))
    return model


def _now(lm: LanguageModel) -> float:
    if lm.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
