"""Table of a shard set by partition and split: planned (--dry-run) or built."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from pipeline import plan
from pipeline.building import estimate
from pipeline.plan import ShardPlan
from pipeline.spec import PipelineSpec
from shards.foundation.printable import counted
from shards.foundation.text_table import format_table
from shards.manifest import SPLITS, ShardEntry
from shards.record import KINDS, NOISES

COLUMNS = ("shards", "images", *KINDS, *NOISES[1:], "pairs", "MB")
Rows = dict[tuple[str, str], Counter[str]]  # (partition, split) → quantity → number


def count_planned(shards: Iterable[ShardPlan], spec: PipelineSpec) -> tuple[Rows, list[str]]:
    """Count what planned shards will hold.

    Returns:
        rows: shards, images, pairs by kind, bytes, synthesized images and fingers.
        remarks: a line per shard without impostor pairs.
    """
    rows: Rows = defaultdict(Counter)
    remarks = []
    for shard in shards:
        counts = plan.count_pairs(shard, spec)
        pairs = sum(counts.values())
        row = rows[shard.partition, shard.split]
        row.update(counts)
        row.update(shards=1, pairs=pairs, bytes=estimate.shard_bytes(pairs, spec))
        row["images"] += len(shard.images)
        synthesized = [image for image in shard.images if image.generator_address]
        row["synthesized images"] += len(synthesized)
        row["synthesized fingers"] += len({image.finger for image in synthesized})
        if "impostor" not in counts:
            remarks.append(f"{shard.partition} {shard.split}: one finger, hence no impostor pairs")
    return rows, remarks


def count_built(entries: Iterable[ShardEntry]) -> Rows:
    """Count what built shards hold: shards, pairs by kind and degradation, bytes."""
    rows: Rows = defaultdict(Counter)
    for entry in entries:
        row = rows[entry.partition, entry.split]
        row.update(shards=1, pairs=entry.records, bytes=entry.bytes)
        for kind_and_noise, count in entry.counts.items():
            row.update(dict.fromkeys(kind_and_noise.split("/"), count))
    return rows


def format_time(rows: Rows, workers: int) -> str:
    """Return a line with the estimated time of a build on `workers` cores."""
    total = _sum(rows.values())
    time = estimate.build_time(
        total["pairs"], total["synthesized fingers"], total["synthesized images"], workers
    )
    return f"about {time} on {counted(workers, 'core')}"


def format_rows(rows: Rows) -> str:
    """Format the rows by partition and split, then sums of all partitions; no columns of zeros."""
    total = _sum(rows.values())
    columns = [column for column in COLUMNS if total[column] or column == "MB"]
    lines = [["partition", "split", *columns]]
    for partition, split in sorted(rows, key=lambda key: (key[0], SPLITS.index(key[1]))):
        lines.append([partition, split, *_cells(rows[partition, split], columns)])
    for split in SPLITS:
        of_split = [row for key, row in rows.items() if key[1] == split]
        if of_split:
            lines.append(["all", split, *_cells(_sum(of_split), columns)])
    lines.append(["all", "", *_cells(total, columns)])
    return format_table(lines, left=(0, 1))


def _sum(rows: Iterable[Counter[str]]) -> Counter[str]:
    return sum(rows, Counter())


def _cells(row: Counter[str], columns: Iterable[str]) -> list[str]:
    return [
        f"{row['bytes'] / 1e6:,.1f}" if column == "MB" else f"{row[column]:,}" for column in columns
    ]
