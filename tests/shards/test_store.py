import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pairs import make_pairs

from shards import manifest, store
from shards.foundation.errors import Fault, Misuse
from shards.record import decode, encode

IMAGES = {"synthetic/test": {"synthetic/test/train-000_1": "0" * 64}}


def small(n, seed=0, **settings):
    return [encode(pair) for pair in make_pairs(n, seed, size=16, grid=4, **settings)]


def build(out, sizes=(7, 5, 6)):
    """A set with the given numbers of records in its training shards and 3 in one of validation."""
    records = small(sum(sizes))
    entries = []
    for k, size in enumerate(sizes):
        name = manifest.shard_name("synthetic/test", "train", k, len(sizes))
        start = sum(sizes[:k])
        entries.append(store.write_shard(out / name, records[start : start + size]))
    name = manifest.shard_name("synthetic/test", "val", 0, 1)
    entries.append(store.write_shard(out / name, small(3, 9, split="val")))
    store.write_manifest(out, manifest.assemble({"seed": 0}, IMAGES, entries))
    return records


def test_records_come_back_in_the_order_asked_for(tmp_path):
    records = build(tmp_path)
    shards = store.open_set(tmp_path)
    assert shards.count("train") == 18 and shards.count("val") == 3 and shards.count("test") == 0
    wanted = np.random.default_rng(0).integers(0, 18, 40)  # any order, some twice
    assert shards.read("train", wanted) == [records[i] for i in wanted]
    assert shards.read("train", []) == []
    assert [decode(data).finger_a for data in shards.read("val", [2])] == ["synthetic/test/val-000"]


def test_where_names_the_shard_and_the_record(tmp_path):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    entry, local = shards.locate("train", 8)
    assert entry.name == "train/synthetic-test-00001-of-00003.arrayrecord" and local == 1


def test_a_record_outside_the_split_is_refused(tmp_path):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    for index in (-1, 18):
        with pytest.raises(IndexError, match="18 in train"):
            shards.read("train", [0, index])
        with pytest.raises(IndexError):
            shards.locate("train", index)


def test_a_set_crosses_into_another_process_and_is_read_by_threads(tmp_path):
    records = build(tmp_path)
    shards = store.open_set(tmp_path)
    shards.read("train", [0])
    other = pickle.loads(pickle.dumps(shards))  # noqa: S301
    assert other.read("train", [17]) == [records[17]]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: shards.read("train", [i])[0], range(18))) == records


def test_more_shards_than_open_readers(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "OPEN_READERS", 2)
    records = build(tmp_path)
    shards = store.open_set(tmp_path)
    assert [shards.read("train", [i])[0] for i in range(18)] == records
    assert shards.read("train", range(18)) == records


def test_same_records_same_bytes_and_entry(tmp_path):
    name = manifest.shard_name("synthetic/test", "train", 0, 1)
    entries = [store.write_shard(tmp_path / k / name, small(5)) for k in "ab"]
    assert entries[0] == entries[1] == store.describe_shard(tmp_path / "a" / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert entries[0].records == 5
    assert entries[0].counts == {
        "genuine/dryness": 2, "genuine/pressure": 1, "genuine/sensor": 1, "impostor/sensor": 1
    }  # fmt: skip


def test_a_failing_source_leaves_nothing_and_says_what_it_said(tmp_path):
    def failing():
        yield small(1)[0]
        raise OSError("the image vanished")

    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    with pytest.raises(OSError, match="the image vanished"):
        store.write_shard(path, failing())
    assert list(path.parent.iterdir()) == []


def test_a_record_that_is_damaged_before_it_is_written_is_not_kept(tmp_path):
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    with pytest.raises(Fault, match=r"00000-of-00001.arrayrecord record 1 is damaged"):
        store.write_shard(path, [*small(1), small(1)[0][:-1] + b"?"])
    assert list(path.parent.iterdir()) == []


def test_an_interrupted_rewrite_keeps_the_old_shard(tmp_path):
    def interrupted():
        yield small(1)[0]
        raise KeyboardInterrupt

    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    entry = store.write_shard(path, small(3))
    with pytest.raises(KeyboardInterrupt):
        store.write_shard(path, interrupted())
    assert store.describe_shard(path) == entry
    assert list(path.parent.iterdir()) == [path]


def test_output_that_is_a_file_is_a_fault(tmp_path):
    (tmp_path / "train").write_text("in the way")
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    with pytest.raises(Fault, match="cannot be written"):
        store.write_shard(path, small(1))


FULL_DISK = """
import resource, signal, sys, os
from pathlib import Path
from shards import store
from shards.foundation.errors import Fault
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
path = Path(sys.argv[1])
try:
    store.write_shard(path, [os.urandom(40_000) for _ in range(50)])
except Fault as fault:
    print(fault, list(path.parent.iterdir()))
"""


def test_a_full_disk_is_a_fault_and_leaves_nothing(tmp_path):
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert "cannot be written: write() failed: File too large" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_folder_without_a_set_is_wrong_use(tmp_path):
    with pytest.raises(Misuse, match="no shard set here"):
        store.open_set(tmp_path)


def first(out):
    return out / "train" / "synthetic-test-00000-of-00003.arrayrecord"


def truncate(out):
    os.truncate(first(out), first(out).stat().st_size // 2)


def replace_by_link(out):
    target = out.parent / f"{out.name}-elsewhere"
    first(out).rename(target)
    first(out).symlink_to(target)


def replace_folder_by_link(out):
    target = out.parent / f"{out.name}-elsewhere"
    first(out).parent.rename(target)
    (out / "train").symlink_to(target)


def damage_footer(out):
    data = bytearray(first(out).read_bytes())
    data[-65536:] = bytes(65536)
    first(out).write_bytes(data)


def replace_by_folder(out):
    first(out).unlink()
    first(out).mkdir()


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda out: first(out).unlink(), "is missing"),
        (truncate, "bytes, the manifest says"),
        (replace_by_link, "symbolic link"),
        (replace_folder_by_link, "symbolic link"),
        (replace_by_folder, "is no file"),
        (damage_footer, "no valid ArrayRecord footer"),
    ],
)
def test_opening_a_harmed_set_names_the_shard_and_the_harm(tmp_path, harm, what):
    build(tmp_path / "set")
    harm(tmp_path / "set")
    with pytest.raises(Fault, match=f"synthetic-test-00000-of-00003.arrayrecord .*{what}"):
        store.open_set(tmp_path / "set")


def test_damage_after_opening_is_a_fault_that_names_the_shard(tmp_path):
    build(tmp_path)
    shards = store.open_set(tmp_path)
    damage_footer(tmp_path)
    with pytest.raises(Fault, match=r"00000-of-00003.arrayrecord is damaged"):
        shards.read("train", [0])
