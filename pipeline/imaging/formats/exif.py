"""Read the orientation and the resolution of Exif data, a TIFF directory (Exif 2.3)."""

from __future__ import annotations

import io
import struct

from pipeline.imaging.formats.common import DamagedFile, Resolution, UnknownResolution
from pipeline.imaging.formats.tiff_directory import TiffDirectory, first_directory

MARKER = b"Exif\0\0"  # precedes the directory in a JPEG


def orientation(data: bytes) -> int:
    """Return the number of the tag Orientation; 1 where it is missing or damaged."""
    directory = _directory(data)
    try:
        return directory.orientation if directory else 1
    except (struct.error, DamagedFile):
        return 1


def resolution(data: bytes) -> Resolution:
    """Return the resolution of Exif data; UnknownResolution where it states none."""
    directory = _directory(data)
    if directory is None:
        raise UnknownResolution("its resolution is unknown: its Exif data is damaged")
    return directory.resolution


def _directory(data: bytes) -> TiffDirectory | None:
    try:
        return first_directory(io.BytesIO(data.removeprefix(MARKER)))
    except (struct.error, DamagedFile):
        return None
