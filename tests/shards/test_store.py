"""Records of a set are read by number, and damaged sets are reported."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pairs import make_pairs

from shards import manifest, shard_file, store
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.record import decode, encode

IMAGES = {"synthetic/test": {"synthetic/test/train-000_1": "0" * 64}}


def make_records(n, seed=0, **settings):
    return [encode(pair) for pair in make_pairs(n, seed, size=16, grid=4, **settings)]


def build(out, sizes=(7, 5, 6)):
    """Write a set of training shards with `sizes` records and a validation shard with 3."""
    records = make_records(sum(sizes))
    entries = []
    for k, size in enumerate(sizes):
        name = manifest.shard_name("synthetic/test", "train", k, len(sizes))
        start = sum(sizes[:k])
        entries.append(shard_file.write_shard(out / name, records[start : start + size]))
    name = manifest.shard_name("synthetic/test", "val", 0, 1)
    entries.append(shard_file.write_shard(out / name, make_records(3, 9, split="val")))
    store.write_manifest(out, manifest.assemble({"seed": 0}, IMAGES, entries))
    return records


def test_records_are_read_in_the_order_of_their_indices(tmp_path):
    records = build(tmp_path)
    shards = store.open_set(tmp_path)
    assert shards.count("train") == 18 and shards.count("val") == 3 and shards.count("test") == 0
    wanted = np.random.default_rng(0).integers(0, 18, 40)  # any order, some twice
    assert shards.read("train", wanted) == [records[i] for i in wanted]
    assert shards.read("train", []) == []
    assert [decode(data).finger_a for data in shards.read("val", [2])] == ["synthetic/test/val-000"]


def test_locate_returns_the_shard_and_the_number_in_it(tmp_path):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    entry, number = shards.locate("train", 8)
    assert entry.name == "train/synthetic-test-00001-of-00003.arrayrecord" and number == 1


def test_an_index_out_of_range_is_an_error(tmp_path):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    for index in (-1, 18):
        with pytest.raises(IndexError, match="18 in train"):
            shards.read("train", [0, index])
        with pytest.raises(IndexError):
            shards.locate("train", index)


def test_a_set_can_be_pickled_and_read_by_threads(tmp_path):
    records = build(tmp_path)
    shards = store.open_set(tmp_path)
    shards.read("train", [0])
    other = pickle.loads(pickle.dumps(shards))  # noqa: S301
    assert other.read("train", [17]) == [records[17]]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: shards.read("train", [i])[0], range(18))) == records


def test_a_set_may_have_more_shards_than_open_readers(tmp_path):
    records = build(tmp_path)
    shards = store.open_set(tmp_path, store.StoreParameters(open_readers=2))
    assert [shards.read("train", [i])[0] for i in range(18)] == records
    assert shards.read("train", range(18)) == records


def test_a_list_of_images_is_written_where_it_differs(tmp_path):
    path = tmp_path / "sources" / "synthetic-test.jsonl"
    store.write_sources(tmp_path, IMAGES)
    data, number = path.read_bytes(), path.stat().st_ino
    store.write_sources(tmp_path, IMAGES)
    assert path.stat().st_ino == number
    with path.open("r+b") as file:
        file.truncate(files.DEFAULT.largest + 1)
    store.write_sources(tmp_path, IMAGES)
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["", "a" * 300])
def test_a_folder_without_a_set_is_a_misuse(tmp_path, name):
    directory = store.find_set(tmp_path / name, print, tmp_path)
    with pytest.raises(Misuse, match="no shard set here"):
        store.open_set(directory)


def first_shard(out):
    return out / "train" / "synthetic-test-00000-of-00003.arrayrecord"


def truncate(out):
    os.truncate(first_shard(out), first_shard(out).stat().st_size // 2)


def replace_by_link(out):
    target = out.parent / f"{out.name}-elsewhere"
    first_shard(out).rename(target)
    first_shard(out).symlink_to(target)


def replace_folder_by_link(out):
    target = out.parent / f"{out.name}-elsewhere"
    first_shard(out).parent.rename(target)
    (out / "train").symlink_to(target)


def damage_footer(out):
    data = bytearray(first_shard(out).read_bytes())
    data[-65536:] = bytes(65536)
    first_shard(out).write_bytes(data)


def replace_by_folder(out):
    first_shard(out).unlink()
    first_shard(out).mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: first_shard(out).unlink(), "is missing"),
        (truncate, r"bytes, expected \d+ by the manifest"),
        (replace_by_link, "symbolic link"),
        (replace_folder_by_link, "symbolic link"),
        (replace_by_folder, "is not a file"),
        (damage_footer, "no valid ArrayRecord footer"),
    ],
)
def test_opening_a_damaged_set_is_a_fault_that_names_the_shard(tmp_path, damage, message):
    build(tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(Fault, match=f"synthetic-test-00000-of-00003.arrayrecord .*{message}"):
        store.open_set(tmp_path / "set")


def test_damage_after_opening_is_a_fault_that_names_the_shard(tmp_path):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    damage_footer(tmp_path)
    with pytest.raises(Fault, match=r"00000-of-00003.arrayrecord is damaged"):
        shards.read("train", [0])


@pytest.mark.parametrize("change", ["rename", "write", "delete"])
def test_a_shard_that_changes_while_the_set_is_open_is_named(tmp_path, change):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    shards.check_unchanged()
    path = tmp_path / shards.manifest.shards[1].name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if change == "rename":
        path.with_name("other").write_bytes(content)
        path.with_name("other").replace(path)
    elif change == "write":
        path.write_bytes(content)
        os.utime(path, ns=(0, 0))
    else:
        path.unlink()
    with pytest.raises(Fault, match=f"{path} was replaced or changed while the set was read"):
        shards.check_unchanged()


def test_a_shard_that_is_replaced_before_it_is_read_is_named(tmp_path):
    """Its records are sound, but those of another shard."""
    build(tmp_path, (5, 5))
    shards = store.open_set(tmp_path)
    one, two = (tmp_path / entry.name for entry in shards.manifest.shards[:2])
    two.replace(one)
    with pytest.raises(Fault, match=f"{one} was replaced"):
        shards.read("train", [0])


def test_a_shard_that_is_written_again_with_its_content_is_no_fault(tmp_path):
    records = build(tmp_path)
    shards = store.open_set(tmp_path)
    path = tmp_path / shards.manifest.shards[0].name
    path.with_name("copy").write_bytes(path.read_bytes())
    path.with_name("copy").replace(path)
    shards.check_unchanged()
    assert shards.read("train", [0]) == records[:1]
