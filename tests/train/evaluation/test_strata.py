"""Conditions of pairs whose motion is known."""

import math

import numpy as np
import pytest
from prints import finger

from model.network.weights import CropGeometry
from pipeline.imaging.warp import apply_affine, pixel_grid, rotation
from train.evaluation import strata
from train.evaluation.crop_methods import CropGrid

CROP = CropGrid(pixel_grid(16, 16, 8).reshape(-1, 2), CropGeometry(288, 128, 32))


def batch(truth, visible, image=None):
    image = np.zeros((128, 128), np.uint8) if image is None else image
    return {
        "map_ab": np.where(visible[..., None], truth, 0)[None].astype(np.float32),
        "visible": visible[None],
        "image_a": image[None],
        "image_b": image[None],
    }


@pytest.mark.parametrize("degrees", [0, 20, -50, 170])
def test_rotation_overlap_and_distortion(degrees):
    """A rotation, a quarter not visible, and a wave of 3 px (500 ppi) rms across it."""
    matrix = rotation(math.radians(degrees), (63.5, 63.5), (5, 2))
    points = pixel_grid(32, 32, 4)
    truth = apply_affine(matrix, points)
    visible = points[..., 0] >= 32
    conditions = strata.measure(batch(truth, visible), CROP)
    assert conditions["rotation"][0] == pytest.approx(abs(degrees), abs=0.01)
    assert conditions["overlap"][0] == pytest.approx(0.75)
    assert conditions["distortion"][0] == pytest.approx(0, abs=1e-3)
    wave = 3 / 2.25 * math.sqrt(2) * np.sin(points[..., 1] * 2 * math.pi / 32)
    bent = truth + np.stack([wave, 0 * wave], -1)
    conditions = strata.measure(batch(bent, visible), CROP)
    assert conditions["distortion"][0] == pytest.approx(3, rel=0.15)
    assert conditions["rotation"][0] == pytest.approx(abs(degrees), abs=2)


def test_impostors_have_only_the_condition_quality():
    nothing = np.zeros((32, 32), bool)
    conditions = strata.measure(batch(pixel_grid(32, 32, 4), nothing), CROP)
    assert all(np.isnan(conditions[name][0]) for name in ("rotation", "overlap", "distortion"))
    assert conditions["quality"][0] == 0
    groups = strata.groups(conditions)
    assert [name for name, of in groups.items() if of[0]] == ["quality 0–0.4"]


def test_noise_lowers_the_ridge_quality():
    rng = np.random.default_rng(0)
    clean = finger(1, 128, 128, period=4.0)
    quality = [
        strata.ridge_quality(
            np.clip(clean + rng.normal(0, 1, clean.shape) * noise, 0, 255).astype(np.uint8), 2.25
        )
        for noise in (0, 60, 200)
    ]
    assert 1 >= quality[0] > quality[1] > quality[2] > 0
    assert quality[0] > 0.6 > quality[2]


def test_each_value_is_in_one_group():
    values = {
        "rotation": np.array([0, 15, 59.9, 180]),
        "overlap": np.array([0.1, 0.25, 0.99, 1]),
        "distortion": np.array([0, 1.5, 8, 1e3]),
        "quality": np.array([0, 0.6, 0.95, 1]),
    }
    groups = strata.groups(values)
    for name in strata.CONDITIONS:
        of_name = [of for group, of in groups.items() if group.startswith(name)]
        np.testing.assert_array_equal(np.sum(of_name, axis=0), 1)
    assert groups["rotation 15–30°"].tolist() == [False, True, False, False]
    assert groups["distortion ≥ 8 px"].tolist() == [False, False, True, True]
