"""Read an image file: check its header, decode it to 8-bit grey, and read its resolution.

This is the only reader of image files in the project; `pipeline`, `model` and `train` use it.
`pipeline.imaging.header` parses the formats, `pipeline.imaging.resolution` holds the range of
accepted resolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import header
from shards.foundation.errors import Fault

Image = NDArray[np.uint8]  # [H, W], dark ridges

# OpenCV's own warnings about a damaged file do not name it; the Faults below do.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class ImageFileParameters:
    """Limits of the images that are read."""

    # px per side. Chosen: 64 px are 3 mm at 500 ppi, too little of a fingertip to register; 8192
    # px are 104 mm at 2000 ppi, more than any image of one finger.
    side_range: tuple[int, int] = (64, 8192)


DEFAULT = ImageFileParameters()


def load(path: Path) -> Image:
    """Return the 8-bit grey image uint8 [H, W] in the file at `path`.

    Raises:
        Fault: the file cannot be read or decoded; the message names it.
    """
    return decode(read(path), str(path))


def read(path: Path) -> bytes:
    """Return the bytes of a file; a Fault names it where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error


def decode(data: bytes, name: str, parameters: ImageFileParameters = DEFAULT) -> Image:
    """Decode an image file to 8-bit grey.

    The size is checked before decoding, since a few bytes can state gigabytes of pixels.

    Args:
        data: the bytes of a PNG, TIFF or BMP file, of one channel or three equal ones.
        name: the file's name in error messages.
        parameters: limits of the size.

    Returns:
        uint8 [H, W].

    Raises:
        Fault: the file is damaged, of another format or depth, in colour, or of another size.
    """
    check_size(*header.image_size(data, name), name, parameters)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Fault(f"{name}: does not decode: {error.err}") from error
    if image is None:
        raise Fault(f"{name}: does not decode as an image; {header.EXPECTED}")
    if image.dtype != np.uint8:
        bits = image.dtype.itemsize * 8
        raise Fault(f"{name}: has {bits} bits per channel; expected 8-bit grey")
    grey = _grey(np.asarray(image, np.uint8), name)
    check_size(grey.shape[1], grey.shape[0], name, parameters)
    return grey


def check_size(
    width: int, height: int, name: str, parameters: ImageFileParameters = DEFAULT
) -> None:
    """Raise a Fault that calls the image `name` where a side is outside the accepted range."""
    low, high = parameters.side_range
    if min(width, height) < low or max(width, height) > high:
        raise Fault(f"{name}: measures {width}×{height} px; expected {low} to {high} px per side")


def _grey(image: NDArray[np.uint8], name: str) -> Image:
    """Return an image [H, W] unchanged, or one channel of [H, W, 3] if its channels are equal."""
    if image.ndim == 2:
        return image
    channels = image.shape[2]
    if channels == 3 and (image[..., :1] == image[..., 1:]).all():
        return np.ascontiguousarray(image[..., 0])
    raise Fault(f"{name}: has {channels} channels; expected 8-bit grey, or three equal channels")
