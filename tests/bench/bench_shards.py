"""Speed of the shard format: python tests/bench/bench_shards.py

Every figure is the best of several runs on one core, and a ratio to a floor of the same run, so
that machines and their load compare: bare bulk reads by array_record of the same random records.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click  # noqa: E402
import numpy as np  # noqa: E402
from array_record.python.array_record_module import ArrayRecordReader  # noqa: E402
from pairs import make_pairs  # noqa: E402

from shards import manifest, store, verify  # noqa: E402
from shards.record import decode, encode  # noqa: E402

SHARDS, RECORDS, BATCH, RUNS = 10, 500, 128, 5


def best(action, runs=RUNS):
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def build(out, records):
    """A set of SHARDS shards; seconds that it took to write and read back."""
    names = [manifest.shard_name("synthetic/bench", "train", k, SHARDS) for k in range(SHARDS)]
    start = time.perf_counter()
    entries = [
        store.write_shard(out / name, records[k * RECORDS : (k + 1) * RECORDS])
        for k, name in enumerate(names)
    ]
    spent = time.perf_counter() - start
    store.write_manifest(out, manifest.assemble({}, {"synthetic/bench": {}}, entries))
    return spent


def bare(out, batches):
    """The floor: the same records by array_record alone, one bulk read a shard."""
    paths = sorted((out / "train").glob("*.arrayrecord"))
    readers = [ArrayRecordReader(str(path), store.READER_OPTIONS) for path in paths]
    for batch in batches:
        for k in np.unique(batch // RECORDS):
            readers[k].read((batch[batch // RECORDS == k] % RECORDS).tolist())


def main():
    """Measure and say."""
    pairs = make_pairs(100, 0)
    encoded = [encode(pair) for pair in pairs]
    total = SHARDS * RECORDS
    records = [encoded[k % len(encoded)] for k in range(total)]
    order = np.random.default_rng(0).permutation(total)
    batches = np.array_split(order, total // BATCH)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        spent = build(out, records)
        shards = store.open_set(out)
        floor = best(lambda: bare(out, batches))
        read = best(lambda: [shards.read("train", batch) for batch in batches])
        full = best(
            lambda: [[decode(data) for data in shards.read("train", batch)] for batch in batches]
        )
        opened = best(lambda: store.open_set(out))
        verified = {
            level: best(lambda level=level: list(verify.verify(out, level, workers=1)), 1)
            for level in ("quick", "full")
        }
    click.echo(f"encode                {best(lambda: [*map(encode, pairs)]) * 1e4:8.1f} µs a pair")
    click.echo(
        f"decode                {best(lambda: [*map(decode, encoded)]) * 1e4:8.1f} µs a pair"
    )
    click.echo(f"write and read back   {total / spent:8,.0f} pairs/s")
    click.echo(f"bare bulk reads       {total / floor:8,.0f} pairs/s, the floor")
    click.echo(
        f"ShardSet.read         {total / read:8,.0f} pairs/s, {floor / read:.2f} of the floor"
    )
    click.echo(
        f"read and decode       {total / full:8,.0f} pairs/s, {floor / full:.2f} of the floor"
    )
    click.echo(f"open with quick check {opened / SHARDS * 1e3:8.2f} ms a shard")
    for level, seconds in verified.items():
        click.echo(f"verify {level:14} {total / seconds:8,.0f} pairs/s")


if __name__ == "__main__":
    main()
