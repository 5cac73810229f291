"""Wayward prompts: vectors that do the task while their nearest tokens spell a chosen sentence.

Khashabi et al. 2021 ("Prompt waywardness: the curious case of discretized interpretation of continuous prompts"): a prompt
is trained while its vectors are pulled to a text that need not have to do with the task. Where its nearest tokens read
exactly that text and it still does the task, nearest tokens do not show what a prompt does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import LabError
from core.events import Event, Progress
from core.inspection.nearest import nearest
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.contest import Scored, Skipped, baselines, contest
from core.runs.run import repeat
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.derived_contenders import moved, started
from core.scoring.score import Score, finish
from core.tasks.task import Task
from core.training.start import create
from core.training.training import StepEvent, mean_squared_distance, text_embeddings

GAMMAS = (0.0, 1.0, 10.0, 100.0)  # from not pulled at all to kept in place
MOST_TOKENS = 60  # of the sentence

Start = Literal["sentence", "elsewhere", "free"]


@dataclass(frozen=True, eq=False)
class Wayward(Event):
    """The result of one run that was pulled to a sentence with weight `gamma`, and its vectors' nearest tokens.

    start: the run began at the sentence's embeddings; elsewhere, at sampled vocabulary; or there and never pulled ("free").
    tokens, text: the nearest real token of each vector by cosine, and all decoded together. kept, by_l2: vectors whose
    nearest token, by cosine or by distance, is the sentence's own there. distance: to the sentence's embeddings, squared,
    mean over vectors. score: on the validation rows, after `step` steps.
    """

    gamma: float
    start: Start
    text: str
    tokens: tuple[str, ...]
    kept: int
    by_l2: int
    distance: float
    score: Score
    step: int
    contender: Contender

    @property
    def reads(self) -> bool:
        """Whether its nearest tokens by cosine are exactly the sentence's."""
        return self.kept == len(self.tokens)


def sweep(
    lm: LanguageModel, task: Task, recipe: Recipe, sentence: str, gammas: Sequence[float], book: Scorebook
) -> Iterator[Progress | StepEvent | Wayward | Scored | Skipped | None]:
    """Train `recipe` pulled to `sentence` with each weight of `gammas`, and see which runs still read as that sentence.

    Yields the number of runs; then every step, and a `Wayward` after each run (None: nothing to show yet). From the sentence
    a run starts for every weight; from sampled vocabulary (the recipe's seed) for every weight above 0; and last, from there,
    one that is never pulled. All have as many vectors as the sentence has tokens.
    Of those that read exactly the sentence, the one with the best accuracy on the validation rows (of equals, the nearest to
    it) is finally scored on the held-out rows, with: the free run; the sentence's embeddings, untrained; the chosen run's
    start, moved as far at random; and the task's other contenders. Where none reads so, it and its control are missing.
    Raises LabError, before anything is trained, for a sentence without tokens or of more than 60, a K/V prefix, a weight out
    of bounds, or a task without validation rows.
    """
    planned = plan(lm, task, recipe, sentence, gammas)
    ids = lm.tokenise(sentence)
    yield Progress(len(planned))
    runs: list[Wayward] = []
    for start, changed in planned:
        contender, step = None, 0
        for event in repeat(lm, task, changed, _name(start, changed.pull)):
            if isinstance(event, StepEvent):
                step = event.step
                yield event
            else:
                contender = event.contender
        assert contender is not None  # `repeat` ends with it
        score = yield from finish(book.score(lm, contender.for_validation(), task.validation, task.labels))
        runs.append(look(lm, contender, ids, changed.pull, start, score, step))
        yield runs[-1]
    *pulled, free = runs
    itself = started(lm, free.contender, text_embeddings(lm, sentence).cpu().numpy())
    contenders = [free.contender, replace(itself, name="the sentence itself"), *baselines(task, recipe.template)]
    chosen = choose(pulled)
    if chosen:
        begun = create(lm, task, dict(planned)[chosen.start]).snapshot()  # runs of one start differ in their weight alone
        contenders[:0] = [chosen.contender, moved(lm, chosen.contender, begun)]
    yield from contest(lm, task, contenders, task.held_out, book, "held_out", free.step)


def plan(lm: LanguageModel, task: Task, recipe: Recipe, sentence: str, gammas: Sequence[float]) -> list[tuple[Start, Recipe]]:
    """The runs of `sweep` in their order: where each starts, and its whole recipe. Raises what `sweep` raises."""
    if not METHODS[recipe.method].in_embedding_space:
        raise LabError("Only a soft prompt's vectors can be pulled to a sentence: a K/V prefix has no nearest tokens; train a soft prompt.")
    if not task.validation:
        raise LabError(f"The task {task.name!r} has no validation rows to choose by: give it more rows.")
    count = len(lm.tokenise(sentence)) if sentence.strip() else 0
    if not count:
        raise LabError("There is no sentence to pull to: write one.")
    if count > MOST_TOKENS:
        raise LabError(f"The sentence has {count} tokens, more than {MOST_TOKENS}: write a shorter one.")
    if not gammas:
        raise LabError("There is no weight to pull with: give one or more.")
    weights = sorted(set(gammas))
    plain = recipe.but(virtual_tokens=count, pull_text=sentence, pull=0.0, init_from="")
    near, far = plain.but(init="text", init_text=sentence), plain.but(init="vocab", init_text="")
    runs: list[tuple[Start, Recipe]] = [("sentence", near.but(pull=gamma)) for gamma in weights]
    runs += [("elsewhere", far.but(pull=gamma)) for gamma in weights if gamma]
    return [*runs, ("free", far)]


def _name(start: Start, gamma: float) -> str:
    return "never pulled" if start == "free" else f"pulled {gamma:g}, from {'the sentence' if start == 'sentence' else 'elsewhere'}"


def look(lm: LanguageModel, contender: Contender, ids: Sequence[int], gamma: float, start: Start, score: Score, step: int) -> Wayward:
    """Compare a soft prompt with the tokens `ids` of a sentence, one for each of its vectors. The other arguments are kept."""
    vectors: Float[Tensor, "vectors d_model"] = contender.prefix.array().detach().to(lm.device)
    found = nearest(vectors, lm.vocabulary, k=1)
    said: list[int] = found.ids[:, 0].tolist()
    wanted = torch.tensor(ids, device=lm.device)
    return Wayward(
        gamma=gamma,
        start=start,
        text=lm.decode(said),
        tokens=tuple(lm.token_text(token) for token in said),
        kept=sum(token == own for token, own in zip(said, ids, strict=True)),
        by_l2=int((found.by_l2 == wanted).sum()),
        distance=float(mean_squared_distance(vectors, lm.vocabulary[wanted])),
        score=score,
        step=step,
        contender=contender,
    )


def choose(runs: Sequence[Wayward]) -> Wayward | None:
    """The best run on validation rows (of equals, the nearest) among those that read exactly the sentence; None if none does."""
    reading = [run for run in runs if run.reads]
    return min(reading, key=lambda run: (-run.score.accuracy, run.distance), default=None)
