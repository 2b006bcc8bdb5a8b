"""Reader of SD300: identity, exclusions, releases."""

from collections import Counter

import pytest
import trees
from trees import count_reasons, find_image, list_files

from pipeline.sources import sd300
from pipeline.sources.listing import (
    RESOLUTION,
    SLAP,
)


def test_sd300_identity_and_exclusions(tmp_path):
    listing = list_files(sd300, trees.sd300(tmp_path / "sd300a", [1000, 1001]))
    counts = Counter(i.partition for i in listing.impressions)
    assert counts == {"sd300/roll": 20, "sd300/plain": 20}
    assert count_reasons(listing.excluded) == {SLAP: 4}
    assert len({i.finger for i in listing.impressions}) == 20
    assert {i.person for i in listing.impressions} == {"nist/00001000", "nist/00001001"}
    assert find_image(listing, "00001000_plain_500_11").finger == "nist/00001000/01"
    assert find_image(listing, "00001000_plain_500_12").frgp == 6


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
    assert count_reasons(listing.excluded)[RESOLUTION] == 40


def test_sd300_renamed_copy(tmp_path):
    listing = list_files(sd300, trees.sd300(tmp_path, [1000], roll="NIST300_rolled"))
    assert find_image(listing, "00001000_roll_500_01").partition == "sd300/roll"
