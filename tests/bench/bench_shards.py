"""Speed of the shard format and the loader: python tests/bench/bench_shards.py

The floor is bare bulk reading by array_record of the same random records.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

import click
import numpy as np
from alternate import compare, render, run_in_turn
from array_record.python.array_record_module import ArrayRecordReader
from pairs import make_pairs
from peak_memory import peak_megabytes

from shards import manifest, shard_file, store
from shards.record import decode, encode
from shards.verify import verify
from train.loader import TrainingBatches

SHARDS, RECORDS, BATCH = 10, 500, 128
BARE = "bare bulk reads"
QUICK, MANY = 100, 100_000  # shards: of the quick check, of a long manifest


def build(out, records):
    """A set of SHARDS shards of RECORDS records."""
    names = [manifest.shard_name("synthetic/bench", "train", k, SHARDS) for k in range(SHARDS)]
    entries = [
        shard_file.write_shard(out / name, records[k * RECORDS : (k + 1) * RECORDS])
        for k, name in enumerate(names)
    ]
    store.write_manifest(out, manifest.assemble({}, {"synthetic/bench": {}}, entries))
    return store.open_set(out)


def bare(out, batches):
    """The floor: the same records by array_record alone, one bulk read a shard."""
    paths = sorted((out / "train").glob("*.arrayrecord"))
    readers = [ArrayRecordReader(str(path), shard_file.READER_OPTIONS) for path in paths]
    for batch in batches:
        for k in np.unique(batch // RECORDS):
            readers[k].read((batch[batch // RECORDS == k] % RECORDS).tolist())


def links(out, shard, count):
    """A set of `count` shards that are hard links of one."""
    names = [manifest.shard_name("synthetic/bench", "train", k, count) for k in range(count)]
    (out / "train").mkdir(parents=True)
    for name in names:
        os.link(shard, out / name)
    built = shard_file.describe_shard(out / names[0])
    entries = [replace(built, name=name) for name in names]
    store.write_manifest(out, manifest.assemble({}, {"synthetic/bench": {}}, entries))


def seconds(action):
    """Processor seconds of an action and the processes that it starts, the median of three."""
    spent = []
    for _ in range(3):
        start = sum(os.times()[:4])
        action()
        spent.append(sum(os.times()[:4]) - start)
    return float(np.median(spent))


def quick_check(folder, shard):
    """A remark on the quick check of QUICK shards: the check alone, and the whole command."""
    out = folder / "links"
    links(out, shard, QUICK)
    alone = seconds(lambda: list(verify.verify(out, "quick", 1)))
    command = [sys.executable, "-m", "shards", "verify", str(out), "--quick"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    whole = seconds(lambda: subprocess.run(command, cwd=ROOT, check=True, **quiet))
    return (
        f"verify --quick, {QUICK} shards: {alone:.2f} core-seconds, with the start of the command "
        f"{whole:.2f} (1 at most)"
    )


def long_manifest(folder):
    """A remark on the manifest of MANY shards; last, for memory is measured at its highest."""
    first = manifest.ShardEntry(
        "", "synthetic/bench", "train", 42_000_000, "", 1000, {"genuine/sensor": 1000}
    )
    entries = [
        replace(
            first,
            name=manifest.shard_name("synthetic/bench", "train", k, MANY),
            sha256=f"{k:064x}",
        )
        for k in range(MANY)
    ]
    built = manifest.assemble({}, {"synthetic/bench": {}}, entries)
    before = peak_megabytes()
    writing = seconds(lambda: store.write_manifest(folder, built))
    reading = seconds(lambda: store.load_manifest(folder))
    size = (folder / manifest.FILE).stat().st_size / 1e6
    more = peak_megabytes() - before
    return (
        f"manifest of {MANY:,} shards: {size:.0f} MB, {writing:.1f} core-seconds to write, "
        f"{reading:.1f} to read, {more:.0f} MB of memory for both beside itself"
    )


def measure():
    """The rows of reading, decoding, loading, writing and verifying; remarks below the table."""
    encoded = [encode(pair) for pair in make_pairs(100, 0)]
    records = [encoded[k % len(encoded)] for k in range(SHARDS * RECORDS)]
    order = np.random.default_rng(0).permutation(len(records))
    batches = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        shards = build(out, records)
        loader = TrainingBatches(shards, BATCH, 0)
        next(loader)
        actions = {
            BARE: lambda: bare(out, batches),
            "ShardSet.read": lambda: [shards.read("train", batch) for batch in batches],
            "read and decode": lambda: [
                [decode(data) for data in shards.read("train", batch)] for batch in batches
            ],
            "loader, batches of 128": lambda: [next(loader) for _ in batches],
            "write and read back": lambda: build(Path(folder) / "written", records),
            "verify full": lambda: list(verify.verify(out, "full", 1)),
        }
        spent = run_in_turn(actions)
        loader.close()
        notes = [quick_check(Path(folder), next((out / "train").iterdir()))]
        notes.append(long_manifest(Path(folder)))
    aims = {"loader, batches of 128": 0.35}
    return [compare(spent, order.size, name, BARE, aims.get(name, 0.0)) for name in actions], notes


if __name__ == "__main__":
    results, remarks = measure()
    click.echo("\n".join([render(results), *remarks]))
