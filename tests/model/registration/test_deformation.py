"""Similarity transform and deformation against analytic warps, with noisy matches and outliers."""

import numpy as np
import pytest

from model.registration import deformation, similarity
from pipeline.imaging.warp import Warp, apply_affine, pixel_grid, random_control, rotation

SHAPE = (400, 380)
CENTRE = (190.0, 200.0)
REACH = 144  # half a side of the square that contains the matches


def make_matches(outliers, noise=1.5, angle=0.7, elastic=8.0, count=600, seed=0):
    """An elastic warp and matches [K, 5] of it; the first `outliers` (a share) are random."""
    rng = np.random.default_rng(seed)
    control, origin = random_control(rng, SHAPE, 80.0, elastic, 0.4)
    warp = Warp(rotation(angle, CENTRE, (12, -9)), control, 80.0, origin)
    a = rng.uniform(np.subtract(CENTRE, REACH), np.add(CENTRE, REACH), (count, 2))
    b = warp(a) + rng.normal(0, noise, a.shape)
    wrong = int(outliers * count)
    b[:wrong] = rng.uniform(0, 380, (wrong, 2))
    confidence = np.r_[rng.uniform(0.05, 0.6, wrong), rng.uniform(0.2, 1, count - wrong)]
    return warp, np.c_[a, b, confidence].astype(np.float32)


def inside(points):
    return np.abs(points - CENTRE).max(-1) < REACH


@pytest.mark.parametrize("angle", [0.0, 1.0, -2.5, np.pi])
def test_similarity_with_any_rotation_among_outliers(angle):
    warp, matches = make_matches(0.6, angle=angle, elastic=0.0)
    fitted = similarity.fit_similarity(matches, 8.0)
    error = apply_affine(fitted.matrix, matches[:, :2]) - warp(matches[:, :2].astype(float))
    assert np.hypot(*error.T).max() < 1.0
    difference = similarity.rotation_angle(fitted.matrix) - angle
    assert abs((difference + np.pi) % (2 * np.pi) - np.pi) < 0.01
    assert fitted.agrees[360:].all()
    assert fitted.agrees[:360].mean() < 0.02


def test_similarity_weights_matches_by_confidence():
    """Fewer confident matches win against more doubtful ones that agree on another similarity."""
    rng = np.random.default_rng(1)
    a = rng.uniform(0, 300, (200, 2))
    doubtful = np.arange(200) < 120
    b = a + np.where(doubtful[:, None], [40, 0], [0, -30])
    confidence = np.where(doubtful, 0.1, 0.9)
    fitted = similarity.fit_similarity(np.c_[a, b, confidence].astype(np.float32), 8.0)
    np.testing.assert_allclose(fitted.matrix, [[1, 0, 0], [0, 1, -30]], atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 5, 200])
def test_matches_without_a_common_transform_give_none(count):
    rng = np.random.default_rng(2)
    matches = np.c_[rng.uniform(0, 2000, (count, 4)), np.full(count, 0.5)].astype(np.float32)
    assert similarity.fit_similarity(matches, 4.0) is None
    assert (
        deformation.fit_deformation(matches, SHAPE, deformation.DeformationParameters(radius=4.0))
        is None
    )


def test_matches_without_confidence_give_none():
    _, matches = make_matches(0.0)
    matches[:, 4] = 0
    assert similarity.fit_similarity(matches, 8.0) is None


def test_implausible_scale_is_refused():
    rng = np.random.default_rng(3)
    a = rng.uniform(0, 300, (100, 2))
    matches = np.c_[a, 2 * a, np.ones(100)].astype(np.float32)
    assert similarity.fit_similarity(matches, 8.0) is None


@pytest.mark.parametrize("outliers", [0.0, 0.3, 0.6])
def test_deformation_follows_the_elastic_warp(outliers):
    """Well below the matches' own error where they lie; much better than the similarity alone."""
    warp, matches = make_matches(outliers)
    grid = pixel_grid(*SHAPE)
    fitted = deformation.fit_deformation(matches, SHAPE)
    error = np.hypot(*np.moveaxis(fitted(grid) - warp(grid), -1, 0))
    rigid = np.hypot(*np.moveaxis(apply_affine(fitted.matrix, grid) - warp(grid), -1, 0))
    assert error[inside(grid)].mean() < 0.6
    assert error[inside(grid)].mean() < rigid[inside(grid)].mean() / 3
    assert error[~inside(grid)].mean() < rigid[~inside(grid)].mean()
    assert fitted.agrees[360:].mean() > 0.99


def test_displacement_fades_far_from_the_matches():
    _, matches = make_matches(0.0)
    fitted = deformation.fit_deformation(matches, (1200, 1200))
    assert np.abs(fitted.nodes[-20:, -20:]).max() < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_contradicting_matches_cause_no_folds(seed):
    _, matches = make_matches(0.0, seed=seed)
    rng = np.random.default_rng(seed)
    matches[::2, 2:4] += rng.choice([-9.0, 9.0], (300, 2))
    fitted = deformation.fit_deformation(matches, SHAPE)
    points = fitted(pixel_grid(*SHAPE))
    assert deformation.smallest_area(points, 1.0) > 0.1


@pytest.mark.parametrize("angle", [0.0, 2.5])
def test_inverse_is_right_up_to_the_frame(angle):
    """Wherever A lies in B's frame; and it does not fold either."""
    _, matches = make_matches(0.3, angle=angle, elastic=14.0)
    fitted = deformation.fit_deformation(matches, SHAPE)
    inverse = deformation.invert_deformation(fitted, SHAPE)
    points = pixel_grid(*SHAPE).reshape(-1, 2)
    mapped = fitted(points)
    in_frame = ((mapped >= 0) & (mapped <= np.array(SHAPE[::-1]) - 1)).all(-1)
    assert in_frame.mean() > 0.5
    error = np.hypot(*(inverse(mapped) - points)[in_frame].T)
    assert error.max() < 0.1
    assert np.median(error) < 0.01
    assert np.abs(fitted.nodes).max() > 4
    assert deformation.smallest_area(inverse(pixel_grid(*SHAPE)), 1.0) > 0.1


def test_evaluation_on_a_grid_is_the_same():
    fitted = deformation.fit_deformation(make_matches(0.3)[1], SHAPE)
    x, y = np.arange(-30, 420, 7.3), np.arange(-25, 450, 9.1)  # beyond the frame too
    expected = fitted(np.stack(np.meshgrid(x, y), -1))
    np.testing.assert_allclose(fitted.on_grid(x, y), expected, atol=1e-9)


def test_smallest_area_is_negative_at_a_fold():
    grid = pixel_grid(6, 6)
    assert deformation.smallest_area(grid, 1.0) == pytest.approx(1.0)
    grid[3, 3, 0] -= 1.5
    assert deformation.smallest_area(grid, 1.0) < 0


def test_fit_is_deterministic():
    _, matches = make_matches(0.5)
    first = deformation.fit_deformation(matches, SHAPE)
    second = deformation.fit_deformation(matches, SHAPE)
    np.testing.assert_array_equal(first.nodes, second.nodes)
