"""The spectrum: no training, prompts, and methods that change the model, on the same task, rows, steps and seeds."""

import contextlib
import math
import statistics
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import LabError
from core.events import Event, Progress
from core.finetuning.catalogue import Adaptation, chosen, rate_beyond
from core.finetuning.changes import need_peft
from core.finetuning.measure import Remembers, remembers
from core.finetuning.result import Baseline, Forgetting, MethodResult, SpectrumResult, Spread, Tried
from core.finetuning.runs import Outcome, Stepped, train
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.scoring.contender import by_one_score, written
from core.scoring.measures import wilson
from core.scoring.score import Score, finish, majority, score_steps
from core.tasks.task import Task

SEARCH_STEPS = 15  # at most, for each rate that is tried
MORE_RATES = 3  # at most, beyond the first three, while the best one is at the edge of those tried
MOST_SEEDS = 20
# Of a recipe, what all methods have.
KEPT = (
    *("steps", "batch_size", "warmup", "schedule", "clip", "weight_decay"),
    *("loss", "end", "label_score", "template", "virtual_tokens", "seed"),
)
MEMORY = (
    "first step of the first run: what PyTorch's autograd keeps for the backward pass (each storage once, without the model's frozen "
    "weights), and the trained parameters with their gradient and Adam's two moments; temporary buffers are not counted"
)


@dataclass(frozen=True)
class RateTried(Event):
    """A learning rate was tried. loss: on validation rows, nats per answer; None where the run was lost."""

    method: str
    rate: float
    loss: float | None


@dataclass(frozen=True, eq=False)
class Measured(Event):
    """A method has its result. so_far: all methods that have theirs."""

    result: MethodResult
    so_far: SpectrumResult


@dataclass(frozen=True)
class Refused(Event):
    """A method that can't be used here, and why. Other methods are unaffected."""

    method: str
    reason: str


@dataclass(frozen=True, eq=False)
class Compared(Event):
    """The last event: all methods."""

    result: SpectrumResult


SpectrumEvent = Progress | Stepped | RateTried | Measured | Refused | Compared | None


def spectrum_steps(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe,
    book: Scorebook,
    seeds: int = 2,
    methods: Sequence[str] = (),
    known: Mapping[str, MethodResult] | None = None,
) -> Iterator[SpectrumEvent]:
    """Compare `methods` (none named: all) on `task`, in float32: yields after every step and every scored batch (None).

    Each method is trained at the learning rate that had the lowest loss on validation rows, of those that were tried for a few steps
    with one seed: three, and up to MORE_RATES beyond them while the best is at the edge, in which case Progress comes again with a new
    total. Then it is trained once for each of `seeds` seeds from the recipe's. Held-out rows are scored after the last step of these
    runs, and decide nothing. Of the recipe, what all methods share counts (steps, batches, template, loss, virtual tokens, ...).
    known: results of methods by name, as an earlier call with the same settings gave them; these are not measured again.
    `lm` is unchanged. LabError, before anything is trained, where a named method needs PEFT, which is absent, or where there are no
    validation rows. Where no method is named, those that need PEFT are refused alone.
    """
    ways = chosen(methods)
    if not 1 <= seeds <= MOST_SEEDS:
        raise LabError(f"{seeds} seeds were asked for: choose a whole number from 1 to {MOST_SEEDS}.")
    if recipe.loss == "imitate":
        raise LabError("Methods are compared on answers, not on a teacher's predictions: choose another loss.")
    if not task.validation and any(way.rate for way in ways):
        raise LabError("The task has no validation rows to choose learning rates on: give it more rows.")
    if methods and any(way.needs_peft for way in ways):
        need_peft()
    known = known or {}
    lm = lm.for_scoring
    shared = Recipe(**{name: getattr(recipe, name) for name in KEPT})
    numbers = [(shared.seed + number) % 2**31 for number in range(seeds)]
    search = min(SEARCH_STEPS, shared.steps)
    total = sum(1 + (len(way.rates) * (search + 1) + seeds * shared.steps if way.rate else 0) for way in ways if way.name not in known)
    yield Progress(total)
    before = yield from remembers(lm, task)
    baselines = yield from _baselines(lm, task, shared, book)
    result = SpectrumResult(
        task=task.slug,
        model=lm.name,
        device=lm.device.type,
        dtype=lm.dtype_name,
        rows=len(task.held_out),
        validation_rows=len(task.validation),
        training_rows=len(task.train),
        steps=shared.steps,
        search_steps=search,
        batch_size=shared.batch_size,
        virtual_tokens=shared.virtual_tokens,
        seeds=tuple(numbers),
        methods=(),
        baselines=tuple(baselines),
        refused={},
        memory=MEMORY,
    )
    for way in ways:
        try:
            if way.name in known:
                result = replace(result, methods=(*result.methods, known[way.name]))
                continue
            if way.needs_peft:
                need_peft()
            tried, total = yield from _search(lm, task, shared, book, way, search, total)
            measured = yield from _measure(lm, task, shared, book, way, tried, numbers, before)
        except LabError as error:
            result = replace(result, refused=result.refused | {way.name: str(error)})
            yield Refused(way.name, str(error))
        else:
            result = replace(result, methods=(*result.methods, measured))
            yield Measured(measured, result)
    yield Compared(result)


def _search(
    lm: LanguageModel, task: Task, shared: Recipe, book: Scorebook, way: Adaptation, steps: int, total: int
) -> Generator[SpectrumEvent, None, tuple[list[Tried], int]]:
    """The learning rates that were tried, by their loss on validation rows, and the new total of events."""
    tried: list[Tried] = []
    waiting = list(way.rates)
    while waiting:
        rate = waiting.pop(0)
        outcomes: list[Outcome] = []
        yield from train(lm, task, _recipe(shared, way, rate, shared.seed, steps), way, outcomes)
        loss = None
        if not outcomes[0].stopped:
            # Validation rows alone: the held-out rows decide nothing.
            score = yield from _score(outcomes[0], task, book, "validation")
            loss = score.loss if score.loss is not None and math.isfinite(score.loss) else None
        tried.append(Tried(rate, loss))
        yield RateTried(way.name, rate, loss)
        if not waiting and len(tried) < len(way.rates) + MORE_RATES:
            beyond = rate_beyond([one.rate for one in tried], _best_rate(tried))
            if beyond is not None:
                waiting.append(beyond)
                total += steps + 1
                yield Progress(total)
    return tried, total


def _best_rate(tried: Sequence[Tried]) -> float:
    """The rate with the lowest loss, the first of equal ones."""
    return min(tried, key=lambda one: math.inf if one.loss is None else one.loss).rate


def _measure(
    lm: LanguageModel,
    task: Task,
    shared: Recipe,
    book: Scorebook,
    way: Adaptation,
    tried: Sequence[Tried],
    seeds: Sequence[int],
    before: Remembers,
) -> Generator[SpectrumEvent, None, MethodResult]:
    """Train the method at the best rate with each seed, and score what was learned."""
    rate = _best_rate(tried) if tried else 0.0
    ends: list[Outcome] = []
    scores: list[Score] = []
    after: list[Remembers] = []
    for seed in seeds if way.rate else seeds[:1]:
        yield from train(lm, task, _recipe(shared, way, rate, seed, shared.steps) if way.rate else shared, way, ends)
        scores.append((yield from _score(ends[-1], task, book, "held_out")))
        # Where the model is the same one, it knows what it knew.
        after.append((yield from remembers(ends[-1].lm, task)) if ends[-1].changed else before)
        ends[-1].lm = lm  # a changed copy's memory is free for the next run
    return _result(way, ends, scores, rate, tried, before, after)


def _recipe(shared: Recipe, way: Adaptation, rate: float, seed: int, steps: int) -> Recipe:
    return shared.but(**way.settings).but(learning_rate=rate, seed=seed, steps=steps)


def _score(end: Outcome, task: Task, book: Scorebook, part: str) -> Generator[None, None, Score]:
    """Score a run's end by the code that scores every prompt. A changed model's scores are not shared: no other run asks for them."""
    rows, contender = (task.validation, end.for_validation) if part == "validation" else (task.held_out, end.contender)
    parts = score_steps(end.lm, contender, rows, task.labels) if end.changed else book.score(end.lm, contender, rows, task.labels)
    return (yield from finish(parts))


def _result(
    way: Adaptation,
    ends: Sequence[Outcome],
    scores: Sequence[Score],
    rate: float,
    tried: Sequence[Tried],
    before: Remembers,
    after: Sequence[Remembers],
) -> MethodResult:
    first, rows = ends[0], scores[0].n
    accuracy = Spread.of([score.accuracy for score in scores])
    seconds = [second for end in ends for second in end.seconds]
    tasks = {slug: Spread.of([one.tasks[slug] for one in after]) for slug in before.tasks}
    return MethodResult(
        name=way.name,
        label=way.label,
        about=way.about,
        parameters=first.parameters,
        accuracy=accuracy,
        interval=wilson(round(accuracy.mean * rows), rows),
        loss=Spread.of([_finite(score.loss) for score in scores]),
        rate=rate,
        tried=tuple(tried),
        seconds=statistics.median(seconds) if seconds else 0.0,
        peak=first.peak,
        stored=first.stored,
        forgetting=Forgetting(before.page, Spread.of([one.page for one in after]), before.tasks, tasks),
        stopped=sum(bool(end.stopped) for end in ends),
        note=first.note,
    )


def _finite(loss: float | None) -> float:
    if loss is None or not math.isfinite(loss):
        raise LabError("The loss on the held-out rows is no number after training: use fewer steps, or leave this method out.")
    return loss


def _baselines(lm: LanguageModel, task: Task, shared: Recipe, book: Scorebook) -> Generator[None, None, list[Baseline]]:
    """The handcrafted prompt that does best on validation rows, and the majority answer, both on held-out rows."""
    found = [majority(task, task.held_out)]
    best, highest = None, -1.0
    for contender in by_one_score((written(task, prompt) for prompt in task.handcrafted), shared.label_score):
        with contextlib.suppress(LabError):  # too long for this model, or all rows are in it
            score = yield from finish(book.score(lm, contender, task.validation, task.labels))
            if score.accuracy > highest:
                best, highest = contender, score.accuracy
    if best:
        found.append((yield from finish(book.score(lm, best, task.held_out, task.labels))))
    return [Baseline(score.name, score.accuracy, score.interval) for score in found]
