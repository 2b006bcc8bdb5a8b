"""SIFT + RANSAC against analytic warps."""

import numpy as np
import pytest
from pairs import make_pairs
from prints import finger

from pipeline.imaging.warp import apply_affine, pixel_grid
from train.evaluation import sift

SCALE = 2.25  # px at 500 ppi per px of the crops


@pytest.mark.parametrize("pair", [p for p in make_pairs(3, 4) if p.genuine], ids=lambda p: p.noise)
def test_similarity_is_right_at_visible_cells(pair):
    fit = sift.align(pair.image_a, pair.image_b, SCALE)
    error = apply_affine(fit.matrix, pixel_grid(32, 32, 4)) - pair.map_ab
    distance = np.hypot(*np.moveaxis(error, -1, 0))[pair.visible]
    assert np.median(distance) < 1.5  # px of the crop: the pairs are stretched elastically too
    residual = apply_affine(fit.matrix, fit.inliers[:, :2]) - fit.inliers[:, 2:]
    assert np.hypot(*residual.T).max() < sift.DEFAULT.inlier_distance / SCALE + 0.01


def test_half_a_turn_is_exact():
    image = finger(1, 300, 300)
    fit = sift.align(image, np.ascontiguousarray(image[::-1, ::-1]), 1.0)
    middle = np.array([149.5, 149.5])
    assert np.hypot(*(apply_affine(fit.matrix, middle) - middle)) < 0.05


def test_impostor_pairs_have_fewer_inliers():
    pairs = make_pairs(8, 4)
    fits = [sift.align(p.image_a, p.image_b, SCALE) for p in pairs]
    counts = [0 if fit is None else len(fit.inliers) for fit in fits]
    genuine = [c for c, p in zip(counts, pairs, strict=True) if p.genuine]
    impostor = [c for c, p in zip(counts, pairs, strict=True) if not p.genuine]
    assert min(genuine) > 2 * max(impostor)


def test_without_features_there_is_no_similarity():
    blank = np.full((128, 128), 200, np.uint8)
    assert sift.align(blank, blank, SCALE) is None


def test_result_is_deterministic():
    pair = make_pairs(1, 4)[0]
    first, second = [sift.align(pair.image_a, pair.image_b, SCALE) for _ in range(2)]
    np.testing.assert_array_equal(first.matrix, second.matrix)
