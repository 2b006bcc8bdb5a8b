"""Methods on crops with known truth, and the measurement of their results."""

import math

import numpy as np
import pytest
from pairs import make_pairs

from model.network import weights
from model.network.grid import pool_truth
from model.network.matching import Correspondences
from pipeline.imaging.warp import pixel_grid
from train.evaluation import accuracy, crop_methods
from train.evaluation.crop_methods import CropGrid, CropResult

CROP = CropGrid(pixel_grid(16, 16, 8).reshape(-1, 2), weights.CropGeometry(288, 128, 32))
CELLS = CROP.cells


def batch_of(pairs):
    return {
        "map_ab": np.stack([np.nan_to_num(p.map_ab) for p in pairs]),
        "visible": np.stack([p.visible for p in pairs]),
        "genuine": np.array([p.genuine for p in pairs]),
    }


def crop_result(points, kept=None, angle=0.0, score=0.5):
    kept = np.zeros(len(points), bool) if kept is None else kept
    return CropResult(points, kept, angle, score)


def test_measure_of_a_known_shift():
    """Truth: 3 px to the right, of crops 2.25 times smaller than 500 ppi."""
    shape = (1, 32, 32)
    truth = pixel_grid(32, 32, 4)[None] + np.array([3.0, 0.0])
    batch = {
        "map_ab": truth.astype(np.float32),
        "visible": np.ones(shape, bool),
        "genuine": np.ones(1, bool),
    }
    kept = np.arange(256) < 64
    right, shifted = CELLS + np.array([3.0, 0.0]), CELLS + np.array([3.0, 4.0])
    exact = crop_methods.measure([crop_result(right, kept)], batch, CROP)
    wrong = crop_methods.measure([crop_result(shifted, kept, 0.5)], batch, CROP)
    np.testing.assert_allclose(exact["error"], 0, atol=1e-4)
    np.testing.assert_allclose(wrong["error"], 9, atol=1e-4)
    np.testing.assert_allclose(exact["rotation_error"], 0, atol=1e-5)
    np.testing.assert_allclose(wrong["rotation_error"], 0.5, atol=1e-5)
    metrics = accuracy.summarise(exact)
    assert (metrics["epe_median"], metrics["pck@2"], metrics["precision"]) == (
        pytest.approx(0, abs=1e-4), 1, 1,
    )  # fmt: skip
    assert metrics["recall"] == 0.25
    assert accuracy.summarise(wrong)["precision"] == 0


def test_sift_agrees_with_the_truth():
    """SIFT finds the true maps of pairs, rotations included: the conventions are the same."""
    pairs = [p for p in make_pairs(8, 1) if p.genuine]
    results = [crop_methods.sift_ransac(p.image_a, p.image_b, CROP) for p in pairs]
    arrays = crop_methods.measure(results, batch_of(pairs), CROP)
    visible_error = arrays["error"][arrays["visible"]]
    assert np.median(visible_error) < 2.5  # the pairs are elastic, SIFT is not
    assert np.median(arrays["rotation_error"]) < math.radians(1.5)
    assert accuracy.summarise(arrays)["precision"] > 0.9


def test_each_step_improves_noisy_matches():
    """Matches with an error of 1.5 px of the crop, 3.4 px at 500 ppi, along x and y."""
    pairs = [p for p in make_pairs(4, 2) if p.genuine]
    batch, rng = batch_of(pairs), np.random.default_rng(0)
    truth = np.asarray(pool_truth(batch["map_ab"], batch["visible"], 16)[0])
    points = truth + rng.normal(0, 1.5, truth.shape)
    confidence = np.full(points.shape[:2], 0.5)
    matches = Correspondences(points, confidence, (truth != 0).all(-1))
    smooth = [crop_methods.smooth_map(matches, k, CROP) for k in range(len(pairs))]
    aligned = [
        crop_methods.ridge_aligned_map(p.image_a, p.image_b, matches, k, CROP)
        for k, p in enumerate(pairs)
    ]
    raw = np.linalg.norm(points - truth, axis=-1) * 2.25
    arrays = [crop_methods.measure(results, batch, CROP) for results in (smooth, aligned)]
    visible = arrays[0]["visible"]
    errors = [np.median(e[visible]) for e in (raw, arrays[0]["error"], arrays[1]["error"])]
    assert errors[1] < errors[0] / 2
    assert errors[2] < min(errors[1] / 2, 0.5)
    for of_method in arrays:
        assert of_method["rotation_error"].max() < math.radians(3)
        assert 0 < of_method["score"].min() <= of_method["score"].max() <= 1


def test_without_a_transform_the_crops_stay_centre_on_centre():
    blank = np.full((128, 128), 200, np.uint8)
    result = crop_methods.sift_ransac(blank, blank, CROP)
    np.testing.assert_array_equal(result.points, CELLS)
    assert (result.kept.any(), result.score) == (False, 0)
