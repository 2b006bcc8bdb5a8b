"""The manifest of a shard set: what it was built from and what each of its files must be.

Its bytes follow from the set alone: sorted keys, no time, no host, no absolute path. A shard is a
line of 260 bytes; the images, of which there are many more, have files of their own
(shards.provenance). What is read is trusted in nothing: see shards.parse_manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shards import provenance, record
from shards.foundation.errors import Fault

SCHEMA = 2  # 1 held the images too
FILE = "manifest.json"
SPLITS = ("train", "val", "test")
COUNT_KEYS = frozenset(f"{kind}/{noise}" for kind in record.KINDS for noise in record.NOISES)
_NAME = re.compile(
    r"(train|val|test)/([a-z0-9]{1,20})-([A-Za-z0-9_.-]{1,100})-(\d{5,9})-of-(\d{5,9})\.arrayrecord",
    re.ASCII,
)
PARTITION = re.compile(r"[a-z0-9]{1,20}/[A-Za-z0-9_.-]{1,100}", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """What one shard file must be; slots, for there may be 100,000 of them."""

    name: str  # posix path relative to the set's folder, as `shard_name` gives it
    partition: str
    split: str  # of SPLITS
    bytes: int
    sha256: str
    records: int
    counts: dict[str, int]  # "kind/noise" → records

    def to_json(self) -> dict[str, Any]:
        """Name → value, as they stand in JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class Partition:
    """What a partition was built from, and how many pairs came of it."""

    source_hash: str  # of all image ids and the sha256 of their files, see shards.sources
    images: int
    counts: dict[str, dict[str, int]]  # split → kind → records


@dataclass(frozen=True)
class Manifest:
    """A whole set. `spec`: what its bytes depend on beside the images, as plain JSON values."""

    spec: dict[str, Any]
    partitions: dict[str, Partition]
    shards: tuple[ShardEntry, ...]  # sorted by name

    @property
    def spec_hash(self) -> str:
        """sha256 of the spec, the same whatever the order of its keys."""
        return json_sha256(self.spec)


def assemble(
    spec: Mapping[str, Any],
    images: Mapping[str, Mapping[str, str]],
    shards: Iterable[ShardEntry],
    others: Mapping[str, Partition] = MappingProxyType({}),
) -> Manifest:
    """The manifest of a finished set.

    spec: numbers, texts, lists and dicts (dataclasses.asdict of a spec will do). images: for each
    partition image id → sha256 of its file. shards: in any order.
    """
    shards = tuple(sorted(shards, key=lambda entry: entry.name))
    counts = count_kinds(shards)
    made = {
        name: Partition(provenance.source_hash(files), len(files), counts[name])
        for name, files in images.items()
    }
    return Manifest(
        json.loads(_canonical(dict(spec))), dict(sorted({**others, **made}.items())), shards
    )


def json_sha256(value: Any) -> str:
    """sha256 of a JSON value; ValueError or TypeError where it is none."""
    return hashlib.sha256(_canonical(value)).hexdigest()


def shard_name(partition: str, split: str, index: int, total: int) -> str:
    """The file of shard `index` of `total`, relative to the set: train/sd302-U-00003-of-00012…

    Fault where the partition's name makes no safe file name.
    """
    name = f"{split}/{partition.replace('/', '-', 1)}-{index:05d}-of-{total:05d}.arrayrecord"
    if not PARTITION.fullmatch(partition) or not _NAME.fullmatch(name) or index >= total:
        raise Fault(f"{name}: no name for a shard; a partition is like sd302/U, letters and digits")
    return name


def parse_name(name: str) -> tuple[str, str, int, int]:
    """(partition, split, index, total) of a shard's name; Fault where it is no such name."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[4]) >= int(match[5]):
        raise Fault(
            f"{name!r:.120} is no shard name; expected {{train,val,test}}/"
            "<dataset>-<partition>-00003-of-00012.arrayrecord within the set's folder"
        )
    return f"{match[2]}/{match[3]}", match[1], int(match[4]), int(match[5])


def to_bytes(manifest: Manifest) -> bytes:
    """The bytes of manifest.json: a line a partition and a shard."""
    return serialize(
        {
            "schema": SCHEMA,
            "record_version": record.VERSION,
            "spec": manifest.spec,
            "spec_hash": manifest.spec_hash,
            "partitions": {name: vars(item) for name, item in sorted(manifest.partitions.items())},
            "shards": [entry.to_json() for entry in manifest.shards],
        }
    )


def serialize(top: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest's members: two lines, then those that their checksum is of."""
    members = []
    for key, value in top.items():
        if key == "shards" and isinstance(value, list):
            text = "[\n" + ",\n".join(_canonical(item).decode() for item in value) + "\n]"
        elif key == "partitions" and isinstance(value, dict):
            lines = (f"{json.dumps(k)}:{_canonical(item).decode()}" for k, item in value.items())
            text = "{\n" + ",\n".join(lines) + "\n}"
        else:
            text = _canonical(value).decode()
        members.append(f"{json.dumps(key)}:{text}")
    rest = (",\n".join(members) + "\n}\n").encode()
    return f'{{\n"checksum":"{hashlib.sha256(rest).hexdigest()}",\n'.encode() + rest


def count_kinds(shards: Iterable[ShardEntry]) -> dict[str, dict[str, dict[str, int]]]:
    """partition → split → kind → records."""
    counts: dict[str, Any] = defaultdict(lambda: defaultdict(Counter))
    for entry in shards:
        for sort, n in entry.counts.items():
            counts[entry.partition][entry.split][sort.partition("/")[0]] += n
    return defaultdict(dict, json.loads(json.dumps(counts)))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
