"""How a crop shows an image: anti-aliased, in fixed point, from no more px than it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array, Warp

Image = NDArray[np.uint8]
Part = tuple[slice, slice]  # rows and columns of an image

BILINEAR_VARIANCE = 1 / 6  # px², mean of t·(1 - t) over the fractions t of a px
BLOCK = 64  # px that OpenCV filters at a time on the widest processors


@dataclass(frozen=True, eq=False)
class View:
    """Where the px of a crop lie in an image. Whoever changes the image need change `part` only.

    The prefilter and the bilinear sampling together are, on average, the Gaussian that takes a
    blur of half a px before the reduction to half a px after it (Lowe, IJCV 2004, section 3.3).
    Every crop is made so, hence sharpness tells nothing; and in fixed point, hence the bytes are
    the same on every machine, which OpenCV's bicubic sampling and warpAffine do not give.
    """

    part: Part  # of the image: all that the crop is made of
    at: tuple[cv2.typing.MatLike, cv2.typing.MatLike]  # whole px in it, and 32nds of a px
    deviation: float  # px, of the prefilter; 0 for none

    def render(self, part: Image) -> Image:
        """The crop uint8 [size, size], of the part uint8 [h, w] of the image."""
        if self.deviation:
            side = 2 * _radius(self.deviation) + 1
            part = np.asarray(cv2.GaussianBlur(part, (side, side), self.deviation), np.uint8)
        made = cv2.remap(part, *self.at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(made, np.uint8)


def view(shape: tuple[int, ...], matrix: Array, size: int, warp: Warp) -> View:
    """The view in which the output px p shows an image of `shape` (h, w) at matrix · warp(p)."""
    (a, b, _), (c, d, _) = matrix.tolist()
    deviation = math.sqrt(max(0.0, (abs(a * d - b * c) - 1) / 4 - BILINEAR_VARIANCE))
    radius = _radius(deviation)
    x, y = (at.astype(np.float32) for at in warp.planes(size, size, matrix))
    left, right = _needed(x, shape[1], radius)
    top, bottom = _needed(y, shape[0], radius)
    x -= np.float32(left)
    y -= np.float32(top)
    at = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return View((slice(top, bottom), slice(left, right)), at, deviation)


def render(image: Image, matrix: Array, size: int, warp: Warp) -> Image:
    """uint8 [size, size]: the output px p shows the image uint8 [h, w] at matrix · warp(p)."""
    seen = view(image.shape, matrix, size, warp)
    return seen.render(image[seen.part])


def _radius(deviation: float) -> int:
    return math.ceil(2 * deviation)


def _needed(at: NDArray[np.float32], extent: int, radius: int) -> tuple[int, int]:
    """First px and the one after the last, of an axis of `extent` px, for samples at `at`.

    Bilinear sampling takes two px, the filter before it `radius` more; made so many that OpenCV's
    filter, which takes BLOCK at a time, leaves nothing over to do one by one.
    """
    first = min(max(math.floor(at.min()) - radius, 0), extent - 1)
    after = max(min(math.ceil(at.max()) + radius + 2, extent), first + 1)
    count = -(-(after - first - 2 * radius) // BLOCK) * BLOCK + 2 * radius
    if count > extent:
        return first, after
    first = min(first, extent - count)
    return first, first + count
