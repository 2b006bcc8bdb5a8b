"""Types that all image file formats share, and the reading of binary fields."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

METRES_PER_INCH = 0.0254
CENTIMETRES_PER_INCH = 2.54

Size = tuple[int, int]  # (width, height), px


class Resolution(NamedTuple):
    """Resolution that a file states.

    Attributes:
        x, y: along the axes, px per inch.
        tag: the field that states it and its unit, such as "pHYs, px per metre".
    """

    x: float
    y: float
    tag: str


class UnknownResolution(Exception):
    """A file states no usable resolution; the message is the reason, without the file's name."""


class DamagedFile(Exception):
    """A file contradicts itself or its format; the message is the reason, without its name."""


class UnsupportedFile(Exception):
    """A file is valid but of a kind that is not read; the message is the reason and the cure."""


@dataclass(frozen=True)
class Decoded:
    """The pixels of an image file, as stored.

    Attributes:
        pixels: uint8 or uint16, [H, W] or [H, W, channels]; the last of 2 or 4 channels is alpha.
        maximum: the value of white in `pixels`.
        orientation: Exif's number (1 to 8) of the way in which the image is to be shown; 1 is as
            stored.
        notes: remarks for the user, such as which page of several was read.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    maximum: int = 255
    orientation: int = 1
    notes: tuple[str, ...] = ()


def unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    """Read the fields of a `struct` layout; struct.error where the file is too short."""
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def ppi_of_metric(px_per_metre: float) -> float:
    """Convert px per metre to px per inch; 19,685 is 500 and not 499.999.

    Headers hold whole px per metre, one of which is 0.0254 ppi: a whole ppi within this step is
    the value that was meant.
    """
    ppi = px_per_metre * METRES_PER_INCH
    return float(round(ppi)) if abs(ppi - round(ppi)) <= METRES_PER_INCH else ppi
