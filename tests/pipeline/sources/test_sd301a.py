"""Reader of SD301a: devices, encounters, resolutions."""

from collections import Counter

import trees
from trees import count_reasons, list_files

from pipeline.sources import sd301a
from pipeline.sources.listing import (
    PALM,
    RESOLUTION,
    SLAP,
)


def test_sd301a(tmp_path):
    listing = list_files(sd301a, trees.sd301a(tmp_path, [2223], "ABCDH"))
    counts = Counter((i.partition, i.capture) for i in listing.impressions)
    assert counts == {
        ("sd301a/A", "roll"): 10,
        ("sd301a/B", "roll"): 10,
        ("sd301a/C", "slap-segmented"): 10,  # named "slap": the folder decides
        ("sd301a/D", "plain"): 10,
    }
    assert count_reasons(listing.excluded) == {SLAP: 6, PALM: 2}
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
    assert count_reasons(listing.excluded) == {RESOLUTION: 10}


def test_sd301a_variable_resolution_may_be_that_of_another_folder(tmp_path):
    """A capture at 500 ppi that was also delivered at 500 ppi is not a second copy."""
    for resolution in ("variable", "500"):
        folder = tmp_path / f"images/friction-ridge/dryrun-E/{resolution}/plain/png"
        trees.png(folder / f"00002223_01_dryrun-E_{resolution}_plain_01.png", 500)
    listing = list_files(sd301a, tmp_path)
    assert [i.path.parts[-4] for i in listing.impressions] == ["500"]
    assert count_reasons(listing.excluded) == {RESOLUTION: 1}


def test_sd301a_unknown_device(tmp_path):
    trees.png(
        tmp_path
        / "images/friction-ridge/dryrun-I/500/roll/png/00002223_01_dryrun-I_500_roll_01.png"
    )
    (note,) = list_files(sd301a, tmp_path).unparsed
    assert "no device dryrun-i" in note.reason
