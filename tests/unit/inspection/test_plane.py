"""The plane of principal components, and random walks in it."""

import numpy as np
import pytest

from core.inspection.plane import explained_by, fit, random_walk


def test_the_plane_finds_the_two_directions_that_vary():
    random = np.random.default_rng(0)
    cloud = np.zeros((200, 5), dtype=np.float32)
    cloud[:, 3] = 10 * random.standard_normal(200)
    cloud[:, 1] = random.standard_normal(200)
    cloud += np.arange(5, dtype=np.float32)
    plane = fit(cloud, k=2)
    assert np.abs(plane.components[0]).argmax() == 3 and np.abs(plane.components[1]).argmax() == 1
    assert plane.explained[0] > 0.97 and plane.explained.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(plane.project(cloud) @ plane.components + plane.mean, cloud, atol=1e-4)
    assert plane.hidden_share(cloud).max() < 1e-3
    seen, unseen = plane.mean + plane.components[:1], plane.mean + np.eye(5, dtype=np.float32)[:1] * 4
    assert plane.hidden_share(seen.astype(np.float32))[0] == pytest.approx(0, abs=1e-4)
    assert plane.hidden_share(unseen.astype(np.float32))[0] == pytest.approx(1, abs=1e-2)


def test_in_three_dimensions_less_is_hidden():
    plane = fit(np.diag([8.0, 4.0, 2.0, 1.0]).astype(np.float32) - 1, k=3)
    vectors = (plane.mean + plane.components[2:]).astype(np.float32)  # along the third component only
    assert plane.hidden_share(vectors)[0] == pytest.approx(1, abs=1e-4)
    assert plane.hidden_share(vectors, shown=3)[0] == pytest.approx(0, abs=1e-4)


def test_a_plane_explains_its_own_cloud_as_it_says_and_another_as_numpy_counts():
    random = np.random.default_rng(0)
    cloud, other = (random.standard_normal((60, 6)).astype(np.float32) * np.arange(1, 7, dtype=np.float32) for _ in range(2))
    plane = fit(cloud)
    assert all(row[np.abs(row).argmax()] > 0 for row in plane.components)  # the same signs at every fit
    np.testing.assert_allclose(fit(cloud[::-1].copy()).components, plane.components, atol=1e-4)
    np.testing.assert_allclose(explained_by(plane, cloud), plane.explained, rtol=1e-4)
    expected = [np.var(other @ axis) / np.var(other, axis=0).sum() for axis in plane.components]
    np.testing.assert_allclose(explained_by(plane, other + 50), expected, rtol=1e-3)  # wherever the other cloud lies
    assert explained_by(plane, np.ones((4, 6), dtype=np.float32)).tolist() == [0, 0, 0]


def test_a_random_walk_takes_each_vectors_own_steps_elsewhere():
    path = np.random.default_rng(0).standard_normal((9, 5, 64)).astype(np.float32)
    path[4:, 2] = path[4, 2]  # this one stops
    walk = random_walk(path)
    assert walk.dtype == np.float32 and np.array_equal(walk[0], path[0])
    steps, own = np.diff(walk, axis=0), np.diff(path, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=2), np.linalg.norm(own, axis=2), rtol=1e-4, atol=1e-5)
    unit = steps[:3] / np.linalg.norm(steps[:3], axis=2, keepdims=True)
    towards = (unit * own[:3] / np.linalg.norm(own[:3], axis=2, keepdims=True)).sum(axis=2)
    assert np.abs(towards).max() < 0.5  # in 64 dimensions: about 0.125
    assert np.abs((unit[:, 0] * unit[:, 1]).sum(axis=1)).max() < 0.5  # each vector has directions of its own
    assert np.array_equal(walk, random_walk(path)) and not np.array_equal(walk, random_walk(path, seed=1))


def test_a_random_walk_too_fills_two_components_of_its_own_plane():
    straight = np.linspace(0, 1, 51, dtype=np.float32)[:, None, None] * np.ones((1, 1, 3000), dtype=np.float32)
    explained = fit(random_walk(straight)[:, 0]).explained
    assert explained[0] == pytest.approx(6 / np.pi**2, abs=0.05) and explained[1] == pytest.approx(1.5 / np.pi**2, abs=0.03)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_cloud_of_one_point_or_of_equal_points_is_no_error():
    plane = fit(np.ones((4, 3), dtype=np.float32))
    assert np.isfinite(plane.explained).all() and np.isfinite(plane.project(np.ones((2, 3), dtype=np.float32))).all()
    assert np.isfinite(plane.hidden_share(np.ones((2, 3), dtype=np.float32))).all()
