"""What the page shows of a prompt's vectors at one step: their place in a fixed plane, nearest tokens, and the control's.

A reader fixes the plane and the cloud around it once; each step is then read in milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from core.inspection.control import array_moved_at_random, moved_at_random
from core.inspection.nearest import Nearest, Neighbours, nearest, neighbours
from core.inspection.plane import Plane, fit
from core.methods.contract import Method
from core.models.devices import has_bfloat16
from core.models.language_model import LanguageModel
from core.scoring.derived_contenders import like_vocabulary

CLOUD = 300  # tokens drawn around the vectors
NEAREST = 3
DRAWS = 3  # random moves of the same lengths, of a prompt that is done
MOST_RANDOM = 200  # vectors drawn with the vocabulary's mean and covariance: as many as a prompt may have


@dataclass(frozen=True)
class Reading:
    """One step, read. place: (virtual_tokens, 3) coordinates. moved: each vector's distance from its start; norm: its length;
    hidden: the share of it that the plane of the first two components doesn't show.

    ids, cosine: (virtual_tokens, NEAREST) nearest tokens by cosine; by_l2, distance: the nearest one by distance. All four
    are empty for a K/V prefix. control_*: the same of the start moved at random by the same lengths: the place of the first
    draw, and (draws, virtual_tokens) nearest tokens by cosine.
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
    control_ids: list[list[int]]
    control_cosine: list[list[float]]


class Vocabulary:
    """What is read off a model's vocabulary once: its plane, and how near its tokens are to each other."""

    def __init__(self, lm: LanguageModel):
        self.lm = lm
        self._keys_values: dict[int, Tensor] = {}

    def warm(self) -> None:
        """Compute everything now (some seconds), so that no visitor waits for it."""
        _ = self.plane, self.sample, self.usual, self.gaussian, self.rough

    @cached_property
    def plane(self) -> Plane:
        """PCA of all ordinary tokens' embeddings."""
        return fit(self.lm.vocabulary[self.lm.ordinary_tokens.to(self.lm.device)].cpu().numpy())

    @cached_property
    def sample(self) -> list[int]:
        """The tokens drawn as a cloud: evenly spaced over the ordinary vocabulary."""
        ordinary = self.lm.ordinary_tokens
        return ordinary[torch.linspace(0, len(ordinary) - 1, min(CLOUD, len(ordinary))).long()].tolist()

    def keys_values(self, positions: int) -> Float[Tensor, "layers 2 tokens kv_heads head_dim"]:
        """K/V of real tokens, run in rows of `positions` tokens: keys are stored after rotation, so positions must match."""
        if positions not in self._keys_values:
            ids = self.sample_of_keys
            rows = [ids[i : i + positions] for i in range(0, len(ids), positions)]
            self._keys_values[positions] = torch.cat([self.lm.keys_values(row).cpu() for row in rows], dim=2)
        return self._keys_values[positions]

    @cached_property
    def usual(self) -> Neighbours:
        """How near sampled tokens are to their nearest other token, and how long all tokens are."""
        return neighbours(self.lm.vocabulary)

    @cached_property
    def lengths(self) -> Float[Tensor, " vocab"]:
        return torch.linalg.vector_norm(self.lm.vocabulary, dim=1)

    @cached_property
    def rough(self) -> Shaped[Tensor, "vocab d_model"] | None:
        """The vocabulary in bfloat16, where that is faster to search: see `nearest`."""
        return self.lm.vocabulary.bfloat16() if has_bfloat16(self.lm.device) else None

    @cached_property
    def gaussian(self) -> Nearest:
        """The nearest token of vectors drawn with the vocabulary's own mean and covariance."""
        drawn = torch.from_numpy(like_vocabulary(self.lm.vocabulary.cpu().numpy(), MOST_RANDOM))
        return nearest(drawn.to(self.lm.device), self.lm.vocabulary, 1, self.lengths)

    def nearest_beside_control(self, learned: Float[np.ndarray, "n d_model"], start: Float[np.ndarray, "n d_model"], k: int) -> Nearest:
        """The k tokens nearest to each vector, then those nearest to its control: the start, moved equally far at random."""
        both = np.concatenate([learned, array_moved_at_random(start, learned)])
        return nearest(torch.from_numpy(both).to(self.lm.device), self.lm.vocabulary, k, self.lengths)

    @property
    def sample_of_keys(self) -> list[int]:
        """The tokens whose keys and values represent real words."""
        return self.sample[:: max(1, len(self.sample) // 200)]


class VectorReader:
    """Reads vectors in the embedding space against the vocabulary."""

    def __init__(self, lm: LanguageModel, vocabulary: Vocabulary, start: Float[np.ndarray, "virtual_tokens d_model"]):
        self._lm, self._vocabulary, self.start = lm, vocabulary, torch.from_numpy(start)
        self.plane = vocabulary.plane
        self.cloud_ids: Sequence[int] = vocabulary.sample
        self.cloud = self.plane.project(lm.vocabulary[torch.tensor(self.cloud_ids, device=lm.device)].cpu().numpy())

    def read(self, vectors: np.ndarray, draws: int = 1) -> Reading:
        """vectors: (virtual_tokens, d_model). draws: of the control; each takes time, and a page waits for every step."""
        learned, count = torch.from_numpy(vectors), len(vectors)
        random = [moved_at_random(self.start, learned, draw) for draw in range(draws)]
        # All at once: what takes the time is going through the vocabulary.
        everything = torch.cat([learned, *random]).to(self._lm.device)
        found = nearest(everything, self._lm.vocabulary, NEAREST, self._vocabulary.lengths, self._vocabulary.rough)
        ids, cosine = found.ids.tolist(), found.cosine.tolist()
        return Reading(
            place=self.plane.project(vectors),
            control_place=self.plane.project(random[0].numpy()),
            moved=torch.linalg.vector_norm(learned - self.start, dim=1).numpy(),
            norm=found.norm[:count].cpu().numpy(),
            hidden=self.plane.hidden_share(vectors),
            ids=ids[:count],
            cosine=cosine[:count],
            by_l2=found.by_l2[:count].tolist(),
            distance=found.distance[:count].tolist(),
            control_ids=[[row[0] for row in ids[draw * count :][:count]] for draw in range(1, draws + 1)],
            control_cosine=[[row[0] for row in cosine[draw * count :][:count]] for draw in range(1, draws + 1)],
        )


class KVReader:
    """Reads one layer's keys or values of a K/V prefix against those of real tokens. It has no nearest tokens."""

    def __init__(
        self,
        lm: LanguageModel,
        vocabulary: Vocabulary,
        method: Method,
        start: Float[np.ndarray, "layers 2 virtual_tokens kv_heads head_dim"],
        layer: int | None = None,
        part: int = 1,
    ):
        """layer: default the middle one. part: 0 keys (after rotation), 1 values."""
        self.layer, self.part = lm.layers // 2 if layer is None else layer, part
        self.method, self.start = method, start
        self.cloud_ids: Sequence[int] = vocabulary.sample_of_keys
        real = self._chosen(vocabulary.keys_values(start.shape[method.token_axis]).numpy())  # (tokens, kv_heads * head_dim)
        self.plane = fit(real)
        self.cloud = self.plane.project(real)

    def _chosen(self, array: np.ndarray) -> np.ndarray:
        return self.method.part(array, self.layer, self.part)

    def read(self, vectors: np.ndarray, draws: int = 1) -> Reading:
        """vectors: (layers, 2, virtual_tokens, kv_heads, head_dim)."""
        chosen, start = self._chosen(vectors), self._chosen(self.start)
        return Reading(
            place=self.plane.project(chosen),
            control_place=self.plane.project(array_moved_at_random(start, chosen)),
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


Reader = VectorReader | KVReader


def reader_of(lm: LanguageModel, vocabulary: Vocabulary, method: Method, start: np.ndarray, part: int = 1) -> Reader:
    """The reader for arrays of `method`, of which `start` is the one that training began from. part: of a K/V prefix, what is read."""
    return VectorReader(lm, vocabulary, start) if method.in_embedding_space else KVReader(lm, vocabulary, method, start, part=part)
