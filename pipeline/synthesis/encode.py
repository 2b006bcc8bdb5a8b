"""Synthetic images as files: resampling, several fingers in one image, PNG and TIFF bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.formats.common import METRES_PER_INCH
from pipeline.imaging.warp import scaling

Image = NDArray[np.uint8]

FVC2002_TIFF_EXTRA = 512  # bytes of FVC2002's files beside the pixels
PNG_IHDR_END = 33  # bytes of a PNG before the position of its pHYs chunk


@dataclass(frozen=True)
class GroundParameters:
    """Look of image regions without a finger."""

    grey: int = 254  # an optical sensor without contact: the highest grey of `render_image`


DEFAULT = GroundParameters()


def resample(
    image: NDArray[Any], scale: float, size: tuple[int, int] | None = None
) -> NDArray[Any]:
    """Resample an image bicubically.

    Args:
        image: [h, w], any dtype of OpenCV.
        scale: number of output pixels per input pixel along either axis.
        size: (height, width) px of the output; by default that of the whole image.

    Returns:
        The image [H, W] of the same dtype. The upper left corners of both coincide.
    """
    height, width = size or [round(extent * scale) for extent in image.shape]
    if (height, width, scale) == (*image.shape, 1.0):
        return image
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    matrix = scaling(scale)
    return np.asarray(
        cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
    )


def join_horizontally(
    images: Sequence[Image], offsets: Sequence[int], parameters: GroundParameters = DEFAULT
) -> Image:
    """Join the images of several fingers from left to right, as in a slap.

    Args:
        images: uint8 [h, w] each.
        offsets: px from the top of the joined image to each image.
        parameters: grey between the images.

    Returns:
        The joined image, uint8 [H, W]; a single image is returned as it is.
    """
    if len(images) == 1:
        return images[0]
    height = max(image.shape[0] + top for image, top in zip(images, offsets, strict=True))
    width = sum(image.shape[1] for image in images)
    joined = np.full((height, width), parameters.grey, np.uint8)
    left = 0
    for image, top in zip(images, offsets, strict=True):
        joined[top : top + image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1]
    return joined


def encode(image: Image, suffix: str, ppi: float | None = None) -> bytes:
    """Encode an image as the bytes of a file.

    Args:
        image: uint8 [H, W].
        suffix: ".png", or ".tif" for an uncompressed TIFF of the size that FVC2002's files have.
        ppi: resolution in the header of a PNG; None leaves it out.
    """
    if suffix == ".tif":
        data = cv2.imencode(suffix, image, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()
        return data.ljust(image.size + FVC2002_TIFF_EXTRA, b"\0")
    data = cv2.imencode(suffix, image)[1].tobytes()
    # OpenCV writes no pHYs chunk, so that it is inserted after the IHDR chunk.
    return data[:PNG_IHDR_END] + (phys_chunk(ppi) if ppi else b"") + data[PNG_IHDR_END:]


def phys_chunk(ppi: float) -> bytes:
    """Encode the pHYs chunk of a PNG: whole px per metre along x and y (PNG, third edition)."""
    density = round(ppi / METRES_PER_INCH)
    body = b"pHYs" + struct.pack(">IIB", density, density, 1)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", crc32(body))
