"""Which layers a K/V prefix works through: hide it from one layer, exactly, and score the same rows again."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.errors import LabError, shown
from core.events import Event, Progress
from core.models.language_model import LanguageModel
from core.probes.attention import draw
from core.probes.vectors import Effect, effect, put_in
from core.runs.run import END
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import finish, score_steps
from core.tasks.task import Task

Item = TypeVar("Item")


@dataclass(frozen=True)
class LayerEffect(Event):
    """What one layer (from 0) of a K/V prefix does, on the same rows.

    without: the effect of hiding the prefix from this layer. control: of putting the untrained start's keys and values into
    this layer instead; None without a start. Where the two are alike, hiding shows that a prefix is missed there, not that
    training put anything into it.
    """

    layer: int
    without: Effect
    control: Effect | None


@contextmanager
def hidden(lm: LanguageModel, layers: Collection[int], count: int) -> Iterator[None]:
    """Within: in these layers no token sees the first `count` positions. All else stays, positions included.

    Attention is eager meanwhile. It affects every caller of this model, so leave it before other jobs get their turns.
    Raises LabError for a model whose attention modules aren't found, or take no mask of numbers.
    """
    modules = _attention_modules(lm)

    def hide(_: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        mask = kwargs.get("attention_mask")
        if not isinstance(mask, Tensor) or mask.ndim != 4 or not mask.is_floating_point():
            raise LabError(f"The model {shown(lm.name)} gives its layers no mask that can be changed: choose another for this.")
        mask = mask.clone()  # (batch, 1, tokens, keys): added to the scores; other layers get the same one
        mask[..., :count] = torch.finfo(mask.dtype).min
        return args, {**kwargs, "attention_mask": mask}

    with ExitStack() as stack:
        stack.enter_context(lm.eager())
        for layer in layers:
            hook = modules[layer].register_forward_pre_hook(hide, with_kwargs=True)
            stack.callback(hook.remove)
        yield


def _attention_modules(lm: LanguageModel) -> dict[int, nn.Module]:
    named = [module for module in lm.model.modules() if "Attention" in type(module).__name__]
    found = {module.layer_idx: module for module in named if isinstance(getattr(module, "layer_idx", None), int)}
    if sorted(found) != list(range(lm.layers)):
        raise LabError(
            f"The attention of each layer of {shown(lm.name)} can't be told from its other parts: choose another model for this."
        )
    return found


def _within(context: Callable[[], AbstractContextManager[None]], items: Iterator[Item]) -> Iterator[Item]:
    """`items`, each computed within a new `context`, which has ended when it is handed out."""
    while True:
        with context():
            item = next(items, END)
        if item is END:
            return
        yield item  # type: ignore[misc]


def leave_layers_out(
    lm: LanguageModel,
    task: Task,
    learned: Contender,
    book: Scorebook,
    start: Float[np.ndarray, "layers 2 P kv_heads head_dim"] | None = None,
    most: int = 32,
) -> Iterator[Progress | LayerEffect | None]:
    """What each layer of a K/V prefix does: yields how many effects will come (one a layer), then them; None between batches.

    Scored on at most `most` held-out rows, drawn evenly from those that count for `learned`. One layer at a time: what
    two layers do in each other's place doesn't show. start: what training began from, for the control.

    Raises LabError for a contender that is no K/V prefix, a start of another shape, or where no row is left.
    """
    lm = lm.for_scoring
    lm.check_attention()
    prefix = learned.prefix
    if prefix.method.in_embedding_space or not prefix.virtual_tokens:
        raise LabError(f"{shown(learned.name)} has no keys and values of each layer: choose a K/V prefix.")
    values = prefix.snapshot()
    if start is not None and start.shape != values.shape:
        raise LabError(f"A start of the shape {start.shape} is not that of a prefix of {values.shape}: give its own.")
    rows = draw(learned.counted(task.held_out), most)
    yield Progress(len(values))
    whole = yield from finish(book.score(lm, learned, rows, task.labels))
    yield None
    for layer in range(len(values)):
        # Not scored through the book, which would return the score of the unchanged prefix: the arrays are equal.
        named = replace(learned, name=f"{learned.name}, without layer {layer}")
        blind = partial(hidden, lm, [layer], prefix.virtual_tokens)
        score = yield from finish(_within(blind, score_steps(lm, named, rows, task.labels)))
        without, control = effect(whole, score, "without layer"), None
        if start is not None:
            yield None
            mixed = values.copy()
            mixed[layer] = start[layer]
            contender = put_in(lm, learned, f"{learned.name}, layer {layer} as at the start", mixed)
            score = yield from finish(book.score(lm, contender, rows, task.labels))
            control = effect(whole, score, "layer as at the start")
        yield LayerEffect(layer, without, control)
