"""A shard set on disk: read and write its manifest, open it, read records by number."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shards import manifest as manifests
from shards import provenance
from shards.foundation import files, kaggle
from shards.foundation.errors import Fault, Misuse
from shards.manifest import SPLITS, Manifest, ShardEntry
from shards.parse_manifest import parse
from shards.record import Pair, decode
from shards.shard_file import check_file, open_reader, read_records


@dataclass(frozen=True)
class StoreParameters:
    """Limits of an open set."""

    open_readers: int = 128  # per thread; chosen: below the usual limit of 1,024 open files
    shown_faults: int = 5  # in the message of one Fault; chosen: a message of ten lines


DEFAULT = StoreParameters()


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write OUT/manifest.json atomically.

    Write it after all shards: the set is complete where the manifest exists.
    """
    data = manifests.to_bytes(manifest)
    files.write_bytes(directory / manifests.FILE, data, durable=True)


def remove_manifest(directory: Path) -> None:
    """Remove OUT/manifest.json where it exists, before a shard that it lists is changed."""
    path = directory / manifests.FILE
    with files.report_write_errors(path):
        path.unlink(missing_ok=True)
        files.sync(directory)


def write_sources(directory: Path, images: Mapping[str, Mapping[str, str]]) -> None:
    """Write OUT/sources/<partition>.jsonl of each partition, before the manifest.

    Args:
        directory: folder of the set.
        images: partition → image id → sha256 of its file. A file with this content is not written
            again.
    """
    for partition, hashes in images.items():
        path = directory / provenance.file_name(partition)
        if not files.has_sha256(path, provenance.source_hash(hashes)):
            files.write_bytes(path, provenance.to_bytes(hashes), durable=True)


def require_set(directory: Path) -> None:
    """Raise Misuse where a folder contains no shard set; reads no file."""
    if not files.is_file(directory / manifests.FILE):
        raise Misuse(
            f"{directory}: no shard set here (no {manifests.FILE});"
            " python -m pipeline build makes one"
        )


def inspect_manifest(directory: Path) -> tuple[Manifest | None, list[str]]:
    """Read the manifest of a set with all its faults; see `shards.parse_manifest.parse`.

    Raises:
        Misuse: the folder contains no set.
    """
    require_set(directory)
    try:
        with files.open_file(directory / manifests.FILE) as file:
            return parse(file)
    except OSError as error:
        return None, [f"cannot be read: {error}"]


def find_set(directory: Path, echo: Callable[[str], None], root: Path = kaggle.INPUT) -> Path:
    """Find the shard set to read: the one in a folder, else that among Kaggle's inputs.

    Args:
        directory: folder that the user named.
        echo: prints a line where another folder is taken.
        root: folder below which an earlier session's set is searched.

    Returns:
        `directory` where it holds a set or none is found, else the folder of the set below `root`.

    Raises:
        Misuse: there are several sets below `root`.
    """
    if files.is_file(directory / manifests.FILE):
        return directory
    folders = [path.parent for path in kaggle.find_files(manifests.FILE, echo, root)]
    sets = [folder for folder in folders if (folder / SPLITS[0]).is_dir()]
    if len(sets) > 1:
        raise Misuse(
            f"{directory}: no shard set here, and several below {root}: "
            f"{', '.join(map(str, sets))}; name one of them"
        )
    if sets:
        echo(f"{directory}: no shard set here; taking the one in {sets[0]}")
    return sets[0] if sets else directory


def load_manifest(directory: Path) -> Manifest:
    """Read the manifest of a set.

    Raises:
        Fault: the manifest has faults; the message lists the first ones.
        Misuse: the folder contains no set.
    """
    manifest, faults = inspect_manifest(directory)
    if manifest is None or faults:
        raise Fault(_join_faults(f"{directory / manifests.FILE}", faults))
    return manifest


def list_files(directory: Path) -> list[str]:
    """List all files in the folders of the splits that end like shards, as <split>/<name>.

    Folders below them, which may belong to other sets, are not searched.
    """
    return [
        f"{split}/{name}"
        for split in manifests.SPLITS
        for _, _, names in itertools.islice(os.walk(directory / split), 1)
        for name in sorted(names)
        if name.endswith(".arrayrecord")
    ]


def open_set(directory: Path, parameters: StoreParameters = DEFAULT) -> ShardSet:
    """Open the set in a folder after a quick check of each file (size and footer).

    Raises:
        Fault: the manifest or a shard has faults; the message lists the first ones.
        Misuse: the folder contains no set.
    """
    manifest = load_manifest(directory)
    root = os.path.realpath(directory)
    faults = [
        f"{entry.name} {message}"
        for entry in manifest.shards
        if (message := check_file(root, entry))
    ]
    if faults:
        raise Fault(_join_faults(f"{directory}", faults, parameters))
    return ShardSet(directory, manifest, parameters)


class ShardSet:
    """Random access to the records of a set.

    The records of a split are numbered from 0 through all its shards in the order of their names.
    A set can be pickled, and can be read by several threads at once.

    Attributes:
        directory: folder of the set.
        manifest: its manifest.
        parameters: limits.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, parameters: StoreParameters = DEFAULT
    ) -> None:
        self.directory, self.manifest, self.parameters = directory, manifest, parameters
        self._local = threading.local()  # the open readers of each thread
        self._shards = {
            split: [entry for entry in manifest.shards if entry.split == split]
            for split in manifests.SPLITS
        }
        self._stamps = {entry.name: _stamp(directory / entry.name) for entry in manifest.shards}
        self._starts = {
            split: np.cumsum([0, *(entry.records for entry in entries)])
            for split, entries in self._shards.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave open readers out: another process cannot use them."""
        return ShardSet, (self.directory, self.manifest, self.parameters)

    def count(self, split: str) -> int:
        """Return the number of records in a split ("train", "val", "test")."""
        return int(self._starts[split][-1])

    def shard_starts(self, split: str) -> list[tuple[int, ShardEntry]]:
        """Return the shards of a split, each with the number of its first record in the split."""
        return list(zip(self._starts[split].tolist(), self._shards[split], strict=False))

    def locate(self, split: str, index: int) -> tuple[ShardEntry, int]:
        """Return the shard of record `index` of a split, and the record's number in the shard."""
        if not 0 <= index < self.count(split):
            raise IndexError(f"record {index} of {self.count(split)} in {split}")
        shard = int(np.searchsorted(self._starts[split], index, "right")) - 1
        return self._shards[split][shard], index - int(self._starts[split][shard])

    def read(self, split: str, indices: Sequence[int]) -> list[bytes]:
        """Read records of a split, with one call per shard.

        Args:
            split: one of SPLITS.
            indices: numbers of records in the split, in any order; repetitions are allowed.

        Returns:
            The records in the order of `indices`.

        Raises:
            Fault: a shard cannot be read.
            IndexError: an index is out of range.
        """
        wanted, starts = np.asarray(indices, np.int64), self._starts[split]
        if not len(wanted):
            return []
        if wanted.min() < 0 or wanted.max() >= starts[-1]:
            raise IndexError(f"records {wanted.min()} to {wanted.max()} of {starts[-1]} in {split}")
        shards = np.searchsorted(starts, wanted, "right") - 1
        order = np.argsort(shards, kind="stable")
        records: list[bytes] = [b""] * len(wanted)
        for group in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
            shard = shards[group[0]]
            numbers = (wanted[group] - starts[shard]).tolist()
            data = self._read_shard(self._shards[split][shard], numbers)
            for position, item in zip(group, data, strict=True):
                records[position] = item
        return records

    def pairs(self, split: str, indices: Sequence[int]) -> list[Pair]:
        """Read records of a split as pairs; arguments and order as of `read`.

        Raises:
            Fault: a shard cannot be read, or a record is damaged; the message names both.
            IndexError: an index is out of range.
        """
        records = zip(indices, self.read(split, indices), strict=True)
        return [self._decode(split, index, data) for index, data in records]

    def _decode(self, split: str, index: int, data: bytes) -> Pair:
        try:
            return decode(data)
        except Fault as fault:
            entry, number = self.locate(split, index)
            raise Fault(f"{self.directory / entry.name}: record {number} {fault}") from fault

    def check_unchanged(self) -> None:
        """Raise a Fault that names a shard whose file was replaced or changed since the start.

        A file that was written again with the content of the manifest is no fault. Takes about a
        second for 10⁵ shards.
        """
        for entry in self.manifest.shards:
            self._check_unchanged(entry)

    def _check_unchanged(self, entry: ShardEntry) -> None:
        path = self.directory / entry.name
        stamp = _stamp(path)
        if stamp == self._stamps[entry.name]:
            return
        try:
            is_same = stamp is not None and files.sha256(path) == entry.sha256
        except OSError:
            is_same = False
        if not is_same:
            raise Fault(
                f"{path} was replaced or changed while the set was read; what was computed since"
                " then may rest on other data: run again on a set that stays as it is"
            )
        self._stamps[entry.name] = stamp

    def _read_shard(self, entry: ShardEntry, numbers: list[int]) -> list[bytes]:
        path = self.directory / entry.name
        readers = vars(self._local).setdefault("readers", {})
        try:
            if entry.name not in readers:
                if len(readers) >= self.parameters.open_readers:
                    readers.pop(next(iter(readers))).close()
                readers[entry.name] = open_reader(path, entry.records)
                self._check_unchanged(entry)
            return read_records(readers[entry.name], numbers)
        except Fault as fault:
            raise Fault(f"{path} {fault}") from fault


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced or written; None where it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _join_faults(where: str, faults: list[str], parameters: StoreParameters = DEFAULT) -> str:
    """Join the first faults to one message."""
    shown = parameters.shown_faults
    more = f"; and {len(faults) - shown} more" if len(faults) > shown else ""
    return f"{where}: {'; '.join(faults[:shown])}{more} (python -m shards verify lists all)"
