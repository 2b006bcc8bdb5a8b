"""Shard files on disk: written whole or not at all, read in bulk, checked whenever opened."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from shards import manifest as manifests
from shards import provenance, record
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.manifest import Manifest, ShardEntry
from shards.parse_manifest import parse

WRITER_OPTIONS = "group_size:1,uncompressed"  # random reads one record at a time
READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"  # the same, and no thread pool
OPEN_READERS = 128  # a thread
SHOWN = 5  # faults in one message


def write_shard(
    path: Path, records: Iterable[bytes], announce: Callable[[ShardEntry], None] = lambda _: None
) -> ShardEntry:
    """Write OUT/<split>/<name> at once or not at all, and read it back.

    Nothing of a shard is durable before it is closed, so it is written under a temporary name
    (hidden, ends in .tmp), read back in full, synced and then renamed. `announce` is told its
    entry just before, when no earlier shard has the name any more. Fault where the disk or the
    records do not allow it; what `records` or `announce` raises passes through.
    """
    manifests.parse_name(_name(path))
    with files.temporary_file(path, durable=True) as temporary:
        _write(temporary, path, records)
        entry = _describe(temporary, path)
        with files.report_write_errors(path):
            path.unlink(missing_ok=True)
        announce(entry)
        return entry


def describe_shard(path: Path) -> ShardEntry:
    """The manifest entry of the finished shard OUT/<split>/<name>, every record's checksum held.

    Fault where the file is no sound shard.
    """
    return _describe(path, path)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write OUT/manifest.json atomically; after the shards, as the word that they are complete."""
    data = manifests.to_bytes(manifest)
    files.write_bytes(directory / manifests.FILE, data, durable=True)


def remove_manifest(directory: Path) -> None:
    """Remove OUT/manifest.json, if it is there, durably: before a shard that it lists changes."""
    path = directory / manifests.FILE
    with files.report_write_errors(path):
        path.unlink(missing_ok=True)
        files.sync(directory)


def write_sources(directory: Path, images: Mapping[str, Mapping[str, str]]) -> None:
    """Write OUT/sources/<partition>.jsonl of each partition, before the manifest that names them.

    images: partition → image id → sha256 of its file. What is there with these bytes stays.
    """
    for partition, hashes in images.items():
        path, data = directory / provenance.file_name(partition), provenance.to_bytes(hashes)
        if not path.is_file() or path.read_bytes() != data:
            files.write_bytes(path, data, durable=True)


def inspect_manifest(directory: Path) -> tuple[Manifest | None, list[str]]:
    """The manifest of a set and all that is wrong with it; Misuse where there is no set."""
    path = directory / manifests.FILE
    if not path.is_file():
        raise Misuse(
            f"{directory}: no shard set here (no {manifests.FILE}); make shards builds one"
        )
    try:
        with path.open("rb") as file:
            return parse(file)
    except OSError as error:
        return None, [f"cannot be read: {error}"]


def load_manifest(directory: Path) -> Manifest:
    """The manifest of a set; Fault that says what is wrong with it, Misuse where there is none."""
    manifest, faults = inspect_manifest(directory)
    if manifest is None or faults:
        raise Fault(_said(f"{directory / manifests.FILE}", faults))
    return manifest


def list_files(directory: Path) -> list[str]:
    """The names of all files that end like shards where those of the set lie: <split>/<name>.

    Deeper down, or beside the splits, may lie sets of their own.
    """
    return [
        f"{split}/{name}"
        for split in manifests.SPLITS
        for _, _, names in itertools.islice(os.walk(directory / split), 1)
        for name in sorted(names)
        if name.endswith(".arrayrecord")
    ]


def open_set(directory: Path) -> ShardSet:
    """The set in `directory` after the quick check of every file; Fault names what is wrong."""
    manifest = load_manifest(directory)
    root = os.path.realpath(directory)
    faults = [
        f"{entry.name} {what}" for entry in manifest.shards if (what := check_file(root, entry))
    ]
    if faults:
        raise Fault(_said(f"{directory}", faults))
    return ShardSet(directory, manifest)


def check_file(root: str, entry: ShardEntry) -> str | None:
    """What a look at its size and footer finds wrong with a shard, or None.

    root: the real path of the set's folder, which the shard must not lead out of.
    """
    path = os.path.join(root, entry.name)  # noqa: PTH118 (ten times the speed over 10⁵ shards)
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) or os.path.realpath(path) != path:
            return "is or lies behind a symbolic link; a shard must be a file within its set"
        if not stat.S_ISREG(status.st_mode):
            return "is no file"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if status.st_size != entry.bytes:
        return f"has {status.st_size} bytes, the manifest says {entry.bytes}"
    try:
        open_reader(path, entry.records).close()
    except Fault as fault:
        return str(fault)
    return None


class ShardSet:
    """Random access to the records of a set; picklable, and safe to read from several threads.

    Records of a split are numbered through all its shards, in the order of their names.
    """

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory, self.manifest = directory, manifest
        self._local = threading.local()
        self._shards = {
            split: [entry for entry in manifest.shards if entry.split == split]
            for split in manifests.SPLITS
        }
        self._starts = {
            split: np.cumsum([0, *(entry.records for entry in entries)])
            for split, entries in self._shards.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Readers stay behind: they cannot cross into another process."""
        return ShardSet, (self.directory, self.manifest)

    def count(self, split: str) -> int:
        """Number of records in a split ("train", "val", "test")."""
        return int(self._starts[split][-1])

    def shard_starts(self, split: str) -> list[tuple[int, ShardEntry]]:
        """The shards of a split, each with the number of its first record in the split."""
        return list(zip(self._starts[split].tolist(), self._shards[split], strict=False))

    def locate(self, split: str, index: int) -> tuple[ShardEntry, int]:
        """The shard that holds record `index` of a split, and the record's number in it."""
        if not 0 <= index < self.count(split):
            raise IndexError(f"record {index} of {self.count(split)} in {split}")
        shard = int(np.searchsorted(self._starts[split], index, "right")) - 1
        return self._shards[split][shard], index - int(self._starts[split][shard])

    def read(self, split: str, indices: Sequence[int]) -> list[bytes]:
        """Records of a split, in the order of `indices`; one bulk read a shard.

        Fault that names the shard where it cannot be read; IndexError out of the split.
        """
        wanted, starts = np.asarray(indices, np.int64), self._starts[split]
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= starts[-1]):
            raise IndexError(f"records {wanted.min()} to {wanted.max()} of {starts[-1]} in {split}")
        shard = np.searchsorted(starts, wanted, "right") - 1
        order = np.argsort(shard, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(shard[order])) + 1)
        found: list[bytes] = [b""] * len(wanted)
        for group in groups if len(wanted) else ():
            number = shard[group[0]]
            local = (wanted[group] - starts[number]).tolist()
            for at, data in zip(group, self._read(self._shards[split][number], local), strict=True):
                found[at] = data
        return found

    def _read(self, entry: ShardEntry, local: list[int]) -> list[bytes]:
        path = self.directory / entry.name
        readers = vars(self._local).setdefault("readers", {})
        try:
            if entry.name not in readers:
                if len(readers) >= OPEN_READERS:
                    readers.pop(next(iter(readers))).close()
                readers[entry.name] = open_reader(path, entry.records)
            return read_records(readers[entry.name], local)
        except Fault as fault:
            raise Fault(f"{path} {fault}") from fault


def read_records(reader: ArrayRecordReader, local: list[int]) -> list[bytes]:
    """Records by number, as many as asked for; Fault where the shard gives others."""
    try:
        found = reader.read(local)
    except (RuntimeError, ValueError, IndexError) as error:
        raise Fault(f"is damaged: {str(error)[:200]}") from error
    if len(found) != len(local):
        raise Fault(f"gives {len(found)} records of {len(local)}")
    return found


def scan(reader: ArrayRecordReader) -> Iterator[tuple[int, bytes]]:
    """(number, record) of a whole shard, a few at a time in memory."""
    total = reader.num_records()
    for start in range(0, total, 128):
        numbers = range(start, min(start + 128, total))
        yield from zip(numbers, read_records(reader, list(numbers)), strict=True)


def open_reader(path: str | Path, records: int | None = None) -> ArrayRecordReader:
    """A reader whose footer holds; Fault where it does not or counts other than `records`."""
    try:
        reader = ArrayRecordReader(str(path), READER_OPTIONS)
    except (RuntimeError, ValueError) as error:
        raise Fault(f"cannot be opened: {str(error)[:200]}") from error
    if not reader.ok():  # a damaged footer raises nothing
        raise Fault("is damaged: it has no valid ArrayRecord footer")
    if records is not None and reader.num_records() != records:
        raise Fault(f"has {reader.num_records()} records, the manifest says {records}")
    return reader


def _name(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _write(temporary: Path, path: Path, records: Iterable[bytes]) -> None:
    with _report_write_errors(path):
        writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
    try:
        for data in records:
            with _report_write_errors(path):
                writer.write(data)
    finally:
        with _report_write_errors(path):
            writer.close()  # a full disk raises here and not before


def _report_write_errors(path: Path) -> contextlib.AbstractContextManager[None]:
    """Turn the errors of the ArrayRecord writer into a Fault that names the file."""
    return files.report_write_errors(path, (OSError, RuntimeError))


def _describe(file: Path, path: Path) -> ShardEntry:
    """The entry of what lies in `file` and is called, or will be, `path`."""
    partition, split, _, _ = manifests.parse_name(_name(path))
    try:
        reader = open_reader(file)
        counts = _count(reader)
        reader.close()
        sha256 = files.sha256(file)
        size = file.stat().st_size
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error}") from error
    except Fault as fault:
        raise Fault(f"{path} {fault}") from fault
    total = sum(counts.values())
    return ShardEntry(_name(path), partition, split, size, sha256, total, counts)


def _count(reader: ArrayRecordReader) -> dict[str, int]:
    """Records by "kind/noise"; Fault that names the first one that does not hold its checksum."""
    counts: Counter[str] = Counter()
    for number, data in scan(reader):
        try:
            counts["/".join(record.kind_and_noise(data))] += 1
        except Fault as fault:
            raise Fault(f"record {number} {fault}") from fault
    return dict(sorted(counts.items()))


def _said(where: str, faults: list[str]) -> str:
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return f"{where}: {'; '.join(faults[:SHOWN])}{more} (python -m shards verify lists all)"
