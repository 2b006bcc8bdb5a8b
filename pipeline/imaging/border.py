"""How an image ends softly at its frame: it fades into the tone of its own background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.resample import Image, Part

Weight = NDArray[np.uint16]  # of the image, 0 … FULL
Faded = list[tuple[Part, Weight]]

FEATHER = 16  # px at 500 ppi, two ridges: how softly an image ends at its frame
TONE_CELL = 16  # px at 500 ppi, over which the tone of the background is averaged
GROUND_MIN = 0.02  # share of a neighbourhood that must be background to give the tone
FULL = 128  # weight of an image that is seen alone, in fixed point: its square fits 16 bits
LIGHT_PERCENTILE = 90  # the tone of the ground where the finger leaves none of it to see


def weights(extent: int, start: int, count: int) -> Weight:
    """Weight 0 … FULL of the image at `count` px from `start` of an axis of `extent` px."""
    at = np.arange(start, start + count)
    inside = np.minimum(np.minimum(at + 1, extent - at), FEATHER)
    t = np.maximum(inside, 0) / FEATHER
    return np.rint(FULL * t * t * (3 - 2 * t)).astype(np.uint16)


def faded(across: Weight, down: Weight) -> Faded:
    """What of an image is not seen alone, in four parts, and the weights of the image there."""
    (top, bottom), (left, right) = (
        (int(full[0]), int(full[-1]) + 1) if len(full) else (len(axis), len(axis))
        for axis in (down, across)
        for full in [np.flatnonzero(axis == FULL)]
    )
    inner, whole = slice(top, bottom), slice(None)
    parts = (
        (slice(top), whole),
        (slice(bottom, None), whole),
        (inner, slice(left)),
        (inner, slice(right, None)),
    )
    made = [np.outer(down[rows], across[columns]) // np.uint16(FULL) for rows, columns in parts]
    return [(part, weight) for part, weight in zip(parts, made, strict=True) if weight.size]


def blend(image: Image, finger: Image, parts: Faded) -> None:
    """Blend the image with the tone around where it is not seen alone, in place.

    finger: uint8, 1 on the foreground, made to end where the image has faded by half.
    """
    ground = np.asarray(cv2.threshold(finger, 0, 255, cv2.THRESH_BINARY_INV)[1], np.uint8)
    for part, weight in parts:
        seen = weight >= FULL // 2
        finger[part] *= seen
        ground[part] *= seen
    tone = _tone(image, finger, ground)
    for part, weight in parts:
        change = np.subtract(_enlarged(tone, part), image[part], dtype=np.int16)
        change *= FULL - weight.view(np.int16)
        change += FULL // 2
        change //= FULL
        change += image[part]
        image[part] = change


def _tone(image: Image, finger: Image, ground: Image) -> Image:
    """The tone of the background around every cell of TONE_CELL px; `ground` is 255 on it.

    It is a normalised convolution (Knutsson & Westin, CVPR 1993) of what is no finger.
    """
    cells = image.shape[0] // TONE_CELL
    shown = np.asarray(cv2.bitwise_and(image, ground), np.uint8)
    grey, share = (_averaged(part, cells) for part in (shown, ground))
    # beside the finger, what is left of a cell is its faint outline
    known = np.where(share[..., None] < 128, np.uint8(0), np.dstack([grey, share]))
    total = cv2.sumElems(known)
    if total[1] > GROUND_MIN * 255 * share.size:
        usual = 255 * total[0] / total[1]
    else:
        usual = np.percentile(image[(finger | ground) > 0], LIGHT_PERCENTILE)
    fixed = known.astype(np.uint16) * np.uint16(256)  # integers are blurred alike on all machines
    near = cv2.GaussianBlur(fixed, (0, 0), 1.5, borderType=cv2.BORDER_CONSTANT) / 65280.0
    tone = (255 * near[..., 0] + GROUND_MIN * usual) / (near[..., 1] + GROUND_MIN)
    return np.rint(tone).astype(np.uint8)


def _averaged(image: Image, cells: int) -> Image:
    """Means over so many cells a side: twice over 2 × 2 px first, for which OpenCV is fast."""
    for side in (image.shape[0] // 2, image.shape[0] // 4, cells):
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return image


def _enlarged(tone: Image, part: Part) -> Image:
    """A part of what the cells' tones become, smoothly, at TONE_CELL px a cell."""
    (top, bottom), (left, right) = (
        at.indices(TONE_CELL * cells)[:2] for at, cells in zip(part, tone.shape, strict=True)
    )
    # a px lies between the centres of its cell and of the one before or after it
    y, x = (max(0, first // TONE_CELL - 1) for first in (top, left))
    near = tone[y : bottom // TONE_CELL + 2, x : right // TONE_CELL + 2]
    size = tuple(TONE_CELL * cells for cells in near.shape[::-1])
    large = np.asarray(cv2.resize(near, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    y, x = y * TONE_CELL, x * TONE_CELL
    return large[top - y : bottom - y, left - x : right - x]
