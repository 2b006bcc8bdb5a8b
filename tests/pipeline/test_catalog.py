"""Roots are found, partitions chosen, and what is missing is named with what to do."""

import os
from pathlib import Path

import pytest
import trees

from pipeline import catalog
from pipeline.catalog_messages import LAYOUTS
from shards.foundation.errors import Fault, Misuse


@pytest.fixture
def full(tmp_path):
    """All data sets, as Kaggle would mount them."""
    trees.fvc2002(tmp_path / "input/fvc/Dbs", "DB1_A", [1, 2])
    trees.sd300(tmp_path / "input/nist/sd300a", [1000])
    trees.sd301a(tmp_path / "input/nist/sd301a", [2223], "AC")
    trees.sd302(tmp_path / "input/a/b/sd302", [2303], "AULR")
    return tmp_path / "input"


def test_all_data_sets_below_one_root(full):
    found = catalog.discover([full])
    assert list(found.partitions) == [
        "fvc2002/db1_a",
        "sd300/plain",
        "sd300/roll",
        "sd301a/A",
        "sd301a/C",
        *(f"sd302/{device}" for device in "ALRU"),
    ]
    assert not found.unknown_folders


def test_select_gives_what_was_asked_sorted(full):
    chosen = catalog.discover([full]).select(["sd302/U", "fvc2002/db1_a"])
    assert list(chosen) == ["sd302/U", "fvc2002/db1_a"]
    assert len(chosen["fvc2002/db1_a"]) == 16
    for impressions in chosen.values():
        ids = [i.image_id for i in impressions]
        assert ids == sorted(ids)


def test_image_ids_do_not_depend_on_where_the_root_lies(full):
    near = catalog.discover([full / "a/b/sd302"]).partitions["sd302/U"]
    far = catalog.discover([full]).partitions["sd302/U"]
    assert [i.image_id for i in near] == [i.image_id for i in far]


def test_roots_one_in_another_are_read_once(full):
    found = catalog.discover([full, full / "fvc", full])
    assert len(found.partitions["fvc2002/db1_a"]) == 16


def test_a_data_set_in_two_roots_is_a_fault(tmp_path):
    for root in ("one", "two"):
        trees.sd302(tmp_path / root, [2303], "U")
    with pytest.raises(Fault) as fault:
        catalog.discover([tmp_path / "one", tmp_path / "two"])
    assert str(tmp_path / "one") in str(fault.value)
    assert str(tmp_path / "two") in str(fault.value)


def test_parts_of_one_partition_in_two_roots_add_up(tmp_path):
    trees.sd302(tmp_path / "one", [2303], "U")
    trees.sd302(tmp_path / "two", [2304], "U")
    found = catalog.discover([tmp_path / "one", tmp_path / "two"])
    assert len(found.partitions["sd302/U"]) == 20


def test_missing_partitions_are_named_all_at_once(full):
    with pytest.raises(Fault) as fault:
        catalog.discover([full]).select(["fvc2002/db1_a", "sd302/V", "fvc2002/db2_a", "sd300/roll"])
    message = str(fault.value)
    assert "missing partitions: sd302/V, fvc2002/db2_a;" in message
    assert str(full) in message
    assert "images/baseline/U/500" in message
    assert "bias.csr.unibo.it" in message
    assert "www.nist.gov" in message


def test_nothing_found_says_where_what_and_where_from(tmp_path):
    (tmp_path / "sd302a.zip").write_bytes(b"PK")
    trees.png(tmp_path / "mine/one.png")
    with pytest.raises(Fault) as fault:
        catalog.discover([tmp_path]).select(["sd302/U"])
    message = str(fault.value)
    for part in (str(tmp_path), "sd302a.zip", "mine: 1 images", "make demo", "--data"):
        assert part in message
    for dataset, layout in LAYOUTS.items():
        assert f"{dataset}: {layout}" in message


def test_a_link_to_a_disk_that_is_not_there_is_named(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    link = tmp_path / "sd302"
    link.symlink_to(tmp_path / "mnt/sd302")
    found = catalog.discover([tmp_path])
    with pytest.raises(Fault, match=f"{link}: a link that leads nowhere"):
        found.select(["sd302/U"])
    assert found.dangling_links == [link]


def test_an_empty_image_folder_is_no_partition(tmp_path):
    (tmp_path / "DB1_A").mkdir()
    with pytest.raises(Fault, match=r"missing partitions: fvc2002/db1_a; .* no usable image"):
        catalog.discover([tmp_path]).select(["fvc2002/db1_a"])


@pytest.mark.parametrize(
    "wrong, near",
    [("fvc2002/db1a", "fvc2002/db1_a"), ("sd302/a", "sd302/A"), ("fvc2004/db1_a", "fvc2002/db1_a")],
)
def test_a_partition_that_no_data_set_has(full, wrong, near):
    with pytest.raises(Misuse, match=f"did you mean {near}"):
        catalog.discover([full]).select([wrong])


def test_names_that_do_not_parse_stop_their_partition_alone(full):
    bad = trees.png(full / "fvc/Dbs/DB1_A/copy of 1_1.tif")
    found = catalog.discover([full])
    with pytest.raises(Fault) as fault:
        found.select(["fvc2002/db1_a", "sd302/U"])
    assert str(bad) in str(fault.value)
    assert "--skip-bad" in str(fault.value)
    assert len(found.select(["fvc2002/db1_a"], skip_bad=True)["fvc2002/db1_a"]) == 16
    assert [note.path for note in found.unparsed(["fvc2002/db1_a"])] == [bad]
    assert len(found.select(["sd302/U"])["sd302/U"]) == 10


def test_a_name_of_any_bytes_can_be_told(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    path = tmp_path / "DB1_A" / os.fsdecode(b"\xff\xfe.tif")
    try:
        path.write_bytes(b"x")
    except OSError:
        pytest.skip("this file system refuses the name")
    with pytest.raises(Fault) as fault:
        catalog.discover([tmp_path]).select(["fvc2002/db1_a"])
    assert "udcff" in str(fault.value).encode().decode()


def test_many_bad_names_are_counted(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", range(101, 111))
    trees.fvc2002(tmp_path, "DB1_A", [1])
    with pytest.raises(Fault, match=r"80 files are not understood[\s\S]*and 70 more"):
        catalog.discover([tmp_path]).select(["fvc2002/db1_a"])


def test_roots_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "DEFAULT_ROOTS", (Path("data/raw"), Path("nowhere")))
    monkeypatch.delenv("DENSEREG_DATA", raising=False)
    assert catalog.data_roots([]) == []
    (tmp_path / "data/raw").mkdir(parents=True)
    assert catalog.data_roots([]) == [Path("data/raw")]
    monkeypatch.setenv("DENSEREG_DATA", os.pathsep.join(["/a", "/b", ""]))
    assert catalog.data_roots([]) == [Path("/a"), Path("/b")]
    assert catalog.data_roots([Path("/c")]) == [Path("/c")]


def test_without_any_root_the_fault_names_the_ways(monkeypatch):
    monkeypatch.setattr(catalog, "DEFAULT_ROOTS", (Path("none/raw"),))
    with pytest.raises(Fault, match=r"DENSEREG_DATA is set, and none/raw"):
        catalog.discover([]).select(["sd302/U"])
