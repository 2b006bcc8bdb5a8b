"""Catalog: data roots, selection of partitions, messages about missing data."""

import os
from pathlib import Path

import pytest
import trees

from pipeline import catalog
from pipeline.catalog_messages import LAYOUTS
from shards.foundation.errors import Fault, Misuse


@pytest.fixture
def full(tmp_path):
    """All data sets in folders as Kaggle mounts them."""
    trees.fvc2002(tmp_path / "input/fvc/Dbs", "DB1_A", [1, 2])
    trees.sd300(tmp_path / "input/nist/sd300a", [1000])
    trees.sd301a(tmp_path / "input/nist/sd301a", [2223], "AC")
    trees.sd302(tmp_path / "input/a/b/sd302", [2303], "AULR")
    return tmp_path / "input"


def test_all_data_sets_below_one_root(full):
    data_sets = catalog.discover([full])
    assert list(data_sets.partitions) == [
        "fvc2002/db1_a",
        "sd300/plain",
        "sd300/roll",
        "sd301a/A",
        "sd301a/C",
        *(f"sd302/{device}" for device in "ALRU"),
    ]
    assert not data_sets.unknown_folders


def test_selection_is_sorted(full):
    chosen = catalog.discover([full]).select(["sd302/U", "fvc2002/db1_a"])
    assert list(chosen) == ["sd302/U", "fvc2002/db1_a"]
    assert len(chosen["fvc2002/db1_a"]) == 16
    for impressions in chosen.values():
        ids = [i.image_id for i in impressions]
        assert ids == sorted(ids)


def test_image_ids_do_not_depend_on_where_the_root_lies(full):
    from_set = catalog.discover([full / "a/b/sd302"]).partitions["sd302/U"]
    from_above = catalog.discover([full]).partitions["sd302/U"]
    assert [i.image_id for i in from_set] == [i.image_id for i in from_above]


def test_nested_roots_are_read_once(full):
    data_sets = catalog.discover([full, full / "fvc", full])
    assert len(data_sets.partitions["fvc2002/db1_a"]) == 16


def test_data_set_in_two_roots_is_a_fault(tmp_path):
    for root in ("one", "two"):
        trees.sd302(tmp_path / root, [2303], "U")
    with pytest.raises(Fault) as fault:
        catalog.discover([tmp_path / "one", tmp_path / "two"])
    assert str(tmp_path / "one") in str(fault.value)
    assert str(tmp_path / "two") in str(fault.value)


def test_parts_of_a_partition_in_two_roots_are_joined(tmp_path):
    trees.sd302(tmp_path / "one", [2303], "U")
    trees.sd302(tmp_path / "two", [2304], "U")
    data_sets = catalog.discover([tmp_path / "one", tmp_path / "two"])
    assert len(data_sets.partitions["sd302/U"]) == 20


def test_all_missing_partitions_are_named(full):
    with pytest.raises(Fault) as fault:
        catalog.discover([full]).select(["fvc2002/db1_a", "sd302/V", "fvc2002/db2_a", "sd300/roll"])
    message = str(fault.value)
    assert "missing partitions: sd302/V, fvc2002/db2_a;" in message
    assert str(full) in message
    assert "images/baseline/U/500" in message
    assert "bias.csr.unibo.it" in message
    assert "www.nist.gov" in message


def test_missing_data_is_reported_with_roots_and_layouts(tmp_path):
    (tmp_path / "sd302a.zip").write_bytes(b"PK")
    trees.png(tmp_path / "mine/one.png")
    with pytest.raises(Fault) as fault:
        catalog.discover([tmp_path]).select(["sd302/U"])
    message = str(fault.value)
    for part in (str(tmp_path), "sd302a.zip", "mine: 1 image", "make demo", "--data"):
        assert part in message
    for dataset, layout in LAYOUTS.items():
        assert f"{dataset}: {layout}" in message


def test_dangling_link_is_named(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    link = tmp_path / "sd302"
    link.symlink_to(tmp_path / "mnt/sd302")
    data_sets = catalog.discover([tmp_path])
    with pytest.raises(Fault, match=f"{link}: a link that leads nowhere"):
        data_sets.select(["sd302/U"])
    assert data_sets.dangling_links == [link]


def test_empty_image_folder_is_not_a_partition(tmp_path):
    (tmp_path / "DB1_A").mkdir()
    with pytest.raises(Fault, match=r"missing partitions: fvc2002/db1_a; .* no usable image"):
        catalog.discover([tmp_path]).select(["fvc2002/db1_a"])


@pytest.mark.parametrize(
    "wrong, suggestion",
    [("fvc2002/db1a", "fvc2002/db1_a"), ("sd302/a", "sd302/A"), ("fvc2004/db1a", "fvc2004/db1_a")],
)
def test_unknown_partition_is_misuse_with_a_suggestion(full, wrong, suggestion):
    with pytest.raises(Misuse, match=f"did you mean {suggestion}"):
        catalog.discover([full]).select([wrong])


def test_unparsed_name_prevents_its_partition_only(full):
    bad = trees.png(full / "fvc/Dbs/DB1_A/copy of 1_1.tif")
    data_sets = catalog.discover([full])
    with pytest.raises(Fault) as fault:
        data_sets.select(["fvc2002/db1_a", "sd302/U"])
    assert str(bad) in str(fault.value)
    assert "--skip-bad" in str(fault.value)
    assert len(data_sets.select(["fvc2002/db1_a"], skip_bad=True)["fvc2002/db1_a"]) == 16
    assert [note.path for note in data_sets.unparsed(["fvc2002/db1_a"])] == [bad]
    assert len(data_sets.select(["sd302/U"])["sd302/U"]) == 10


def test_undecodable_name_can_be_reported(tmp_path):
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
    with pytest.raises(Fault, match=r"80 files not understood[\s\S]*and 70 more"):
        catalog.discover([tmp_path]).select(["fvc2002/db1_a"])


def test_order_of_data_roots(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "DEFAULT_ROOTS", (Path("data/raw"), Path("nowhere")))
    monkeypatch.delenv("DENSEREG_DATA", raising=False)
    assert catalog.data_roots([]) == []
    (tmp_path / "data/raw").mkdir(parents=True)
    assert catalog.data_roots([]) == [Path("data/raw")]
    monkeypatch.setenv("DENSEREG_DATA", os.pathsep.join(["/a", "/b", ""]))
    assert catalog.data_roots([]) == [Path("/a"), Path("/b")]
    assert catalog.data_roots([Path("/c")]) == [Path("/c")]


def test_message_without_any_root(monkeypatch):
    monkeypatch.setattr(catalog, "DEFAULT_ROOTS", (Path("none/raw"),))
    with pytest.raises(Fault, match=r"DENSEREG_DATA is set, and none/raw"):
        catalog.discover([]).select(["sd302/U"])
