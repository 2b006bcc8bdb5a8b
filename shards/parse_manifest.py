"""Reading a manifest, of which nothing is trusted: types, ranges, names and sums are checked."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from shards import record
from shards.foundation.errors import Fault
from shards.json_stream import Stream
from shards.manifest import (
    COUNT_KEYS,
    PARTITION,
    SCHEMA,
    SHA256,
    Manifest,
    Partition,
    ShardEntry,
    count_kinds,
    json_sha256,
    parse_name,
)

PIECE = 1 << 20  # bytes of the file in memory at a time
LONGEST = 200  # bytes of the two lines before what the checksum is of
T = TypeVar("T")


def parse(file: BinaryIO) -> tuple[Manifest | None, list[str]]:
    """The manifest in an open file and all that is wrong with it, an entry at a time in memory.

    Of a faulty manifest the entries that are sound by themselves are kept, so that their files can
    be checked; None where nothing can be kept.
    """
    total = hashlib.sha256()
    pieces = _pieces(file, total.update)
    try:
        top, partitions, shards, faults = _members(Stream(lambda: next(pieces, b"")))
    except (ValueError, RecursionError) as error:
        return None, [f"is no JSON: {error}"[:300]]
    if type(top.get("schema")) is int and top["schema"] != SCHEMA:
        return None, [
            f"has schema version {top['schema']}, this program reads {SCHEMA}; the command that "
            "built the set writes it anew and keeps its shards"
        ]
    try:
        _check_types(top, _TOP)
        spec_hash = json_sha256(top["spec"])
    except (Fault, ValueError, RecursionError) as error:
        return None, [f"is no manifest: {error}"[:300]]
    if top["checksum"] != total.hexdigest():
        faults.insert(0, "was changed after it was written (checksum)")
    if top["record_version"] != record.VERSION:
        faults.append(f"has record version {top['record_version']}, expected {record.VERSION}")
    if top["spec_hash"] != spec_hash:
        faults.append("has a spec_hash that is not the hash of its spec")
    manifest = Manifest(top["spec"], partitions, tuple(sorted(shards, key=lambda s: s.name)))
    return manifest, faults + _contradictions(manifest)


_TOP: dict[str, type] = {
    "checksum": str,
    "schema": int,
    "record_version": int,
    "spec": dict,
    "spec_hash": str,
    "partitions": dict,
    "shards": list,
}


def _pieces(file: BinaryIO, after_head: Callable[[bytes], None]) -> Iterator[bytes]:
    """The bytes of the file, each after the first two lines told of."""
    yield file.readline(LONGEST)
    yield file.readline(LONGEST)
    while piece := file.read(PIECE):
        after_head(piece)
        yield piece


def _members(
    stream: Stream,
) -> tuple[dict[str, Any], dict[str, Partition], list[ShardEntry], list[str]]:
    """The members of the manifest's object, then its sound partitions, shards, and the faults."""
    top: dict[str, Any] = {}
    partitions: dict[str, Partition] = {}
    shards: list[ShardEntry] = []
    faults: list[str] = []
    for key in stream.members():
        if key == "partitions" and stream.peek() == "{":
            top[key] = {}
            for name in stream.members():
                where = f"partition {name[:80]!r}"
                if part := _attempt(_partition, (name, stream.value()), where, faults):
                    partitions[name] = part
        elif key == "shards" and stream.peek() == "[":
            top[key] = []
            for number in stream.items():
                if entry := _attempt(_shard, stream.value(), f"shards[{number}]", faults):
                    shards.append(entry)
        else:
            top[key] = stream.value()
    stream.end()
    return top, partitions, shards, faults


def _attempt(read: Callable[[Any], T], item: Any, where: str, faults: list[str]) -> T | None:
    try:
        return read(item)
    except Fault as fault:
        faults.append(f"{where} {fault}")
        return None


def _check_types(item: Any, expected: dict[str, type]) -> None:
    if not isinstance(item, dict) or set(item) != set(expected):
        found = sorted(item) if isinstance(item, dict) else type(item).__name__
        raise Fault(f"holds {str(found)[:200]}, expected {sorted(expected)}")
    for key, kind in expected.items():
        if type(item[key]) is not kind:
            raise Fault(f"has {key} {item[key]!r:.80}, expected {kind.__name__}")
        if kind is int and not 0 <= item[key] < 2**63:
            raise Fault(f"has {key} {str(item[key])[:80]}, out of range")


def _shard(item: Any) -> ShardEntry:
    texts = dict.fromkeys(("name", "partition", "split", "sha256"), str)
    _check_types(item, {**texts, "bytes": int, "records": int, "counts": dict})
    partition, split, _, _ = parse_name(item["name"])
    if (partition, split) != (item["partition"], item["split"]):
        raise Fault(f"names {item['name']} but {item['partition']!r:.80}, {item['split']!r:.20}")
    if not SHA256.fullmatch(item["sha256"]):
        raise Fault(f"has sha256 {item['sha256']!r:.80}, expected 64 hexadecimal digits")
    _check_types(item["counts"], dict.fromkeys(COUNT_KEYS & set(item["counts"]), int))
    if sum(item["counts"].values()) != item["records"]:
        raise Fault(f"has counts that do not add up to its {item['records']} records")
    # the same few texts over and over: one of each is kept
    counts = {sys.intern(sort): n for sort, n in item["counts"].items()}
    few = {"partition": sys.intern(partition), "split": sys.intern(split), "counts": counts}
    return ShardEntry(**{**item, **few})


def _partition(named: tuple[str, Any]) -> Partition:
    name, item = named
    if not PARTITION.fullmatch(name):
        raise Fault("is no partition name; expected one like sd302/U")
    _check_types(item, {"source_hash": str, "images": int, "counts": dict})
    if not SHA256.fullmatch(item["source_hash"]):
        raise Fault(f"has source_hash {item['source_hash']!r:.80}, expected a sha256")
    return Partition(**item)


def _contradictions(manifest: Manifest) -> list[str]:
    """What no entry shows by itself: double names, missing numbers, sums, unknown partitions."""
    faults = []
    names = Counter(entry.name for entry in manifest.shards)
    faults += [f"lists {name} {n} times" for name, n in names.items() if n > 1]
    groups: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for name in names:
        partition, split, index, total = parse_name(name)
        groups[partition, split].append((index, total))
    for (partition, split), numbers in sorted(groups.items()):
        total = numbers[0][1]
        if len(numbers) != total or any(t != total for _, t in numbers):
            faults.append(f"lists {len(numbers)} shards of {partition} {split}, not all of one set")
        if partition not in manifest.partitions:
            faults.append(f"lists shards of {partition}, which it does not describe")
    counts = count_kinds(manifest.shards)
    for name, item in manifest.partitions.items():
        if item.counts != counts[name]:
            faults.append(f"gives {name} counts that its shards do not add up to")
    return faults
