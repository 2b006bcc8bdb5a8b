"""Cut the crop that the network gets from a prepared image.

Training and registration use the same functions, so that the network sees the same pixels in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import border
from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resample import render
from pipeline.imaging.warp import IDENTITY, Array, Warp, apply_affine, compose_affine, pixel_grid


@dataclass(frozen=True)
class CropParameters:
    """Lengths of the crop's geometry, px at 500 ppi."""

    # Distance between the candidates for the centre of a training crop. Chosen: about two ridges.
    centre_step: int = 16
    # Added to the radius of a window: reach of the prefilter and of bilinear sampling. Chosen.
    filter_margin: int = 4


DEFAULT = CropParameters()


@dataclass(frozen=True, eq=False)
class Crop:
    """The network's input: a square part of an image, resampled.

    Attributes:
        image: uint8 [size, size].
        mask: bool [size, size], true on the foreground.
        to_original: float64 [2, 3], px of the crop without its warp → px of the file.
    """

    image: Image
    mask: Mask
    to_original: Array


def sample_centre(
    prepared: SegmentedImage,
    crop: int,
    rng: np.random.Generator,
    parameters: CropParameters = DEFAULT,
) -> SegmentedImage:
    """Sample the crop's centre from all places where the disc in the crop is foreground.

    A crop of 288 px contains nine tenths of a plain impression and 0.4 to 0.64 of a rolled one,
    always the same part if it lies at the centroid. Sampled crops cover the whole finger over a
    data set (docs/LOG.md, 2026-11-22, "The crop of a rolled impression").

    Args:
        prepared: an image with its foreground.
        crop: side of the crop, px at 500 ppi.
        rng: generator of the one number that is sampled.
        parameters: distance between candidates.

    Returns:
        The image with its new centre; unchanged if the disc fits nowhere, as in nearly every
        plain impression.
    """
    step = parameters.centre_step
    mask = _pad(prepared.mask[::step, ::step].view(np.uint8), (1, 1, 1, 1))
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    candidates = np.flatnonzero(np.asarray(distances) > crop / 2 / step)
    if not len(candidates):
        return prepared
    y, x = divmod(int(candidates[rng.integers(len(candidates))]), mask.shape[1])
    return replace(prepared, centre=(float(step * (x - 1)), float(step * (y - 1))))


def window(prepared: SegmentedImage, radius: int) -> SegmentedImage:
    """Cut the square of 2·radius px around the centre and fill the part outside the image.

    The fill continues the tone of the image's background, and the image fades into it over
    `border.BorderParameters.feather` px, so that the network cannot learn from the image's edges.
    The mask ends where the image has faded by half.

    Args:
        prepared: an image at 500 ppi.
        radius: px, a multiple of half of `border.BorderParameters.tone_cell`: `window_radius`.
    """
    height, width = prepared.image.shape
    x, y = prepared.centre
    left, top = math.floor(x) - radius + 1, math.floor(y) - radius + 1
    columns, rows = slice(max(left, 0), left + 2 * radius), slice(max(top, 0), top + 2 * radius)
    image, mask = prepared.image[rows, columns], prepared.mask[rows, columns]
    across = border.fade_weights(width, left, 2 * radius)
    down = border.fade_weights(height, top, 2 * radius)
    faded = border.faded_parts(across, down)
    if faded:
        below, right = max(top + 2 * radius - height, 0), max(left + 2 * radius - width, 0)
        outside = (max(-top, 0), below, max(-left, 0), right)
        image, finger = _pad(image, outside), _pad(mask.view(np.uint8), outside)
        border.blend(image, finger, faded)
        mask = finger.view(np.bool_)
    shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    to_original = compose_affine(prepared.to_original, shift)
    return SegmentedImage(image, mask, to_original, window_centre(radius))


def window_centre(radius: int) -> tuple[float, float]:
    """Return the centre (x, y) px of a window of 2·radius px."""
    return radius - 0.5, radius - 0.5


def window_radius(crop: int, travel: float = 0.0, parameters: CropParameters = DEFAULT) -> int:
    """Return the radius px of the window that contains a crop at any rotation.

    Args:
        crop: side of the crop, px at 500 ppi.
        travel: px, the largest shift of the crop's points by a translation or an elastic warp.
        parameters: reach of the filters.
    """
    half = border.DEFAULT.tone_cell // 2
    return math.ceil((crop / math.sqrt(2) + travel + parameters.filter_margin) / half) * half


def crop_matrix(centre: tuple[float, float], crop: int, size: int) -> Array:
    """Return the matrix float64 [2, 3] from px of a crop to px of its image.

    Args:
        centre: (x, y) px in the image, the centre of the crop.
        crop: side of the crop, px of the image.
        size: side of the crop, px of its own.
    """
    scale = crop / size
    half = scale * (size - 1) / 2
    x, y = centre
    return np.array([[scale, 0.0, x - half], [0.0, scale, y - half]])


def extract_crop(
    prepared: SegmentedImage, crop: int = 288, size: int = 128, warp: Warp | None = None
) -> Crop:
    """Cut the crop around an image's centre.

    Args:
        prepared: an image at 500 ppi.
        crop: side of the crop, px at 500 ppi.
        size: side of the crop, px of its own.
        warp: from px of the result to px of the crop without a warp; None for the identity.

    Returns:
        The crop; its `to_original` starts at px of the crop without a warp.
    """
    warp = warp or Warp(IDENTITY)
    around = window(prepared, window_radius(crop))
    matrix = crop_matrix(around.centre, crop, size)
    points = apply_affine(matrix, warp(pixel_grid(size, size)))
    image = render(around.image, matrix, size, warp)
    return Crop(image, on_finger(around, points), compose_affine(around.to_original, matrix))


def on_finger(image: SegmentedImage | Crop, points: Array) -> Mask:
    """Return whether points lie on the foreground, to the nearest px.

    Args:
        image: an image or a crop [H, W] with its foreground.
        points: (x, y) px of the image, float64 [..., 2].

    Returns:
        bool [...]; False outside the image.
    """
    return _mask_at(image.mask, points[..., 0], points[..., 1])


def grid_on_finger(image: SegmentedImage | Crop, x: Array, y: Array) -> Mask:
    """Return `on_finger` [H, W] of the points at columns x [W] and rows y [H]; faster."""
    return _mask_at(image.mask, x, y[:, None])


def _mask_at(mask: Mask, x: Array, y: Array) -> Mask:
    """Return a mask [H, W] at the px nearest to x and y, broadcast; False outside of it."""
    (column, in_columns), (row, in_rows) = _nearest(x, mask.shape[1]), _nearest(y, mask.shape[0])
    return np.asarray(in_rows & in_columns & mask[row, column])


def _nearest(positions: Array, count: int) -> tuple[NDArray[np.intp], Mask]:
    """Return the nearest of `count` px along an axis, 0 for positions beyond; which are within."""
    nearest = np.floor(positions + 0.5)
    within = (nearest >= 0) & (nearest < count)
    return np.where(within, nearest, 0).astype(np.intp), within


def _pad(image: Image, outside: tuple[int, int, int, int]) -> Image:
    """Pad an image with zeros: px above, below, left and right."""
    return np.asarray(cv2.copyMakeBorder(image, *outside, cv2.BORDER_CONSTANT), np.uint8)
