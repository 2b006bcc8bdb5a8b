"""Reader of FVC: identity, resolution, names, and the year of a folder."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import trees
from trees import list_files

from pipeline import catalog
from pipeline.sources import fvc
from pipeline.sources.own import parse_options
from shards.foundation.errors import Fault

REAL = Path(__file__).parents[4] / "shared/data/fvc2002"


@pytest.mark.parametrize("folder", ["DB1_A", "Db1_a", "db1_a", "Dbs/DB1_A", "x/y/z/Dbs/Db1_a"])
@pytest.mark.parametrize("extension", [".tif", ".TIF", ".png", ".bmp"])
def test_fvc_variants(tmp_path, folder, extension):
    listing = list_files(fvc, trees.fvc2002(tmp_path, folder, [1, 100], extension))
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
    ppi = {i.partition: i.ppi for i in list_files(fvc, tmp_path).impressions}
    assert ppi == {
        "fvc2002/db1_b": 500,
        "fvc2002/db2_b": 569,
        "fvc2002/db3_b": 500,
        "fvc2002/db4_b": 500,
    }


def test_fvc_numbers_repeat_across_databases(tmp_path):
    for folder in ("DB1_B", "DB3_B"):
        trees.fvc2002(tmp_path, folder, [101])
    assert len({i.finger for i in list_files(fvc, tmp_path).impressions}) == 2


@pytest.mark.parametrize(
    "name",
    ["0_1.tif", "101_1.tif", "1_9.tif", "1_0.tif", "01_1.tif", "1.tif", "a_1.tif", "1_1.gif"],
)
def test_fvc_names_that_do_not_parse_are_listed(tmp_path, name):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    trees.png(tmp_path / "DB1_A" / name)
    listing = list_files(fvc, tmp_path)
    assert [note.path.name for note in listing.unparsed] == [name]
    assert len(listing.impressions) == 8


def test_fvc_of_another_year_is_not_fvc2002(tmp_path):
    trees.fvc2002(tmp_path / "FVC2002")
    trees.fvc2002(tmp_path / "fvc2002/of fvc2000")
    trees.fvc2002(tmp_path / "FVC2004")
    listing = list_files(fvc, tmp_path)
    years = {(i.path.parent.parent.name, i.partition) for i in listing.impressions}
    assert years == {
        ("FVC2002", "fvc2002/db1_a"),
        ("of fvc2000", "fvc2000/db1_a"),
        ("FVC2004", "fvc2004/db1_a"),
    }
    below = list_files(fvc, trees.fvc2002(tmp_path / "my fvc2004 work/fvc2002"))
    assert {i.partition for i in below.impressions} == {"fvc2002/db1_a"}


@pytest.mark.skipif(not REAL.is_dir(), reason="the B sets of FVC2002 are not on this machine")
def test_real_fvc():
    listing = list_files(fvc, REAL)
    assert Counter(i.partition for i in listing.impressions) == {
        "fvc2002/db1_b": 80,
        "fvc2002/db3_b": 80,
    }
    assert not listing.unparsed
    assert not listing.excluded


# Years: all competitions have the same folders and names

SIZES = {  # published by the organizers
    2000: ((300, 300), (256, 364), (448, 478), (240, 320)),
    2002: ((388, 374), (296, 560), (300, 300), (288, 384)),
    2004: ((640, 480), (328, 364), (300, 480), (288, 384)),
    2006: ((96, 96), (400, 560), (400, 500), (288, 384)),
}
PPI = {(2002, 2): 569, (2004, 3): 512, (2006, 1): 250, (2006, 2): 569}
IMAGES = {".png": "png", ".tif": "png", ".bmp": "bmp", ".TIF": "tif"}  # extension → true format


def write(path, size, kind):
    """Write an image of (width, height) px in a format, whatever its name."""
    image = np.full(size[::-1], 200, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(f".{kind}", image)[1].tobytes())


@pytest.mark.parametrize("extension", IMAGES)
@pytest.mark.parametrize("year, number", [(y, n) for y in SIZES for n in (1, 2, 3, 4)])
def test_size_tells_the_year_in_every_format(tmp_path, year, number, extension):
    for impression in (1, 2):
        path = tmp_path / f"DB{number}_A/7_{impression}{extension}"
        write(path, SIZES[year][number - 1], IMAGES[extension])
    listing = list_files(fvc, tmp_path)
    if number == 4 and year != 2000:
        (note,) = listing.unparsed
        assert not listing.impressions
        assert note.path == tmp_path / "DB4_A"
        assert "FVC2002, 2004 and 2006" in note.reason
        assert "--layout fvc2006" in note.reason and "FVC2006/DB4_A" in note.reason
        return
    assert not listing.unparsed
    assert {(i.partition, i.finger, i.ppi) for i in listing.impressions} == {
        (f"fvc{year}/db{number}_a", f"fvc{year}/db{number}/7", PPI.get((year, number), 500))
    }


@pytest.mark.parametrize("year", [2002, 2004, 2006])
def test_db4_has_the_year_of_its_path_or_of_the_user(tmp_path, year):
    write(tmp_path / f"FVC{year}/Dbs/DB4_B/101_1.bmp", (288, 384), "bmp")
    assert list(catalog.discover([tmp_path]).partitions) == [f"fvc{year}/db4_b"]
    write(tmp_path / "unknown/DB4_A/1_1.bmp", (288, 384), "bmp")
    stated = parse_options(f"fvc{year}", None, None, None)
    partitions = catalog.discover([tmp_path], stated).partitions
    assert list(partitions) == [f"fvc{year}/db4_a", f"fvc{year}/db4_b"]


def test_db4_beside_other_databases_of_a_year_is_not_guessed(tmp_path):
    for number in (1, 2, 3, 4):
        write(tmp_path / f"DB{number}_B/101_1.png", SIZES[2004][number - 1], "png")
    data_sets = catalog.discover([tmp_path])
    assert list(data_sets.partitions) == [f"fvc2004/db{number}_b" for number in (1, 2, 3)]
    for year in (2002, 2004):
        with pytest.raises(Fault, match="DB4_B: DB4 of FVC2002, 2004 and 2006 have the same names"):
            data_sets.select([f"fvc{year}/db4_b"])


def test_two_years_side_by_side_are_two_data_sets(tmp_path):
    write(tmp_path / "a/DB2_A/1_1.png", SIZES[2002][1], "png")
    write(tmp_path / "b/DB2_A/1_1.png", SIZES[2004][1], "png")
    fingers = {i.finger: i.ppi for i in list_files(fvc, tmp_path).impressions}
    assert fingers == {"fvc2002/db2/1": 569, "fvc2004/db2/1": 500}


@pytest.mark.parametrize("folder", ["", "FVC2002"])
def test_images_of_another_year_in_a_folder_are_refused(tmp_path, folder):
    for finger in (1, 2, 3):
        write(tmp_path / folder / f"DB1_A/{finger}_1.png", SIZES[2002][0], "png")
    write(tmp_path / folder / "DB1_A/4_1.png", SIZES[2004][0], "png")
    listing = list_files(fvc, tmp_path)
    assert len(listing.impressions) == 3
    (note,) = listing.unparsed
    assert note.path.name == "4_1.png"
    assert "measures 640×480 px as DB1 of FVC2004 does" in note.reason


def test_path_and_size_that_contradict_each_other_are_refused(tmp_path):
    write(tmp_path / "FVC2002/DB2_B/101_1.png", SIZES[2004][1], "png")
    listing = list_files(fvc, tmp_path)
    assert not listing.impressions
    assert "as DB2 of FVC2004 does" in listing.unparsed[0].reason


def test_names_of_fvc2006(tmp_path):
    trees.png(tmp_path / "FVC2006/DB3_A/140_12.bmp", size=(400, 500))
    trees.png(tmp_path / "FVC2006/DB3_A/101_1.bmp", size=(400, 500))
    trees.png(tmp_path / "FVC2006/DB3_A/141_1.bmp", size=(400, 500))
    trees.png(tmp_path / "FVC2006/DB3_A/1_13.bmp", size=(400, 500))
    for finger in (101, 141):
        trees.png(tmp_path / f"FVC2006/DB3_B/{finger}_1.bmp", size=(400, 500))
    listing = list_files(fvc, tmp_path)
    assert {i.finger for i in listing.impressions} == {
        "fvc2006/db3/140",
        "fvc2006/db3/101",
        "fvc2006/db3_b/101",
        "fvc2006/db3_b/141",
    }
    assert sorted(note.path.name for note in listing.unparsed) == ["141_1.bmp", "1_13.bmp"]


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"II*\0\xff\xff\xff\xff", b"BM"])
def test_damaged_images_tell_no_year(tmp_path, data):
    write(tmp_path / "DB1_A/1_1.tif", SIZES[2004][0], "tif")
    (tmp_path / "DB1_A/1_2.tif").write_bytes(data)
    assert {i.partition for i in list_files(fvc, tmp_path).impressions} == {"fvc2004/db1_a"}
