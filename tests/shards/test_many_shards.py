"""Sets of many shards: a manifest of 100,000 shards, and 2,000 small shards on disk."""

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
FILES = 2_000  # shards on disk
ENTRIES = 100_000  # shards in a manifest without files
PEAK_MB = 200  # of a process that reads the manifest of ENTRIES shards; measured 129


def make_entries(total):
    first = ShardEntry("", PARTITION, "train", 1000, "0" * 64, 3, {"genuine/sensor": 3})
    for k in range(total):
        name = manifest.shard_name(PARTITION, "train", k, total)
        yield replace(first, name=name, sha256=f"{k:064x}")


# getrusage would include the memory of the process that this one was forked from
READ = """
import re, sys
from pathlib import Path
from shards import store
manifest = store.load_manifest(Path(sys.argv[1]))
peak = re.search("VmHWM:(.*)kB", Path("/proc/self/status").read_text())[1]
print(len(manifest.shards), int(peak) // 1024)
"""


def test_a_manifest_of_100_000_shards_is_read_in_little_memory(tmp_path):
    store.write_manifest(tmp_path, manifest.assemble({}, {PARTITION: {}}, make_entries(ENTRIES)))
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    shards, megabytes = map(int, done.stdout.split())
    assert shards == ENTRIES and megabytes < PEAK_MB


@pytest.fixture
def small_shards(tmp_path):
    """Write 2,000 shards of three records of 1 kB, as hard links of one file."""
    records = [encode(pair) for pair in make_pairs(3, 0, size=16, grid=4)]
    names = [entry.name for entry in make_entries(FILES)]
    entry = shard_file.write_shard(tmp_path / names[0], records)
    for name in names[1:]:
        os.link(tmp_path / names[0], tmp_path / name)
    listed = [replace(entry, name=name) for name in names]
    store.write_manifest(tmp_path, manifest.assemble({}, {PARTITION: {}}, listed))
    return tmp_path


def test_two_processes_report_each_fault_of_2_000_shards(small_shards):
    always = verify.PoolParameters(0, 0, 0)
    assert list(verify.verify(small_shards, "full", 2, always)) == []
    names = [entry.name for entry in make_entries(FILES)]
    missing, short, changed, renamed = names[7::500]
    (small_shards / missing).unlink()
    content = (small_shards / renamed).read_bytes()
    damaged = {short: content[:-1], changed: bytes([content[0] ^ 1]) + content[1:]}
    for name, data in damaged.items():
        (small_shards / name).unlink()  # all shards are links of one file
        (small_shards / name).write_bytes(data)
    (small_shards / renamed).rename(small_shards / "train/stray.arrayrecord")
    expected = {
        missing: "is missing",
        short: f"has {len(content) - 1} bytes, expected {len(content)} by the manifest",
        renamed: "is missing",
        "train/stray.arrayrecord": "is not in the manifest",
    }
    messages = {f.file: f.message for f in verify.verify(small_shards, "quick", 2, always)}
    assert messages == expected
    messages = {f.file: f.message for f in verify.verify(small_shards, "full", 2, always)}
    assert messages.pop(changed).startswith("was changed after it was written (sha256)")
    assert messages == expected


def test_records_of_2_000_shards_can_be_read(small_shards):
    shards = store.open_set(small_shards)
    assert shards.count("train") == 3 * FILES
    assert len(shards.read("train", range(0, 3 * FILES, 97))) == len(range(0, 3 * FILES, 97))
