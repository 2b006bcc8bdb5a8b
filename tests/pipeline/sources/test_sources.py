"""Readers of the data sets: identity, resolution, exclusions, errata."""

import os
import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from trees import list_files

from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.sources import fvc2002, nist, sd300, sd301a, sd302
from pipeline.sources.listing import (
    FORMAT,
    HIDDEN,
    NOT_IMAGE,
    PALM,
    RESOLUTION,
    SLAP,
    Excluded,
    Folder,
    Unparsed,
)
from shards.foundation.errors import Fault, Misuse

REAL = Path(__file__).parents[4] / "shared/data/fvc2002"


def reasons(notes):
    return Counter(note.reason for note in notes)


def one(listing, stem):
    (impression,) = [i for i in listing.impressions if i.path.stem == stem]
    return impression


# FVC2002


@pytest.mark.parametrize("folder", ["DB1_A", "Db1_a", "db1_a", "Dbs/DB1_A", "x/y/z/Dbs/Db1_a"])
@pytest.mark.parametrize("extension", [".tif", ".TIF", ".png", ".bmp"])
def test_fvc_variants(tmp_path, folder, extension):
    listing = list_files(fvc2002, trees.fvc2002(tmp_path, folder, [1, 100], extension))
    assert not listing.unparsed
    assert [i.image_id for i in listing.impressions[:2]] == [
        "fvc2002/db1_a/100_1",
        "fvc2002/db1_a/100_2",
    ]
    assert {i.finger for i in listing.impressions} == {"fvc2002/db1/1", "fvc2002/db1/100"}
    assert {i.person for i in listing.impressions} == {"fvc2002/db1/1", "fvc2002/db1/100"}


def test_fvc_db2_is_569_ppi(tmp_path):
    for folder in ("DB1_B", "DB2_B", "DB3_B", "DB4_B"):
        trees.fvc2002(tmp_path, folder, [101])
    ppi = {i.partition: i.ppi for i in list_files(fvc2002, tmp_path).impressions}
    assert ppi == {
        "fvc2002/db1_b": 500,
        "fvc2002/db2_b": 569,
        "fvc2002/db3_b": 500,
        "fvc2002/db4_b": 500,
    }


def test_fvc_numbers_repeat_across_databases(tmp_path):
    for folder in ("DB1_B", "DB3_B"):
        trees.fvc2002(tmp_path, folder, [101])
    assert len({i.finger for i in list_files(fvc2002, tmp_path).impressions}) == 2


@pytest.mark.parametrize(
    "name",
    ["0_1.tif", "101_1.tif", "1_9.tif", "1_0.tif", "01_1.tif", "1.tif", "a_1.tif", "1_1.jpg"],
)
def test_fvc_names_that_do_not_parse_are_listed(tmp_path, name):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    trees.png(tmp_path / "DB1_A" / name)
    listing = list_files(fvc2002, tmp_path)
    assert [note.path.name for note in listing.unparsed] == [name]
    assert len(listing.impressions) == 8


def test_fvc_of_another_year_is_not_fvc2002(tmp_path):
    trees.fvc2002(tmp_path / "FVC2002")
    trees.fvc2002(tmp_path / "fvc2002/of fvc2000")
    trees.fvc2002(tmp_path / "FVC2004")
    listing = list_files(fvc2002, tmp_path)
    assert {i.path.parent.parent.name for i in listing.impressions} == {"FVC2002"}
    below = list_files(fvc2002, trees.fvc2002(tmp_path / "my fvc2004 work/fvc2002"))
    assert len(below.impressions) == 24


@pytest.mark.skipif(not REAL.is_dir(), reason="the B sets of FVC2002 are not on this machine")
def test_real_fvc():
    listing = list_files(fvc2002, REAL)
    assert Counter(i.partition for i in listing.impressions) == {
        "fvc2002/db1_b": 80,
        "fvc2002/db3_b": 80,
    }
    assert not listing.unparsed
    assert not listing.excluded


# Folders


def test_each_file_once_whatever_its_extension(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1], ".tif")
    trees.fvc2002(tmp_path, "DB1_A", [1], ".PNG")
    listing = list_files(fvc2002, tmp_path)
    assert [i.path.suffix for i in listing.impressions] == [".tif"] * 8
    assert reasons(listing.excluded) == {FORMAT: 8}


def test_other_files_are_listed(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    (tmp_path / "DB1_A" / "README.txt").write_text("hello")
    (tmp_path / "DB1_A" / "._1_1.tif").write_text("of a Mac")
    assert reasons(list_files(fvc2002, tmp_path).excluded) == {NOT_IMAGE: 1, HIDDEN: 1}


def test_links_are_followed_and_loops_end(tmp_path):
    trees.fvc2002(tmp_path / "elsewhere", "sets/DB1_A", [1])
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere" / "sets")
    (root / "again").symlink_to(tmp_path / "elsewhere" / "sets")
    (root / "loop").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    assert len(list_files(fvc2002, root).impressions) == 8


def test_link_may_have_the_name_of_the_folder(tmp_path):
    trees.fvc2002(tmp_path / "elsewhere", "images", [1])
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "DB1_A").symlink_to(tmp_path / "elsewhere" / "images")
    assert len(list_files(fvc2002, tmp_path / "root").impressions) == 8


def test_root_inside_a_data_set(tmp_path):
    trees.sd302(tmp_path, [2303], "U")
    assert len(list_files(sd302, tmp_path / "images/baseline/U/500").impressions) == 10
    trees.fvc2002(tmp_path, "DB1_A", [1])
    assert len(list_files(fvc2002, tmp_path / "DB1_A").impressions) == 8


def test_two_copies_are_a_fault_that_names_both(tmp_path):
    trees.fvc2002(tmp_path / "a")
    trees.fvc2002(tmp_path / "b")
    with pytest.raises(Fault) as fault:
        list_files(fvc2002, tmp_path)
    assert str(tmp_path / "a/DB1_A") in str(fault.value)
    assert str(tmp_path / "b/DB1_A") in str(fault.value)
    assert "24 images" in str(fault.value)


def test_roots_that_are_not_folders(tmp_path):
    with pytest.raises(Misuse, match="no such folder"):
        list_files(fvc2002, tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="is not a folder"):
        list_files(fvc2002, tmp_path / "file")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(Misuse, match="no such folder"):
        list_files(fvc2002, tmp_path / "link")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Misuse, match=r"loop: cannot be read \("):
        list_files(fvc2002, tmp_path / "loop")


@pytest.mark.parametrize("folder", ["lost+found", "$RECYCLE.BIN", "@eaDir", ".Trash", "__MACOSX"])
def test_system_folders_are_ignored(tmp_path, monkeypatch, folder):
    """lost+found is not readable, and thumbnails are not images of the data set."""
    trees.fvc2002(tmp_path, "DB1_A", [1])
    trees.fvc2002(tmp_path / folder, "DB1_A", [1])
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path) == str(tmp_path / folder):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert len(list_files(fvc2002, tmp_path).impressions) == 8


def test_unreadable_folder_is_named(tmp_path):
    closed = tmp_path / "DB1_A"
    closed.mkdir(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("permissions do not bind this user")
    with pytest.raises(Fault, match="DB1_A: cannot be read"):
        list_files(fvc2002, tmp_path)


# SD300


def test_sd300_identity_and_exclusions(tmp_path):
    listing = list_files(sd300, trees.sd300(tmp_path / "sd300a", [1000, 1001]))
    counts = Counter(i.partition for i in listing.impressions)
    assert counts == {"sd300/roll": 20, "sd300/plain": 20}
    assert reasons(listing.excluded) == {SLAP: 4}
    assert len({i.finger for i in listing.impressions}) == 20
    assert {i.person for i in listing.impressions} == {"nist/00001000", "nist/00001001"}
    assert one(listing, "00001000_plain_500_11").finger == "nist/00001000/01"
    assert one(listing, "00001000_plain_500_12").frgp == 6


@pytest.mark.parametrize("release, resolution", [("sd300b", 1000), ("sd300c", 2000)])
def test_sd300_ppi_is_the_folders(tmp_path, release, resolution):
    listing = list_files(sd300, trees.sd300(tmp_path / release, [1000], resolution))
    assert {i.ppi for i in listing.impressions} == {resolution}
    assert len(listing.impressions) == 20


def test_sd300_releases_are_one_capture(tmp_path):
    trees.sd300(tmp_path / "sd300a", [1000])
    trees.sd300(tmp_path / "sd300b", [1000, 1001], 1000)
    trees.sd300(tmp_path / "sd300c", [1000], 2000)
    listing = list_files(sd300, tmp_path)
    assert Counter((i.person[-4:], i.ppi) for i in listing.impressions) == {
        ("1000", 500): 20,
        ("1001", 1000): 20,  # unpacked from one release alone: still one impression
    }
    assert reasons(listing.excluded)[RESOLUTION] == 40


def test_sd300_renamed_copy(tmp_path):
    listing = list_files(sd300, trees.sd300(tmp_path, [1000], roll="NIST300_rolled"))
    assert one(listing, "00001000_roll_500_01").partition == "sd300/roll"


# SD301a


def test_sd301a(tmp_path):
    listing = list_files(sd301a, trees.sd301a(tmp_path, [2223], "ABCDH"))
    counts = Counter((i.partition, i.capture) for i in listing.impressions)
    assert counts == {
        ("sd301a/A", "roll"): 10,
        ("sd301a/B", "roll"): 10,
        ("sd301a/C", "slap-segmented"): 10,  # named "slap": the folder decides
        ("sd301a/D", "plain"): 10,
    }
    assert reasons(listing.excluded) == {SLAP: 6, PALM: 2}
    assert len({i.finger for i in listing.impressions}) == 10


def test_sd301a_variable_resolution_is_the_headers(tmp_path):
    listing = list_files(sd301a, trees.sd301a(tmp_path, [2223], "E", "variable"))
    assert {i.ppi for i in listing.impressions} == {508}


def test_sd301a_several_encounters_are_several_impressions(tmp_path):
    folder = tmp_path / "images/friction-ridge/dryrun-A/500/roll/png"
    for encounter in ("01", "02"):
        trees.png(folder / f"00002223_{encounter}_dryrun-A_500_roll_01.png")
    first, second = list_files(sd301a, tmp_path).impressions
    assert first.finger == second.finger
    assert first.image_id != second.image_id


def test_sd301a_resolutions_are_one_capture(tmp_path):
    for resolution in ("1000", "500"):
        trees.sd301a(tmp_path, [2223], "A", resolution)
    listing = list_files(sd301a, tmp_path)
    assert {i.ppi for i in listing.impressions} == {500}
    assert reasons(listing.excluded) == {RESOLUTION: 10}


def test_sd301a_variable_resolution_may_be_that_of_another_folder(tmp_path):
    """A capture at 500 ppi that was also delivered at 500 ppi is not a second copy."""
    for resolution in ("variable", "500"):
        folder = tmp_path / f"images/friction-ridge/dryrun-E/{resolution}/plain/png"
        trees.png(folder / f"00002223_01_dryrun-E_{resolution}_plain_01.png", 500)
    listing = list_files(sd301a, tmp_path)
    assert [i.path.parts[-4] for i in listing.impressions] == ["500"]
    assert reasons(listing.excluded) == {RESOLUTION: 1}


def test_sd301a_unknown_device(tmp_path):
    trees.png(
        tmp_path
        / "images/friction-ridge/dryrun-I/500/roll/png/00002223_01_dryrun-I_500_roll_01.png"
    )
    (note,) = list_files(sd301a, tmp_path).unparsed
    assert "no device dryrun-i" in note.reason


# SD302


def test_sd302_three_deliveries_in_one_root(tmp_path):
    listing = list_files(sd302, trees.sd302(tmp_path, [2303], "ABUVLMRS"))
    counts = Counter((i.partition, i.capture) for i in listing.impressions)
    assert counts == {
        **{(f"sd302/{d}", "roll"): 10 for d in "ABUV"},
        **{(f"sd302/{d}", "plain"): 10 for d in "LM"},
        **{(f"sd302/{d}", "slap-segmented"): 10 for d in "RS"},
    }
    assert reasons(listing.excluded) == {SLAP: 6}
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
    assert reasons(listing.excluded) == {RESOLUTION: 20, SLAP: 6}


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
    assert reasons(listing.excluded) == {PALM: 1}
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


# Finger positions and names, any of them


@pytest.mark.parametrize("code", range(100))
def test_finger_positions(code):
    result = nist.finger_position(code, "plain")
    if 1 <= code <= 10:
        assert result == code
    elif code in (11, 12):
        assert result == {11: 1, 12: 6}[code]
    elif code in (13, 14, 15):
        assert result.reason == SLAP
    elif code >= 20:
        assert result.reason == PALM
    else:
        assert isinstance(result, Unparsed)
        assert f"{code:02d}" in result.reason


@pytest.mark.parametrize(
    "name",
    [
        "00001000_roll_1000_01.png",  # another resolution than the folder's
        "00001000_plain_500_01.png",  # another capture
        "00001000_roll_500_00.png",
        "00001000_roll_500_16.png",
        "00001000_roll_500_1.png",
        "1000_roll_500_01.png",
        "00001000_500_01.png",
        "00001000_A_roll_500_01.png",
        "00001000_roll_500_01_copy.png",
        "00001000_roll_500_01.jpg",
    ],
)
def test_nist_names_that_do_not_parse_are_listed(tmp_path, name):
    trees.png(tmp_path / "images/500/png/roll" / name)
    listing = list_files(sd300, tmp_path)
    assert [note.path.name for note in listing.unparsed] == [name]
    assert listing.unparsed[0].reason
    assert not listing.impressions


def test_mixed_case_names(tmp_path):
    trees.png(tmp_path / "Images/Baseline/u/500/ROLL/PNG/00002303_u_500_Roll_01.PNG")
    (impression,) = list_files(sd302, tmp_path).impressions
    assert (impression.partition, impression.finger) == ("sd302/U", "nist/00002303/01")
    folder = tmp_path / "images/500/png/NIST300_Rolled"
    trees.png(folder / "00001000_ROLL_500_07.PnG")
    (impression,) = list_files(sd300, tmp_path).impressions
    assert (impression.partition, impression.finger) == ("sd300/roll", "nist/00001000/07")


def test_names_that_differ_in_case_alone_are_one_file(tmp_path):
    folder = tmp_path / "images/baseline/U/500/roll/png"
    for name in ("00002303_U_500_roll_01.png", "00002303_u_500_ROLL_01.PNG"):
        trees.png(folder / name)
    if len(list(folder.iterdir())) == 1:
        pytest.skip("this file system does so by itself")
    listing = list_files(sd302, tmp_path)
    assert (len(listing.impressions), reasons(listing.excluded)) == (1, {FORMAT: 1})


PARTS = st.one_of(
    st.sampled_from(["00002303", "01", "11", "dryrun-A", "U", "500", "variable", "roll", "slap"]),
    st.text(max_size=10),
)
STEMS = st.one_of(st.text(max_size=40), st.lists(PARTS, max_size=8).map("_".join)).filter(
    lambda stem: "/" not in stem and "\0" not in stem and stem not in ("", ".", "..")
)
FOLDERS = [
    "DB1_A",
    "images/500/png/roll",
    "images/friction-ridge/dryrun-A/variable/slap-segmented/png",
    "images/challengers/A/roll/png",
    "images/baseline/U/500/roll/png",
]


@given(stem=STEMS, folder=st.sampled_from(FOLDERS))
def test_no_name_crashes_a_parser(stem, folder):
    path = Path("/nowhere") / folder
    readers = (fvc2002, sd300, sd301a, sd302)
    matches = [reader.match_folder(Folder(path, ())) for reader in readers]
    (match,) = [match for match in matches if match is not None]
    result = match.parse(path / f"{stem}.png")
    if isinstance(result, Excluded | Unparsed):
        assert result.reason
    elif hasattr(result, "finger"):
        assert result.frgp is None or 1 <= result.frgp <= 10
        assert result.finger.startswith(result.person)


@given(data=st.binary(max_size=200))
def test_no_header_crashes_the_resolution(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("head") / "x.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    try:
        assert isinstance(stated_ppi(path), float)
    except UnknownResolution as error:
        assert str(error)
