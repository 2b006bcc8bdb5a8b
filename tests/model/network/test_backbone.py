"""Features of the backbone: shape, invariances, position on the cells."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from model.network.backbone import Backbone, gabor_bank, normalise_contrast
from model.network.config import ModelConfig

CONFIG = ModelConfig(
    image_size=32, stem_channels=4, stage_channels=(4, 4), blocks=1, width=16, heads=2
)


def make_backbone(**settings):
    """A jitted backbone with initial parameters."""
    config = dataclasses.replace(CONFIG, **settings)
    graph, state = nnx.split(nnx.jit(lambda: Backbone(config, nnx.Rngs(0)))())
    return jax.jit(lambda image: nnx.merge(graph, state)(image))


def random_images(size=32, count=1):
    return np.random.default_rng(0).integers(0, 256, (count, size, size), np.uint8)


def rotate(x):
    return np.rot90(np.asarray(x), axes=(1, 2))


@pytest.mark.parametrize(
    ("stride", "settings"),
    [
        (4, {}),
        (4, {"stage_channels": (4, 4, 6)}),  # one stage coarser than the cells
        (8, {"stem_stride": 4, "rotations": 4, "compute_dtype": "bfloat16"}),
    ],
)
def test_one_feature_vector_per_cell(stride, settings):
    features = make_backbone(stride=stride, **settings)(random_images(count=2))
    assert features.shape == (2, 32 // stride, 32 // stride, CONFIG.width)
    assert features.dtype == settings.get("compute_dtype", "float32")
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"rotations": 4, "stage_channels": (4, 4, 4)},
        {"rotations": 8, "stride": 8, "stem_stride": 4, "contrast_window": 6.0},
    ],
)
def test_rotation_of_the_image_rotates_the_features(settings):
    """Only so where outputs lie on the cells' centres."""
    features = make_backbone(**settings)
    before, after = features(random_images()), features(rotate(random_images()))
    assert np.std(before) > 0.05
    np.testing.assert_allclose(after, rotate(before), atol=1e-3)


def test_plain_backbone_is_not_invariant():
    features = make_backbone(rotations=1)
    before, after = features(random_images()), features(rotate(random_images()))
    assert np.abs(after - rotate(before)).mean() > 0.3 * np.std(before)


@pytest.mark.parametrize(("rotations", "dy", "dx"), [(1, 0, 1), (4, -1, 0)])
def test_shift_by_one_cell_shifts_the_features_by_one(rotations, dy, dx):
    """Noise in the middle of a flat image has the same features one cell further on."""
    image = np.full((1, 64, 64), 128, np.uint8)
    image[:, 28:36, 28:36] = random_images(8)
    features = make_backbone(image_size=64, rotations=rotations)
    before = np.asarray(features(image))
    after = np.asarray(features(np.roll(image, (4 * dy, 4 * dx), (1, 2))))
    inner = slice(6, -6)  # beyond what the border's padding reaches
    moved = np.roll(before, (dy, dx), (1, 2))[:, inner, inner]
    assert np.abs(moved - before[:, inner, inner]).max() > 0.1
    np.testing.assert_allclose(after[:, inner, inner], moved, atol=1e-3)


def test_images_of_a_batch_are_independent():
    """No batch statistics: a part of a batch on one device gives the same as the whole."""
    features = make_backbone()
    images = random_images(count=2)
    images[1] //= 4
    of_batch = features(images)
    np.testing.assert_allclose(of_batch[1:], features(images[1:]), atol=1e-4)


def ridges(size=64):
    """A plane wave with a period of 9 px, mean 100 and amplitude 80: float32 [1, H, W]."""
    x = np.arange(size, dtype=np.float32)
    return np.broadcast_to(100 + 80 * np.sin(x * 2 * np.pi / 9), (1, size, size))


def test_local_contrast_ignores_offset_and_gain():
    before = normalise_contrast(ridges(), 6.0)
    assert 0.8 < np.std(before) < 1.2
    np.testing.assert_allclose(normalise_contrast(ridges() + 60, 6.0), before, atol=1e-3)
    np.testing.assert_allclose(normalise_contrast(ridges() * 0.7 + 20, 6.0), before, atol=0.05)


def test_local_contrast_ignores_slow_changes_across_the_image():
    """An impression that is pale on one side has equal contrast on both; without a window not."""
    pale = ridges() * np.linspace(1, 0.5, 64, dtype=np.float32)
    sides = [np.std(part) for part in np.split(np.asarray(normalise_contrast(pale, 6.0)), 2, 2)]
    assert sides[1] == pytest.approx(sides[0], rel=0.1)
    sides = [np.std(part) for part in np.split(np.asarray(normalise_contrast(pale, 0.0)), 2, 2)]
    assert sides[1] < 0.8 * sides[0]


@pytest.mark.parametrize("grey", [0, 200, 255])
def test_flat_background_stays_flat(grey):
    """Noise of one grey level is not amplified to ridges."""
    flat = np.full((1, 32, 32), grey, np.float32)
    flat[0, ::2, ::3] -= 1
    assert np.abs(normalise_contrast(flat, 6.0)).max() < 0.15


def test_without_a_window_grey_levels_are_scaled_by_fixed_numbers():
    image = np.array([[[0, 255]]], np.uint8)
    np.testing.assert_allclose(
        normalise_contrast(image, 0.0), [[[-127.5 / 64, 127.5 / 64]]], rtol=1e-5
    )


@pytest.mark.parametrize("period", [3.0, 6.0])
def test_filter_and_its_rotation_by_180_degrees_are_a_quadrature_pair(period):
    """Their joint response hardly depends on the ridge's position; a uniform image gives none."""
    side = 12
    position = np.arange(side) - (side - 1) / 2
    kernel = np.asarray(gabor_bank(side, 2))[:, 0, 0, int(period == 6.0)].reshape(side, side)
    energy = []
    for shift in np.linspace(0, period, 8, endpoint=False):
        wave = np.cos(2 * np.pi * (position - shift) / period)[None]
        energy.append(np.hypot((kernel * wave).sum(), (kernel[::-1, ::-1] * wave).sum()))
    assert min(energy) > 0.85 * max(energy) > 1
    assert abs(kernel.sum()) < 1e-5
    assert np.linalg.norm(kernel) == pytest.approx(np.sqrt(2), rel=1e-5)
