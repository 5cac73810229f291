"""What a training step keeps in memory, and what a model forgets."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from core.files import ASSETS
from core.models.language_model import LanguageModel
from core.models.past import expand
from core.scoring.contender import bare
from core.scoring.score import finish, score_steps
from core.tasks.built_in import built_in
from core.tasks.task import Task

PAGE = ASSETS / "texts" / "unrelated.txt"
PIECE = 256  # tokens of the page that are run at a time
OTHERS = ("capitals", "opposites", "plural")  # tasks on which forgetting is measured: the first two that are not the task itself
COPIES = 4  # of a trained parameter: itself, its gradient and Adam's two moments
FLOAT = 4  # bytes

Value = TypeVar("Value")


@dataclass
class Kept:
    """Bytes that autograd kept for the way back, each storage counted once; weights of the model not at all."""

    bytes: int = 0


@contextmanager
def kept_for_backward(lm: LanguageModel) -> Iterator[Kept]:
    """Within: what autograd keeps is counted. The same on every device, and whatever else the process holds."""
    kept = Kept()
    seen = {parameter.untyped_storage().data_ptr() for parameter in lm.model.parameters()}
    alive: list[Any] = []  # so that no address is used a second time while counting

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(storage)
            kept.bytes += storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def peak_of_step(lm: LanguageModel, trained: int, step: Callable[[], Value]) -> tuple[Value, int]:
    """What `step` returns, and its memory in bytes: what autograd keeps, and the trained parameters with gradients and moments."""
    with kept_for_backward(lm) as kept:
        value = step()
    return value, kept.bytes + trained * COPIES * FLOAT


def page_loss(lm: LanguageModel) -> Generator[None, None, float]:
    """The mean loss of a page of text that has nothing to do with any task, in nats per token. Yields None between pieces."""
    ids = lm.tokenise(PAGE.read_text("utf-8"))
    size = min(PIECE, lm.window - len(lm.lead))
    total, count = 0.0, 0
    for start in range(0, len(ids), size):
        piece = torch.tensor([*lm.lead, *ids[start : start + size]], device=lm.device)
        if len(piece) < 2:
            continue
        places = torch.arange(len(piece) - 1, device=lm.device)
        with torch.inference_mode():
            logits = lm.logits_at(expand(lm.nothing(), 1), piece[None, :-1], torch.zeros_like(places), places)
            total += torch.nn.functional.cross_entropy(logits, piece[1:], reduction="sum").item()
        count += len(places)
        yield None
    return total / count


@dataclass(frozen=True)
class Remembers:
    """How well a model, with nothing before the input, does what it was not trained for.

    page: loss of the page of unrelated text, nats per token. tasks: loss on other tasks' validation rows, nats per answer, by slug.
    """

    page: float
    tasks: dict[str, float]


def other_tasks(task: Task) -> list[Task]:
    """The tasks on which forgetting is measured."""
    return [built_in(slug) for slug in [slug for slug in OTHERS if slug != task.slug][:2]]


def remembers(lm: LanguageModel, task: Task) -> Generator[None, None, Remembers]:
    """What `lm` knows beside `task`. Yields None between pieces of work."""
    page = yield from page_loss(lm)
    tasks = {}
    for other in other_tasks(task):
        score = yield from finish(score_steps(lm, bare(other), other.validation, other.labels))
        tasks[other.slug] = float(score.loss or 0.0)
    return Remembers(page, tasks)
