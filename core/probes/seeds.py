"""Do seeds meet? One recipe trained again from other starts, and with its rows in other orders: are the same vectors found?

A recipe's seed decides both the start and the order of rows. The recipe's `order_seed` separates the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from core.errors import LabError
from core.events import Event, Progress
from core.inspection.control import array_moved_at_random
from core.inspection.meet import Matched, match
from core.methods import METHODS
from core.methods.contract import Method
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.contest import Scored, Skipped, contest
from core.runs.run import Trained, repeat
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.tasks.task import Task
from core.training.start import create
from core.training.training import StepEvent

MOST = 8  # other starts, and other orders


@dataclass(frozen=True)
class Meeting(Event):
    """Two runs of one recipe compared: their vectors, and what they do on the held-out rows.

    a, b: their names. same_start, same_order: what they share. All cosines are means over virtual tokens, of soft prompts
    relative to the vocabulary's mean, of K/V prefixes of all a token's keys and values at once. same_place: of the learned
    vectors at equal places. matched: of the learned vectors, each with its partner (see `inspection.meet.match`). starts: the
    same of the two starts. control: of the two starts, each vector moved by its learned length in a random direction; runs
    that share a start stay alike by that alone, and partners are chosen to be alike, so `matched` says nothing without it.
    agreement: the share of held-out rows where both said the same. both_right, both_wrong: the shares where both were;
    agreement less both_right is the share where both said the same wrong thing.
    """

    a: str
    b: str
    same_start: bool
    same_order: bool
    same_place: float
    matched: float
    starts: float
    control: float
    agreement: float
    both_right: float
    both_wrong: float
    accuracy_a: float
    accuracy_b: float


def meet(
    lm: LanguageModel, task: Task, recipe: Recipe, book: Scorebook, starts: int = 2, orders: int = 2
) -> Iterator[Progress | StepEvent | Trained | Meeting | Scored | Skipped]:
    """Train `recipe`, `starts` times more from another start and `orders` times more with another order of rows.

    Yields the number of runs; every step, and what each run learned, as a contender; their scores on the held-out rows; and a
    `Meeting` for every pair of runs. Runs with another start keep the recipe's order, and the other way round.
    Raises LabError, before anything is trained, for numbers outside 0 to 8 or both 0, and where another seed gives the same
    start (a text's, say).
    """
    if recipe.init_from:
        raise LabError(
            "This run starts from a saved prompt whatever the seed: choose one that starts from sampled vocabulary or random numbers."
        )
    planned = plan(recipe, starts, orders)
    begun = {name: create(lm, task, changed).snapshot() for name, changed in planned.items()}
    first, *others = planned
    if any(planned[name].seed != recipe.seed and np.array_equal(begun[name], begun[first]) for name in others):
        raise LabError("This recipe starts at the same vectors whatever the seed: start from sampled vocabulary or random numbers.")
    yield Progress(len(planned))
    learned: dict[str, Contender] = {}
    for name, changed in planned.items():
        for event in repeat(lm, task, changed, name):
            if isinstance(event, Trained):
                learned[name] = event.contender
            yield event
    scores: dict[str, Score] = {}
    for scored in contest(lm, task, list(learned.values()), task.held_out, book, "held_out", recipe.steps):
        if isinstance(scored, Scored) and scored.final:
            scores[scored.score.name] = scored.score
        yield scored
    method = METHODS[recipe.method]
    mean = lm.vocabulary.mean(dim=0).cpu().numpy() if method.in_embedding_space else None
    ends = {name: contender.prefix.snapshot() for name, contender in learned.items()}
    # A draw for each: two starts moved in the same random directions would be alike because of that.
    moved = {name: array_moved_at_random(begun[name], ends[name], draw) for draw, name in enumerate(planned)}
    for a, b in combinations(planned, 2):
        found = _match(method, ends[a], ends[b], mean)
        said = list(zip(scores[a].results, scores[b].results, strict=True))
        yield Meeting(
            a=a,
            b=b,
            same_start=planned[a].seed == planned[b].seed,
            same_order=planned[a].rows_seed == planned[b].rows_seed,
            same_place=float(found.same_place.mean()),
            matched=float(found.cosine.mean()),
            starts=float(_match(method, begun[a], begun[b], mean).cosine.mean()),
            control=float(_match(method, moved[a], moved[b], mean).cosine.mean()),
            agreement=float(np.mean([x.said == y.said for x, y in said])),
            both_right=float(np.mean([x.correct and y.correct for x, y in said])),
            both_wrong=float(np.mean([not x.correct and not y.correct for x, y in said])),
            accuracy_a=scores[a].accuracy,
            accuracy_b=scores[b].accuracy,
        )


def plan(recipe: Recipe, starts: int, orders: int) -> dict[str, Recipe]:
    """The recipes of `meet` by the names of their runs: the recipe itself, then those with another start or order.

    >>> runs = plan(Recipe(seed=5), starts=1, orders=1)
    >>> [(name, run.seed, run.rows_seed) for name, run in runs.items()]
    [('the run itself', 5, 5), ('start of seed 6', 6, 5), ('order of seed 6', 5, 6)]
    """
    if not (0 <= starts <= MOST and 0 <= orders <= MOST and starts + orders):
        raise LabError(f"{starts} other starts and {orders} other orders were asked for: choose 0 to {MOST} of each, and one at least.")
    made = {"the run itself": recipe}
    for seed in _following(recipe.seed, starts):
        made[f"start of seed {seed}"] = recipe.but(seed=seed, order_seed=recipe.rows_seed)
    for seed in _following(recipe.rows_seed, orders):
        made[f"order of seed {seed}"] = recipe.but(order_seed=seed)
    return made


def _following(seed: int, count: int) -> list[int]:
    return [(seed + 1 + number) % 2**31 for number in range(count)]


def _match(method: Method, a: np.ndarray, b: np.ndarray, mean: np.ndarray | None) -> Matched:
    return match(method.to_rows(a), method.to_rows(b), mean)  # (virtual_tokens, d) each
