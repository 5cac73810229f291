"""One call from Python: train, score, read; what comes back can be asked, saved and drawn.

The command line trains by the same call, and the page by the same `training_job`.
"""

import hashlib
import html
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from core.display import html_table, text_table
from core.errors import LabError
from core.events import Event
from core.inspection.nearest import nearest
from core.models.language_model import LanguageModel
from core.prefix import prefix_of
from core.recipe import Recipe, default_of
from core.runs import adapter_files, hub_prompts
from core.runs import saved_adapter as storage
from core.runs.contest import Scored
from core.runs.imitation import Imitation, in_words
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord, new_record
from core.runs.run_file import run_file
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.scoring.answering import answer
from core.scoring.contender import Contender, contender_of_run
from core.scoring.score import Score, best_handcrafted
from core.tasks.task import Task, template_of
from core.training.start import Begun
from core.training.training import StepEvent


def train(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe | None = None,
    *,
    progress: bool | Callable[[Event | None], None] = True,
    stopping: Callable[[], bool] = lambda: False,
    book: Scorebook | None = None,
    begun: Begun | None = None,
) -> "TrainedRun":
    """Train `recipe` on `task`, then score it with the task's handcrafted prompts on the held-out rows, once.

    recipe: None for the task's own. begun: the prompt that its `init_from` names; None to load that by its name. progress: a
    bar on standard error, nothing, or a function that is told every event. stopping: asked between steps; True ends training,
    and scoring follows. Ctrl-C (a notebook's Interrupt) keeps what was learned by then, unscored. Raises LabError for a recipe
    that doesn't fit the task or the model.

    >>> import core
    >>> core.train(core.load_model(), core.load_task("plural"), core.Recipe(steps=20))  # doctest: +SKIP
    TrainedRun('Plural': 10 vectors, 20 steps; 41 % of 103 held-out rows right (32–51); best handcrafted 77 % …)
    """
    recipe = recipe or Recipe.from_settings(task.recipe)
    if recipe.task == default_of("task"):  # the recipe does not name one
        recipe = recipe.but(task=task.slug)
    if recipe.init_from and begun is None:
        begun = hub_prompts.load(recipe.init_from, lm).begun
    record = new_record(task, recipe)
    with _Bar(recipe, progress is True) as bar:
        tell = bar.tell if isinstance(progress, bool) else progress
        try:
            for event in training_job(lm, task, recipe, Vocabulary(lm), book or Scorebook(), record, stopping, begun):
                tell(event)
        except KeyboardInterrupt:
            if not record.step:
                raise
            record.stopped = f"interrupted after step {record.step}, before all was scored"
    return TrainedRun(lm, task, recipe, record)


class _Bar:
    """A bar for steps, then for what is scored."""

    def __init__(self, recipe: Recipe, shown: bool):
        self._bar = tqdm(total=recipe.steps, desc="training", unit="step", file=sys.stderr, disable=None if shown else True)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, event: Any) -> None:
        if isinstance(event, StepEvent):
            self._bar.update(event.step - self._bar.n)
            self._bar.set_postfix(loss=f"{event.loss:.3f}")
        elif isinstance(event, Scored) and event.part == "held_out":
            self._bar.set_description(f"scoring {event.score.name[:30]}")


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run that `train` made: its model, task and recipe with its `RunRecord`; to be asked, saved and drawn."""

    lm: LanguageModel
    task: Task
    recipe: Recipe
    record: RunRecord

    @property
    def learned(self) -> Contender:
        """The trained prompt, ready to be scored (`core.score`) on any rows. The rows that it was trained on don't count for it."""
        vectors = self.record.final_vectors()
        assert vectors is not None  # a TrainedRun exists only after a step
        prefix = prefix_of(self.record.method, vectors, self.recipe.train).to(self.lm.device)
        return contender_of_run("learned", self.task, self.recipe, prefix, self.record.seconds, self.record.seen_before)

    @property
    def vectors(self) -> np.ndarray:
        """What was learned, float32: (virtual_tokens, d_model), or for a K/V prefix (layers, 2, virtual_tokens, kv_heads, head_dim)."""
        vectors = self.record.final_vectors()
        assert vectors is not None
        return vectors

    @property
    def losses(self) -> list[float]:
        """Nats per answer token (per label, where the loss is over labels) of every step's batch, before the step's change."""
        return list(self.record.losses)

    @property
    def scores(self) -> "Scores":
        """The scores of all contenders on the held-out rows, by name: "learned" first."""
        return Scores(self.record.held_out)

    @property
    def imitation(self) -> Imitation | None:
        """How like its teacher the prompt became on the held-out rows; None for a run with another loss, or one that was not scored."""
        return self.record.imitation

    def nearest(self, k: int = 3) -> "NearestTokens":
        """The k vocabulary tokens nearest to each vector by cosine, with those of the control: the start, moved equally far at random.

        Raises LabError for a K/V prefix, which has no place in the vocabulary, and for a k outside 1 to 1000.
        """
        prefix = self.learned.prefix
        if not prefix.method.in_embedding_space:
            raise LabError("A K/V prefix has no place in the vocabulary: nearest tokens exist for soft prompts only.")
        if not 1 <= k <= 1000:
            raise LabError(f"k is {k}: choose a whole number from 1 to 1000.")
        found = nearest(prefix.array().detach(), self.lm.vocabulary, k)
        first, last = self.record.readings[0], self.record.readings[-1]
        text = self.lm.token_text
        return NearestTokens(
            [
                NearestRow(
                    [(text(token), share) for token, share in zip(ids, cosines, strict=True)],
                    text(first.ids[i][0]),
                    text(last.control_ids[0][i]),
                    float(last.moved[i]),
                )
                for i, (ids, cosines) in enumerate(zip(found.ids.tolist(), found.cosine.tolist(), strict=True))
            ]
        )

    def pca(self, components: int = 2) -> Float[np.ndarray, "steps_and_start virtual_tokens components"]:
        """Every vector's place after every step (0: the start) in the vocabulary's PCA plane, up to 3 components.

        Of a K/V prefix: its values in the middle layer, in the plane of real words'.
        """
        return np.stack([reading.place for reading in self.record.readings])[:, :, :components]

    def answer(self, text: str, most: int = 12) -> str:
        """What the model answers to `text` with the trained prompt in front: greedy, up to `most` tokens or the first line's end."""
        return deque(["", *answer(self.lm, self.learned, text, most)], maxlen=1)[0]

    def files(self) -> dict[str, bytes]:
        """The files of a PEFT adapter, with recipe.json, the model card and run.json (what the report is made of)."""
        return run_files(self.lm, self.task, self.recipe, self.record)

    def save(self, folder: str | Path) -> Path:
        """Write `files` into a folder that `PeftModel.from_pretrained` reads. LabError where something else lies there."""
        return adapter_files.save(folder, self.files())

    def __repr__(self) -> str:
        return f"TrainedRun({_told(self)})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(_told(self))}</p>{self.scores._repr_html_()}"


def run_files(lm: LanguageModel, task: Task, recipe: Recipe, record: RunRecord) -> dict[str, bytes]:
    """The files of a finished run's prompt: see `TrainedRun.files`. LabError where there are no vectors, or PEFT can't express them."""
    vectors = record.final_vectors()
    if vectors is None:
        raise LabError("There is nothing to save yet: train a prompt to its end, or stop it.")
    scores = [score.to_dict() for score in record.held_out.values()]
    told = storage.record_of(lm, task, recipe, template_of(task, recipe.template), seconds=record.seconds, steps=record.step, scores=scores)
    if recipe.init_from and 0 in record.vectors:
        told["start"] = {"prompt": recipe.init_from, "sha256": hashlib.sha256(record.vectors[0].tobytes()).hexdigest()}
    if record.imitation:
        told["imitation"] = in_words(record.imitation, record.scores)
    told["trained_on"] = sorted(task.seen.union(record.seen_before))
    return {**storage.to_files(lm, prefix_of(record.method, vectors), told), **run_file(record)}


def _told(result: TrainedRun) -> str:
    record, recipe = result.record, result.recipe
    words = f"{record.task['name']!r}: {record.method.described(recipe.virtual_tokens)}, {record.step} steps"
    score = record.held_out.get("learned")
    if score is None:
        return f"{words}; not scored"
    low, high = (100 * end for end in score.interval)
    words += f"; {100 * score.accuracy:.0f} % of {score.n} held-out rows right ({low:.0f}–{high:.0f})"
    best = best_handcrafted(record.held_out.values())
    if not best:
        return words
    tie = record.difference is None or record.difference.p >= 0.05
    return f"{words}; best handcrafted {100 * best.accuracy:.0f} %{', too close to call' if tie else ''}"


class Scores(dict[str, Score]):
    """Scores by name, in the order in which they were made; printed as a table."""

    HEADS = ("contender", "kind", "right", "95 %", "exact", "loss", "rows", "tokens in front")

    def rows(self) -> Iterator[tuple[str, ...]]:
        for score in self.values():
            low, high = score.interval
            loss = "–" if score.loss is None else f"{score.loss:.3f}"
            exact = "–" if score.exact is None else f"{score.exact:.1%}"
            yield (
                *(score.name, score.kind, f"{score.accuracy:.1%}", f"{low:.1%}–{high:.1%}", exact, loss, str(score.n)),
                "–" if score.kind == "majority" else str(score.positions),
            )

    def __repr__(self) -> str:
        return text_table(self.HEADS, list(self.rows())) if self else "Scores: none yet"

    def _repr_html_(self) -> str:
        return html_table(self.HEADS, list(self.rows()))


@dataclass(frozen=True)
class NearestRow:
    """One vector: its nearest tokens with their cosines; the start's nearest token, and the control's; how far it moved (L2)."""

    nearest: list[tuple[str, float]]
    start: str
    control: str
    moved: float


@dataclass(frozen=True)
class NearestTokens(Sequence[NearestRow]):
    """Nearest tokens, a row for each vector; printed as a table with what it can't tell."""

    items: list[NearestRow] = field(default_factory=list)

    HEADS = ("", "nearest (cosine)", "at the start", "start moved at random", "moved")

    def __getitem__(self, place: Any) -> Any:
        return self.items[place]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def note(self) -> str:
        """What the rows tell, in words, and what they don't."""
        kept = sum(row.nearest[0][0] == row.start for row in self.items)
        control = sum(row.control == row.start for row in self.items)
        return (
            f"{kept} of {len(self)} vectors are still nearest to their start’s token; moved equally far at random, {control} would be. "
            "If both are alike, nearest tokens show only where training started, not what was learned."
        )

    def rows(self) -> list[tuple[str, ...]]:
        cells: list[tuple[str, ...]] = []
        for number, row in enumerate(self.items, 1):
            words = "  ".join(f"{token!r} {cosine:.2f}" for token, cosine in row.nearest)
            cells.append((str(number), words, repr(row.start), repr(row.control), f"{row.moved:.2f}"))
        return cells

    def __repr__(self) -> str:
        return f"{text_table(self.HEADS, self.rows())}\n{self.note}"

    def _repr_html_(self) -> str:
        return f"{html_table(self.HEADS, self.rows())}<p>{html.escape(self.note)}</p>"
