"""What the page shows of a prompt's vectors at one step: their place in a fixed plane, nearest tokens, and the control's.

A reader fixes the plane and the cloud around it once; each step is then read in milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .inspection.control import moved_at_random
from .inspection.nearest import nearest, neighbour_cosines
from .inspection.plane import Plane, fit
from .model import LanguageModel
from .prefix import keys_values_of

CLOUD = 300  # tokens drawn around the vectors
NEAREST = 3


@dataclass(frozen=True)
class Reading:
    """One step, read. place: (virtual_tokens, 3) coordinates. moved: each vector's distance from its start; norm: its length;
    hidden: the share of it that the plane of the first two components doesn't show.

    ids, cosine: (virtual_tokens, NEAREST) nearest tokens by cosine; by_l2, distance: the nearest one by distance. All four
    are empty for a K/V prefix. control_*: the same of the start moved at random by the same lengths.
    """

    place: Float[np.ndarray, "virtual_tokens k"]
    control_place: Float[np.ndarray, "virtual_tokens k"]
    moved: Float[np.ndarray, " virtual_tokens"]
    norm: Float[np.ndarray, " virtual_tokens"]
    hidden: Float[np.ndarray, " virtual_tokens"]
    ids: list[list[int]]
    cosine: list[list[float]]
    by_l2: list[int]
    distance: list[float]
    control_ids: list[int]
    control_cosine: list[float]


class Vocabulary:
    """What is read off a model's vocabulary once: its plane, and how near its tokens are to each other."""

    def __init__(self, lm: LanguageModel):
        self._lm = lm
        self._keys_values: dict[int, Tensor] = {}

    def warm(self) -> None:
        """Compute everything now (some seconds), so that no visitor waits for it."""
        _ = self.plane, self.sample, self.neighbours

    @cached_property
    def plane(self) -> Plane:
        """PCA of all ordinary tokens' embeddings."""
        return fit(self._lm.vocabulary[self._lm.ordinary_tokens.to(self._lm.device)].cpu().numpy())

    @cached_property
    def sample(self) -> list[int]:
        """The tokens drawn as a cloud: evenly spaced over the ordinary vocabulary."""
        ordinary = self._lm.ordinary_tokens
        return ordinary[torch.linspace(0, len(ordinary) - 1, min(CLOUD, len(ordinary))).long()].tolist()

    def keys_values(self, positions: int) -> Float[Tensor, "layers 2 tokens kv_heads head_dim"]:
        """K/V of real tokens, run in rows of `positions` tokens: keys are stored after rotation, so positions must match."""
        if positions not in self._keys_values:
            ids = self.sample[:: max(1, len(self.sample) // 200)]
            rows = [ids[i : i + positions] for i in range(0, len(ids), positions)]
            self._keys_values[positions] = torch.cat([keys_values_of(self._lm, row).cpu() for row in rows], dim=2)
        return self._keys_values[positions]

    @cached_property
    def neighbours(self) -> Float[np.ndarray, " sample"]:
        """Sorted cosines of sampled tokens to their nearest other token."""
        return neighbour_cosines(self._lm.vocabulary).cpu().numpy()


class SoftReader:
    """Reads a soft prompt's vectors against the vocabulary."""

    def __init__(self, lm: LanguageModel, vocabulary: Vocabulary, start: Float[np.ndarray, "virtual_tokens d_model"]):
        self._lm, self.start = lm, torch.from_numpy(start)
        self.plane = vocabulary.plane
        self.cloud_ids: Sequence[int] = vocabulary.sample
        self.cloud = self.plane.project(lm.vocabulary[torch.tensor(self.cloud_ids, device=lm.device)].cpu().numpy())

    def read(self, vectors: np.ndarray) -> Reading:
        """vectors: (virtual_tokens, d_model)."""
        learned = torch.from_numpy(vectors)
        found = nearest(learned.to(self._lm.device), self._lm.vocabulary, NEAREST)
        moved = moved_at_random(self.start, learned)
        control = nearest(moved.to(self._lm.device), self._lm.vocabulary, 1)
        return Reading(
            place=self.plane.project(vectors),
            control_place=self.plane.project(moved.numpy()),
            moved=torch.linalg.vector_norm(learned - self.start, dim=1).numpy(),
            norm=found.norm.cpu().numpy(),
            hidden=self.plane.hidden_share(vectors),
            ids=found.ids.tolist(),
            cosine=found.cosine.tolist(),
            by_l2=found.by_l2.tolist(),
            distance=found.distance.tolist(),
            control_ids=control.ids[:, 0].tolist(),
            control_cosine=control.cosine[:, 0].tolist(),
        )


class KVReader:
    """Reads one layer's keys or values of a K/V prefix against those of real tokens. It has no nearest tokens."""

    def __init__(
        self,
        lm: LanguageModel,
        vocabulary: Vocabulary,
        start: Float[np.ndarray, "layers 2 virtual_tokens kv_heads head_dim"],
        layer: int | None = None,
        part: int = 1,
    ):
        """layer: default the middle one. part: 0 keys (after rotation), 1 values."""
        self.layer, self.part = lm.layers // 2 if layer is None else layer, part
        self.start = start
        self.cloud_ids: Sequence[int] = vocabulary.sample[:: max(1, len(vocabulary.sample) // 200)]
        real = vocabulary.keys_values(start.shape[2])[self.layer, part].flatten(1).numpy()  # (tokens, kv_heads * head_dim)
        self.plane = fit(real)
        self.cloud = self.plane.project(real)

    def read(self, vectors: np.ndarray) -> Reading:
        """vectors: (layers, 2, virtual_tokens, kv_heads, head_dim)."""
        chosen = vectors[self.layer, self.part].reshape(vectors.shape[2], -1)
        start = self.start[self.layer, self.part].reshape(vectors.shape[2], -1)
        return Reading(
            place=self.plane.project(chosen),
            control_place=self.plane.project(moved_at_random(torch.from_numpy(start), torch.from_numpy(chosen)).numpy()),
            moved=np.linalg.norm(chosen - start, axis=1),
            norm=np.linalg.norm(chosen, axis=1),
            hidden=self.plane.hidden_share(chosen),
            ids=[],
            cosine=[],
            by_l2=[],
            distance=[],
            control_ids=[],
            control_cosine=[],
        )


Reader = SoftReader | KVReader


def reader_of(lm: LanguageModel, vocabulary: Vocabulary, start: np.ndarray) -> Reader:
    """The reader for what `start` is: vectors, or keys and values."""
    return SoftReader(lm, vocabulary, start) if start.ndim == 2 else KVReader(lm, vocabulary, start)
