"""Read TIFF files (TIFF 6.0), with a check of every strip or tile before they are decoded.

libtiff goes on after damaged data and leaves the rest of the image black. Each strip or tile is
therefore unfolded, and must have its full length (`pipeline.imaging.formats.tiff_segments`); kinds
of files that are not known to decode rightly are refused by name.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.formats import pillow, tiff_segments
from pipeline.imaging.formats.common import DamagedFile, Decoded, Resolution, Size
from pipeline.imaging.formats.library_output import suppress_library_output
from pipeline.imaging.formats.tiff_directory import ORIENTATION, TiffDirectory, directories

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PILLOW_NAME = "TIFF"
MAX_SAMPLE_VALUE = 281


def size(file: BinaryIO) -> Size:
    """Return the (width, height) in px of the page that `decode` reads."""
    return _choose_page(file)[0].size


def resolution(file: BinaryIO) -> Resolution:
    """Return the resolution of the page that `decode` reads; UnknownResolution without it."""
    return _choose_page(file)[0].resolution


def decode(data: bytes) -> Decoded:
    """Decode the largest page of a TIFF as stored, whatever its tag Orientation is."""
    page, notes = _choose_page(io.BytesIO(data))
    tiff_segments.check_segments(page, data)
    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    if tiff_segments.is_plain(page):
        pixels = tiff_segments.plain_pixels(page, data)
    else:
        with suppress_library_output():
            pixels = pillow.decode_pixels(_with_one_page(data, page), PILLOW_NAME)
    maximum = 255
    if pixels.itemsize == 2:
        maximum = page.number(MAX_SAMPLE_VALUE, 65535) or 65535
    return Decoded(pixels, maximum, page.orientation, notes)


def _choose_page(file: BinaryIO) -> tuple[TiffDirectory, tuple[str, ...]]:
    """Return the largest page that is no thumbnail, the first of several, and a note about it."""
    pages = list(directories(file))
    if not pages:
        raise DamagedFile("the TIFF has no page")
    if len(pages) == 1:
        return pages[0], ()
    sizes = [(not page.is_reduced, page.size[0] * page.size[1]) for page in pages]
    number = sizes.index(max(sizes))
    note = f"page {number + 1} of {len(pages)}, the largest"
    if sizes.count(max(sizes)) > 1:
        note = f"page {number + 1} of {len(pages)}, the first of the largest"
    return pages[number], (note,)


def _with_one_page(data: bytes, page: TiffDirectory) -> bytes:
    """Return the file with one page only and without its orientation, which Pillow would apply."""
    layout = page.layout
    entries = {tag: entry for tag, entry in page.entries.items() if tag != ORIENTATION}
    offset = len(data) + len(data) % 2
    head_bytes = 8 if layout.value_bytes == 8 else 4
    head = data[:head_bytes] + struct.pack(layout.offset, offset)
    directory = struct.pack(layout.number_of_entries, len(entries))
    for tag in sorted(entries):
        directory += struct.pack(layout.entry, tag, *entries[tag])
    directory += struct.pack(layout.offset, 0)
    return b"".join([head, data[len(head) :], bytes(len(data) % 2), directory])
