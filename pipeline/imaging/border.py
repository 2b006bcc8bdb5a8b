"""Fade an image into the tone of its own background towards its frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image
from pipeline.imaging.resample import Part

Weight = NDArray[np.uint16]  # of the image, 0 … FULL; the rest is the background's tone
WeightedParts = list[tuple[Part, Weight]]

FULL = 128  # the fixed-point weight 1: its square fits into 16 bits


@dataclass(frozen=True)
class BorderParameters:
    """Lengths and limits of the fading; all are chosen, none is fitted."""

    feather: int = 16  # px at 500 ppi over which the image fades, about two ridges
    tone_cell: int = 16  # px per cell, side of the squares over which the tone is averaged
    tone_deviation: float = 1.5  # cells, of the Gaussian that continues the tone
    ground_min: float = 0.02  # share of background from which on a neighbourhood has its own tone
    cell_ground_min: int = 128  # of 255, share of background below which a cell is not used
    # Percentile of the image's greys that stands for the background where none is visible.
    light_percentile: float = 90


DEFAULT = BorderParameters()


def fade_weights(
    extent: int, start: int, count: int, parameters: BorderParameters = DEFAULT
) -> Weight:
    """Return the image's weight along one axis.

    Args:
        extent: px of the image along this axis.
        start: position of the first weight, px of the image; may be negative.
        count: number of weights.
        parameters: width of the fading.

    Returns:
        uint16 [count], 0 outside the image, FULL from `feather` px inside it on.
    """
    positions = np.arange(start, start + count)
    inside = np.minimum(np.minimum(positions + 1, extent - positions), parameters.feather)
    t = np.maximum(inside, 0) / parameters.feather
    return np.rint(FULL * t * t * (3 - 2 * t)).astype(np.uint16)


def faded_parts(across: Weight, down: Weight) -> WeightedParts:
    """Return the parts of a window in which the background's tone has a weight, and the image's.

    Args:
        across: weights of the columns, uint16 [W].
        down: weights of the rows, uint16 [H].

    Returns:
        The strips above, below, left and right of the part of full weight; no empty ones.
    """
    top, bottom = _full_range(down)
    left, right = _full_range(across)
    inner = slice(top, bottom)
    parts = [
        (slice(top), slice(None)),
        (slice(bottom, None), slice(None)),
        (inner, slice(left)),
        (inner, slice(right, None)),
    ]
    weighted = [
        ((rows, columns), np.outer(down[rows], across[columns]) // np.uint16(FULL))
        for rows, columns in parts
    ]
    return [(part, weight) for part, weight in weighted if weight.size]


def _full_range(weights: Weight) -> tuple[int, int]:
    """Return the first index of full weight and the one after the last; both at the end if none."""
    full = np.flatnonzero(weights == FULL)
    return (int(full[0]), int(full[-1]) + 1) if len(full) else (len(weights), len(weights))


def blend(
    image: Image, finger: Image, parts: WeightedParts, parameters: BorderParameters = DEFAULT
) -> None:
    """Blend a window with the tone of the background around it, in place.

    Args:
        image: uint8 [H, H], changed in `parts` alone.
        finger: uint8 [H, H], 1 on the foreground; set to 0 where the image has faded by half.
        parts: of `faded_parts`.
        parameters: of the tone.
    """
    ground = np.asarray(cv2.threshold(finger, 0, 255, cv2.THRESH_BINARY_INV)[1], np.uint8)
    for part, weight in parts:
        visible = weight >= FULL // 2
        finger[part] *= visible
        ground[part] *= visible
    tone = _tone(image, finger, ground, parameters)
    for part, weight in parts:
        change = np.subtract(_enlarge(tone, part, parameters), image[part], dtype=np.int16)
        change *= FULL - weight.view(np.int16)
        change += FULL // 2
        change //= FULL
        change += image[part]
        image[part] = change


def _tone(image: Image, finger: Image, ground: Image, parameters: BorderParameters) -> Image:
    """Return the tone of the background around every cell, uint8 [G, G]; `ground` is 255 on it.

    A normalised convolution of the background (Knutsson and Westin, CVPR 1993).
    """
    cells = image.shape[0] // parameters.tone_cell
    background = np.asarray(cv2.bitwise_and(image, ground), np.uint8)
    grey, share = _average(background, cells), _average(ground, cells)
    # Beside the finger, the rest of a cell is its faint outline.
    usable = share[..., None] >= parameters.cell_ground_min
    certain = np.where(usable, np.dstack([grey, share]), np.uint8(0))
    total = cv2.sumElems(certain)
    if total[1] > parameters.ground_min * 255 * share.size:
        usual = 255 * total[0] / total[1]
    else:
        usual = np.percentile(image[(finger | ground) > 0], parameters.light_percentile)
    fixed = certain.astype(np.uint16) * np.uint16(256)  # integers: the same on all processors
    deviation = parameters.tone_deviation
    blurred = cv2.GaussianBlur(fixed, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT) / 65280.0
    least = parameters.ground_min
    return np.rint((255 * blurred[..., 0] + least * usual) / (blurred[..., 1] + least)).astype(
        np.uint8
    )


def _average(image: Image, cells: int) -> Image:
    """Return the means over cells × cells squares; halving twice first is OpenCV's fast path."""
    for side in (image.shape[0] // 2, image.shape[0] // 4, cells):
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return image


def _enlarge(tone: Image, part: Part, parameters: BorderParameters) -> Image:
    """Interpolate the cells' tones [G, G] bilinearly and return one part of the window."""
    cell = parameters.tone_cell
    top, bottom, _ = part[0].indices(cell * tone.shape[0])
    left, right, _ = part[1].indices(cell * tone.shape[1])
    # A px lies between the centres of its cell and of the one before or after it.
    row, column = max(0, top // cell - 1), max(0, left // cell - 1)
    cells = tone[row : bottom // cell + 2, column : right // cell + 2]
    size = tuple(cell * count for count in cells.shape[::-1])
    large = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    y, x = row * cell, column * cell
    return large[top - y : bottom - y, left - x : right - x]
