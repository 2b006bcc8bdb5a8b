"""Synthetic images as data sets deliver them: resolution, several fingers, file formats."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import scaling

Image = NDArray[np.uint8]

PPI = 500  # of masters and skin, and of most sensors
INCH = 0.0254  # m
GROUND = 254  # grey of an optical sensor that nothing touches
TIFF_EXTRA = 512  # bytes of FVC2002's files beside the pixels
_IHDR_END = 33  # bytes of a PNG before the place of its pHYs chunk


def resample(
    image: NDArray[Any], scale: float, size: tuple[int, int] | None = None
) -> NDArray[Any]:
    """`image` [h, w] with `scale` times as many px a length, bicubic, [H, W] of the same dtype.

    The upper left corner stays. `size` is (height, width) px; without it all of the image is kept.
    """
    height, width = size or (round(extent * scale) for extent in image.shape)
    if (height, width, scale) == (*image.shape, 1.0):
        return image
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpAffine(image, scaling(scale), (width, height), flags=flags, borderMode=border)
    )


def side_by_side(images: Sequence[Image], drops: Sequence[int]) -> Image:
    """The images uint8 [h, w] from left to right on one ground, each `drops` px from the top."""
    if len(images) == 1:
        return images[0]
    height = max(image.shape[0] + drop for image, drop in zip(images, drops, strict=True))
    made = np.full((height, sum(image.shape[1] for image in images)), GROUND, np.uint8)
    left = 0
    for image, drop in zip(images, drops, strict=True):
        made[drop : drop + image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1]
    return made


def encode(image: Image, suffix: str, claim: float | None = None) -> bytes:
    """A .png whose pHYs chunk claims `claim` ppi, if any, or a .tif, uncompressed as FVC2002's.

    OpenCV writes no pHYs chunk, so that it is put between its chunks here.
    """
    if suffix == ".tif":
        data = cv2.imencode(suffix, image, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()
        return data.ljust(image.size + TIFF_EXTRA, b"\0")
    data = cv2.imencode(suffix, image)[1].tobytes()
    return data[:_IHDR_END] + (physical(claim) if claim else b"") + data[_IHDR_END:]


def physical(ppi: float) -> bytes:
    """The pHYs chunk of a PNG: whole px a metre along x and y, unit 1 (PNG, third edition)."""
    density = round(ppi / INCH)
    body = b"pHYs" + struct.pack(">IIB", density, density, 1)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", crc32(body))
