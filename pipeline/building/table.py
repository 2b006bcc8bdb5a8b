"""The table that a build ends with, and that --dry-run shows instead of building."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta

from pipeline import plan
from pipeline.building.build import size
from pipeline.plan import ShardPlan
from pipeline.spec import PipelineSpec
from shards.foundation.text_table import format_table
from shards.manifest import SPLITS, ShardEntry
from shards.record import KINDS, NOISES

SECONDS_A_PAIR = 0.0015  # of a core, measured by tests/bench/bench_build.py
SECONDS_A_FINGER, SECONDS_A_DRAWING = 0.24, 0.03  # by tests/bench/bench_synthesis.py
COLUMNS = ("shards", "images", *KINDS, *NOISES[1:], "pairs", "MB")
Rows = dict[tuple[str, str], Counter[str]]  # (partition, split) → column → number


def planned(shards: Iterable[ShardPlan], spec: PipelineSpec) -> tuple[Rows, list[str]]:
    """What shards will hold, and what is remarkable about it."""
    rows: Rows = defaultdict(Counter)
    alone = []
    for shard in shards:
        counts = plan.count_pairs(shard, spec)
        pairs = sum(counts.values())
        row = rows[shard.partition, shard.split]
        row.update({**counts, "shards": 1, "pairs": pairs, "bytes": size(pairs, spec)})
        row["images"] += len(shard.images)
        drawn = [image for image in shard.images if image.generator_address]
        row.update(drawings=len(drawn), skins=len({image.finger for image in drawn}))
        if "impostor" not in counts:
            alone.append(f"{shard.partition} {shard.split}: one finger, hence no impostor pairs")
    return rows, alone


def estimate(rows: Rows, workers: int) -> str:
    """How long the pairs of these rows take to build, about."""
    total: Counter[str] = sum(rows.values(), Counter())
    seconds = total["pairs"] * SECONDS_A_PAIR
    seconds += total["skins"] * SECONDS_A_FINGER + total["drawings"] * SECONDS_A_DRAWING
    return f"about {timedelta(seconds=math.ceil(seconds / workers))} h:min:s on {workers} cores"


def built(entries: Iterable[ShardEntry]) -> Rows:
    """What shards hold."""
    rows: Rows = defaultdict(Counter)
    for entry in entries:
        row = rows[entry.partition, entry.split]
        row.update({"shards": 1, "pairs": entry.records, "bytes": entry.bytes})
        for sort, n in entry.counts.items():
            row.update(dict.fromkeys(sort.split("/"), n))
    return rows


def render(rows: Rows) -> str:
    """The rows by partition and split, then those of all partitions; no columns of zeros."""
    total: Counter[str] = sum(rows.values(), Counter())
    splits = [split for split in SPLITS if any(key[1] == split for key in rows)]
    sums = {s: sum((row for key, row in rows.items() if key[1] == s), Counter()) for s in splits}
    columns = [c for c in COLUMNS if total[c] or c == "MB"]
    order = sorted(rows, key=lambda key: (key[0], SPLITS.index(key[1])))
    lines = [["partition", "split", *columns]]
    lines += [[*key, *(_cell(rows[key], c) for c in columns)] for key in order]
    lines += [
        ["all", s, *(_cell(row, c) for c in columns)] for s, row in {**sums, "": total}.items()
    ]
    return format_table(lines, left=(0, 1))


def _cell(row: Counter[str], column: str) -> str:
    return f"{row['bytes'] / 1e6:,.1f}" if column == "MB" else f"{row[column]:,}"
