"""Decoding of image files and the errors of damaged ones."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from prints import ridges

from pipeline.imaging.file import decode, load
from shards.foundation.errors import Fault


def encode(extension, image):
    return cv2.imencode(extension, image)[1].tobytes()


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp"])
def test_encoded_image_decodes_unchanged(extension):
    image = ridges(300, 280)[0]
    assert np.array_equal(decode(encode(extension, image), "x").stored, image)


def test_three_equal_channels_decode_to_grey():
    image = ridges(200, 200)[0]
    assert np.array_equal(decode(encode(".png", np.dstack([image] * 3)), "x").stored, image)


def bomb():
    """A PNG of 300 bytes whose header states 60000×60000 px."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


GOOD = ridges(200, 200)[0]


def flip_bit(data, index):
    return data[:index] + bytes([data[index] ^ 4]) + data[index + 1 :]


BAD = {
    "is an empty file": b"",
    "does not decode as an image; expected PNG, TIFF, BMP": b"not an image",
    "is damaged: the JPEG data is damaged": cv2.imencode(".jpg", GOOD)[1].tobytes()[:-2000],
    "is truncated: it ends too early": encode(".png", GOOD)[:-2000],
    "is truncated: it ends too early, after 40 bytes": encode(".png", GOOD)[:40],
    "is truncated: it ends too early, after 33 bytes": encode(".png", GOOD)[:33],
    "is damaged: a part of the PNG fails its checksum": flip_bit(encode(".png", GOOD), 5000),
    "its pixels do not decode": encode(".bmp", GOOD)[:-2000],
    "is truncated: it ends too early, after 20 bytes": encode(".bmp", GOOD)[:20],
    "is truncated: it ends too early, after 5000 bytes": encode(".tif", GOOD)[:5000],
    "transparent": encode(".png", np.dstack([GOOD] * 4)),
    "has colours": encode(".png", np.dstack([GOOD, GOOD, 255 - GOOD])),
    "1×1 px": encode(".png", GOOD[:1, :1]),
    "60000×60000 px": bomb(),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_file_is_named_with_its_reason(tmp_path, reason):
    path = tmp_path / "bad.png"
    path.write_bytes(BAD[reason])
    with pytest.raises(Fault, match=rf"bad\.png: .*{reason}") as fault:
        load(path)
    assert fault.value.exit_code == 1


def test_missing_file_is_named(tmp_path):
    with pytest.raises(Fault, match=r"none\.png: cannot be read"):
        load(tmp_path / "none.png")
