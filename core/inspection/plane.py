"""PCA by scikit-learn: a fixed basis, projections onto it, and the share of each vector that they don't show."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Plane:
    """Principal components of a cloud of vectors. explained: each component's share of the cloud's variance."""

    mean: Float[np.ndarray, " d"]
    components: Float[np.ndarray, "k d"]
    explained: Float[np.ndarray, " k"]

    def project(self, vectors: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n k"]:
        """Coordinates in the plane."""
        return ((vectors - self.mean) @ self.components.T).astype(np.float32)

    def hidden_share(self, vectors: Float[np.ndarray, "n d"], shown: int = 2) -> Float[np.ndarray, " n"]:
        """For each vector, the share of its squared distance from the mean that the first `shown` components don't show."""
        total = ((vectors - self.mean) ** 2).sum(axis=1)
        seen = (self.project(vectors)[:, :shown] ** 2).sum(axis=1)
        return 1 - np.divide(seen, total, out=np.ones_like(total), where=total > 1e-12)


def fit(cloud: Float[np.ndarray, "n d"], k: int = 3) -> Plane:
    """The first k components of `cloud`, with a sign that doesn't depend on the library's choice.

    >>> plane = fit(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]], dtype=np.float32), k=1)
    >>> plane.components.round(6).tolist(), plane.explained.round(6).tolist()
    ([[1.0, 0.0]], [1.0])
    """
    from sklearn.decomposition import PCA  # here: the import takes a second, which the page's start would wait for

    k = min(k, *cloud.shape)
    found = PCA(n_components=k, svd_solver="covariance_eigh" if len(cloud) > cloud.shape[1] else "full").fit(cloud)
    signs = np.sign(found.components_[np.arange(k), np.abs(found.components_).argmax(axis=1)])
    explained = np.nan_to_num(found.explained_variance_ratio_)
    return Plane(found.mean_, found.components_ * signs[:, None], explained)


def explained_by(plane: Plane, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " k"]:
    """The share of the variance of `vectors` (about their own mean) along each component of `plane`, fitted to any cloud.

    The components are orthonormal, so the shares add up to at most 1. For a plane fitted to `vectors`, they are its `explained`.
    All 0 if the vectors are equal.

    >>> across = Plane(np.zeros(2), np.array([[1.0, 0.0]]), np.array([1.0]))
    >>> explained_by(across, np.array([[0.0, 0.0], [1.0, 2.0]])).tolist()
    [0.2]
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    total = (centred**2).sum()
    if total <= 1e-12:
        return np.zeros(len(plane.components))
    return ((centred @ plane.components.T) ** 2).sum(axis=0) / total


def random_walk(path: Float[np.ndarray, "points vectors d"], seed: int = 0) -> Float[np.ndarray, "points vectors d"]:
    """The control for a path: the same start and the same length of every step of every vector, in random directions.

    path: the vectors at the steps + 1 points of a run. Two components show most of a random walk as well: in many dimensions the
    first has 6 / pi^2 of its variance and the second a quarter of that, for a walk of any length (Antognini & Sohl-Dickstein
    2018, "PCA of high dimensional random walks with comparison to neural network training"). So a smooth curve in the PCA plane
    of the path itself is no sign of structure.

    >>> walk = random_walk(np.array([[[0.0, 0.0]], [[3.0, 4.0]], [[3.0, 4.0]]]))
    >>> np.linalg.norm(np.diff(walk, axis=0), axis=2).round(6).tolist()
    [[5.0], [0.0]]
    """
    # Above every recipe's seed, as the other controls are.
    steps = np.random.default_rng(2**31 + seed).standard_normal((len(path) - 1, *path.shape[1:]))
    steps *= np.linalg.norm(np.diff(path, axis=0), axis=2, keepdims=True) / np.linalg.norm(steps, axis=2, keepdims=True)
    return np.concatenate([path[:1], path[:1] + np.cumsum(steps, axis=0)]).astype(path.dtype)
