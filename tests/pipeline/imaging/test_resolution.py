"""The resolution of a file: stated by the user or its tag, or decided by its ridge period."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import trees
from prints import finger

from model.registration.registrar import Registrar
from pipeline.imaging.header import UnknownResolution
from pipeline.imaging.resolution import (
    WORKING_PPI,
    ImageResolution,
    by_option,
    find_resolution,
    stated_ppi,
    summarize,
    warn_of_doubtful,
)
from pipeline.sources import sd302
from shards.foundation.errors import Misuse
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
        (png(2835, 2835, 1), None),  # 72 ppi: what an editor writes
        (png(19685, 39370, 1), None),  # unlike along x and y
        (png(1000, 1000, 0), None),  # an aspect, no resolution
        (tiff("<", (569, 1), (569, 1), 2), 569),
        (tiff(">", (2000, 2), (2000, 2), 2), 1000),
        (tiff("<", (394, 1), (394, 1), 3), 394 * 2.54),
        (tiff("<", (394, 0), (394, 0), 2), None),
        (tiff("<", (394, 1), (394, 1), 9), None),
        (bmp(39370), 1000),
        (bmp(0), None),
        (tiff("<", (800, 1), (800, 1), 2)[:60], None),
        (png(39370, 39370, 1)[:40], None),
        (b"", None),
        (b"II*\0\xff\xff\xff\xff", None),
    ],
)
def test_tag_of_a_file(tmp_path, data, ppi):
    (tmp_path / "image").write_bytes(data)
    if ppi is None:
        with pytest.raises(UnknownResolution):
            stated_ppi(tmp_path / "image")
    else:
        assert stated_ppi(tmp_path / "image") == pytest.approx(ppi)


def write(path, ppi=500.0, period=9.0, tag=None, seed=0):
    """A print of a ridge period at 500 ppi, as a PNG of the resolution, and its pixels."""
    size = round(0.6 * ppi)
    image = finger(seed, size, size, period=period * ppi / 500)
    data = cv2.imencode(".png", image)[1].tobytes()
    if tag:
        data = data[:33] + png(round(tag / 0.0254), round(tag / 0.0254), 1)[33:54] + data[33:]
    path.write_bytes(data)
    return path, image


@pytest.mark.parametrize("ppi", [250, 500, 1000])
@pytest.mark.parametrize("period", [7.2, 9.0, 10.8])
def test_ridge_period_decides_without_a_tag(tmp_path, ppi, period):
    found = find_resolution(*write(tmp_path / "a.png", ppi, period))
    assert found.ppi == ppi
    assert not found.is_doubtful
    if ppi == 500:
        assert found.source == "assumed: no tag; the ridge period agrees"
    else:
        assert found.source.startswith("estimated: no tag; the ridge period is ")


@pytest.mark.parametrize(("ppi", "period"), [(500, 11.8), (340, 8.5), (2000, 8.5)])
def test_ridges_between_two_resolutions_do_not_decide(tmp_path, ppi, period):
    found = find_resolution(*write(tmp_path / "a.png", ppi, period))
    assert found.ppi == WORKING_PPI
    assert found.is_doubtful
    assert found.source.startswith("assumed: no tag; ridges ")
    warning = warn_of_doubtful({"a.png": found, "b.png": found}, "--ppi")
    assert warning.startswith("warning: a.png: 500 ppi (assumed: no tag; ridges ")
    assert "and 1 more image" in warning and warning.endswith("--ppi")


def test_without_ridges_nothing_is_decided(tmp_path):
    path, image = write(tmp_path / "a.png")
    noise = np.random.default_rng(0).integers(0, 255, image.shape).astype(np.uint8)
    for shown in (noise, np.full_like(image, 200)):
        found = find_resolution(path, shown)
        assert found == (WORKING_PPI, "assumed: no tag; the ridges do not decide")
        assert found.is_doubtful


def test_tag_is_used_and_named(tmp_path):
    found = find_resolution(*write(tmp_path / "a.png", 1000, tag=1000))
    assert found.ppi == 1000
    assert found.kind == "tag"
    assert not found.is_doubtful


def test_absurd_tag_counts_as_none_and_is_named(tmp_path):
    found = find_resolution(*write(tmp_path / "a.png", 1000, tag=72))
    assert found.ppi == 1000
    stated = "its header states 72 × 72 ppi; expected 200 to 4000"
    assert found.source.startswith(f"estimated: {stated}; the ridge period is 1")
    found = find_resolution(*write(tmp_path / "a.png", 500, tag=72))
    assert found == (500, f"assumed: {stated}; the ridge period agrees")


@pytest.mark.parametrize("known", [None, ImageResolution(500.0, "option")])
def test_resolution_that_the_ridges_contradict_is_used_and_doubtful(tmp_path, known):
    """A tag of 500 ppi in a print of 1000 ppi, as by a program that enlarged it."""
    found = find_resolution(*write(tmp_path / "a.png", 1000, tag=500), known)
    assert found.ppi == 500
    assert found.is_doubtful
    assert found.kind == ("option" if known else "tag")
    assert "a ridge period of 17" in found.source or "a ridge period of 18" in found.source
    warning = warn_of_doubtful({"a.png": found}, "--ppi")
    advice = "check it" if known else "check it, or state it by --ppi"
    assert warning.endswith(f"contradicts it): expected 5.5 to 12.5 px at 500 ppi; {advice}")


@pytest.mark.parametrize("period", [6.5, 10.4])
@pytest.mark.parametrize(("ppi", "tag"), [(500, 1000), (500, 250), (1000, 500)])
def test_half_and_twice_the_resolution_are_doubtful(tmp_path, ppi, tag, period):
    found = find_resolution(*write(tmp_path / "a.png", ppi, period, tag=tag))
    assert found.ppi == tag
    assert found.is_doubtful
    assert not find_resolution(*write(tmp_path / "b.png", ppi, period, tag=ppi)).is_doubtful


def test_resolution_of_the_user_comes_first(tmp_path):
    found = find_resolution(
        *write(tmp_path / "a.png", 500, tag=1000), ImageResolution(569.0, "table")
    )
    assert found == (569.0, "table")


def test_summary_counts_resolutions_and_kinds():
    found = {
        "a": ImageResolution(500.0, "assumed: no tag; the ridge period agrees"),
        "b": ImageResolution(500.0, "assumed: no tag; the ridges do not decide"),
        "c": ImageResolution(1000.0, "tag: pHYs, px per metre"),
        "d": ImageResolution(500.0, "option"),
    }
    expected = "500 ppi (assumed): 2, 500 ppi (option): 1, 1000 ppi (tag): 1"
    assert summarize(found) == f"images by resolution: {expected}"
    assert warn_of_doubtful({"a": found["a"], "d": found["d"]}, "--ppi") is None


class Stop(Exception):
    """Ends a method as soon as the resolution is known."""


def registration_ppi(path):
    """The resolution that `python -m model register` gives to a file."""
    stub = SimpleNamespace(prepare_image=lambda image, found, name: found.ppi)
    return Registrar.prepare_file(stub, path)


def evaluation_ppi(path):
    """The resolution that `python -m train evaluate --fvc` gives to a file."""
    resolutions = []

    def prepare_image(image, found, name):
        resolutions.append(found.ppi)
        raise Stop

    with pytest.raises(Stop):
        FileMethods(SimpleNamespace(prepare_image=prepare_image)).compare(path, path)
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
        assert registration_ppi(path) == evaluation_ppi(path) == 250  # by its ridges


def test_an_option_that_is_no_number_is_a_misuse():
    with pytest.raises(Misuse, match="expected a number"):
        by_option(float("nan"))
