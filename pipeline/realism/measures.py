"""What is measured of a print to compare real with synthetic ones: distributions and 128-px crops.

The same code measures both sides, so that its own errors are on both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.foreground import Image, Mask
from pipeline.imaging.preprocess import Prepared
from pipeline.imaging.warp import Array
from pipeline.realism.minutiae import minutiae

CROP = 128  # px at 500 ppi
CROPS = 4  # of an image, at most
COVERED = 0.95  # of a crop or block that is to be finger
BLOCK, STEP = 64, 32  # px, of the blocks that the ridge period is taken in
CELL = 16  # px, two ridges: over which contrast and coherence are taken
PERIODS = (4.0, 20.0)  # px, looked for
AREA_MIN = 0.2  # cm² that are to be searched for minutiae
BINS = 32  # of the radial power spectrum, up to half a cycle a px
PX_PER_MM = 500 / 25.4

# A name of a distribution, and what one value of it belongs to
MEASURES = {
    "ridge period, px": "block",
    "orientation coherence": "cell",
    "ridge share of ridge and valley": "cell",
    "local contrast, grey levels": "cell",
    "grey on the finger": "pixel",
    "grey of the ground": "pixel",
    "foreground, mm²": "print",
    "turn of the ridges, degrees a mm": "cell",
    "minutiae a cm²": "print",
    "endings among minutiae": "print",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """What one print shows."""

    finger: str
    values: dict[str, Array]  # of MEASURES, float64 [n] each
    spectrum: Array  # [BINS] dB, radial mean power over its crops; NaN where it has no crop
    crops: list[Image]  # [CROP, CROP] each


def measure(prepared: Prepared, finger: str, rng: np.random.Generator) -> Measured:
    """All that is measured of a print at 500 ppi; `rng` draws where its crops lie."""
    image, mask = prepared.image, prepared.mask
    angle, coherence, inside = _structure(image, mask)
    low, high = _envelope(image)
    ridge = cv2.GaussianBlur(image, (3, 3), 0) < (low + high) / 2
    contrast = np.sqrt(np.maximum(_cells(image.astype(np.float32) ** 2) - _cells(image) ** 2, 0))
    ground = image[~cv2.dilate(mask.astype(np.uint8), np.ones((17, 17))).astype(bool)]
    per_cell = {
        "orientation coherence": coherence,
        "ridge share of ridge and valley": _cells(ridge),
        "local contrast, grey levels": contrast,
        "turn of the ridges, degrees a mm": _turn(angle),
    }
    values = {name: cells[inside] for name, cells in per_cell.items()}
    values |= {
        "ridge period, px": periods(image, mask),
        "grey on the finger": image[mask][::37],
        "grey of the ground": ground[::37],
        "foreground, mm²": np.array([mask.sum() / PX_PER_MM**2]),
    }
    values |= _minutiae(image, mask, values["ridge period, px"])
    crops = cut(image, mask, rng)
    floats = {name: np.asarray(values[name], np.float64) for name in MEASURES}
    return Measured(finger, floats, _mean_spectrum(crops), crops)


def _minutiae(image: Image, mask: Mask, found: Array) -> dict[str, Array]:
    """Density and share of endings of a print, none of either where it shows too little."""
    none = np.zeros(0)
    if not len(found):
        return {"minutiae a cm²": none, "endings among minutiae": none}
    endings, forks, searched = minutiae(image, mask, float(np.median(found)))
    count, area = len(endings) + len(forks), searched.sum() / (10 * PX_PER_MM) ** 2
    return {
        "minutiae a cm²": np.array([count / area]) if area > AREA_MIN else none,
        "endings among minutiae": np.array([len(endings) / count]) if count else none,
    }


def periods(image: Image, mask: Mask) -> Array:
    """Ridge period px of every BLOCK in the finger that is not of one grey: its strongest wave."""
    blocks = [block for block in _windows(image, mask, BLOCK, STEP) if block.min() < block.max()]
    bell = np.outer(np.hanning(BLOCK), np.hanning(BLOCK))
    frequency = np.fft.fftfreq(2 * BLOCK)
    radius = np.hypot(frequency[:, None], frequency[None])
    ridges = (radius > 1 / PERIODS[1]) & (radius < 1 / PERIODS[0])
    found = []
    for block in blocks:
        power = np.abs(np.fft.fft2((block - block.mean()) * bell, radius.shape)) ** 2
        y, x = divmod(int(np.argmax(power * ridges)), len(frequency))
        around = np.log(np.take(np.take(power, [y - 1, y, y + 1], 0, mode="wrap"), x, 1) + 1)
        beside = np.log(np.take(np.take(power, y, 0), [x - 1, x, x + 1], mode="wrap") + 1)
        off = [_vertex(three) * frequency[1] for three in (around, beside)]
        found.append(1 / np.hypot(frequency[y] + off[0], frequency[x] + off[1]))
    return np.array(found, np.float64)


def _vertex(three: Array) -> float:
    """Where the parabola through three values at -1, 0, 1 has its top, which is near 0."""
    left, middle, right = three
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0


def cut(image: Image, mask: Mask, rng: np.random.Generator) -> list[Image]:
    """Up to CROPS crops that are finger nearly all over, from places drawn by `rng`."""
    found = _windows(image, mask, CROP, CELL)
    return [found[k] for k in sorted(rng.permutation(len(found))[:CROPS])]


def spectrum(crop: Image) -> Array:
    """Radial mean power [BINS] in dB of a crop [CROP, CROP]."""
    bell = np.outer(np.hanning(CROP), np.hanning(CROP))
    power = np.abs(np.fft.rfft2((crop - crop.mean()) * bell)) ** 2
    radius = np.hypot(np.fft.fftfreq(CROP)[:, None], np.fft.rfftfreq(CROP)[None])
    ring = np.minimum((radius * 2 * BINS).astype(int), BINS)  # the corners are beyond the last
    total = np.bincount(ring.ravel(), power.ravel(), BINS + 1)[:BINS]
    return np.asarray(10 * np.log10(total / np.bincount(ring.ravel(), minlength=BINS)[:BINS] + 1))


def _mean_spectrum(crops: list[Image]) -> Array:
    return np.mean([spectrum(c) for c in crops], 0) if crops else np.full(BINS, np.nan)


def _windows(image: Image, mask: Mask, side: int, step: int) -> list[Image]:
    """The squares of `side` px, `step` px apart, that are finger nearly all over."""
    total = cv2.integral(mask.astype(np.uint8))
    rows = range(0, image.shape[0] - side + 1, step)
    columns = range(0, image.shape[1] - side + 1, step)
    return [
        image[y : y + side, x : x + side]
        for y in rows
        for x in columns
        if total[y + side, x + side] - total[y, x + side] - total[y + side, x] + total[y, x]
        > COVERED * side * side
    ]


def _cells(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Means over cells of CELL px, float32 [h // CELL, w // CELL]."""
    rows, columns = (extent // CELL for extent in values.shape)
    whole = values[: rows * CELL, : columns * CELL].astype(np.float32)
    return whole.reshape(rows, CELL, columns, CELL).mean((1, 3))


def _structure(image: Image, mask: Mask) -> tuple[NDArray[np.complex64], Array, Mask]:
    """Doubled orientation (a unit complex number) and coherence of every cell; which are finger."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, yy, xy = _cells(x * x), _cells(y * y), _cells(x * y)
    doubled = (xx - yy) + 2j * xy
    strength = np.abs(doubled)
    coherence = np.asarray(strength / (xx + yy + 1), np.float64)
    unit = np.asarray(doubled / np.maximum(strength, 1e-6), np.complex64)
    return unit, coherence, _cells(mask) > COVERED


def _turn(doubled: NDArray[np.complex64]) -> Array:
    """Degrees a mm by which a cell's orientation differs from the next one's to the right."""
    difference = np.angle(doubled[:, 1:] * np.conj(doubled[:, :-1])) / 2
    return np.pad(np.degrees(np.abs(difference)), ((0, 0), (0, 1)), mode="edge") * PX_PER_MM / CELL


def _envelope(image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The darkest and lightest grey of two ridges around each px, smoothed."""
    soft = cv2.GaussianBlur(image, (3, 3), 0)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17))
    found = (cv2.erode(soft, window), cv2.dilate(soft, window))
    low, high = (cv2.GaussianBlur(part.astype(np.float32), (0, 0), 6) for part in found)
    return np.asarray(low, np.float32), np.asarray(high, np.float32)
