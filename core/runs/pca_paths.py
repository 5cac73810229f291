"""Paths of a prompt's vectors through training in one plane, with its control and whatever else is laid into it.

A view is computed once for all kept steps, so a scrubber only has to pick from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from core.errors import LabError
from core.inspection.control import array_moved_at_random
from core.inspection.plane import Plane, explained_by, fit, random_walk
from core.methods.contract import Method
from core.models.language_model import LanguageModel
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord
from core.scoring.contender import Contender
from core.tasks.task import Task

Basis = Literal["vocabulary", "path", "vectors"]


@dataclass(frozen=True)
class Slice:
    """Which vectors of a prompt are meant. A soft prompt has one kind; of a K/V prefix, a layer's keys (part 0) or values (1).

    head: one K/V head, or None for all heads of the layer side by side.
    """

    layer: int = 0
    part: int = 1
    head: int | None = None

    def of(self, method: Method, array: np.ndarray) -> Float[np.ndarray, "virtual_tokens d"]:
        """One vector for each virtual token, of an array of this method."""
        return method.part(array, self.layer, self.part, self.head)


@dataclass(frozen=True)
class Marks:
    """Other vectors in the same plane. kind: how they are drawn: words, labels or run."""

    kind: str
    name: str
    places: Float[np.ndarray, "n 3"]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class PathView:
    """steps: which were kept. paths: the vectors then; walk: a random walk from the same start with the same step lengths;
    control: the start moved at random by each step's distance from it. explained: of what the basis was fitted on; seen: of the
    path itself, in this plane; walk_seen: of the random walk in a plane fitted on it. hidden: what the first two (three)
    components don't show of each vector, at every step.
    """

    basis: Basis
    steps: tuple[int, ...]
    paths: Float[np.ndarray, "points virtual_tokens 3"]
    walk: Float[np.ndarray, "points virtual_tokens 3"]
    control: Float[np.ndarray, "points virtual_tokens 3"]
    cloud: Float[np.ndarray, "words 3"]
    cloud_texts: tuple[str, ...]
    marks: tuple[Marks, ...]
    explained: Float[np.ndarray, " 3"]
    seen: Float[np.ndarray, " 3"]
    walk_seen: Float[np.ndarray, " 3"]
    hidden: Float[np.ndarray, "points virtual_tokens"]
    hidden_in_three: Float[np.ndarray, "points virtual_tokens"]

    def at(self, step: int) -> int:
        """The index of the last kept step that is not after `step`."""
        return max((i for i, kept in enumerate(self.steps) if kept <= step), default=0)


def view(
    lm: LanguageModel,
    vocabulary: Vocabulary,
    record: RunRecord,
    basis: Basis,
    which: Slice,
    others: Mapping[str, RunRecord] = {},
    words: Sequence[tuple[str, Sequence[int]]] = (),
) -> PathView:
    """Everything about `record`'s vectors in one plane.

    basis: fitted on the vocabulary (of a K/V prefix: real words' keys or values in that layer), on this run's own path, or on
    the start and end vectors of this run and the `others`. words: (name, token ids) to be marked; soft prompts only. Raises
    LabError where the record keeps no vectors.
    """
    kept = sorted(step for step, values in record.vectors.items() if step >= 0 and np.isfinite(values).all())
    end = record.final_vectors()
    if end is None:
        raise LabError("Only the drawn coordinates of this run were kept, not its vectors: train it live for this view.")
    snapshots = [record.vectors[step] for step in kept]
    last = max(record.step, 1)
    if not kept or kept[-1] < last:
        kept, snapshots = [*kept, last], [*snapshots, end]
    method = record.method
    path = np.stack([which.of(method, values) for values in snapshots])  # (points, P, d)
    cloud, ids = _cloud(lm, vocabulary, path.shape[1], which, method)
    fitting = {name: other for name, other in others.items() if other.kind == record.kind and other.final_vectors() is not None}
    ends = [_ends(other, which) for other in fitting.values()]
    plane = _plane(vocabulary, basis, path, cloud, ends, method)
    walk = random_walk(path)
    control = np.stack([array_moved_at_random(path[0], now) for now in path])
    marks = [
        Marks("run", name, _project(plane, pair[1]), tuple(str(i + 1) for i in range(len(pair[1]))))
        for name, pair in zip(fitting, ends, strict=True)
    ]
    if method.in_embedding_space:
        for name, tokens in words:
            rows = lm.vocabulary[torch.tensor(list(tokens), device=lm.device)].cpu().numpy()
            marks.append(Marks("words", name, _project(plane, rows), tuple(lm.token_text(token) for token in tokens)))
    return PathView(
        basis=basis,
        steps=tuple(kept),
        paths=_project(plane, path),
        walk=_project(plane, walk),
        control=_project(plane, control),
        cloud=_project(plane, cloud),
        cloud_texts=tuple(lm.token_text(token) for token in ids),
        marks=tuple(marks),
        explained=_three(plane.explained),
        seen=_three(explained_by(plane, path.reshape(-1, path.shape[2]))),
        walk_seen=_three(fit(walk.reshape(-1, walk.shape[2])).explained),
        hidden=np.stack([plane.hidden_share(now) for now in path]),
        hidden_in_three=np.stack([plane.hidden_share(now, 3) for now in path]),
    )


def word_groups(lm: LanguageModel, task: Task, handcrafted: Sequence[Contender]) -> list[tuple[str, list[int]]]:
    """What may be marked among a soft prompt's paths: each handcrafted prompt's words, and the label words (or some answers)."""
    groups = [(prompt.name, list(dict.fromkeys(lm.tokenise(prompt.template.replace("{input}", ""))))[:40]) for prompt in handcrafted]
    answers = task.labels or tuple(dict.fromkeys(example.output for example in task.train))[:12]
    labels = list(dict.fromkeys(token for answer in answers for token in lm.tokenise(" " + answer)))[:40]
    return [(name, ids) for name, ids in [*groups, ("label words" if task.labels else "answers", labels)] if ids]


def _cloud(lm: LanguageModel, vocabulary: Vocabulary, positions: int, which: Slice, method: Method) -> tuple[np.ndarray, list[int]]:
    if method.in_embedding_space:
        ids = list(vocabulary.sample)
        return lm.vocabulary[torch.tensor(ids, device=lm.device)].cpu().numpy(), ids
    real = vocabulary.keys_values(positions).numpy()
    return which.of(method, real), list(vocabulary.sample_of_keys)


def _plane(vocabulary: Vocabulary, basis: Basis, path: np.ndarray, cloud: np.ndarray, ends: list[np.ndarray], method: Method) -> Plane:
    if basis == "vocabulary":
        return vocabulary.plane if method.in_embedding_space else fit(cloud)
    chosen = [path] if basis == "path" else [path[[0, -1]], *ends]  # prompts of different lengths, too
    return fit(np.concatenate([vectors.reshape(-1, path.shape[2]) for vectors in chosen]))


def _ends(record: RunRecord, which: Slice) -> Float[np.ndarray, "2 virtual_tokens d"]:
    end = record.final_vectors()
    assert end is not None
    return np.stack([which.of(record.method, record.vectors.get(0, end)), which.of(record.method, end)])


def _project(plane: Plane, vectors: np.ndarray) -> Float[np.ndarray, "*n 3"]:
    """Coordinates with three axes, whatever the plane has: a cloud of two vectors has one component."""
    places = plane.project(vectors)
    missing = 3 - places.shape[-1]
    return np.concatenate([places, np.zeros((*places.shape[:-1], missing), places.dtype)], axis=-1) if missing else places


def _three(shares: np.ndarray) -> Float[np.ndarray, " 3"]:
    return np.concatenate([shares, np.zeros(3)])[:3].astype(np.float64)
