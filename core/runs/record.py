"""A run's data: it grows while the run trains, and a file can hold it.

`run` makes a run's events, `RunRecord` keeps them, and three classes hold a record: `TrainedRun` (what `core.train` returns),
`RecordedRun` (in assets/recordings) and the app's `SessionRun` (what a session shows: live, recorded, or loaded from a file).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.inspection.kv import KEYS, VALUES
from core.inspection.nearest import Neighbours
from core.methods import METHODS
from core.methods.contract import Method
from core.recipe import Recipe
from core.runs.imitation import Imitation
from core.runs.readings import Reading
from core.scoring.contender import Contender
from core.scoring.score import Difference, Score
from core.tasks.task import Task
from core.training.training import State


@dataclass
class RunRecord:
    """All that happened in a run. Index 0 of `readings` is the start, index n is after step n.

    texts: token id -> its text, for every id named in a reading or the cloud. lines: handcrafted prompts on the validation
    rows. validation: the learned prompt on them, by step. scores: all contenders on the held-out rows; the last may still grow.
    vectors: snapshots by step, thinned to 64 MB; not written to a file. derived: baselines that were made with the model's help;
    not written either, nor is state: what training can go on from while the run is not finished, as of step `state.step`.
    """

    recipe: dict[str, Any]
    task: dict[str, Any]
    base: dict[str, Any]
    kind: str
    parameters: int = 0
    losses: list[float] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    cloud: np.ndarray = field(default_factory=lambda: np.empty((0, 3), np.float32))
    cloud_ids: list[int] = field(default_factory=list)
    explained: list[float] = field(default_factory=list)
    usual: Neighbours | None = None  # how near the vocabulary's own tokens are to each other; None for a K/V prefix
    gaussian_ids: list[int] = field(default_factory=list)  # nearest tokens of random vectors like the vocabulary's
    gaussian_cosine: list[float] = field(default_factory=list)
    lines: list[Score] = field(default_factory=list)
    validation: dict[int, Score] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    difference: Difference | None = None  # learned against the best handcrafted prompt, paired
    imitation: Imitation | None = None  # how like its teacher the prompt became, where it imitates one
    skipped: dict[str, str] = field(default_factory=dict)  # handcrafted prompts that could not be scored, and why
    seconds: float = 0.0
    finished: bool = False
    stopped: str = ""
    kept: int | None = None  # the step whose vectors the run ended with; None: the last, as all runs of earlier versions
    loaded: bool = False  # from a saved file
    start_known: bool = True  # False: readings[0] is the prompt itself, so there is no control
    seen_before: list[str] = field(default_factory=list)  # keys of the rows that the prompt it started from was trained on
    recorded: dict[str, str] = field(default_factory=dict)  # of a recording: its date, version, libraries and machine
    vectors: dict[int, np.ndarray] = field(default_factory=dict)
    derived: list[Contender] = field(default_factory=list)
    state: State | None = None

    @property
    def method(self) -> Method:
        """What was trained."""
        return METHODS[self.kind]

    @property
    def part(self) -> int:
        """The part of a K/V prefix that its readings are of: values (1), or keys (0) where these alone are trained."""
        return KEYS if self.recipe.get("train") == "keys" else VALUES

    @property
    def step(self) -> int:
        """Steps done so far."""
        return len(self.losses)

    @property
    def resumable(self) -> bool:
        """Whether the run was interrupted and can be gone on with, as if it had not been. One that keeps its best step can't: only
        the scores of its earlier steps are known, not their vectors."""
        return self.state is not None and not self.finished and 0 in self.vectors and self.recipe.get("keep", "last") == "last"

    def cut(self, step: int, vectors: np.ndarray) -> None:
        """Make this the record of the run right after `step`, whose vectors are given, without what came later and scores of the end."""
        self.losses, self.readings = self.losses[:step], self.readings[: step + 1]
        self.vectors = {number: values for number, values in self.vectors.items() if 0 <= number < step} | {step: vectors}
        self.validation = {number: score for number, score in self.validation.items() if number <= step}
        self.lines, self.scores, self.derived, self.skipped = [], [], [], {}
        self.difference, self.imitation, self.finished, self.stopped = None, None, False, ""

    @property
    def newest_scores(self) -> list[Score]:
        """The learned prompt's newest validation score (the kept step's), then the handcrafted ones' on the same rows."""
        mine = [self.validation[self.kept]] if self.kept in self.validation else list(self.validation.values())[-1:]
        return [*mine, *self.lines]

    @property
    def held_out(self) -> dict[str, Score]:
        """The final scores on the held-out rows with all their results, by name; empty for a record that was saved without results."""
        return {score.name: score for score in self.scores if score.final and score.results}

    def final_vectors(self) -> np.ndarray | None:
        """The vectors that the run ended with (the last good ones, if it diverged), or None for a recording."""
        return self.vectors.get(-1, self.vectors.get(max(self.vectors)) if self.vectors else None)


def new_record(task: Task, recipe: Recipe) -> RunRecord:
    """An empty record for a run that has not begun."""
    return RunRecord(
        recipe=recipe.to_dict(),
        task={
            "slug": task.slug,
            "name": task.name,
            "labels": list(task.labels) if task.labels else None,
            "held_out": len(task.held_out),
            "handcrafted": [prompt.name for prompt in task.handcrafted],
        },
        base={},
        kind=recipe.method,
    )
