"""State of the finished shards of a build, in OUT/.build, so that a build can be resumed.

Each finished shard has one JSON file with the hash of everything it was built from, its entry in
the manifest, and the images that could not be used. The folder may be deleted at any time: shards
that the manifest does not list are then built again, to the same bytes.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, NamedTuple

from shards import provenance
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.manifest import SPLITS, ShardEntry

FOLDER = ".build"


class BadImage(NamedTuple):
    """An image that cannot be used, and the reason."""

    image_id: str
    path: str
    reason: str


class ShardState(NamedTuple):
    """State of a finished shard.

    Attributes:
        key: hash of everything that the shard's bytes depend on (`ShardTask.key`).
        entry: the shard's entry in the manifest.
        bad: images of the shard that could not be used.
        hashes: sha256 of each of its images; empty in states of manifest schema 1.
        libraries: library → version with which it was built; empty where unknown.
    """

    key: str
    entry: ShardEntry
    bad: list[BadImage]
    hashes: list[str]
    libraries: dict[str, str]


def read(out: Path, name: str) -> ShardState | None:
    """Read the state of shard `name`; None where there is none or it is damaged."""
    fields = read_json(_path(out, name))
    try:
        entry = ShardEntry(**fields["entry"])
        bad = [BadImage(*image) for image in fields["bad"]]
        libraries = dict(fields.get("libraries", {}))
        return ShardState(fields["key"], entry, bad, fields.get("hashes", []), libraries)
    except (KeyError, TypeError, ValueError):
        return None


def write(out: Path, state: ShardState) -> None:
    """Write the state of a finished shard; Fault where it cannot be written."""
    fields = {**state._asdict(), "entry": state.entry.to_json()}
    files.write_json(_path(out, state.entry.name), fields)


def delete(out: Path, name: str) -> None:
    """Delete the state of shard `name`, if there is one."""
    _path(out, name).unlink(missing_ok=True)


def delete_temporary_files(out: Path) -> None:
    """Delete the temporary files of interrupted builds, and no other program's.

    Call it with the output locked and `reconcile.refuse_linked_folders` passed.
    """
    folders = [out, *(out / name for name in (*SPLITS, provenance.FOLDER))]
    leftovers = [path for folder in folders for path in folder.glob(".*.tmp")]
    for path in filter(files.is_temporary, [*leftovers, *(out / FOLDER).rglob(".*.tmp")]):
        path.unlink(missing_ok=True)


def has_size(out: Path, entry: ShardEntry) -> bool:
    """Return True where the shard is a regular file of the entry's size."""
    try:
        status = (out / entry.name).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == entry.bytes


def is_intact(out: Path, entry: ShardEntry) -> bool:
    """Return True where the shard is a regular file of the entry's size and sha256."""
    try:
        return has_size(out, entry) and files.sha256(out / entry.name) == entry.sha256
    except OSError:
        return False


def read_json(path: Path) -> Any:
    """Read the JSON value in a file; None where it is missing, unreadable or not JSON."""
    try:
        return files.read_json(path)
    except Fault:
        return None


def _path(out: Path, name: str) -> Path:
    return out / FOLDER / f"{name}.json"
