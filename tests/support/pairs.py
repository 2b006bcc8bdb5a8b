"""Small pairs with exact truth for tests: band-limited noise as ridges, warped in closed form."""

import math

import cv2
import numpy as np

from pipeline.imaging.warp import Warp, compose_affine, pixel_grid, random_control, rotation
from shards.record import NOISES, Pair

MARGIN = 40  # px of the master around image A, so that a turned B stays within it
PERIOD = 4.0  # px between ridges: 9 px at 500 ppi, brought from 288 px to 128


def make_pairs(n, seed, partition="synthetic/test", split="train", size=128, grid=32):
    """n pairs by address, three genuine to one impostor; fingers of each split are its own."""
    return [_make_pair(seed, k, partition, split, size, grid) for k in range(n)]


def _make_pair(seed, index, partition, split, size, grid):
    rng = np.random.default_rng([seed, index])
    kind = "impostor" if index % 4 == 3 else "genuine"
    noise = NOISES[1 + index % 3]
    finger_a, finger_b = index // 4, index // 4 + (kind == "impostor")
    master = _ridges(finger_a, split, size + 2 * MARGIN)
    master_b = (
        master if kind != "impostor" else _ridges(finger_b + 10_000, split, size + 2 * MARGIN)
    )
    warp = _warp(rng, size)
    inner = slice(MARGIN, MARGIN + size)
    source = (warp.dense(size, size) + MARGIN).astype(np.float32)
    image_b = cv2.remap(master_b, source, None, cv2.INTER_CUBIC, borderValue=0.0)
    map_ab, visible = _truth(warp, size, grid, kind)
    return Pair(
        image_a=_grey(master[inner, inner], 0.0, rng),
        image_b=_grey(image_b, {"dryness": -0.6, "pressure": 0.6}.get(noise, 0.0), rng, noise),
        map_ab=map_ab,
        visible=visible,
        kind=kind,
        noise=noise,
        finger_a=f"{partition}/{split}-{finger_a:03d}",
        finger_b=f"{partition}/{split}-{finger_b:03d}",
        image_id_a=f"{partition}/{split}-{finger_a:03d}_1",
        image_id_b=f"{partition}/{split}-{finger_b:03d}_1",
        to_original_a=np.array([[2.25, 0, 10], [0, 2.25, 20]]),
        to_original_b=np.array([[2.25, 0, 10], [0, 2.25, 20]]),
        seed=seed,
        index=index,
    )


def _ridges(finger, split, side):
    """Band-limited noise [side, side], unit deviation, one period in all directions."""
    rng = np.random.default_rng([finger, *split.encode()])
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    band = np.exp(-(((f - 1 / PERIOD) / 0.035) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * band).real
    return (field / field.std()).astype(np.float32)


def _warp(rng, size):
    """B px → A px: a turn within ±60° about the centre, a shift, an elastic distortion."""
    control, origin = random_control(rng, (size, size), 32.0, 1.5, 0.3)
    centre = (size - 1) / 2
    turn = rotation(rng.uniform(-math.pi / 3, math.pi / 3), (centre, centre))
    shift = np.hstack([np.eye(2), rng.uniform(-4, 4, (2, 1))])
    return Warp(compose_affine(turn, shift), control, 32.0, origin)


def _truth(warp, size, grid, kind):
    """map_ab and visible; nothing where B does not show the cell, or shows another finger."""
    at = warp.inverse(pixel_grid(grid, grid, size / grid))
    visible = ((at >= 0) & (at <= size - 1)).all(-1) & (kind != "impostor")
    return np.where(visible[..., None], at, np.nan).astype(np.float32), visible


def _grey(ridges, pressure, rng, noise="none"):
    """Dark ridges on a light ground, thicker with pressure; sensor noise is a smooth stain."""
    image = 128 + 100 * np.tanh(2 * (ridges - pressure))
    if noise == "sensor":
        stain = cv2.GaussianBlur(rng.normal(size=image.shape).astype(np.float32), (0, 0), 3)
        image = image + 60 * stain / stain.std()
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).round().astype(np.uint8)
