"""SIFT + RANSAC against analytic warps."""

import numpy as np
import pytest
from pairs import make_pairs

from pipeline.imaging.warp import apply_affine, pixel_grid
from train.evaluation import sift

SCALE = 2.25


@pytest.mark.parametrize("pair", [p for p in make_pairs(3, 4) if p.genuine], ids=lambda p: p.noise)
def test_similarity_is_right_at_visible_cells(pair):
    found = sift.align(pair.image_a, pair.image_b, SCALE)
    error = apply_affine(found.matrix, pixel_grid(32, 32, 4)) - pair.map_ab
    seen = np.hypot(*np.moveaxis(error, -1, 0))[pair.visible]
    assert np.median(seen) < 1.5  # px of the crop: the pairs are stretched elastically too
    inside = apply_affine(found.matrix, found.inliers[:, :2]) - found.inliers[:, 2:]
    assert np.hypot(*inside.T).max() < sift.RADIUS / SCALE + 0.01


def test_different_fingers_find_less_than_one_finger():
    pairs = make_pairs(8, 4)
    found = [sift.align(p.image_a, p.image_b, SCALE) for p in pairs]
    counts = [0 if f is None else len(f.inliers) for f in found]
    genuine = [c for c, p in zip(counts, pairs, strict=True) if p.genuine]
    impostor = [c for c, p in zip(counts, pairs, strict=True) if not p.genuine]
    assert min(genuine) > 2 * max(impostor)


def test_no_features_no_similarity():
    blank = np.full((128, 128), 200, np.uint8)
    assert sift.align(blank, blank, SCALE) is None


def test_same_pair_same_answer():
    pair = make_pairs(1, 4)[0]
    first, second = (sift.align(pair.image_a, pair.image_b, SCALE) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
