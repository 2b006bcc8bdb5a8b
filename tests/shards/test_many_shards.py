"""Sets of very many shards: a manifest of 100,000, and 2,000 tiny ones on disk."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pairs import make_pairs

from shards import manifest, shard_file, store
from shards.manifest import ShardEntry
from shards.record import encode
from shards.verify import verify

PARTITION = "synthetic/tiny"
TINY = 2_000
MANY = 100_000
PEAK_MB = 200  # of a process that reads the manifest of MANY shards; measured 129


def entries(total):
    first = ShardEntry("", PARTITION, "train", 1000, "0" * 64, 3, {"genuine/sensor": 3})
    for k in range(total):
        name = manifest.shard_name(PARTITION, "train", k, total)
        yield replace(first, name=name, sha256=f"{k:064x}")


# getrusage would tell of the process that this one was forked from, too
READ = """
import re, sys
from pathlib import Path
from shards import shard_file, store
found = store.load_manifest(Path(sys.argv[1]))
peak = re.search("VmHWM:(.*)kB", Path("/proc/self/status").read_text())[1]
print(len(found.shards), int(peak) // 1024)
"""


def test_a_manifest_of_100_000_shards_is_read_in_little_memory(tmp_path):
    store.write_manifest(tmp_path, manifest.assemble({}, {PARTITION: {}}, entries(MANY)))
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    shards, megabytes = map(int, done.stdout.split())
    assert shards == MANY and megabytes < PEAK_MB


@pytest.fixture
def tiny(tmp_path):
    """2,000 shards of three records of 1 kB, hard links of one file."""
    records = [encode(pair) for pair in make_pairs(3, 0, size=16, grid=4)]
    names = [entry.name for entry in entries(TINY)]
    made = shard_file.write_shard(tmp_path / names[0], records)
    for name in names[1:]:
        os.link(tmp_path / names[0], tmp_path / name)
    listed = [replace(made, name=name) for name in names]
    store.write_manifest(tmp_path, manifest.assemble({}, {PARTITION: {}}, listed))
    return tmp_path


def test_two_processes_report_each_fault_of_2_000_shards(tiny):
    always = verify.PoolParameters(0, 0, 0)
    assert list(verify.verify(tiny, "full", 2, always)) == []
    missing, short, other, stray = (f"{entry.name}" for entry in list(entries(TINY))[7::500])
    (tiny / missing).unlink()
    content = (tiny / stray).read_bytes()
    for name, harmed in {short: content[:-1], other: bytes([content[0] ^ 1]) + content[1:]}.items():
        (tiny / name).unlink()  # which is a link
        (tiny / name).write_bytes(harmed)
    (tiny / stray).rename(tiny / "train/stray.arrayrecord")
    expected = {
        missing: "is missing",
        short: f"has {len(content) - 1} bytes, expected {len(content)} by the manifest",
        stray: "is missing",
        "train/stray.arrayrecord": "is not in the manifest",
    }
    found = {f.file: f.message for f in verify.verify(tiny, "quick", 2, always)}
    assert found == expected
    found = {f.file: f.message for f in verify.verify(tiny, "full", 2, always)}
    assert found.pop(other).startswith("was changed after it was written (sha256)")
    assert found == expected


def test_records_of_2_000_shards_are_found(tiny):
    shards = store.open_set(tiny)
    assert shards.count("train") == 3 * TINY
    assert len(shards.read("train", range(0, 3 * TINY, 97))) == len(range(0, 3 * TINY, 97))
