"""Resampling of crops, and the part of the image that a crop depends on."""

import numpy as np
import pytest
from prints import finger

from pipeline.imaging.resample import render, view
from pipeline.imaging.warp import IDENTITY, Warp, random_control, rotation

SIZE = 128
SCALED = np.array([[2.25, 0.0, 65.0], [0.0, 2.25, 65.0]])  # 288 px in the middle of 416
MIDDLE = (63.5, 63.5)


def elastic(seed):
    rng = np.random.default_rng(seed)
    control, origin = random_control(rng, (SIZE, SIZE), 32.0, 3.0, 0.3)
    return Warp(rotation(0.4, MIDDLE, (20.0, -9.0)), control, 32.0, origin)


@pytest.mark.parametrize(
    "warp",
    [
        Warp(IDENTITY),
        Warp(rotation(1.0, MIDDLE)),
        Warp(rotation(-0.3, MIDDLE, (60, 0))),
        elastic(0),
    ],
)
def test_crop_does_not_depend_on_px_outside_its_part(warp):
    image = finger(0, 416, 416)
    crop_view = view(image.shape, SCALED, SIZE, warp)
    other = np.random.default_rng(1).integers(0, 256, image.shape, np.uint8)
    other[crop_view.part] = image[crop_view.part]
    assert image[crop_view.part].size < image.size
    assert np.array_equal(render(other, SCALED, SIZE, warp), render(image, SCALED, SIZE, warp))


def test_shift_by_whole_pixels_changes_no_grey():
    image = finger(0, 300, 300)
    shift = np.array([[1.0, 0.0, 40.0], [0.0, 1.0, 7.0]])
    assert np.array_equal(render(image, shift, SIZE, Warp(IDENTITY)), image[7:135, 40:168])


def test_ramp_keeps_its_grey_levels():
    """Blur and bilinear interpolation both preserve a ramp: the greys are the positions."""
    image = np.tile((np.arange(416) // 2).astype(np.uint8), (416, 1))
    warp = Warp(rotation(0.7, MIDDLE))
    x, _ = warp.planes(SIZE, SIZE, SCALED)
    assert np.abs(render(image, SCALED, SIZE, warp) - (x - 0.5) / 2).max() < 0.8
