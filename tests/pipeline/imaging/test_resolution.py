"""Resolution tags of PNG, TIFF and BMP files."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import trees

from model.registration.registrar import Registrar
from pipeline.imaging import preprocess, resolution
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.sources import sd302
from shards.foundation.errors import Fault
from train.evaluation.file_methods import FileMethods


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
def test_resolution_of_a_file(tmp_path, data, ppi):
    (tmp_path / "image").write_bytes(data)
    assert resolution.file_ppi(tmp_path / "image") == pytest.approx(ppi)


def test_missing_file(tmp_path):
    with pytest.raises(Fault, match="cannot be read"):
        resolution.file_ppi(tmp_path / "none")


class Stop(Exception):
    """Ends a method as soon as the resolution is known."""


def registration_ppi(path):
    """The resolution that `python -m model register` gives to a file."""
    resolutions = []

    def prepare_file(image, ppi, name):
        resolutions.append(ppi)
        raise Stop

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(preprocess, "prepare_file", prepare_file)
        Registrar.prepare_file(SimpleNamespace(), path)
    return resolutions[0]


def evaluation_ppi(path):
    """The resolution that `python -m train evaluate --fvc` gives to a file."""
    resolutions = []

    def prepare_file(path, ppi):
        resolutions.append(ppi)
        raise Stop

    with pytest.raises(Stop):
        FileMethods(SimpleNamespace(prepare_file=prepare_file)).compare(path, path)
    return resolutions[0]


SWEEP = [72, 96, 150, 199, 200, 250, 300, 363, 500, 508, 569, 600, 1000, 1200, 2000, 2400, 2450]


@pytest.mark.parametrize("ppi", [*SWEEP, 2540, 4000, 4001, 5080, 100_000])
def test_pipeline_registration_and_evaluation_read_the_same_resolution(tmp_path, ppi):
    name = "images/challengers/A/roll/png/00002303_A_roll_01.png"
    path = trees.png(tmp_path / name, ppi, size=64)
    listing = trees.list_files(sd302, tmp_path)
    if 200 <= ppi <= 4000:
        assert [impression.ppi for impression in listing.impressions] == [ppi]
        assert registration_ppi(path) == evaluation_ppi(path) == ppi
    else:
        (note,) = listing.unparsed
        assert f"states {ppi:g} × {ppi:g} ppi; expected 200 to 4000" in note.reason
        assert registration_ppi(path) == evaluation_ppi(path) == WORKING_PPI
