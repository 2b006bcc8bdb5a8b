"""Names of files and finger positions; arbitrary names do not crash a parser."""

from pathlib import Path

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from trees import count_reasons, list_files

from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.sources import fvc, nist, sd300, sd301a, sd302
from pipeline.sources.listing import (
    FORMAT,
    PALM,
    SLAP,
    Excluded,
    Folder,
    Unparsed,
)


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
        "00001000_roll_500_01.gif",
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
    assert (len(listing.impressions), count_reasons(listing.excluded)) == (1, {FORMAT: 1})


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
    readers = (fvc, sd300, sd301a, sd302)
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
