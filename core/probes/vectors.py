"""What each vector of a learned prompt does: change one thing about the prompt, and score it on the same rows again."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from core.errors import LabError, shown
from core.events import Event, Progress
from core.inspection.snap import snap
from core.inspection.variants import available, variants
from core.methods.contract import Method
from core.models.language_model import LanguageModel
from core.prefix import no_prefix, prefix_of
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.measures import bootstrap_mean, holm
from core.scoring.row_results import RowResult
from core.scoring.score import Score, finish
from core.tasks.task import Task

FLIPS = 9999  # sign flips drawn where there are too many to try them all
LEVEL = 0.05


@dataclass(frozen=True)
class Effect(Event):
    """What a change to a prompt changes: changed minus whole, on the n rows that both were scored on.

    what, vectors, amount: as in `Variant`; what is "whole" for the prompt itself. accuracy: the changed prompt's on these
    rows, a share. accuracy_change: in shares; loss_change: in nats per row (`RowResult.loss`), above 0 where the change hurts.
    The intervals are of these two changes: 95 %, by bootstrap over rows (see `bootstrap_mean`), so paired.
    """

    what: str
    vectors: tuple[int, ...]
    amount: float
    score: Score
    accuracy: float
    accuracy_change: float
    accuracy_interval: tuple[float, float]
    loss_change: float
    loss_interval: tuple[float, float]
    n: int


@dataclass(frozen=True)
class Removal(Event):
    """Whether the prompt gets better without one vector.

    validation: the effect of leaving it out, on the validation rows. p: that the loss falls so much there by chance (see
    `fall_p`). adjusted: p by Holm over all vectors. chosen: adjusted is below 0.05. held_out: the effect on the held-out rows,
    of a chosen one only.
    """

    vector: int
    validation: Effect
    p: float
    adjusted: float
    chosen: bool
    held_out: Effect | None


def effect(whole: Score, changed: Score, what: str = "whole", vectors: tuple[int, ...] = (), amount: float = 1.0) -> Effect:
    """The paired effect of a change, rows matched by their input. LabError where the two have no row in common."""
    rows = _matched(whole, changed)
    right = [float(after.correct) - float(before.correct) for before, after in rows]
    loss = [after.loss - before.loss for before, after in rows]
    return Effect(
        what=what,
        vectors=vectors,
        amount=amount,
        score=changed,
        accuracy=sum(after.correct for _, after in rows) / len(rows),
        accuracy_change=float(np.mean(right)),
        accuracy_interval=bootstrap_mean(right),
        loss_change=float(np.mean(loss)),
        loss_interval=bootstrap_mean(loss),
        n=len(rows),
    )


def _matched(whole: Score, changed: Score) -> list[tuple[RowResult, RowResult]]:
    before = {result.input: result for result in whole.results}
    rows = [(before[result.input], result) for result in changed.results if result.input in before]
    if not rows:
        raise LabError(f"{whole.name!r} and {changed.name!r} were scored on no common row: score both on the same rows.")
    return rows


def fall_p(falls: Sequence[float], seed: int = 0) -> float:
    """The p value of a mean fall above 0 of (rows,) paired losses: one-sided, by flipping signs (Fisher 1935, section 21).

    If the change had no effect, each row's fall would be as likely with the other sign: p is the share of the sign flips
    whose mean is at least the one seen. All 2**rows of them up to 13 rows, else 9999 drawn ones and the one seen. A t-test
    would need falls that are nearly normal; those of few rows' losses are skewed, with a row or two that count for most.

    >>> fall_p([0.5, 0.25, 1.0])  # one of 8
    0.125
    """
    from scipy import stats

    if len(falls) == 1:  # which scipy refuses
        return 0.5 if falls[0] > 0 else 1.0
    tested = stats.permutation_test(
        (np.array(falls, dtype=float),),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=FLIPS,
        vectorized=True,
        batch=1000,
        rng=np.random.default_rng(seed),
    )
    return float(tested.pvalue)


def put_in(lm: LanguageModel, contender: Contender, name: str, values: Float[np.ndarray, "..."]) -> Contender:
    """`contender` with another array in its prompt. Without any virtual token left, it is no prompt."""
    method = contender.prefix.method
    left = values.shape[method.token_axis]
    prefix = prefix_of(method, np.ascontiguousarray(values)).to(lm.device) if left else no_prefix()
    return replace(contender, name=name, kind=prefix.kind, prefix=prefix, examples=0, seconds=0.0, group="")


def array_of(contender: Contender) -> Float[np.ndarray, "..."]:
    """A learned prompt's snapshot. LabError where the contender has no virtual token."""
    if not contender.prefix.virtual_tokens:
        raise LabError(f"{shown(contender.name)} has no learned vectors to change: choose a soft prompt or a K/V prefix.")
    return contender.prefix.snapshot()


def what_each_does(
    lm: LanguageModel,
    task: Task,
    learned: Contender,
    what: str,
    book: Scorebook,
    start: Float[np.ndarray, "..."] | None = None,
    chosen: int | None = None,
) -> Iterator[Progress | Effect | None]:
    """How the held-out scores change with each change of one kind: yields how many effects will come, then them.

    The whole prompt comes first, then one effect for each of `variants(what)`; None between batches. Rows that `learned` was
    made with don't count. "random token" draws one ordinary token for each vector, the same at every call.
    start: what training began from, needed for "start". chosen: the vector to swap with the others.

    Raises LabError for a change that this prompt doesn't have, or a vector that isn't there.
    """
    values = array_of(learned)
    method = learned.prefix.method
    kinds = available(values, start, method.token_axis)
    if what not in kinds:
        raise LabError(f"{shown(what)} can't be done to {shown(learned.name)}: choose one of {', '.join(kinds)}.")
    if chosen is not None and not 0 <= chosen < learned.prefix.virtual_tokens:
        raise LabError(f"There is no vector {chosen}: choose one from 0 to {learned.prefix.virtual_tokens - 1}.")
    mean, words = _replacements(lm.for_scoring, method, values, what)
    changed = variants(values, what, start=start, mean=mean, words=words, chosen=chosen, axis=method.token_axis)
    yield Progress(1 + len(changed))
    whole = yield from finish(book.score(lm, learned, task.held_out, task.labels))
    yield effect(whole, whole, vectors=tuple(range(learned.prefix.virtual_tokens)))
    for variant in changed:
        contender = put_in(lm, learned, f"{learned.name}, {what}", variant.values)
        score = yield from finish(book.score(lm, contender, task.held_out, task.labels))
        yield effect(whole, score, what, variant.vectors, variant.amount)


def _replacements(lm: LanguageModel, method: Method, values: np.ndarray, what: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The mean embedding, and a token's embedding for each vector, where this change of a soft prompt needs them."""
    if what == "mean" and method.in_embedding_space:
        return lm.vocabulary.mean(dim=0).cpu().numpy(), None
    if what == "snap":
        return None, snap(torch.from_numpy(values).to(lm.device), lm.vocabulary)[1].cpu().numpy()
    if what == "random token":
        drawn = np.random.default_rng(0).choice(lm.ordinary_tokens.numpy(), len(values))
        return None, lm.vocabulary[torch.from_numpy(drawn).to(lm.device)].cpu().numpy()
    return None, None


def helpful_removals(lm: LanguageModel, task: Task, learned: Contender, book: Scorebook) -> Iterator[Progress | Removal | None]:
    """Whether any vector is better left out: chosen on the validation rows, confirmed on the held-out rows.

    Yields how many removals will come (one for each vector), None between batches, and the removals at the end: Holm's
    correction needs all of them. With few validation rows none can be chosen: n rows give p >= 1 / 2**n, times the number
    of vectors. Where none is chosen, no vector was shown to do harm, which is the usual outcome.

    Raises LabError for a contender without vectors, or a task without validation rows.
    """
    values = array_of(learned)
    if not task.validation:
        raise LabError("The task has no validation rows to choose a vector on: give it more rows.")
    removed = variants(values, "leave out", axis=learned.prefix.method.token_axis)
    yield Progress(len(removed))
    contenders = [put_in(lm, learned, f"{learned.name}, without vector {i}", variant.values) for i, variant in enumerate(removed)]
    whole = yield from _validated(lm, task, learned, book)
    effects, found = [], []
    for i, contender in enumerate(contenders):
        score = yield from _validated(lm, task, contender, book)
        effects.append(effect(whole, score, "leave out", (i,)))
        found.append(fall_p([before.loss - after.loss for before, after in _matched(whole, score)]))
        yield None
    for i, (made, p, adjusted) in enumerate(zip(effects, found, holm(found), strict=True)):
        chosen = adjusted < LEVEL
        held_out = None
        if chosen:
            reference = yield from finish(book.score(lm, learned, task.held_out, task.labels))
            score = yield from finish(book.score(lm, contenders[i], task.held_out, task.labels))
            held_out = effect(reference, score, "leave out", (i,))
        yield Removal(i, made, p, adjusted, chosen, held_out)


def _validated(lm: LanguageModel, task: Task, contender: Contender, book: Scorebook) -> Generator[None, None, Score]:
    return finish(book.score(lm, contender.for_validation(), task.validation, task.labels))
