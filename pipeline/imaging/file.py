"""Read an image file as 8-bit grey: check its header, decode it, and note what was chosen.

This is the only reader of image files in the project; `pipeline`, `model` and `train` use it.
`pipeline.imaging.header` recognizes the formats, `pipeline.imaging.resolution` decides the
resolution.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import header, orientation
from pipeline.imaging.formats.common import DamagedFile, Decoded, UnsupportedFile
from pipeline.imaging.warp import Array
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse

Image = NDArray[np.uint8]  # [H, W], dark ridges


@dataclass(frozen=True)
class ImageFileParameters:
    """Limits of the images that are read."""

    # px per side. Chosen: 64 px are 3 mm at 500 ppi, too little of a fingertip to register; 8192
    # px are 104 mm at 2000 ppi, more than any image of one finger.
    side_range: tuple[int, int] = (64, 8192)
    # Share of the stated range of 16-bit grey. Chosen: what uses less keeps fewer than 32 of the
    # 256 levels of 8-bit grey, so its range is probably another one than the file states.
    used_range_min: float = 1 / 8


DEFAULT = ImageFileParameters()


@dataclass(frozen=True, eq=False)
class ImageFile:
    """The content of an image file.

    Attributes:
        stored: uint8 [H, W], the pixels as stored.
        orientation: number of the orientation tag; see `pipeline.imaging.orientation`.
        notes: remarks for the user, such as which page of several was read.
    """

    stored: Image
    orientation: int = orientation.AS_STORED
    notes: tuple[str, ...] = ()

    @property
    def upright(self) -> Image:
        """The pixels turned as the orientation tag says, uint8 [H, W]."""
        return np.asarray(orientation.upright(self.stored, self.orientation), np.uint8)

    @property
    def to_stored(self) -> Array:
        """Affine map from px of `upright` to px of `stored`, float64 [2, 3]."""
        height, width = self.stored.shape
        return orientation.to_stored(self.orientation, (height, width))


def load(path: Path, raw_size: header.Size | None = None) -> ImageFile:
    """Read the image file at `path`; see `decode`."""
    return decode(read(path), str(path), raw_size)


def read(path: Path) -> bytes:
    """Return the bytes of a file; a Fault names it where it cannot be read."""
    try:
        return files.read_bytes(path)
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error


def check_readable(path: Path) -> None:
    """Raise the Fault that `read` raises, without reading the file."""
    try:
        files.open_file(path).close()
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error


def decode(
    data: bytes,
    name: str,
    raw_size: header.Size | None = None,
    parameters: ImageFileParameters = DEFAULT,
) -> ImageFile:
    """Decode an image file to 8-bit grey.

    The size is checked before decoding, since a few bytes can state gigabytes of pixels.

    Args:
        data: the bytes of a file of `header.FORMATS`, of one channel or three equal ones.
        name: the file's name in error messages.
        raw_size: (width, height) in px of a file without header, a byte per px.
        parameters: limits of the size and of the grey.

    Raises:
        Fault: the file is damaged, of another format or depth, in colour, or of another size.
    """
    image_format = header.format_of(data)
    if image_format is None:
        if raw_size is not None:
            return _decode_raw(data, name, raw_size, parameters)
        raise Fault(f"{name}: {header.describe_unknown(data)}")
    try:
        check_size(*image_format.size(io.BytesIO(data)), name, parameters)
        decoded = image_format.decode(data)
        height, width = decoded.pixels.shape[:2]
        check_size(width, height, name, parameters)
        pixels, notes = _grey(decoded, parameters)
    except struct.error as error:
        message = f"{name}: is truncated: it ends too early, after {len(data)} bytes"
        raise Fault(message) from error
    except DamagedFile as error:
        raise Fault(f"{name}: {_as_sentence(str(error))}") from error
    except UnsupportedFile as error:
        raise Fault(f"{name}: {error}") from error
    if decoded.orientation != orientation.AS_STORED:
        notes += (f"orientation tag {decoded.orientation}, processed upright",)
    return ImageFile(pixels, decoded.orientation, (*decoded.notes, *notes))


def parse_raw_size(text: str) -> header.Size:
    """Parse the size WIDTHxHEIGHT in px of files without header; Misuse for other texts."""
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text)
    if match is None:
        raise Misuse(f"{text!r} is no size of an image; expected WIDTHxHEIGHT in px, as 388x374")
    return int(match[1]), int(match[2])


def check_size(
    width: int, height: int, name: str, parameters: ImageFileParameters = DEFAULT
) -> None:
    """Raise a Fault that calls the image `name` where a side is outside the accepted range."""
    low, high = parameters.side_range
    if min(width, height) < low or max(width, height) > high:
        raise Fault(f"{name}: measures {width}×{height} px; expected {low} to {high} px per side")


def _decode_raw(
    data: bytes, name: str, size: header.Size, parameters: ImageFileParameters
) -> ImageFile:
    """Return the pixels of a file without header; Fault where its length is another."""
    width, height = size
    check_size(width, height, name, parameters)
    if len(data) != width * height:
        raise Fault(
            f"{name}: has {len(data)} bytes; a raw image of {width}×{height} px has"
            f" {width * height}"
        )
    pixels = np.frombuffer(data, np.uint8).reshape(height, width)
    return ImageFile(pixels, notes=(f"no header, read as {width}×{height} px",))


def _grey(decoded: Decoded, parameters: ImageFileParameters) -> tuple[Image, tuple[str, ...]]:
    """Return 8-bit grey [H, W], and a note where 16 bits were scaled.

    Raises:
        UnsupportedFile: the image has colours or transparency, or uses little of its range.
    """
    pixels: NDArray[Any] = decoded.pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels in (2, 4):
        if (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
            raise UnsupportedFile("has transparent pixels; expected grey without transparency")
        pixels = pixels[..., :-1]
    if pixels.ndim == 3:
        if (pixels[..., :1] != pixels).any():
            raise UnsupportedFile("has colours; expected grey, or three equal channels")
        pixels = np.ascontiguousarray(pixels[..., 0])
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8), ()
    return _scale_to_8_bits(np.asarray(pixels, np.uint16), decoded.maximum, parameters)


def _scale_to_8_bits(
    pixels: NDArray[np.uint16], maximum: int, parameters: ImageFileParameters
) -> tuple[Image, tuple[str, ...]]:
    """Scale grey of 16 bits by the range that the file states."""
    largest = int(pixels.max())
    if not parameters.used_range_min * maximum <= largest <= maximum:
        raise UnsupportedFile(
            f"has 16-bit grey up to {largest}, and states a range of 0 to {maximum}; state the"
            " range that is used (TIFF tag MaxSampleValue), or convert it to 8 bits"
        )
    grey = np.round(pixels * (255 / maximum)).astype(np.uint8)
    return grey, (f"16-bit grey, scaled to 8 bits by its range of 0 to {maximum}",)


def _as_sentence(reason: str) -> str:
    """Return the reason of a damage with a verb for the file's name before it."""
    return reason if reason.startswith(("is ", "does not ", "has ")) else f"is damaged: {reason}"
