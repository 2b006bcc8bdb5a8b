"""Choice of partitions: whole data sets, patterns, all that is on disk, those of a shard set."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.sources import own
from shards import manifest, store
from shards.foundation import files
from shards.foundation.errors import Misuse

FOUND = "found"  # every partition that is on disk
WILDCARDS = frozenset("*?[")


def is_choice(name: str) -> bool:
    """Return whether a name stands for several partitions: "sd302", "sd302/*" or "found"."""
    return "/" not in name or bool(WILDCARDS & set(name))


def expand(names: Sequence[str], available: Iterable[str]) -> list[str]:
    """Replace the names that stand for several partitions by those that are on disk.

    Args:
        names: names of partitions; a data set ("sd302"), a pattern ("sd302/*") or "found".
        available: partitions on disk.

    Returns:
        Names of partitions, each once.

    Raises:
        Misuse: a data set or a pattern stands for no partition on disk.
    """
    on_disk = sorted(available)
    chosen: dict[str, None] = {}
    for name in names:
        matches = _matching(name, on_disk) if is_choice(name) else [name]
        if not matches:
            raise Misuse(f"{name}: no such partition on disk; there are {', '.join(on_disk)}")
        chosen |= dict.fromkeys(matches)
    return list(chosen)


def _matching(name: str, partitions: Sequence[str]) -> list[str]:
    if name == FOUND:
        return list(partitions)
    pattern = (name if "/" in name else f"{name}/*").casefold()
    return [
        partition for partition in partitions if fnmatch.fnmatchcase(partition.casefold(), pattern)
    ]


def of_shard_set(out: Path) -> tuple[str, ...]:
    """Return the partitions of the shard set in a folder that one command builds again.

    Empty where there is no set yet. Anyone's own images are built by a command of their own each;
    they count where nothing else is in the set.
    """
    if not files.is_file(out / manifest.FILE):
        return ()
    partitions = sorted(store.load_manifest(out).partitions)
    others = [name for name in partitions if not name.startswith(f"{own.DATA_SET}/")]
    return tuple(others or partitions)
