"""Bring an image to 500 ppi and find its foreground.

`pipeline.pair` makes the training data with these functions and `model.registration.registrar`
prepares its images with the same ones, so that training and registration use the same pixels.
Every step keeps the affine transform back to the pixels of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.file import DEFAULT as FILE
from pipeline.imaging.file import Image, ImageFile, check_size
from pipeline.imaging.foreground import Mask, foreground
from pipeline.imaging.orientation import AS_STORED
from pipeline.imaging.resolution import WORKING_PPI, check_ppi
from pipeline.imaging.warp import IDENTITY, Array, compose_affine
from shards.foundation.errors import Fault


@dataclass(frozen=True)
class PreprocessParameters:
    """Settings of the preparation."""

    # px at 500 ppi between the px whose mean is the foreground's centroid. Chosen: every fourth
    # px costs a sixteenth of the time.
    centroid_step: int = 4


DEFAULT = PreprocessParameters()


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """An image at 500 ppi with its foreground.

    Attributes:
        image: uint8 [H, W].
        mask: bool [H, W], true on the foreground.
        to_original: float64 [2, 3], px of `image` → px of the file.
        centre: (x, y) px in `image`, the centre of the crop.
    """

    image: Image
    mask: Mask
    to_original: Array
    centre: tuple[float, float]


def prepare(
    image: Image,
    ppi: float,
    name: str = "image",
    to_file: Array | None = None,
    parameters: PreprocessParameters = DEFAULT,
) -> SegmentedImage:
    """Resample an image to 500 ppi and find its foreground and the centre of its crop.

    The centre is the foreground's centroid: a finger in the middle stays in view when it is
    rotated.

    Args:
        image: uint8 [H, W].
        ppi: resolution of the image.
        name: the image's name in error messages.
        to_file: float64 [2, 3], px of `image` → px of the file; None where they are the same.
        parameters: of the centre.

    Raises:
        Fault: the image has no foreground, or its shape, size or resolution is not accepted.
    """
    _check_image(image, ppi, name)
    image, to_original = to_working_resolution(image, ppi)
    if to_file is not None:
        to_original = compose_affine(to_file, to_original)
    mask = foreground(image, name)
    return SegmentedImage(image, mask, to_original, _centroid(mask, parameters.centroid_step))


def prepare_file(image: ImageFile, ppi: float, name: str) -> SegmentedImage:
    """Prepare the image of a file, upright; its `to_original` leads to px as stored."""
    to_file = None if image.orientation == AS_STORED else image.to_stored
    return prepare(image.upright, ppi, name, to_file)


def _check_image(image: Image, ppi: float, name: str) -> None:
    if image.ndim != 2 or image.dtype != np.uint8:
        raise Fault(f"{name}: is an array {list(image.shape)} {image.dtype}; expected uint8 [H, W]")
    check_ppi(ppi, name)
    height, width = image.shape
    check_size(width, height, name)
    if max(height, width) * WORKING_PPI / ppi > FILE.side_range[1]:
        raise Fault(
            f"{name}: measures {width}×{height} px at {ppi:g} ppi, too much for a finger; check the"
            " resolution"
        )


def _centroid(mask: Mask, step: int) -> tuple[float, float]:
    """Return the centroid (x, y) px of a mask, from every `step`-th px along both axes."""
    moments = cv2.moments(mask[::step, ::step].astype(np.uint8))
    return step * moments["m10"] / moments["m00"], step * moments["m01"] / moments["m00"]


def to_working_resolution(image: Image, ppi: float) -> tuple[Image, Array]:
    """Resample an image uint8 [H, W] of `ppi` to 500 ppi.

    Returns:
        The image uint8 [h, w], and the matrix float64 [2, 3] from its px to px of the argument.
    """
    if ppi == WORKING_PPI:
        return image, IDENTITY.copy()
    scale = ppi / WORKING_PPI
    size = tuple(max(1, round(extent / scale)) for extent in image.shape[::-1])
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, size, interpolation=method)
    ratio = np.array(image.shape[::-1]) / size  # the rounding to whole px is part of the transform
    matrix = np.hstack([np.diag(ratio), ((ratio - 1) / 2)[:, None]])
    return np.asarray(resized, np.uint8), matrix
