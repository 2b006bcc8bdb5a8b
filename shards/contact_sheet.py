"""Write a contact sheet: sampled pairs of a shard set, to judge their correspondences by eye."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.manifest import SPLITS
from shards.plot import DEFAULT, Picture, PlotParameters, plot_pair
from shards.store import ShardSet


def write_sheet(
    shards: ShardSet,
    out: Path,
    pairs: int = 16,
    partitions: Collection[str] = (),
    parameters: PlotParameters = DEFAULT,
) -> int:
    """Write a contact sheet of pairs that are sampled uniformly from all splits.

    Args:
        shards: the set.
        out: the PNG to write.
        pairs: largest number of pairs.
        partitions: names of partitions; all where it is empty.
        parameters: layout.

    Returns:
        The number of pairs on the sheet.

    Raises:
        Misuse: the set has no such partition.
        Fault: a record is damaged, the set is empty, or the file cannot be written.
    """
    tiles = []
    for split, index in sample_records(shards, pairs, partitions):
        entry, number = shards.locate(split, index)
        (pair,) = shards.pairs(split, [index])
        tiles.append(plot_pair(pair, split, f"{entry.name} record {number}", parameters))
    if not tiles:
        raise Fault("the set has no record to show")
    picture = _arrange_tiles(tiles, parameters)
    files.write_bytes(out, cv2.imencode(".png", picture)[1].tobytes(), follow_links=True)
    return len(tiles)


def sample_records(
    shards: ShardSet, pairs: int, partitions: Collection[str] = ()
) -> list[tuple[str, int]]:
    """Sample records of a set, always the same ones.

    Args:
        shards: the set, of any size: no list of all its records is made.
        pairs: number of records; all where there are fewer.
        partitions: names of partitions; all where it is empty.

    Returns:
        (split, number in the split) of each record, in order.

    Raises:
        Misuse: the set has no such partition.
    """
    names = sorted(shards.manifest.partitions)
    if missing := sorted(set(partitions) - set(names)):
        raise Misuse(
            f"{shards.directory} has no partition {', '.join(missing)}; it has {', '.join(names)}"
        )
    chosen = [
        (split, start, entry.records)
        for split in SPLITS
        for start, entry in shards.shard_starts(split)
        if not partitions or entry.partition in partitions
    ]
    ends = np.cumsum([0, *(records for _, _, records in chosen)])
    total = int(ends[-1])
    numbers = np.random.default_rng(0).choice(total, min(pairs, total), replace=False)
    records = []
    for number in np.sort(numbers).tolist():
        shard = int(np.searchsorted(ends, number, "right")) - 1
        split, start, _ = chosen[shard]
        records.append((split, start + number - int(ends[shard])))
    return records


def _arrange_tiles(tiles: list[Picture], parameters: PlotParameters) -> Picture:
    """Arrange pictures of equal size in columns; the rest of the last row is white."""
    columns, (vertical, horizontal) = parameters.columns, parameters.border
    blank = np.full_like(tiles[0], 255)
    tiles = tiles + [blank] * (-len(tiles) % columns)
    border = ((vertical, vertical), (horizontal, horizontal), (0, 0))
    padded = [np.pad(tile, border, constant_values=255) for tile in tiles]
    rows = [np.concatenate(padded[k : k + columns], 1) for k in range(0, len(tiles), columns)]
    return np.concatenate(rows)
