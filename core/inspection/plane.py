"""PCA: a fixed basis, and how much of each vector it shows. scikit-learn's PCA, seen as arrays."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA


@dataclass(frozen=True)
class Plane:
    """Principal components of a cloud of vectors. explained: each component's share of the cloud's variance."""

    mean: Float[np.ndarray, " d"]
    components: Float[np.ndarray, "k d"]
    explained: Float[np.ndarray, " k"]

    def project(self, vectors: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n k"]:
        """Coordinates in the plane."""
        return ((vectors - self.mean) @ self.components.T).astype(np.float32)

    def hidden_share(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """For each vector, the share of its squared distance from the mean that the first two components don't show."""
        total = ((vectors - self.mean) ** 2).sum(axis=1)
        seen = (self.project(vectors)[:, :2] ** 2).sum(axis=1)
        return 1 - np.divide(seen, total, out=np.ones_like(total), where=total > 1e-12)


def fit(cloud: Float[np.ndarray, "n d"], k: int = 3) -> Plane:
    """The first k components of `cloud`, with a sign that doesn't depend on the library's choice.

    >>> plane = fit(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]], dtype=np.float32), k=1)
    >>> plane.components.round(6).tolist(), plane.explained.round(6).tolist()
    ([[1.0, 0.0]], [1.0])
    """
    k = min(k, *cloud.shape)
    found = PCA(n_components=k, svd_solver="covariance_eigh" if len(cloud) > cloud.shape[1] else "full").fit(cloud)
    signs = np.sign(found.components_[np.arange(k), np.abs(found.components_).argmax(axis=1)])
    explained = np.nan_to_num(found.explained_variance_ratio_)
    return Plane(found.mean_, found.components_ * signs[:, None], explained)
