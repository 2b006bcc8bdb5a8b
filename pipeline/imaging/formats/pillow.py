"""Decode an image file by Pillow, which stops at damaged data where OpenCV fills in black."""

from __future__ import annotations

import io
import warnings
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.imaging.formats.common import DamagedFile, Size, UnsupportedFile

# The size is checked before pixels are decoded (`pipeline.imaging.file`).
Image.MAX_IMAGE_PIXELS = None

# Pillow's mode → the mode whose array is read
CONVERSIONS = {"1": "L", "P": "RGB", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB"}
ARRAY_MODES = ("L", "LA", "RGB", "RGBA")
WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # grey of up to 16 bits


def open_image(file: BinaryIO, kind: str) -> Image.Image:
    """Read the header of an image file.

    Args:
        file: the file.
        kind: Pillow's name of its format.

    Raises:
        DamagedFile: Pillow does not understand the header.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(file, formats=(kind,))
    except Exception as error:  # of any type for hostile files
        raise DamagedFile("its header is damaged or of an unknown kind") from error


def image_size(file: BinaryIO, kind: str) -> Size:
    """Return the (width, height) in px that a header states; see `open_image`."""
    return open_image(file, kind).size


def decode_pixels(data: bytes, kind: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Decode an image file to an array as `Decoded.pixels` describes it.

    Args:
        data: the file.
        kind: Pillow's name of its format.

    Raises:
        DamagedFile: the data is damaged or too short.
        UnsupportedFile: the pixels are neither grey nor colour of 8 or 16 bits.
    """
    image = open_image(io.BytesIO(data), kind)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # of any type for hostile files
        raise DamagedFile(f"its pixels do not decode ({error})") from error
    _check_palette(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in CONVERSIONS:
        image = image.convert(CONVERSIONS[image.mode])
    if image.mode in WIDE_MODES:
        return _wide_array(np.asarray(image))
    if image.mode not in ARRAY_MODES:
        raise UnsupportedFile(f"has pixels of kind {image.mode}; expected 8-bit or 16-bit grey")
    return np.asarray(image)


def _check_palette(image: Image.Image) -> None:
    """Raise DamagedFile where pixels are of no entry of the palette; Pillow makes them black."""
    if image.mode == "P":
        palette = image.palette
        entries = len(palette.palette) // len(palette.mode) if palette else 0
        if np.asarray(image).max() >= entries:
            raise DamagedFile(f"has px of no entry of its palette of {entries} colours")


def _wide_array(pixels: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Convert an image of up to 32 bits to uint16, in the byte order of this machine."""
    if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise UnsupportedFile("has more than 16 bits per px; expected 8-bit or 16-bit grey")
    return pixels.astype(np.uint16)
