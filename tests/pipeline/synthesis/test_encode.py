"""Resampling, joining and encoding of synthetic images."""

import cv2
import numpy as np
import pytest

from pipeline.imaging.preprocess import to_working_resolution
from pipeline.imaging.resolution import stated_ppi
from pipeline.imaging.warp import apply_affine, pixel_grid
from pipeline.synthesis.encode import encode, join_horizontally, resample


@pytest.mark.parametrize(("ppi", "size"), [(1000, None), (569, (91, 102)), (2000, None)])
def test_resampling_keeps_every_point_in_its_place(ppi, size):
    """A ramp at another resolution is the ramp at the centres of the new pixels."""
    x, y = np.moveaxis(pixel_grid(80, 90), -1, 0)
    image = np.rint(x + y).astype(np.uint8)
    resampled = resample(image, ppi / 500, size)
    assert resampled.shape == (size or (80 * ppi // 500, 90 * ppi // 500))
    centres = (pixel_grid(*resampled.shape) + 0.5) * 500 / ppi - 0.5
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(resampled - centres.sum(-1))[inner].max() < 0.75  # rounding twice, 1/32 px


def test_working_resolution_restores_the_image():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (120, 90), np.uint8), (0, 0), 2)
    restored, to_file = to_working_resolution(resample(image, 2.0), 1000)
    assert np.abs(restored.astype(int) - image)[4:-4, 4:-4].max() <= 2
    assert np.allclose(apply_affine(to_file, np.array([0.0, 0.0])), 0.5)


def test_fingers_of_a_slap_are_side_by_side():
    first, second = np.full((4, 3), 7, np.uint8), np.full((5, 2), 9, np.uint8)
    joined = join_horizontally([first, second], (2, 0))
    assert joined.shape == (6, 5)
    assert (joined[2:, :3] == 7).all() and (joined[:5, 3:] == 9).all()
    assert joined[0, 0] == joined[5, 4] == 254
    assert join_horizontally([first], [9]) is first


@pytest.mark.parametrize("ppi", [500, 508, 512, 569, 600, 1000, 2000])
def test_png_has_its_resolution_in_the_header(tmp_path, ppi):
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    path = tmp_path / "a.png"
    path.write_bytes(encode(image, ".png", ppi))
    assert stated_ppi(path) == ppi
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), image)
    assert path.read_bytes().replace(path.read_bytes()[33:54], b"") == encode(image, ".png")
