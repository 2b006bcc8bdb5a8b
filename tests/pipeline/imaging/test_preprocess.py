"""Decoding, resolution, foreground and crop, each against what is known in closed form."""

import math
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from prints import ridges

from pipeline.imaging import border, cropping, preprocess
from pipeline.imaging.file import decode, load
from pipeline.imaging.preprocess import Prepared
from pipeline.imaging.warp import (
    IDENTITY,
    Warp,
    apply_affine,
    compose_affine,
    invert_affine,
    pixel_grid,
    rotation,
)
from shards.foundation.errors import Fault

REAL = Path(__file__).parents[4] / "shared/data/fvc2002"


def file(extension, image):
    return cv2.imencode(extension, image)[1].tobytes()


# --- decoding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp"])
def test_decodes_what_was_encoded(extension):
    image = ridges(300, 280)[0]
    assert np.array_equal(decode(file(extension, image), "x"), image)


def test_three_equal_channels_are_grey():
    image = ridges(200, 200)[0]
    assert np.array_equal(decode(file(".png", np.dstack([image] * 3)), "x"), image)


def bomb():
    """A PNG of 300 bytes that claims 60000×60000 px."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


GOOD = ridges(200, 200)[0]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


BAD = {
    "is an empty file": b"",
    "does not decode as an image; expected PNG, TIFF or BMP": b"no image at all",
    "does not decode as an image; expected PNG": cv2.imencode(".jpg", GOOD)[1].tobytes(),
    "is truncated: it ends too early": file(".png", GOOD)[:-2000],
    "is truncated: it ends too early, after 40 bytes": file(".png", GOOD)[:40],
    "is truncated: it ends too early, after 33 bytes": file(".png", GOOD)[:33],
    "is damaged: a part of the PNG fails its checksum": flipped(file(".png", GOOD), 5000),
    "does not decode as an image": file(".bmp", GOOD)[:-2000],
    "is truncated: it ends too early, after 20 bytes": file(".bmp", GOOD)[:20],
    "is truncated: it ends too early, after 5000 bytes": file(".tif", GOOD)[:5000],
    "16 bits": file(".png", GOOD.astype(np.uint16) * 257),
    "4 channels": file(".png", np.dstack([GOOD] * 4)),
    "3 channels": file(".png", np.dstack([GOOD, GOOD, 255 - GOOD])),
    "1×1 px": file(".png", GOOD[:1, :1]),
    "60000×60000 px": bomb(),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_file_is_named_with_its_reason(tmp_path, reason):
    path = tmp_path / "bad.png"
    path.write_bytes(BAD[reason])
    with pytest.raises(Fault, match=rf"bad\.png: .*{reason}") as fault:
        load(path)
    assert fault.value.exit_code == 1


def test_missing_file_is_named(tmp_path):
    with pytest.raises(Fault, match=r"none\.png: cannot be read"):
        load(tmp_path / "none.png")


# --- resolution -------------------------------------------------------------------------------


@pytest.mark.parametrize("ppi", [569.0, 1000.0, 2000.0, 300.0])
def test_a_point_keeps_its_place_through_the_resolution(ppi):
    """The centroid of a blob at 500 ppi, carried back, is the blob's centre in the file."""
    scale = ppi / 500
    centre = np.array([211.3, 148.9])
    grid = pixel_grid(300, 401)
    blob = 200 * np.exp(-((grid - centre) ** 2).sum(-1) / (2 * (6 * scale) ** 2))
    small, to_original = preprocess.to_working_resolution(np.rint(blob).astype(np.uint8), ppi)
    weight = small.astype(float)[..., None]
    found = (pixel_grid(*small.shape) * weight).sum((0, 1)) / weight.sum()
    assert np.abs(apply_affine(to_original, found) - centre).max() < 0.05
    assert small.shape == (round(300 / scale), round(401 / scale))


def test_ridge_period_of_a_569_ppi_image_is_true_at_500():
    """9 px at 500 ppi are 10.24 at 569; brought to 500 they are 9 again."""
    x = np.arange(1024)
    image = np.tile(np.rint(127 + 100 * np.sin(2 * np.pi * x * 500 / 569 / 9)), (64, 1))
    small, _ = preprocess.to_working_resolution(image.astype(np.uint8), 569.0)
    row = small[30].astype(float) - small[30].mean()
    crossings = np.flatnonzero((row[:-1] < 0) & (row[1:] >= 0))
    assert np.diff(crossings).mean() == pytest.approx(9, abs=0.03)


@pytest.mark.parametrize("ppi", [0.0, math.nan, 5080.0])
def test_incredible_resolution_is_refused(ppi):
    with pytest.raises(Fault, match=r"a\.tif: has a resolution of"):
        preprocess.prepare(GOOD, ppi, "a.tif")


# --- window and crop --------------------------------------------------------------------------


def test_window_keeps_pixels_and_transform():
    """Inside the frame nothing changes: the window is a copy of the image around the centre."""
    image, _ = ridges(600, 640, ellipse=(120, 100))
    prepared = preprocess.prepare(image, 500.0)
    around = cropping.window(prepared, 208)
    x, y = np.rint(around.to_original[:, 2]).astype(int)
    assert np.array_equal(around.image, image[y : y + 416, x : x + 416])
    assert np.abs(np.array(prepared.centre) - [x + 207.5, y + 207.5]).max() <= 0.5


@pytest.mark.parametrize("light", [250, 95])
def test_the_frame_leaves_no_edge(light):
    """Across the frame the image changes no faster than within its own background."""
    rng = np.random.default_rng(1)
    image, _ = ridges(300, 300, light=light, dark=light // 3, ellipse=(110, 95))
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).round().astype(np.uint8)
    image[0] = image[:, -1] = 0  # as scanners do
    around = cropping.window(preprocess.prepare(image, 500.0), 208)
    smooth = cv2.GaussianBlur(around.image.astype(np.float32), (0, 0), 3)
    steps = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    away = cv2.dilate(around.mask.astype(np.uint8), np.ones((25, 25))) == 0
    assert steps[away].max() < 2.0
    assert abs(np.median(around.image[away]) - light) < 4
    corners = around.image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners.astype(int) - light).max() < 6


def test_a_finger_cut_by_the_frame_fades_into_the_ground():
    """No ridge is mirrored or smeared outwards, and the mask ends where the finger does."""
    image, _ = ridges(300, 300, centre=(20, 150))
    around = cropping.window(preprocess.prepare(image, 500.0), 208)
    frame = -int(around.to_original[0, 2])  # column of the window where the image begins
    beyond = around.image[:, : frame - 1].astype(int)
    assert frame > 20
    assert np.abs(np.diff(beyond, axis=0)).max() <= 6
    assert beyond.min() > 200
    assert not around.mask[:, : frame + border.DEFAULT.feather // 4].any()
    assert around.mask[:, frame + border.DEFAULT.feather :].any()


def test_crop_goes_back_to_the_file():
    """A blob in the file is where the crop's transform says, at 1000 ppi and off centre."""
    image, _ = ridges(800, 760)
    at = np.array([350.0, 440.0])
    blob = 250 * np.exp(-((pixel_grid(800, 760) - at) ** 2).sum(-1) / (2 * 12.0**2))
    prepared = preprocess.prepare(image, 1000.0)
    bright = Prepared(
        preprocess.to_working_resolution(np.rint(blob).astype(np.uint8), 1000.0)[0],
        prepared.mask,
        prepared.to_original,
        prepared.centre,
    )
    crop = cropping.extract_crop(bright)
    weight = np.maximum(crop.image.astype(float) - 60, 0)[..., None]
    found = (pixel_grid(128, 128) * weight).sum((0, 1)) / weight.sum()
    assert np.abs(apply_affine(crop.to_original, found) - at).max() < 0.2
    assert np.linalg.norm(crop.to_original[:, 0]) == pytest.approx(2 * 288 / 128)


PERIOD = 24.0  # px at 500 ppi, a wave that the crop holds with ease


def wave(size, ppi):
    """A file of `size` (height, width) px: a wave along x and one along y, crests at px 0."""
    along, across = (127 + 110 * np.cos(phases(np.arange(n), ppi)) for n in size)
    return np.rint((along[:, None] + across[None]) / 2).astype(np.uint8)


def phases(places, ppi):
    return 2 * np.pi * places / (PERIOD * ppi / 500)


def displacement(crop, to_original, ppi):
    """How far, in px of the file along x and y, the waves lie from where `to_original` has them."""
    x, y = np.moveaxis(apply_affine(to_original, pixel_grid(*crop.shape)), -1, 0)
    waves = [f(phases(p, ppi)).ravel() for p in (x, y) for f in (np.sin, np.cos)]
    amplitude = np.linalg.lstsq(np.stack([*waves, np.ones(x.size)], -1), crop.ravel() * 1.0)[0]
    angle = np.arctan2(amplitude[[0, 2]], amplitude[[1, 3]])
    return angle / phases(1, ppi)


@pytest.mark.parametrize("ppi", [400.0, 500.0, 508.0, 569.0, 1000.0, 2000.0])
@pytest.mark.parametrize("size", [(374, 388), (391, 417), (501, 455)])
def test_every_part_of_a_crop_leads_back_to_the_file_to_a_hundredth_px(ppi, size):
    """Measured on the pixels: the phase of a wave in the file against that in the crop's quarters.

    Files of odd and even sizes, which no resolution divides.
    """
    height, width = (round(n * ppi / 500) + k for k, n in enumerate(size))
    small, to_original = preprocess.to_working_resolution(wave((height, width), ppi), ppi)
    middle = (small.shape[1] / 2 + 3.3, small.shape[0] / 2 - 2.1)
    crop = cropping.extract_crop(Prepared(small, np.ones(small.shape, bool), to_original, middle))
    for left, top in ((0, 0), (64, 0), (0, 64), (64, 64)):
        part = compose_affine(crop.to_original, np.array([[1.0, 0, left], [0, 1.0, top]]))
        quarter = crop.image[top : top + 64, left : left + 64]
        assert np.abs(displacement(quarter, part, ppi)).max() < 0.01


def test_crop_is_isotropic_and_keeps_the_ridges():
    """8.4 px at 500 ppi are 3.73 px in the crop, along x as along y, at a good contrast."""
    for turned in (False, True):
        y, x = np.mgrid[0:500, 0:700]
        wave = np.rint(127 + 100 * np.sin(2 * np.pi * (y if turned else x) / 8.4)).astype(np.uint8)
        crop = cropping.extract_crop(Prepared(wave, wave > 0, IDENTITY, (350.0, 250.0))).image
        spectrum = np.abs(np.fft.fft2(crop - crop.mean()))
        peak = np.unravel_index(spectrum.argmax(), spectrum.shape)
        assert 128 / max(min(p, 128 - p) for p in peak) == pytest.approx(8.4 * 128 / 288, rel=0.02)
        assert crop.std() > 0.65 * wave.std()


def test_reduction_does_not_alias():
    """What the crop cannot hold (3 px at 500 ppi) vanishes and folds into nothing else."""
    wave = np.tile(np.where(np.arange(700) % 3 == 0, 0, 250).astype(np.uint8), (500, 1))
    crop = cropping.extract_crop(Prepared(wave, wave < 255, IDENTITY, (350.0, 250.0))).image
    assert crop.std() < 0.2 * wave.std()


def test_sharpness_is_no_tell():
    """A crop shown as it is and one shown turned have the same power in the ridge band."""
    image, _ = ridges(600, 600, ellipse=(260, 260))
    prepared = preprocess.prepare(image, 500.0)
    sharp = []
    for angle in (0.0, 0.3, 0.8):
        crop = cropping.extract_crop(prepared, warp=Warp(rotation(angle, (63.5, 63.5)))).image[
            20:-20, 20:-20
        ]
        sharp.append(cv2.Laplacian(crop.astype(np.float32), cv2.CV_32F).std())
    assert max(sharp) < 1.05 * min(sharp)


def test_crop_through_a_warp_shows_what_the_warp_says():
    image, _ = ridges(600, 600, ellipse=(260, 260))
    prepared = preprocess.prepare(image, 500.0)
    warp = Warp(rotation(0.5, (63.5, 63.5), (5, -3)))
    straight, turned = cropping.extract_crop(prepared), cropping.extract_crop(prepared, warp=warp)
    source = warp(pixel_grid(128, 128)).astype(np.float32)
    again = cv2.remap(straight.image, source, None, cv2.INTER_CUBIC)
    inner = ((source > 8) & (source < 119)).all(-1)
    assert np.corrcoef(again[inner], turned.image[inner])[0, 1] > 0.98
    assert np.array_equal(straight.to_original, turned.to_original)


def test_on_finger_ends_at_the_frame():
    prepared = Prepared(GOOD, np.ones_like(GOOD, bool), IDENTITY, (99.5, 99.5))
    points = np.array([[-0.6, 5], [-0.4, 5], [199.4, 5], [199.6, 5], [np.nan, 5]])
    assert cropping.on_finger(prepared, points).tolist() == [False, True, True, False, False]


def test_the_middle_of_the_crop_is_the_centre_of_the_finger():
    prepared = preprocess.prepare(ridges(374, 388, centre=(170, 200))[0], 500.0)
    middle = apply_affine(cropping.extract_crop(prepared).to_original, np.array([63.5, 63.5]))
    assert np.abs(middle - [170, 200]).max() < 2
    assert np.abs(middle - np.floor(prepared.centre) - 0.5).max() < 1e-9  # whole px of the window


# --- where the crop of a large print lies -----------------------------------------------------


@pytest.fixture(scope="module")
def rolled():
    """A finger rolled from nail to nail, as large as the box of a card lets it be."""
    return preprocess.prepare(ridges(750, 800, ellipse=(300, 240))[0], 500.0)


def crops(prepared, n, crop=288):
    """The crops of n draws, each bool [h, w] of the px in it."""
    y, x = np.mgrid[: prepared.image.shape[0], : prepared.image.shape[1]]
    for k in range(n):
        cx, cy = cropping.sample_centre(prepared, crop, np.random.default_rng(k)).centre
        yield (np.abs(x - cx) < crop / 2) & (np.abs(y - cy) < crop / 2)


def test_drawn_crops_show_all_of_a_rolled_print_and_are_full(rolled):
    drawn = np.array(list(crops(rolled, 80)))
    assert drawn.any(0)[rolled.mask].mean() > 0.95
    assert max(one[rolled.mask].mean() for one in drawn) < 0.45  # centred, half of it is never seen
    assert min(rolled.mask[one].mean() for one in drawn) > 0.9


def test_the_disc_in_a_drawn_crop_is_all_finger(rolled):
    """So that nothing but the finger is seen of it at any turn."""
    y, x = np.mgrid[:750, :800]
    for k in range(20):
        cx, cy = cropping.sample_centre(rolled, 288, np.random.default_rng(k)).centre
        assert rolled.mask[np.hypot(x - cx, y - cy) < 144 - cropping.DEFAULT.centre_step].all()


def test_a_plain_print_stays_in_the_middle():
    prepared = preprocess.prepare(ridges(374, 388, ellipse=(180, 130))[0], 500.0)
    drawn = cropping.sample_centre(prepared, 288, np.random.default_rng(0))
    assert drawn.centre == prepared.centre


def test_no_crop_is_drawn_across_the_frame():
    """The finger goes on beyond the frame, the image does not."""
    image, _ = ridges(420, 420, ellipse=(600, 600))
    prepared = preprocess.prepare(image, 500.0)
    for k in range(20):
        centre = cropping.sample_centre(prepared, 288, np.random.default_rng(k)).centre
        assert np.abs(np.array(centre) - 209.5).max() < 420 / 2 - 144 + cropping.DEFAULT.centre_step


def test_to_original_inverts():
    crop = cropping.extract_crop(preprocess.prepare(ridges(374, 388)[0], 500.0))
    there = apply_affine(crop.to_original, pixel_grid(4, 4))
    assert np.allclose(apply_affine(invert_affine(crop.to_original), there), pixel_grid(4, 4))
