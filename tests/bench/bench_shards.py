"""Speed of the shard format and the loader: python tests/bench/bench_shards.py

The floor is bare bulk reading by array_record of the same random records.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click  # noqa: E402
import numpy as np  # noqa: E402
from array_record.python.array_record_module import ArrayRecordReader  # noqa: E402
from pairs import make_pairs  # noqa: E402
from race import compare, race, render  # noqa: E402

from shards import manifest, store, verify  # noqa: E402
from shards.record import decode, encode  # noqa: E402
from train.loader import TrainingBatches  # noqa: E402

SHARDS, RECORDS, BATCH = 10, 500, 128
BARE = "bare bulk reads"


def build(out, records):
    """A set of SHARDS shards of RECORDS records."""
    names = [manifest.shard_name("synthetic/bench", "train", k, SHARDS) for k in range(SHARDS)]
    entries = [
        store.write_shard(out / name, records[k * RECORDS : (k + 1) * RECORDS])
        for k, name in enumerate(names)
    ]
    store.write_manifest(out, manifest.assemble({}, {"synthetic/bench": {}}, entries))
    return store.open_set(out)


def bare(out, batches):
    """The floor: the same records by array_record alone, one bulk read a shard."""
    paths = sorted((out / "train").glob("*.arrayrecord"))
    readers = [ArrayRecordReader(str(path), store.READER_OPTIONS) for path in paths]
    for batch in batches:
        for k in np.unique(batch // RECORDS):
            readers[k].read((batch[batch // RECORDS == k] % RECORDS).tolist())


def measure():
    """The rows of reading, decoding, loading, writing and verifying."""
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
        spent = race(actions)
        loader.close()
    aims = {"loader, batches of 128": 0.35}
    return [compare(spent, order.size, name, BARE, aims.get(name, 0.0)) for name in actions]


if __name__ == "__main__":
    click.echo(render(measure()))
