"""The witness against motions that are known."""

import math

import numpy as np
import pytest

from pipeline.imaging.warp import apply_affine, pixel_grid, rotation
from shards.foundation.errors import Fault, Misuse
from train.evaluation import file_methods, reference_minutiae


def constellation(count=20, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.permutation(64)[:count]
    place = np.c_[points % 8, points // 8] * 40.0 + rng.uniform(-5, 5, (count, 2))
    return np.c_[place, rng.uniform(-np.pi, np.pi, count), np.ones(count)]


def moved(minutiae, matrix, angle):
    turned = (minutiae[:, 2] + angle + np.pi) % (2 * np.pi) - np.pi
    return np.c_[apply_affine(matrix, minutiae[:, :2]), turned, minutiae[:, 3]]


@pytest.mark.parametrize("degrees", [0, 37, -160])
def test_true_map_confirms_all_and_a_wrong_one_little(degrees):
    angle, a = math.radians(degrees), constellation()
    matrix = rotation(angle, (150, 150), (20, -7))
    b = moved(a, matrix, angle)
    right = reference_minutiae.distances(a, b, lambda points: apply_affine(matrix, points))
    np.testing.assert_allclose(right, np.zeros(20), atol=1e-9)
    wrong = reference_minutiae.distances(a, b, lambda points: apply_affine(matrix, points) + 20.0)
    assert len(wrong) < 3


def test_directions_must_agree():
    """Carried along by the map: a right place with the wrong turn confirms nothing."""
    a = constellation()
    b = a + np.array([0, 0, 0.6, 0])
    assert len(reference_minutiae.distances(a, b, lambda points: points)) == 0
    assert (
        len(reference_minutiae.distances(a, a + np.array([0, 0, 0.3, 0]), lambda points: points))
        == 20
    )


def test_one_to_one_nearest_first():
    a = np.array([[0, 0, 0, 1], [5, 0, 0, 1.0]])
    b = np.array([[4, 0, 0, 1.0]])
    np.testing.assert_allclose(reference_minutiae.distances(a, b, lambda points: points), [1])


def test_no_map_and_no_minutiae_confirm_nothing():
    a, none = constellation(), np.zeros((0, 4))
    assert len(reference_minutiae.distances(a, a, file_methods.nowhere)) == 0
    assert len(reference_minutiae.distances(none, a, lambda points: points)) == 0
    assert len(reference_minutiae.distances(a, none, lambda points: points)) == 0
    assert reference_minutiae.oracle(none, a).score == 0


def test_oracle_finds_the_motion_among_strangers():
    """A third of B's minutiae are others."""
    angle, a = math.radians(50), constellation()
    matrix = rotation(angle, (150, 150), (20, -7))
    b = moved(a, matrix, angle)
    b[:7] = constellation(7, seed=5)
    found = reference_minutiae.oracle(a, b)
    assert 13 / 20 <= found.score <= 15 / 20
    off = found.carry(a[:, :2]) - apply_affine(matrix, a[:, :2])
    assert np.abs(off).max() < 8


def test_a_dense_map_is_sampled_between_its_pixels():
    height, width = 30, 40
    map_ab = (pixel_grid(height, width) * 2 + [1, 5]).astype(np.float32)
    map_ab[:, :10] = np.nan
    found = file_methods.sampled(map_ab, np.array([[20.25, 10.5], [5, 5], [39.5, 10], [-3, 2]]))
    np.testing.assert_allclose(found[0], [41.5, 26], atol=0.05)
    assert np.isnan(found[1:]).all()
    assert file_methods.sampled(map_ab, np.zeros((0, 2))).shape == (0, 2)


def test_file_of_minutiae_is_checked(tmp_path):
    path = tmp_path / "m.npz"
    with pytest.raises(Misuse, match="no such file"):
        reference_minutiae.load(path, [])
    path.write_text("no zip")
    with pytest.raises(Fault, match=r"no \.npz file"):
        reference_minutiae.load(path, [])
    np.savez(path, **{"1_1.png": constellation(), "1_2.png": np.zeros(3)})
    assert reference_minutiae.load(path, [tmp_path / "1_1.png"])["1_1.png"].shape == (20, 4)
    with pytest.raises(Fault, match=r"no minutiae of 2_1\.png"):
        reference_minutiae.load(path, [tmp_path / "2_1.png"])
    with pytest.raises(Fault, match=r"1_2\.png is \[3\]"):
        reference_minutiae.load(path, [tmp_path / "1_2.png"])
