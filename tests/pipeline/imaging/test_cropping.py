"""The window and the crop, against closed forms."""

import cv2
import numpy as np
import pytest
from prints import ridges

from pipeline.imaging import border, cropping, preprocess
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.warp import (
    IDENTITY,
    Warp,
    apply_affine,
    compose_affine,
    invert_affine,
    pixel_grid,
    rotation,
)

GOOD = ridges(200, 200)[0]


# --- window and crop --------------------------------------------------------------------------


def test_window_inside_the_image_is_a_copy():
    """Its pixels and transform are those of the image around the centre."""
    image, _ = ridges(600, 640, ellipse=(120, 100))
    prepared = preprocess.prepare(image, 500.0)
    around = cropping.window(prepared, 208)
    x, y = np.rint(around.to_original[:, 2]).astype(int)
    assert np.array_equal(around.image, image[y : y + 416, x : x + 416])
    assert np.abs(np.array(prepared.centre) - [x + 207.5, y + 207.5]).max() <= 0.5


@pytest.mark.parametrize("light", [250, 95])
def test_fading_leaves_no_edge(light):
    """Across the image's frame the greys change no faster than within its background."""
    rng = np.random.default_rng(1)
    image, _ = ridges(300, 300, light=light, dark=light // 3, ellipse=(110, 95))
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).round().astype(np.uint8)
    image[0] = image[:, -1] = 0  # as scanners do
    around = cropping.window(preprocess.prepare(image, 500.0), 208)
    smooth = cv2.GaussianBlur(around.image.astype(np.float32), (0, 0), 3)
    steps = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    ground = cv2.dilate(around.mask.astype(np.uint8), np.ones((25, 25))) == 0
    assert steps[ground].max() < 2.0
    assert abs(np.median(around.image[ground]) - light) < 4
    corners = around.image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners.astype(int) - light).max() < 6


def test_finger_at_the_frame_fades_into_the_background():
    """No ridge is mirrored or continued outside, and the mask ends with the finger."""
    image, _ = ridges(300, 300, centre=(20, 150))
    around = cropping.window(preprocess.prepare(image, 500.0), 208)
    frame = -int(around.to_original[0, 2])  # column of the window where the image begins
    beyond = around.image[:, : frame - 1].astype(int)
    assert frame > 20
    assert np.abs(np.diff(beyond, axis=0)).max() <= 6
    assert beyond.min() > 200
    assert not around.mask[:, : frame + border.DEFAULT.feather // 4].any()
    assert around.mask[:, frame + border.DEFAULT.feather :].any()


def test_crop_maps_back_to_the_file():
    """The crop's transform maps a blob to its place in a file of 1000 ppi, off centre."""
    image, _ = ridges(800, 760)
    centre = np.array([350.0, 440.0])
    blob = 250 * np.exp(-((pixel_grid(800, 760) - centre) ** 2).sum(-1) / (2 * 12.0**2))
    prepared = preprocess.prepare(image, 1000.0)
    bright = SegmentedImage(
        preprocess.to_working_resolution(np.rint(blob).astype(np.uint8), 1000.0)[0],
        prepared.mask,
        prepared.to_original,
        prepared.centre,
    )
    crop = cropping.extract_crop(bright)
    weight = np.maximum(crop.image.astype(float) - 60, 0)[..., None]
    centroid = (pixel_grid(128, 128) * weight).sum((0, 1)) / weight.sum()
    assert np.abs(apply_affine(crop.to_original, centroid) - centre).max() < 0.2
    assert np.linalg.norm(crop.to_original[:, 0]) == pytest.approx(2 * 288 / 128)


PERIOD = 24.0  # px at 500 ppi, a wave far longer than two px of the crop


def wave(size, ppi):
    """A file of `size` (height, width) px: a wave along x and one along y, crests at px 0."""
    along, across = (127 + 110 * np.cos(phases(np.arange(n), ppi)) for n in size)
    return np.rint((along[:, None] + across[None]) / 2).astype(np.uint8)


def phases(positions, ppi):
    return 2 * np.pi * positions / (PERIOD * ppi / 500)


def displacement(crop, to_original, ppi):
    """Offset (x, y), px of the file, of the waves in a crop from their places by `to_original`."""
    x, y = np.moveaxis(apply_affine(to_original, pixel_grid(*crop.shape)), -1, 0)
    waves = [f(phases(p, ppi)).ravel() for p in (x, y) for f in (np.sin, np.cos)]
    amplitude = np.linalg.lstsq(np.stack([*waves, np.ones(x.size)], -1), crop.ravel() * 1.0)[0]
    angle = np.arctan2(amplitude[[0, 2]], amplitude[[1, 3]])
    return angle / phases(1, ppi)


@pytest.mark.parametrize("ppi", [400.0, 500.0, 508.0, 569.0, 1000.0, 2000.0])
@pytest.mark.parametrize("size", [(374, 388), (391, 417), (501, 455)])
def test_every_part_of_a_crop_maps_to_the_file_within_a_hundredth_px(ppi, size):
    """Measured on the pixels: the phase of a wave in the file against that in the crop's quarters.

    Files of odd and even sizes, which no resolution divides.
    """
    height, width = (round(n * ppi / 500) + k for k, n in enumerate(size))
    small, to_original = preprocess.to_working_resolution(wave((height, width), ppi), ppi)
    middle = (small.shape[1] / 2 + 3.3, small.shape[0] / 2 - 2.1)
    crop = cropping.extract_crop(
        SegmentedImage(small, np.ones(small.shape, bool), to_original, middle)
    )
    for left, top in ((0, 0), (64, 0), (0, 64), (64, 64)):
        part = compose_affine(crop.to_original, np.array([[1.0, 0, left], [0, 1.0, top]]))
        quarter = crop.image[top : top + 64, left : left + 64]
        assert np.abs(displacement(quarter, part, ppi)).max() < 0.01


def test_crop_is_isotropic_and_preserves_ridges():
    """8.4 px at 500 ppi are 3.73 px in the crop, along x as along y, at a good contrast."""
    for turned in (False, True):
        y, x = np.mgrid[0:500, 0:700]
        wave = np.rint(127 + 100 * np.sin(2 * np.pi * (y if turned else x) / 8.4)).astype(np.uint8)
        crop = cropping.extract_crop(SegmentedImage(wave, wave > 0, IDENTITY, (350.0, 250.0))).image
        spectrum = np.abs(np.fft.fft2(crop - crop.mean()))
        peak = np.unravel_index(spectrum.argmax(), spectrum.shape)
        assert 128 / max(min(p, 128 - p) for p in peak) == pytest.approx(8.4 * 128 / 288, rel=0.02)
        assert crop.std() > 0.65 * wave.std()


def test_reduction_does_not_alias():
    """A wave too fine for the crop (3 px at 500 ppi) vanishes."""
    wave = np.tile(np.where(np.arange(700) % 3 == 0, 0, 250).astype(np.uint8), (500, 1))
    crop = cropping.extract_crop(SegmentedImage(wave, wave < 255, IDENTITY, (350.0, 250.0))).image
    assert crop.std() < 0.2 * wave.std()


def test_sharpness_does_not_depend_on_rotation():
    """Crops at several angles have the same power in the ridge band."""
    image, _ = ridges(600, 600, ellipse=(260, 260))
    prepared = preprocess.prepare(image, 500.0)
    sharp = []
    for angle in (0.0, 0.3, 0.8):
        crop = cropping.extract_crop(prepared, warp=Warp(rotation(angle, (63.5, 63.5)))).image[
            20:-20, 20:-20
        ]
        sharp.append(cv2.Laplacian(crop.astype(np.float32), cv2.CV_32F).std())
    assert max(sharp) < 1.05 * min(sharp)


def test_crop_with_a_warp():
    image, _ = ridges(600, 600, ellipse=(260, 260))
    prepared = preprocess.prepare(image, 500.0)
    warp = Warp(rotation(0.5, (63.5, 63.5), (5, -3)))
    straight, warped = cropping.extract_crop(prepared), cropping.extract_crop(prepared, warp=warp)
    source = warp(pixel_grid(128, 128)).astype(np.float32)
    again = cv2.remap(straight.image, source, None, cv2.INTER_CUBIC)
    inner = ((source > 8) & (source < 119)).all(-1)
    assert np.corrcoef(again[inner], warped.image[inner])[0, 1] > 0.98
    assert np.array_equal(straight.to_original, warped.to_original)


def test_on_finger_is_false_outside_the_image():
    prepared = SegmentedImage(GOOD, np.ones_like(GOOD, bool), IDENTITY, (99.5, 99.5))
    points = np.array([[-0.6, 5], [-0.4, 5], [199.4, 5], [199.6, 5], [np.nan, 5]])
    assert cropping.on_finger(prepared, points).tolist() == [False, True, True, False, False]


def test_a_grid_is_on_the_finger_where_its_points_are():
    mask = np.random.default_rng(0).random(GOOD.shape) < 0.5
    prepared = SegmentedImage(GOOD, mask, IDENTITY, (99.5, 99.5))
    x, y = np.linspace(-7.3, GOOD.shape[1] + 9, 61), np.linspace(-4.5, GOOD.shape[0] + 3, 47)
    points = np.stack(np.meshgrid(x, y), -1)
    on_finger = cropping.on_finger(prepared, points)
    assert 0.3 < on_finger.mean() < 0.6
    assert np.array_equal(cropping.grid_on_finger(prepared, x, y), on_finger)


def test_crop_is_centred_on_the_finger():
    prepared = preprocess.prepare(ridges(374, 388, centre=(170, 200))[0], 500.0)
    middle = apply_affine(cropping.extract_crop(prepared).to_original, np.array([63.5, 63.5]))
    assert np.abs(middle - [170, 200]).max() < 2
    assert np.abs(middle - np.floor(prepared.centre) - 0.5).max() < 1e-9  # whole px of the window


# --- centre of the crop of a large impression -----------------------------------------------------


@pytest.fixture(scope="module")
def rolled():
    """A finger rolled from nail to nail, as large as the box of a card."""
    return preprocess.prepare(ridges(750, 800, ellipse=(300, 240))[0], 500.0)


def crops(prepared, n, crop=288):
    """Yield n sampled crops, each as bool [H, W], true inside."""
    y, x = np.mgrid[: prepared.image.shape[0], : prepared.image.shape[1]]
    for k in range(n):
        cx, cy = cropping.sample_centre(prepared, crop, np.random.default_rng(k)).centre
        yield (np.abs(x - cx) < crop / 2) & (np.abs(y - cy) < crop / 2)


def test_sampled_crops_cover_a_rolled_impression_and_are_full(rolled):
    sampled = np.array(list(crops(rolled, 80)))
    assert sampled.any(0)[rolled.mask].mean() > 0.95
    assert (
        max(one[rolled.mask].mean() for one in sampled) < 0.45
    )  # at the centre, half is never in view
    assert min(rolled.mask[one].mean() for one in sampled) > 0.9


def test_disc_in_a_sampled_crop_is_all_foreground(rolled):
    """So that the crop shows the finger alone at any rotation."""
    y, x = np.mgrid[:750, :800]
    for k in range(20):
        cx, cy = cropping.sample_centre(rolled, 288, np.random.default_rng(k)).centre
        assert rolled.mask[np.hypot(x - cx, y - cy) < 144 - cropping.DEFAULT.centre_step].all()


def test_centre_of_a_plain_impression_is_not_changed():
    prepared = preprocess.prepare(ridges(374, 388, ellipse=(180, 130))[0], 500.0)
    sampled = cropping.sample_centre(prepared, 288, np.random.default_rng(0))
    assert sampled.centre == prepared.centre


def test_no_crop_is_sampled_across_the_frame():
    """The finger extends beyond the image."""
    image, _ = ridges(420, 420, ellipse=(600, 600))
    prepared = preprocess.prepare(image, 500.0)
    for k in range(20):
        centre = cropping.sample_centre(prepared, 288, np.random.default_rng(k)).centre
        assert np.abs(np.array(centre) - 209.5).max() < 420 / 2 - 144 + cropping.DEFAULT.centre_step


def test_to_original_inverts():
    crop = cropping.extract_crop(preprocess.prepare(ridges(374, 388)[0], 500.0))
    in_file = apply_affine(crop.to_original, pixel_grid(4, 4))
    assert np.allclose(apply_affine(invert_affine(crop.to_original), in_file), pixel_grid(4, 4))
