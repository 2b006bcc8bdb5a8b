"""Crops of a registered pair: both show the same skin at the same place, with dark ridges."""

import cv2
import numpy as np
import pytest
from prints import finger

from model.network.weights import CropGeometry
from model.registration.aligned_crops import align_crops
from model.registration.registered_pair import RegisteredPair
from model.registration.result import Registration, empty_registration
from pipeline.imaging.cropping import extract_crop
from pipeline.imaging.preprocess import prepare
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import pixel_grid
from shards.foundation.errors import Misuse

GEOMETRY = CropGeometry(crop=288, size=128, grid=16)
# From px of A to px of B: rotated by 20° and shifted
MATRIX = cv2.getRotationMatrix2D((150, 150), 20, 1.0) + np.array([[0, 0, 12.0], [0, 0, -7.0]])
SHAPE_B = (340, 320)


def registered(image_a, image_b, ppi_b=500.0, opposite=False):
    """A pair with its true map."""
    scale = ppi_b / 500
    map_ab = scale * (pixel_grid(*image_a.shape) @ MATRIX[:, :2].T + MATRIX[:, 2])
    map_ab += (scale - 1) / 2
    height, width = image_b.shape
    inside = (map_ab > 0).all(-1) & (map_ab < (width - 1, height - 1)).all(-1)
    map_ab[~inside] = np.nan
    resolutions = ImageResolution(500.0, "argument"), ImageResolution(ppi_b, "argument")
    registration = Registration(
        map_ab.astype(np.float32),
        0.99,
        np.zeros((0, 5), np.float32),
        0.3,
        resolutions,
        image_b.shape,
        opposite_polarity=opposite,
    )
    return RegisteredPair(registration, image_a, image_b)


@pytest.fixture(scope="module")
def image_a():
    return finger(0, 300, 300)


@pytest.fixture(scope="module")
def image_b(image_a):
    size = SHAPE_B[::-1]
    return cv2.warpAffine(image_a, MATRIX, size, flags=cv2.INTER_CUBIC, borderValue=250)


def correlation(crops):
    return np.corrcoef(crops.image_a[crops.common], crops.image_b[crops.common])[0, 1]


def test_b_lies_on_a(image_a, image_b):
    crops = align_crops(registered(image_a, image_b), GEOMETRY)
    assert crops.image_a.shape == crops.image_b.shape == crops.common.shape == (128, 128)
    assert crops.image_a.dtype == crops.image_b.dtype == np.uint8
    expected = extract_crop(prepare(image_a, 500), 288, 128)
    np.testing.assert_array_equal(crops.image_a, expected.image)
    assert crops.common.mean() > 0.9 * expected.mask.mean()
    assert correlation(crops) > 0.95
    unaligned = extract_crop(prepare(image_b, 500), 288, 128).image
    assert correlation(crops._replace(image_b=unaligned)) < 0.5


def test_b_of_another_resolution(image_a, image_b):
    double = cv2.resize(image_b, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert correlation(align_crops(registered(image_a, double, 1000.0), GEOMETRY)) > 0.9


def test_light_ridges_become_dark(image_a, image_b):
    pair = registered(image_a, 255 - image_b, opposite=True)
    crops = align_crops(pair, GEOMETRY)
    assert correlation(crops) > 0.95
    assert crops.image_b[~crops.common].mean() > crops.image_b[crops.common].mean()


def test_undecided_ridges_follow_the_registration(image_a):
    """The middle of an inverted finger shows no background, so that the registration decides."""
    cut = np.s_[90:240, 80:230]
    part = 255 - image_a[cut]
    matrix = np.array([[1.0, 0.0, -80.0], [0.0, 1.0, -90.0]])
    map_ab = (pixel_grid(300, 300) + matrix[:, 2]).astype(np.float32)
    map_ab[((map_ab < 0) | (map_ab > 149)).any(-1)] = np.nan
    resolution = ImageResolution(500.0, "argument")
    for opposite in (True, False):
        registration = Registration(
            map_ab, 0.99, np.zeros((0, 5), np.float32), 0.0, (resolution,) * 2, (150, 150), opposite
        )
        crops = align_crops(RegisteredPair(registration, image_a, part), GEOMETRY)
        assert (correlation(crops) > 0.9) == opposite


def test_files_are_read_again(image_a, image_b, tmp_path):
    pair = registered(image_a, image_b)
    for name, image in (("a", image_a), ("b", image_b)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    of_files = RegisteredPair(pair.registration, tmp_path / "a.png", tmp_path / "b.png")
    for one, two in zip(align_crops(pair, GEOMETRY), align_crops(of_files, GEOMETRY), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_cannot_be_aligned_is_refused(image_a, image_b):
    pair = registered(image_a, image_b)
    with pytest.raises(Misuse, match="has no images; register again"):
        align_crops(RegisteredPair(pair.registration), GEOMETRY)
    without_map = empty_registration(
        image_a.shape, 0.01, pair.registration.resolutions, SHAPE_B, True, "the ridges agree little"
    )
    with pytest.raises(Misuse, match="no map to align B by: the ridges agree little"):
        align_crops(RegisteredPair(without_map, image_a, image_b), GEOMETRY)
