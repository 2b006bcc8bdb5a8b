"""Shard files are complete or absent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pairs import make_pairs

from shards import manifest, shard_file
from shards.foundation.errors import Fault
from shards.record import encode


def make_records(n):
    return [encode(pair) for pair in make_pairs(n, 0, size=16, grid=4)]


def test_equal_records_give_equal_files_and_entries(tmp_path):
    name = manifest.shard_name("synthetic/test", "train", 0, 1)
    entries = [shard_file.write_shard(tmp_path / k / name, make_records(5)) for k in "ab"]
    assert entries[0] == entries[1] == shard_file.describe_shard(tmp_path / "a" / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert entries[0].records == 5
    assert entries[0].counts == {
        "genuine/dryness": 2, "genuine/pressure": 1, "genuine/sensor": 1, "impostor/sensor": 1
    }  # fmt: skip


def test_an_exception_of_the_records_passes_through_and_leaves_no_file(tmp_path):
    def failing():
        yield make_records(1)[0]
        raise OSError("the image vanished")

    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    with pytest.raises(OSError, match="the image vanished"):
        shard_file.write_shard(path, failing())
    assert list(path.parent.iterdir()) == []


def test_a_damaged_record_is_a_fault_and_leaves_no_file(tmp_path):
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    with pytest.raises(Fault, match=r"00000-of-00001.arrayrecord record 1 is damaged"):
        shard_file.write_shard(path, [*make_records(1), make_records(1)[0][:-1] + b"?"])
    assert list(path.parent.iterdir()) == []


def test_an_interrupted_rewrite_leaves_the_old_shard(tmp_path):
    def interrupted():
        yield make_records(1)[0]
        raise KeyboardInterrupt

    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    entry = shard_file.write_shard(path, make_records(3))
    with pytest.raises(KeyboardInterrupt):
        shard_file.write_shard(path, interrupted())
    assert shard_file.describe_shard(path) == entry
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_a_fault(tmp_path):
    (tmp_path / "train").write_text("in the way")
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    with pytest.raises(Fault, match="cannot be written"):
        shard_file.write_shard(path, make_records(1))


FULL_DISK = """
import resource, signal, sys, os
from pathlib import Path
from shards import shard_file
from shards.foundation.errors import Fault
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
path = Path(sys.argv[1])
try:
    shard_file.write_shard(path, [os.urandom(40_000) for _ in range(50)])
except Fault as fault:
    print(fault, list(path.parent.iterdir()))
"""


def test_a_full_disk_is_a_fault_and_leaves_no_file(tmp_path):
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "cannot be written: write() failed: File too large" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_shard_below_a_folder_whose_name_is_no_text_is_a_fault(tmp_path):
    folder = tmp_path / os.fsdecode(b"folder\xff")
    path = folder / manifest.shard_name("synthetic/test", "train", 0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(Fault, match="its path has bytes that are no UTF-8"):
        shard_file.open_reader(path)
