"""Resample a crop of an image: anti-aliased, in fixed point, from no more px than it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image
from pipeline.imaging.warp import Array, Warp

Part = tuple[slice, slice]  # rows and columns of an image

BILINEAR_VARIANCE = 1 / 6  # px², the mean of t·(1 - t) over the fractions t of a px
# Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 3.3: an
# image has a blur of half a px.
IMAGE_BLUR = 0.5


@dataclass(frozen=True)
class ResampleParameters:
    """Settings that change the time of resampling or the extent of its filter."""

    # px that OpenCV filters at a time on the widest processors (AVX-512, uint8).
    block: int = 64
    # Radius of the prefilter in its deviations. Chosen.
    filter_reach: float = 2


DEFAULT = ResampleParameters()


@dataclass(frozen=True, eq=False)
class View:
    """The positions of a crop's px in an image.

    The prefilter and the bilinear interpolation together are on average the Gaussian that takes
    the blur of half a px from before the reduction to after it (Lowe, IJCV 2004, section 3.3).
    All crops are sampled in this way, so that sharpness does not separate them; and in fixed
    point, so that the bytes are the same on every processor, which OpenCV's bicubic interpolation
    and warpAffine do not ensure.

    Attributes:
        part: rows and columns of the image that the crop depends on. Only these px need to change
            if the image does.
        positions: of the crop's px in `part`, in OpenCV's fixed point: whole px and 32nds.
        deviation: px, of the Gaussian prefilter; 0 for none.
        parameters: extent of the filter.
    """

    part: Part
    positions: tuple[cv2.typing.MatLike, cv2.typing.MatLike]
    deviation: float
    parameters: ResampleParameters = DEFAULT

    def render(self, part: Image) -> Image:
        """Return the crop uint8 [size, size] from the px uint8 [h, w] of `part`."""
        if self.deviation:
            side = 2 * _filter_radius(self.deviation, self.parameters) + 1
            part = np.asarray(cv2.GaussianBlur(part, (side, side), self.deviation), np.uint8)
        border = cv2.BORDER_REPLICATE
        return np.asarray(cv2.remap(part, *self.positions, cv2.INTER_LINEAR, borderMode=border))


def view(
    shape: tuple[int, ...],
    matrix: Array,
    size: int,
    warp: Warp,
    parameters: ResampleParameters = DEFAULT,
) -> View:
    """Return the view in which px p of the crop shows the image at matrix · warp(p).

    Args:
        shape: (H, W) of the image.
        matrix: float64 [2, 3], px of the crop without a warp → px of the image.
        size: px per side of the crop.
        warp: px of the crop → px of the crop without a warp.
        parameters: extent of the filter.
    """
    (a, b, _), (c, d, _) = matrix.tolist()
    area = abs(a * d - b * c)  # px of the image per px of the crop
    deviation = math.sqrt(max(0.0, (area - 1) * IMAGE_BLUR**2 - BILINEAR_VARIANCE))
    radius = _filter_radius(deviation, parameters)
    along_x, along_y = warp.planes(size, size, matrix)
    x, y = along_x.astype(np.float32), along_y.astype(np.float32)
    left, right = _needed_range(x, shape[1], radius, parameters)
    top, bottom = _needed_range(y, shape[0], radius, parameters)
    x -= np.float32(left)
    y -= np.float32(top)
    positions = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return View((slice(top, bottom), slice(left, right)), positions, deviation, parameters)


def render(image: Image, matrix: Array, size: int, warp: Warp) -> Image:
    """Return the crop uint8 [size, size] of an image uint8 [H, W]; arguments as of `view`."""
    crop_view = view(image.shape, matrix, size, warp)
    return crop_view.render(image[crop_view.part])


def _filter_radius(deviation: float, parameters: ResampleParameters) -> int:
    return math.ceil(parameters.filter_reach * deviation)


def _needed_range(
    positions: NDArray[np.float32], extent: int, radius: int, parameters: ResampleParameters
) -> tuple[int, int]:
    """Return the first px and the one after the last that samples at `positions` depend on.

    Bilinear interpolation needs two px, the prefilter `radius` more on either side. The range is
    extended so that OpenCV's filter, which computes a block of px at a time, has no rest.

    Args:
        positions: px along one axis.
        extent: px of the image along this axis.
        radius: px, of the prefilter.
        parameters: size of a block.
    """
    first = min(max(math.floor(positions.min()) - radius, 0), extent - 1)
    after = max(min(math.ceil(positions.max()) + radius + 2, extent), first + 1)
    blocks = -(-(after - first - 2 * radius) // parameters.block)
    count = blocks * parameters.block + 2 * radius
    if count > extent:
        return first, after
    first = min(first, extent - count)
    return first, first + count
