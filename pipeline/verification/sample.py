"""The records of a set that are built again."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from shards.foundation.errors import Misuse
from shards.manifest import ShardEntry

PATTERN = re.compile(r"(\d+(?:\.\d+)?)%|(\d{1,18})", re.ASCII)


def count_records(text: str, total: int) -> int:
    """Return how many of `total` records a sample has.

    Args:
        text: "all", a share such as "1%" (rounded up), or a number.
        total: number of records.

    Raises:
        Misuse: the text has another form, or a share is above 100 %.
    """
    match = PATTERN.fullmatch(text)
    if text == "all":
        return total
    if match is None or (match[1] and float(match[1]) > 100):
        raise Misuse(f"--sample {text}: expected all, a share such as 1%, or a number of records")
    if match[1]:
        return math.ceil(total * float(match[1]) / 100)
    return min(total, int(match[2]))


def sample_records(entries: Sequence[ShardEntry], text: str) -> dict[str, frozenset[int]]:
    """Sample records of some shards; the same ones for the same content.

    The choice depends on the sha256 of the shards: a record that is changed changes it.

    Returns:
        Name of the shard → numbers of its records in the sample.
    """
    starts = [0, *accumulate(entry.records for entry in entries)]
    count = count_records(text, starts[-1])
    digest = hashlib.sha256("".join(entry.sha256 for entry in entries).encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
    if count == starts[-1]:
        return {entry.name: frozenset(range(entry.records)) for entry in entries}
    chosen = np.sort(rng.choice(starts[-1], count, replace=False))
    cuts = np.searchsorted(chosen, starts)
    return {
        entry.name: frozenset((chosen[cuts[k] : cuts[k + 1]] - starts[k]).tolist())
        for k, entry in enumerate(entries)
    }
