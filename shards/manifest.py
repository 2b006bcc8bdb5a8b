"""The manifest of a shard set: what it was built from and what each of its files must be.

Its bytes follow from the set alone: sorted keys, no time, no host, no absolute path. What is read
is trusted in nothing: every type, range, name and sum is checked before it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from shards import record
from shards.errors import Fault

SCHEMA = 1
FILE = "manifest.json"
SPLITS = ("train", "val", "test")
SORTS = frozenset(f"{kind}/{noise}" for kind in record.KINDS for noise in record.NOISES)
_NAME = re.compile(
    r"(train|val|test)/([a-z0-9]{1,20})-([A-Za-z0-9_.-]{1,100})-(\d{5,9})-of-(\d{5,9})\.arrayrecord",
    re.ASCII,
)
_PARTITION = re.compile(r"[a-z0-9]{1,20}/[A-Za-z0-9_.-]{1,100}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True)
class ShardEntry:
    """What one shard file must be."""

    name: str  # posix path relative to the set's folder, as `shard_name` gives it
    partition: str
    split: str  # of SPLITS
    bytes: int
    sha256: str
    records: int
    counts: dict[str, int]  # "kind/noise" → records


@dataclass(frozen=True)
class Partition:
    """What a partition was built from, and how many pairs came of it."""

    source_hash: str  # of all image ids and the sha256 of their files
    images: dict[str, str]  # image id → sha256 of its file
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
        return digest(self.spec)


def assemble(
    spec: Mapping[str, Any], images: Mapping[str, Mapping[str, str]], shards: Iterable[ShardEntry]
) -> Manifest:
    """The manifest of a finished set.

    spec: numbers, texts, lists and dicts (dataclasses.asdict of a spec will do). images: for each
    partition image id → sha256 of its file. shards: in any order.
    """
    shards = tuple(sorted(shards, key=lambda entry: entry.name))
    counts = _counts(shards)
    partitions = {
        name: Partition(digest(dict(files)), dict(sorted(files.items())), counts[name])
        for name, files in sorted(images.items())
    }
    return Manifest(json.loads(_canonical(dict(spec))), partitions, shards)


def digest(value: Any) -> str:
    """sha256 of a JSON value; ValueError or TypeError where it is none."""
    return hashlib.sha256(_canonical(value)).hexdigest()


def shard_name(partition: str, split: str, index: int, total: int) -> str:
    """The file of shard `index` of `total`, relative to the set: train/sd302-U-00003-of-00012…

    Fault where the partition's name makes no safe file name.
    """
    name = f"{split}/{partition.replace('/', '-', 1)}-{index:05d}-of-{total:05d}.arrayrecord"
    if not _PARTITION.fullmatch(partition) or not _NAME.fullmatch(name) or index >= total:
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
    """The bytes of manifest.json: a line a partition and a shard, under a checksum of the rest."""
    body = _body(manifest)
    lines = [f'"checksum":"{digest(body)}"']
    for key, value in sorted(body.items()):
        if key == "shards":
            text = "[\n" + ",\n".join(_canonical(item).decode() for item in value) + "\n]"
        elif key == "partitions":
            items = (f'"{name}":{_canonical(item).decode()}' for name, item in value.items())
            text = "{\n" + ",\n".join(items) + "\n}"
        else:
            text = _canonical(value).decode()
        lines.append(f'"{key}":{text}')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def parse(data: bytes) -> tuple[Manifest | None, list[str]]:
    """The manifest in `data` and all that is wrong with it.

    Of a faulty manifest the entries that are sound by themselves are kept, so that their files can
    be checked; None where nothing can be kept.
    """
    try:
        top = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return None, [f"is no JSON: {error}"[:300]]
    if isinstance(top, dict) and type(top.get("schema")) is int and top["schema"] != SCHEMA:
        return None, [
            f"has schema version {top['schema']}, this program reads {SCHEMA}; build the set again"
        ]
    try:
        _check_types(top, {**_TOP, "checksum": str})
        claimed = top.pop("checksum")
        faults = [] if claimed == digest(top) else ["was changed after it was written (checksum)"]
    except (Fault, ValueError, RecursionError) as error:
        return None, [f"is no manifest: {error}"[:300]]
    if top["record_version"] != record.VERSION:
        faults.append(f"has record version {top['record_version']}, expected {record.VERSION}")
    if top["spec_hash"] != digest(top["spec"]):
        faults.append("has a spec_hash that is not the hash of its spec")
    read = {
        name: _attempt(_partition, (name, item), f"partition {name[:80]!r}", faults)
        for name, item in top["partitions"].items()
    }
    entries = [_attempt(_shard, s, f"shards[{k}]", faults) for k, s in enumerate(top["shards"])]
    shards = sorted((entry for entry in entries if entry is not None), key=lambda s: s.name)
    partitions = {name: item for name, item in read.items() if item is not None}
    manifest = Manifest(top["spec"], partitions, tuple(shards))
    return manifest, faults + _contradictions(manifest)


_TOP: dict[str, type] = {
    "schema": int,
    "record_version": int,
    "spec": dict,
    "spec_hash": str,
    "partitions": dict,
    "shards": list,
}


def _body(manifest: Manifest) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "record_version": record.VERSION,
        "spec": manifest.spec,
        "spec_hash": manifest.spec_hash,
        "partitions": {name: asdict(item) for name, item in sorted(manifest.partitions.items())},
        "shards": [vars(entry) for entry in manifest.shards],
    }


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        double = [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
        raise ValueError(f"the key {double[0]!r} stands twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


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
    if not _SHA256.fullmatch(item["sha256"]):
        raise Fault(f"has sha256 {item['sha256']!r:.80}, expected 64 hexadecimal digits")
    _check_types(item["counts"], dict.fromkeys(SORTS & set(item["counts"]), int))
    if sum(item["counts"].values()) != item["records"]:
        raise Fault(f"has counts that do not add up to its {item['records']} records")
    return ShardEntry(**item)


def _partition(named: tuple[str, Any]) -> Partition:
    name, item = named
    if not _PARTITION.fullmatch(name):
        raise Fault("is no partition name; expected one like sd302/U")
    _check_types(item, {"source_hash": str, "images": dict, "counts": dict})
    for image_id, sha256 in item["images"].items():
        if type(sha256) is not str or not _SHA256.fullmatch(sha256):
            raise Fault(f"has sha256 {sha256!r:.80} for image {image_id!r:.80}")
    if item["source_hash"] != digest(item["images"]):
        raise Fault("has a source_hash that is not the hash of its images")
    return Partition(**item)


def _counts(shards: Iterable[ShardEntry]) -> dict[str, dict[str, dict[str, int]]]:
    """partition → split → kind → records."""
    counts: dict[str, Any] = defaultdict(lambda: defaultdict(Counter))
    for entry in shards:
        for sort, n in entry.counts.items():
            counts[entry.partition][entry.split][sort.partition("/")[0]] += n
    return defaultdict(dict, json.loads(json.dumps(counts)))


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
    counts = _counts(manifest.shards)
    for name, item in manifest.partitions.items():
        if item.counts != counts[name]:
            faults.append(f"gives {name} counts that its shards do not add up to")
    return faults
