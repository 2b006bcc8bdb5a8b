"""From an image file to the foreground of a finger at 500 ppi, and from there to the crop.

`pipeline.pair` builds the training data with these functions and `model.registration.registrar` prepares what
it registers with the same ones, so that both see the same pixels. Every step keeps the affine
transform back to the pixels of the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.imaging import border
from pipeline.imaging.file import DEFAULT as FILE
from pipeline.imaging.file import Image, check_size
from pipeline.imaging.foreground import Mask, foreground
from pipeline.imaging.resample import render
from pipeline.imaging.resolution import WORKING_PPI, check_ppi
from pipeline.imaging.warp import IDENTITY, Array, Warp, apply_affine, compose_affine, pixel_grid
from shards.foundation.errors import Fault

PLACES = 16  # px at 500 ppi between the places that a crop's centre is drawn from
LIGHT_PERCENTILE = border.LIGHT_PERCENTILE  # registration too takes a print's ground to be so light


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image at 500 ppi with its foreground."""

    image: Image  # [h, w]
    mask: Mask  # [h, w], true on the finger
    to_original: Array  # [2, 3], px of `image` → px of the file
    centre: tuple[float, float]  # (x, y) px in `image`, of the crop


@dataclass(frozen=True, eq=False)
class Crop:
    """What the network sees of an image."""

    image: Image  # [size, size]
    mask: Mask  # [size, size]
    to_original: Array  # [2, 3], px of the crop → px of the file, where no warp was given


def prepare(image: Image, ppi: float, name: str = "image") -> Prepared:
    """The image uint8 [H, W] of `ppi` brought to 500 ppi, with its foreground and crop centre.

    The centre is the foreground's centroid: a finger in the middle stays in view when it turns.
    A Fault calls the image `name` where it has no foreground or no credible size or resolution.
    """
    if image.ndim != 2 or image.dtype != np.uint8:
        raise Fault(f"{name}: is an array {list(image.shape)} {image.dtype}; expected uint8 [H, W]")
    check_ppi(ppi, name)
    height, width = image.shape
    check_size(width, height, name)
    if max(height, width) * WORKING_PPI / ppi > FILE.side_range[1]:
        raise Fault(
            f"{name}: measures {width}×{height} px of {ppi:g} ppi, too much for a finger; is that"
            " its resolution?"
        )
    image, to_original = to_working_resolution(image, ppi)
    mask = foreground(image, name)
    moments = cv2.moments(mask[::4, ::4].astype(np.uint8))  # every fourth px
    centre = (4 * moments["m10"] / moments["m00"], 4 * moments["m01"] / moments["m00"])
    return Prepared(image, mask, to_original, centre)


def draw_centre(prepared: Prepared, crop: int, rng: np.random.Generator) -> Prepared:
    """The same with the centre at a place drawn evenly from where the disc in the crop is finger.

    A crop of 288 px shows nine tenths of a plain print and 0.4 to 0.64 of a rolled one, and
    about the centroid always the same part: seen over a set, drawn crops show all of the finger at
    no more pairs an image, and are as full (docs/LOG.md has the figures). Where no disc
    fits, as in nearly every plain print, all stays as it is.
    """
    mask = _bordered(prepared.mask[::PLACES, ::PLACES].view(np.uint8), (1, 1, 1, 1))
    free = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    places = np.flatnonzero(np.asarray(free) > crop / 2 / PLACES)
    if not len(places):
        return prepared
    y, x = divmod(int(places[rng.integers(len(places))]), mask.shape[1])
    return replace(prepared, centre=(float(PLACES * (x - 1)), float(PLACES * (y - 1))))


def to_working_resolution(image: Image, ppi: float) -> tuple[Image, Array]:
    """The image at 500 ppi, and the matrix [2, 3] from its px to px of the image given."""
    if ppi == WORKING_PPI:
        return image, IDENTITY.copy()
    scale = ppi / WORKING_PPI
    size = tuple(max(1, round(extent / scale)) for extent in image.shape[::-1])
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, size, interpolation=method)
    ratio = np.array(image.shape[::-1]) / size  # the rounding to whole px is part of the transform
    matrix = np.hstack([np.diag(ratio), ((ratio - 1) / 2)[:, None]])
    return np.asarray(resized, np.uint8), matrix


def window(prepared: Prepared, radius: int) -> Prepared:
    """The square of 2·radius px around the centre; what lies outside the frame is filled.

    The fill continues the tone of the image's own background, and the image fades into it over
    fade.FEATHER px, so that the frame leaves no edge that a network could learn from. The mask ends
    where the image has faded by half. `radius` is a multiple of fade.TONE_CELL / 2 (see `reach`).
    """
    height, width = prepared.image.shape
    left, top = (math.floor(c) - radius + 1 for c in prepared.centre)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + 2 * radius, width), min(top + 2 * radius, height)
    image, mask = prepared.image[y0:y1, x0:x1], prepared.mask[y0:y1, x0:x1]
    outside = (y0 - top, top + 2 * radius - y1, x0 - left, left + 2 * radius - x1)
    across = border.weights(width, left, 2 * radius)
    down = border.weights(height, top, 2 * radius)
    faded = border.faded(across, down)
    if faded:
        image, finger = (_bordered(part, outside) for part in (image, mask.view(np.uint8)))
        border.blend(image, finger, faded)
        mask = finger.view(np.bool_)
    shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    to_original = compose_affine(prepared.to_original, shift)
    return Prepared(image, mask, to_original, middle(radius))


def middle(radius: int) -> tuple[float, float]:
    """Centre (x, y) px of a window of 2·radius px."""
    return radius - 0.5, radius - 0.5


def crop_matrix(centre: tuple[float, float], crop: int, size: int) -> Array:
    """Matrix [2, 3] from px of the crop of `size` px to px of the image; `crop` px at 500 ppi.

    centre: (x, y) px in the image, of the crop.
    """
    scale = crop / size
    x, y = (at - scale * (size - 1) / 2 for at in centre)
    return np.array([[scale, 0.0, x], [0.0, scale, y]])


def on_finger(prepared: Prepared, points: Array) -> Mask:
    """True [...] where the points (x, y) [..., 2], px of the image, lie on the foreground."""
    height, width = prepared.mask.shape
    nearest = np.floor(points + 0.5)
    x, y = nearest[..., 0], nearest[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = (np.where(inside, at, 0).astype(np.intp) for at in (x, y))
    return np.asarray(inside & prepared.mask[y, x])


def crop(prepared: Prepared, crop: int = 288, size: int = 128, warp: Warp | None = None) -> Crop:
    """The crop of `crop` px at 500 ppi around the centre, `size` px a side, seen through `warp`.

    `warp` maps px of the crop shown to px of the crop without it, where `to_original` starts.
    """
    warp = warp or Warp(IDENTITY)
    around = window(prepared, reach(crop))
    matrix = crop_matrix(around.centre, crop, size)
    points = apply_affine(matrix, warp(pixel_grid(size, size)))
    image = render(around.image, matrix, size, warp)
    return Crop(image, on_finger(around, points), compose_affine(around.to_original, matrix))


def reach(crop: int, travel: float = 0.0) -> int:
    """Radius of the window that a crop needs at any angle and a shift of up to `travel` px."""
    half = border.TONE_CELL // 2
    return math.ceil((crop / math.sqrt(2) + travel + 4) / half) * half  # 4: reach of the filters


def _bordered(image: Image, outside: tuple[int, int, int, int]) -> Image:
    """The image with so many px of 0 above, below, left and right of it."""
    return np.asarray(cv2.copyMakeBorder(image, *outside, cv2.BORDER_CONSTANT), np.uint8)
