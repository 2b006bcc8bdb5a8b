"""Reference minutiae against known motions."""

import math

import numpy as np
import pytest

from pipeline.imaging.warp import apply_affine, pixel_grid, rotation
from shards.foundation.errors import Fault, Misuse
from train.evaluation import file_methods, reference_minutiae


def random_minutiae(count=20, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.permutation(64)[:count]
    place = np.c_[points % 8, points // 8] * 40.0 + rng.uniform(-5, 5, (count, 2))
    return np.c_[place, rng.uniform(-np.pi, np.pi, count), np.ones(count)]


def moved(minutiae, matrix, angle):
    turned = (minutiae[:, 2] + angle + np.pi) % (2 * np.pi) - np.pi
    return np.c_[apply_affine(matrix, minutiae[:, :2]), turned, minutiae[:, 3]]


@pytest.mark.parametrize("degrees", [0, 37, -160])
def test_true_map_confirms_all_and_a_wrong_one_few(degrees):
    angle, a = math.radians(degrees), random_minutiae()
    matrix = rotation(angle, (150, 150), (20, -7))
    b = moved(a, matrix, angle)
    right = reference_minutiae.distances(a, b, lambda points: apply_affine(matrix, points))
    np.testing.assert_allclose(right, np.zeros(20), atol=1e-9)
    wrong = reference_minutiae.distances(a, b, lambda points: apply_affine(matrix, points) + 20.0)
    assert len(wrong) < 3


def test_directions_must_agree():
    """The map turns directions too: a right position with a wrong direction confirms nothing."""
    a = random_minutiae()
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
    a, none = random_minutiae(), np.zeros((0, 4))
    assert len(reference_minutiae.distances(a, a, reference_minutiae.no_correspondence)) == 0
    assert len(reference_minutiae.distances(none, a, lambda points: points)) == 0
    assert len(reference_minutiae.distances(a, none, lambda points: points)) == 0
    assert reference_minutiae.rigid_oracle(none, a)[0] == 0


def test_rigid_oracle_finds_the_motion_among_other_minutiae():
    """A third of B's minutiae have no partner in A."""
    angle, a = math.radians(50), random_minutiae()
    matrix = rotation(angle, (150, 150), (20, -7))
    b = moved(a, matrix, angle)
    b[:7] = random_minutiae(7, seed=5)
    share, point_map = reference_minutiae.rigid_oracle(a, b)
    assert 13 / 20 <= share <= 15 / 20
    error = point_map(a[:, :2]) - apply_affine(matrix, a[:, :2])
    assert np.abs(error).max() < 8


def test_dense_map_is_interpolated_between_pixels():
    height, width = 30, 40
    map_ab = (pixel_grid(height, width) * 2 + [1, 5]).astype(np.float32)
    map_ab[:, :10] = np.nan
    points = np.array([[20.25, 10.5], [5, 5], [39.5, 10], [-3, 2]])
    sampled = file_methods.sample_map(map_ab, points)
    np.testing.assert_allclose(sampled[0], [41.5, 26], atol=0.05)
    assert np.isnan(sampled[1:]).all()
    assert file_methods.sample_map(map_ab, np.zeros((0, 2))).shape == (0, 2)


def test_file_of_minutiae_is_checked(tmp_path):
    path = tmp_path / "m.npz"
    with pytest.raises(Misuse, match="no such file"):
        reference_minutiae.load(path, [])
    path.write_text("no zip")
    with pytest.raises(Fault, match="cannot be read as a file of minutiae"):
        reference_minutiae.load(path, [])
    np.savez(path, **{"1_1.png": random_minutiae()})
    assert reference_minutiae.load(path, [tmp_path / "1_1.png"])["1_1.png"].shape == (20, 4)
    with pytest.raises(Fault, match=r"no minutiae of 2_1\.png"):
        reference_minutiae.load(path, [tmp_path / "2_1.png"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"1_2\.png is float64 \[3\]; expected numbers \[N, 4\]"),
        (np.zeros((5, 2)), r"1_2\.png is float64 \[5, 2\]"),
        (np.array([["a", "b", "c"]]), r"1_2\.png is <U1 \[1, 3\]"),
        (np.full((5, 4), np.nan), r"1_2\.png holds numbers that are not finite"),
        (np.array([[1, 2, np.inf]]), r"1_2\.png holds numbers that are not finite"),
    ],
)
def test_arrays_that_are_no_minutiae_are_refused(tmp_path, array, message):
    np.savez(tmp_path / "m.npz", **{"1_2.png": array})
    with pytest.raises(Fault, match=message):
        reference_minutiae.load(tmp_path / "m.npz", [])


def test_one_array_without_an_archive_is_no_file_of_minutiae(tmp_path):
    np.save(tmp_path / "m.npy", random_minutiae())
    with pytest.raises(Fault, match="cannot be read as a file of minutiae"):
        reference_minutiae.load(tmp_path / "m.npy", [])
