"""Resolution tags of PNG, TIFF and BMP files."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from pipeline.imaging import resolution
from shards.foundation.errors import Fault


def png(x, y, unit):
    body = b"pHYs" + struct.pack(">IIB", x, y, unit)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    plain = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    return plain[:33] + chunk + plain[33:]


def tiff(order, x, y, unit):
    """A header, one directory of three fields, and two rationals."""
    fields = [(282, 5, 1, 50), (283, 5, 1, 58), (296, 3, 1, unit)]
    packed = b"".join(
        struct.pack(order + "HHI", *f[:3])
        + struct.pack(order + ("HH" if f[1] == 3 else "I"), f[3], *([0] if f[1] == 3 else []))
        for f in fields
    )
    head = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "H", 3) + packed + bytes(4)
    return head + struct.pack(order + "I", 8) + directory + struct.pack(order + "4I", *x, *y)


def bmp(a_metre):
    return b"BM" + bytes(36) + struct.pack("<ii", a_metre, a_metre)


@pytest.mark.parametrize(
    ("data", "ppi"),
    [
        (png(19685, 19685, 1), 500),
        (png(39370, 39370, 1), 1000),
        (png(2835, 2835, 1), 500),  # 72 ppi: what an editor writes
        (png(19685, 39370, 1), 500),  # unlike along x and y
        (png(1000, 1000, 0), 500),  # an aspect, no resolution
        (tiff("<", (569, 1), (569, 1), 2), 569),
        (tiff(">", (2000, 2), (2000, 2), 2), 1000),
        (tiff("<", (394, 1), (394, 1), 3), 394 * 2.54),
        (tiff("<", (394, 0), (394, 0), 2), 500),
        (tiff("<", (394, 1), (394, 1), 9), 500),
        (bmp(39370), 1000),
        (bmp(0), 500),
        (tiff("<", (800, 1), (800, 1), 2)[:60], 500),
        (png(39370, 39370, 1)[:40], 500),
        (b"", 500),
        (b"II*\0\xff\xff\xff\xff", 500),
    ],
)
def test_what_a_file_states(tmp_path, data, ppi):
    (tmp_path / "image").write_bytes(data)
    assert resolution.of_file(tmp_path / "image") == pytest.approx(ppi)


def test_missing_file(tmp_path):
    with pytest.raises(Fault, match="cannot be read"):
        resolution.of_file(tmp_path / "none")
