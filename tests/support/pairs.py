"""Small pairs with exact ground truth: band-limited noise as ridges, warped analytically."""

import math

import cv2
import numpy as np

from pipeline.imaging.warp import Warp, compose_affine, pixel_grid, random_control, rotation
from shards.record import NOISES, Pair

MARGIN = 40  # px of the master around image A, so that a rotated B is within it
PERIOD = 4.0  # px between ridges: 9 px at 500 ppi, resampled from 288 to 128 px


def make_pairs(n, seed, partition="synthetic/test", split="train", size=128, grid=32):
    """Synthesize `n` pairs: of each four, three are genuine and one is an impostor pair.

    Pair k depends on the arguments and k only. Splits have no finger in common.

    Args:
        n: number of pairs.
        seed: seed of warps and noise.
        partition: prefix of the ids.
        split: prefix of the ids, and seed of the ridges.
        size: width and height of the images in px.
        grid: number of cells per side.
    """
    return [_make_pair(seed, k, partition, split, size, grid) for k in range(n)]


def _make_pair(seed, index, partition, split, size, grid):
    rng = np.random.default_rng([seed, index])
    kind = "impostor" if index % 4 == 3 else "genuine"
    noise = NOISES[1 + index % 3]
    finger_a, finger_b = index // 4, index // 4 + (kind == "impostor")
    master_a = _synthesize_ridges(finger_a, split, size + 2 * MARGIN)
    master_b = master_a
    if kind == "impostor":
        master_b = _synthesize_ridges(finger_b + 10_000, split, size + 2 * MARGIN)
    warp = _sample_warp(rng, size)
    inner = slice(MARGIN, MARGIN + size)
    positions = (warp.dense(size, size) + MARGIN).astype(np.float32)
    image_b = cv2.remap(master_b, positions, None, cv2.INTER_CUBIC, borderValue=0.0)
    map_ab, visible = _ground_truth(warp, size, grid, kind)
    return Pair(
        image_a=_to_image(master_a[inner, inner], 0.0, rng),
        image_b=_to_image(image_b, {"dryness": -0.6, "pressure": 0.6}.get(noise, 0.0), rng, noise),
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


def _synthesize_ridges(finger, split, side):
    """Return band-limited noise [side, side] of unit deviation and of one period."""
    rng = np.random.default_rng([finger, *split.encode()])
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    band = np.exp(-(((frequency - 1 / PERIOD) / 0.035) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * band).real
    return (field / field.std()).astype(np.float32)


def _sample_warp(rng, size):
    """Sample a warp from px of B to px of A: rotation within ±60°, shift, elastic distortion."""
    control, origin = random_control(rng, (size, size), 32.0, 1.5, 0.3)
    centre = (size - 1) / 2
    rotated = rotation(rng.uniform(-math.pi / 3, math.pi / 3), (centre, centre))
    shift = np.hstack([np.eye(2), rng.uniform(-4, 4, (2, 1))])
    return Warp(compose_affine(rotated, shift), control, 32.0, origin)


def _ground_truth(warp, size, grid, kind):
    """Return map_ab [G, G, 2] and visible [G, G]; an impostor pair has no visible cell."""
    positions = warp.inverse(pixel_grid(grid, grid, size / grid))
    visible = ((positions >= 0) & (positions <= size - 1)).all(-1) & (kind != "impostor")
    return np.where(visible[..., None], positions, np.nan).astype(np.float32), visible


def _to_image(ridges, pressure, rng, noise="none"):
    """Return dark ridges on light background; pressure makes them wider, noise adds stains."""
    image = 128 + 100 * np.tanh(2 * (ridges - pressure))
    if noise == "sensor":
        stain = cv2.GaussianBlur(rng.normal(size=image.shape).astype(np.float32), (0, 0), 3)
        image = image + 60 * stain / stain.std()
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).round().astype(np.uint8)
