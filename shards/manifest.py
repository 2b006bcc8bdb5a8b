"""The manifest of a shard set: its sources, and the properties of each file.

Its bytes depend on the set only: keys are sorted, and there is no time, host or absolute path. A
shard takes one line of about 260 bytes; images, of which there are many more, are listed in files
of their own (shards.provenance). `shards.parse_manifest` reads and checks a manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from shards import provenance, record
from shards.foundation.errors import Fault

SCHEMA = 2  # version 1 also listed the images
FILE = "manifest.json"
SPLITS = ("train", "val", "test")
COUNT_KEYS = frozenset(f"{kind}/{noise}" for kind in record.KINDS for noise in record.NOISES)
SHARD_PATTERN = re.compile(
    r"(train|val|test)/([a-z0-9]{1,20})-([A-Za-z0-9_.-]{1,100})-(\d{5,9})-of-(\d{5,9})\.arrayrecord",
    re.ASCII,
)
PARTITION_PATTERN = re.compile(r"[a-z0-9]{1,20}/[A-Za-z0-9_.-]{1,100}", re.ASCII)
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """The properties of one shard file. Slots save memory: a set may have 100,000 shards.

    Attributes:
        name: path relative to the set's folder with "/" as separator, made by `shard_name`.
        partition: such as "sd302/U".
        split: one of SPLITS.
        bytes: size of the file.
        sha256: 64 hexadecimal digits.
        records: number of records.
        counts: number of records by "kind/noise".
    """

    name: str
    partition: str
    split: str
    bytes: int
    sha256: str
    records: int
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the entry as a JSON object of the manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class Partition:
    """Source and size of a partition.

    Attributes:
        source_hash: sha256 of the image ids and the sha256 of their files (shards.provenance).
        images: number of images.
        counts: split → kind → number of records.
        libraries: library → version with which its records were built; where several versions
            built parts of it, all of them. Empty in sets of earlier versions of this program.
    """

    source_hash: str
    images: int
    counts: dict[str, dict[str, int]]
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """A shard set.

    Attributes:
        spec: the settings that the set's bytes depend on beside the images; JSON values.
        partitions: by name.
        shards: sorted by name.
    """

    spec: dict[str, Any]
    partitions: dict[str, Partition]
    shards: tuple[ShardEntry, ...]

    @property
    def spec_hash(self) -> str:
        """sha256 of the spec, independent of the order of its keys."""
        return json_sha256(self.spec)


def assemble(
    spec: Mapping[str, Any],
    images: Mapping[str, Mapping[str, str]],
    shards: Iterable[ShardEntry],
    others: Mapping[str, Partition] = MappingProxyType({}),
    libraries: Mapping[str, dict[str, str]] = MappingProxyType({}),
) -> Manifest:
    """Make the manifest of a complete set.

    Args:
        spec: numbers, texts, lists and dicts, such as the result of dataclasses.asdict.
        images: for each partition, image id → sha256 of its file.
        shards: all shards of the set, in any order.
        others: further partitions, whose images need no reading because they are unchanged.
        libraries: for partitions, library → version with which its records were built.
    """
    shards = tuple(sorted(shards, key=lambda entry: entry.name))
    counts = count_kinds(shards)
    partitions = dict(others)
    for name, hashes in images.items():
        source_hash = provenance.source_hash(hashes)
        versions = libraries.get(name, {})
        partitions[name] = Partition(source_hash, len(hashes), counts[name], versions)
    plain_spec = json.loads(_canonical_json(dict(spec)))
    return Manifest(plain_spec, dict(sorted(partitions.items())), shards)


def json_sha256(value: Any) -> str:
    """Return the sha256 of a JSON value, independent of the order of keys.

    Raises:
        ValueError, TypeError: the value cannot be written as JSON.
    """
    return hashlib.sha256(_canonical_json(value)).hexdigest()


def shard_name(partition: str, split: str, index: int, total: int) -> str:
    """Return the path of shard `index` of `total`, relative to the set's folder.

    Such as "train/sd302-U-00003-of-00012.arrayrecord" for partition "sd302/U".

    Raises:
        Fault: the partition's name cannot be part of a file name.
    """
    numbered = f"{provenance.flat_name(partition)}-{index:05d}-of-{total:05d}"
    name = f"{split}/{numbered}.arrayrecord"
    valid = PARTITION_PATTERN.fullmatch(partition) and SHARD_PATTERN.fullmatch(name)
    if not valid or index >= total:
        raise Fault(
            f"{name}: not a valid shard name; a partition is like sd302/U, of letters and digits"
        )
    return name


def parse_name(name: str) -> tuple[str, str, int, int]:
    """Split a shard's name into (partition, split, index, total); the inverse of `shard_name`.

    Raises:
        Fault: it is not the name of a shard.
    """
    match = SHARD_PATTERN.fullmatch(name)
    if match is None or int(match[4]) >= int(match[5]):
        raise Fault(
            f"{name!r:.120} is not a shard name; expected {{train,val,test}}/"
            "<dataset>-<partition>-00003-of-00012.arrayrecord within the set's folder"
        )
    return f"{match[2]}/{match[3]}", match[1], int(match[4]), int(match[5])


def to_bytes(manifest: Manifest) -> bytes:
    """Return the bytes of manifest.json, with one line per partition and per shard."""
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


def serialize(members: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON object with `members`, after a checksum.

    The first line is "{", the second one is the member "checksum": the sha256 of all later lines.
    """
    lines = []
    for key, value in members.items():
        if key == "shards" and isinstance(value, list):
            text = "[\n" + ",\n".join(_canonical_json(item).decode() for item in value) + "\n]"
        elif key == "partitions" and isinstance(value, dict):
            items = (f"{json.dumps(k)}:{_canonical_json(v).decode()}" for k, v in value.items())
            text = "{\n" + ",\n".join(items) + "\n}"
        else:
            text = _canonical_json(value).decode()
        lines.append(f"{json.dumps(key)}:{text}")
    body = (",\n".join(lines) + "\n}\n").encode()
    return f'{{\n"checksum":"{hashlib.sha256(body).hexdigest()}",\n'.encode() + body


def count_kinds(shards: Iterable[ShardEntry]) -> defaultdict[str, dict[str, dict[str, int]]]:
    """Add up the records of shards: partition → split → kind → number."""
    counts: defaultdict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for entry in shards:
        for key, number in entry.counts.items():
            by_kind = counts[entry.partition].setdefault(entry.split, {})
            kind = key.partition("/")[0]
            by_kind[kind] = by_kind.get(kind, 0) + number
    return counts


def _canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
