"""Measures of maps that need no truth, and registration by minutiae and a spline."""

import numpy as np
import pytest
from prints import finger

from model.registration.impression import prepare_impression
from pipeline.imaging.file import ImageFile
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import apply_affine, rotation
from train.evaluation import reference_minutiae
from train.evaluation.benchmark import map_measures, minutiae_tps, rigid_matches
from train.evaluation.benchmark.map_measures import FileGridMap
from train.evaluation.file_methods import PreparedFile
from train.evaluation.reference_minutiae import no_correspondence

RIGHT = np.array([12.0, 0.0])


def prepare(image, ppi=500.0):
    impression = prepare_impression(ImageFile(image), ImageResolution(ppi, "argument"), "image")
    return PreparedFile(impression)


@pytest.fixture(scope="module")
def pair():
    """A print and the same one moved by 12 px to the right."""
    image = finger(5, 260, 240)
    return prepare(image), prepare(np.roll(image, 12, 1))


def test_the_ridges_agree_under_the_true_map_alone(pair):
    def correlation(shift):
        return map_measures.correlation(
            FileGridMap(lambda points: points + np.array([shift, 0]), *pair)
        )

    assert correlation(12) > 0.95
    assert correlation(12 + 4.5) < 0.1  # half a ridge beside
    assert map_measures.correlation(FileGridMap(no_correspondence, *pair)) == 0


def test_the_mapped_share(pair):
    def share(point_map):
        return map_measures.mapped_share(FileGridMap(point_map, *pair))

    assert share(lambda points: points + RIGHT) > 0.95
    half = share(lambda points: np.where(points[:, :1] < 120, points + RIGHT, np.nan))
    assert 0.35 < half < 0.65
    assert share(no_correspondence) == share(lambda points: points + 1e30) == 0


def test_bending_is_the_energy_of_a_thin_plate(pair):
    def bending(point_map):
        return map_measures.bending(FileGridMap(point_map, *pair))

    turn = rotation(0.2, (120.0, 130.0))
    assert bending(lambda points: apply_affine(turn, points)) == pytest.approx(0, abs=1e-9)
    c = 1e-4  # 1/px: x + c x² has f_xx = 2c

    def bent(points):
        return points + np.c_[c * (points[:, 0] - 120) ** 2, np.zeros(len(points))]

    assert bending(bent) == pytest.approx((2 * c * 500 / 2.54) ** 2, rel=1e-6)
    assert bending(no_correspondence) is None


def test_measures_are_those_of_500_ppi(pair):
    """Files of twice the resolution have the same bending and correlation."""
    doubled = [prepare(np.kron(f.prepared.image, np.ones((2, 2))).astype(np.uint8), 1000.0)
               for f in pair]  # fmt: skip
    c = 1e-4

    def bent(points):
        return points + RIGHT + np.c_[c * (points[:, 0] - 120) ** 2, np.zeros(len(points))]

    def bent_of_file(points):
        return 2 * bent((points - 0.5) / 2) + 0.5

    once, twice = FileGridMap(bent, *pair), FileGridMap(bent_of_file, *doubled)
    assert map_measures.bending(twice) == pytest.approx(map_measures.bending(once), rel=0.01)
    assert map_measures.correlation(twice) == pytest.approx(map_measures.correlation(once), abs=0.1)


def test_the_nearest_rigid_motion_has_no_scale():
    points = np.random.default_rng(0).uniform(0, 300, (20, 2))
    motion = rotation(0.3, (10.0, 20.0), (5.0, -7.0))
    fitted = rigid_matches.nearest_rigid(np.c_[points, apply_affine(motion, points)])
    np.testing.assert_allclose(fitted, motion, atol=1e-9)
    scaled = rigid_matches.nearest_rigid(np.c_[points, 1.2 * apply_affine(motion, points)])
    assert np.linalg.det(scaled[:, :2]) == pytest.approx(1)


def minutiae(count, seed):
    rng = np.random.default_rng(seed)
    return np.c_[rng.uniform(0, 300, (count, 2)), rng.uniform(-np.pi, np.pi, count)]


def bend(points):
    """A smooth distortion of up to 12 px."""
    return points + 12 * np.sin(points[:, ::-1] / 90)


def test_a_spline_follows_a_distortion_that_no_rigid_motion_follows():
    a = minutiae(60, 1)
    points, direction = reference_minutiae.carry(a, bend)
    b = np.c_[points, direction]
    result = minutiae_tps.register(a, b)
    _, rigid = reference_minutiae.rigid_oracle(a, b)
    inside = minutiae(200, 2)[:, :2] * 0.8 + 30
    errors = [np.hypot(*(m(inside) - bend(inside)).T) for m in (result.point_map, rigid)]
    assert np.median(errors[0]) < 1.5 < 3 < np.median(errors[1])
    impostor = minutiae_tps.register(a, minutiae(60, 3))
    assert impostor.score < 0.25 < 0.6 < result.score


@pytest.mark.parametrize(("count_a", "count_b"), [(0, 0), (0, 5), (1, 1), (3, 40)])
def test_few_minutiae_give_no_spline(count_a, count_b):
    result = minutiae_tps.register(minutiae(count_a, 4), minutiae(count_b, 5))
    assert 0 <= result.score <= 1
    assert result.point_map(np.zeros((2, 2))).shape == (2, 2)


def test_minutiae_on_a_line_give_a_rigid_map():
    a = np.c_[np.arange(10.0) * 20, np.zeros(10), np.zeros(10)]
    mapped = minutiae_tps.register(a, a + np.array([5, 0, 0])).point_map(a[:, :2])
    np.testing.assert_allclose(mapped, a[:, :2] + np.array([5, 0]), atol=1e-6)
