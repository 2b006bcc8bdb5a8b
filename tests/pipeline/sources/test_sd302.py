"""Reader of SD302: deliveries, resolutions, errata."""

import struct
import zlib
from collections import Counter

import pytest
import trees
from trees import count_reasons, list_files

from pipeline.sources import sd302
from pipeline.sources.listing import (
    PALM,
    RESOLUTION,
    SLAP,
)


def test_sd302_three_deliveries_in_one_root(tmp_path):
    listing = list_files(sd302, trees.sd302(tmp_path, [2303], "ABUVLMRS"))
    counts = Counter((i.partition, i.capture) for i in listing.impressions)
    assert counts == {
        **{(f"sd302/{d}", "roll"): 10 for d in "ABUV"},
        **{(f"sd302/{d}", "plain"): 10 for d in "LM"},
        **{(f"sd302/{d}", "slap-segmented"): 10 for d in "RS"},
    }
    assert count_reasons(listing.excluded) == {SLAP: 6}
    assert len({i.finger for i in listing.impressions}) == 10  # one finger on eight devices


def test_sd302_archives_side_by_side(tmp_path):
    trees.sd302(tmp_path / "sd302a", [2303], "A")
    trees.sd302(tmp_path / "sd302b", [2303], "U")
    trees.sd302(tmp_path / "sd302d", [2303], "M")
    partitions = {i.partition for i in list_files(sd302, tmp_path).impressions}
    assert partitions == {"sd302/A", "sd302/U", "sd302/M"}


def test_sd302_resolutions_are_one_capture(tmp_path):
    listing = list_files(sd302, trees.sd302(tmp_path, [2303], "UR", (500, 1000)))
    assert {i.ppi for i in listing.impressions} == {500}
    assert count_reasons(listing.excluded) == {RESOLUTION: 20, SLAP: 6}


def test_sd302a_ppi_is_the_headers_alone(tmp_path):
    folder = tmp_path / "images/challengers/A/roll/png"
    trees.png(folder / "00002303_A_roll_01.png", 1000)
    trees.png(folder / "00002303_A_roll_02.png")
    trees.png(folder / "00002303_A_roll_03.png", 72)
    trees.png(folder / "00002303_A_roll_04.png", metres=(19685, 19685, 0))
    (folder / "00002303_A_roll_05.png").write_bytes(b"")
    (folder / "00002303_A_roll_06.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / "00002303_A_roll_07.png").symlink_to(folder / "nowhere")
    listing = list_files(sd302, tmp_path)
    assert [i.ppi for i in listing.impressions] == [1000]
    assert len(listing.unparsed) == 6
    assert all("02_U" not in note.reason and note.reason for note in listing.unparsed)


def test_the_resolution_may_stand_behind_much_else_in_a_header(tmp_path):
    path = tmp_path / "images/challengers/A/roll/png/00002303_A_roll_01.png"
    data = trees.png(path, 600).read_bytes()
    text = b"tEXt" + b"Comment\0" + bytes(20_000)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    path.write_bytes(data[:33] + chunk + data[33:])
    assert [i.ppi for i in list_files(sd302, tmp_path).impressions] == [600]
    path.write_bytes(path.read_bytes()[:10_000])
    assert "resolution is unknown" in list_files(sd302, tmp_path).unparsed[0].reason


def test_sd302_palms_are_excluded(tmp_path):
    folder = tmp_path / "images/auxiliary/palm/Q/1000/palm-segmented/png"
    trees.png(folder / "00002303_Q_1000_palm_21.png")
    listing = list_files(sd302, tmp_path)
    assert count_reasons(listing.excluded) == {PALM: 1}
    assert not listing.impressions


def test_sd302_device_of_another_delivery(tmp_path):
    trees.png(tmp_path / "images/challengers/U/roll/png/00002303_U_roll_01.png", 500)
    (note,) = list_files(sd302, tmp_path).unparsed
    assert "302a has no device U" in note.reason


ERRATA = [
    (2302, "L", 1, 6),
    (2302, "L", 6, 1),
    (2302, "L", 2, 2),
    (2302, "M", 1, 1),
    (2303, "L", 1, 1),
    (2361, "V", 2, 4),
    (2361, "V", 4, 4),
    (2361, "U", 2, 2),
    (2420, "R", 1, 6),
    (2420, "R", 6, 1),
    (2420, "U", 1, 1),
    (2534, "S", 1, 6),
    (2534, "S", 6, 1),
    (2561, "S", 6, 1),
    (2497, "C", 8, None),
    (2497, "C", 7, 7),
    (2497, "A", 8, 8),
    (2354, "C", 4, None),
    (2354, "C", 5, None),
    (2354, "C", 3, 3),
]


@pytest.mark.parametrize("subject, device, labelled, true", ERRATA)
def test_sd302_errata(tmp_path, subject, device, labelled, true):
    listing = list_files(sd302, trees.sd302(tmp_path, [subject], device, codes=[labelled]))
    assert bool(listing.errata) == (labelled != true)
    fingers = [(i.frgp, i.finger) for i in listing.impressions]
    assert fingers == ([] if true is None else [(true, f"nist/{subject:08d}/{true:02d}")])
    if true is None:
        assert listing.excluded[0].reason.startswith("erratum")


def test_sd302_erratum_holds_for_thumbs_coded_11_and_12(tmp_path):
    listing = list_files(sd302, trees.sd302(tmp_path, [2302], "L", codes=[11, 12]))
    assert [i.frgp for i in listing.impressions] == [6, 1]
