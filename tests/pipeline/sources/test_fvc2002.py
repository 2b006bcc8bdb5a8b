"""Reader of FVC2002: identity, resolution, names."""

from collections import Counter
from pathlib import Path

import pytest
import trees
from trees import list_files

from pipeline.sources import fvc2002

REAL = Path(__file__).parents[4] / "shared/data/fvc2002"


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
    ["0_1.tif", "101_1.tif", "1_9.tif", "1_0.tif", "01_1.tif", "1.tif", "a_1.tif", "1_1.gif"],
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
