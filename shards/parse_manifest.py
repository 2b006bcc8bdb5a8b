"""Read a manifest and check all of it: types, ranges, names, sums and hashes.

The file may come from anywhere. Entries are read one by one, so that the text of a long manifest
is never in memory at once.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

from shards import record
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.json_stream import Stream
from shards.manifest import (
    COUNT_KEYS,
    PARTITION_PATTERN,
    SCHEMA,
    SHA256_PATTERN,
    Manifest,
    Partition,
    ShardEntry,
    count_kinds,
    json_sha256,
    parse_name,
)

MEMBER_TYPES: dict[str, type] = {
    "checksum": str,
    "schema": int,
    "record_version": int,
    "spec": dict,
    "spec_hash": str,
    "partitions": dict,
    "shards": list,
}
PARTITION_TYPES: dict[str, type] = {
    "source_hash": str,
    "images": int,
    "counts": dict,
    "libraries": dict,
}
SHARD_TYPES: dict[str, type] = {
    "name": str,
    "partition": str,
    "split": str,
    "sha256": str,
    "bytes": int,
    "records": int,
    "counts": dict,
}

T = TypeVar("T")


@dataclass(frozen=True)
class ParseParameters:
    """Limits of reading and of messages."""

    head_bytes: int = 200  # of each of the two lines before the checked text: they have 2 and 78
    message_characters: int = 300  # of one fault; chosen: four lines


DEFAULT = ParseParameters()


@dataclass
class _Content:
    """The members of a manifest's JSON object, apart from damaged entries."""

    members: dict[str, Any] = field(default_factory=dict)  # partitions and shards are empty here
    partitions: dict[str, Partition] = field(default_factory=dict)
    shards: list[ShardEntry] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # of damaged entries


def parse(file: BinaryIO) -> tuple[Manifest | None, list[str]]:
    """Read a manifest from an open file.

    Returns:
        The manifest and the messages of all its faults. A faulty manifest contains the entries
        that are valid by themselves, so that their files can be checked. It is None where nothing
        can be used.
    """
    sha256 = hashlib.sha256()
    pieces = _pieces(file, sha256.update)
    try:
        content = _read_content(Stream(lambda: next(pieces, b"")))
    except (ValueError, RecursionError) as error:
        return None, [f"is not JSON: {error}"[: DEFAULT.message_characters]]
    members = content.members
    if type(members.get("schema")) is int and members["schema"] != SCHEMA:
        return None, [
            f"has schema version {members['schema']}, expected {SCHEMA}; the command that built "
            "the set writes the manifest again and keeps the shards"
        ]
    try:
        _check_types(members, MEMBER_TYPES)
        spec_hash = json_sha256(members["spec"])
    except (Fault, ValueError, RecursionError) as error:
        return None, [f"is not a manifest: {error}"[: DEFAULT.message_characters]]
    shards = sorted(content.shards, key=lambda entry: entry.name)
    manifest = Manifest(members["spec"], content.partitions, tuple(shards))
    faults = _check_members(members, sha256.hexdigest(), spec_hash)
    return manifest, faults + content.faults + _check_sums(manifest)


def _pieces(file: BinaryIO, after_head: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield the file's bytes; call `after_head` with those after the first two lines."""
    yield file.readline(DEFAULT.head_bytes)
    yield file.readline(DEFAULT.head_bytes)
    for piece in files.read_pieces(file):
        after_head(piece)
        yield piece


def _read_content(stream: Stream) -> _Content:
    content = _Content()
    for key in stream.members():
        if key == "partitions" and stream.peek() == "{":
            content.members[key] = {}
            for name in stream.members():
                where = f"partition {name[:80]!r}"
                item = (name, stream.value())
                if partition := _try_to_read(_read_partition, item, where, content.faults):
                    content.partitions[name] = partition
        elif key == "shards" and stream.peek() == "[":
            content.members[key] = []
            for number in stream.items():
                where = f"shards[{number}]"
                if entry := _try_to_read(_read_shard, stream.value(), where, content.faults):
                    content.shards.append(entry)
        else:
            content.members[key] = stream.value()
    stream.end()
    return content


def _try_to_read(read: Callable[[Any], T], item: Any, where: str, faults: list[str]) -> T | None:
    """Return read(item), or None after adding its fault to `faults`."""
    try:
        return read(item)
    except Fault as fault:
        faults.append(f"{where} {fault}")
        return None


def _read_partition(named: tuple[str, Any]) -> Partition:
    name, item = named
    if not PARTITION_PATTERN.fullmatch(name):
        raise Fault("is not a partition's name; expected one like sd302/U")
    if isinstance(item, dict):
        item.setdefault("libraries", {})  # manifests of earlier versions have none
    _check_types(item, PARTITION_TYPES)
    if not SHA256_PATTERN.fullmatch(item["source_hash"]):
        raise Fault(f"has source_hash {item['source_hash']!r:.80}, expected a sha256")
    _check_types(item["libraries"], dict.fromkeys(item["libraries"], str))
    return Partition(**item)


def _read_shard(item: Any) -> ShardEntry:
    _check_types(item, SHARD_TYPES)
    partition, split, _, _ = parse_name(item["name"])
    if (partition, split) != (item["partition"], item["split"]):
        raise Fault(f"names {item['name']} but {item['partition']!r:.80}, {item['split']!r:.20}")
    if not SHA256_PATTERN.fullmatch(item["sha256"]):
        raise Fault(f"has sha256 {item['sha256']!r:.80}, expected 64 hexadecimal digits")
    _check_types(item["counts"], dict.fromkeys(COUNT_KEYS & set(item["counts"]), int))
    if sum(item["counts"].values()) != item["records"]:
        raise Fault(f"has counts that do not add up to its {item['records']} records")
    # All entries repeat a few texts; interning keeps one copy of each in memory.
    counts = {sys.intern(key): number for key, number in item["counts"].items()}
    shared = {"partition": sys.intern(partition), "split": sys.intern(split), "counts": counts}
    return ShardEntry(**{**item, **shared})


def _check_types(item: Any, expected: dict[str, type]) -> None:
    """Check that `item` is an object with the keys of `expected` and values of its types."""
    if not isinstance(item, dict) or set(item) != set(expected):
        keys = sorted(item) if isinstance(item, dict) else type(item).__name__
        raise Fault(f"contains {str(keys)[:200]}, expected {sorted(expected)}")
    for key, kind in expected.items():
        if type(item[key]) is not kind:
            raise Fault(f"has {key} {item[key]!r:.80}, expected {kind.__name__}")
        if kind is int and not 0 <= item[key] < 2**63:
            raise Fault(f"has {key} {str(item[key])[:80]}, out of range")


def _check_members(members: dict[str, Any], checksum: str, spec_hash: str) -> list[str]:
    faults = []
    if members["checksum"] != checksum:
        faults.append("was changed after it was written (checksum)")
    if members["record_version"] != record.VERSION:
        faults.append(f"has record version {members['record_version']}, expected {record.VERSION}")
    if members["spec_hash"] != spec_hash:
        faults.append("has a spec_hash that is not the hash of its spec")
    return faults


def _check_sums(manifest: Manifest) -> list[str]:
    """Check entries against each other: repeated names, missing numbers, sums, partitions."""
    names = Counter(entry.name for entry in manifest.shards)
    faults = [f"lists {name} {number} times" for name, number in names.items() if number > 1]
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)  # totals in the shards' names
    for name in names:
        partition, split, _, total = parse_name(name)
        groups[partition, split].append(total)
    for (partition, split), totals in sorted(groups.items()):
        if len(totals) != totals[0] or len(set(totals)) > 1:
            faults.append(f"lists {len(totals)} shards of {partition} {split}, not all of one set")
        if partition not in manifest.partitions:
            faults.append(f"lists shards of {partition}, which it does not describe")
    counts = count_kinds(manifest.shards)
    for name, item in manifest.partitions.items():
        if item.counts != counts[name]:
            faults.append(f"gives {name} counts that its shards do not add up to")
    return faults
