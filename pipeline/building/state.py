"""What a build knows of its own earlier runs, in OUT/.build: so that it goes on where it ended.

Beside each finished shard stands a small file with the hash of all that it was built from, the
shard's manifest entry and the images that could not be used. It may be deleted at any time; then
what the manifest does not vouch for is built again, to the same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from shards import provenance
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.manifest import SPLITS, ShardEntry

FOLDER = ".build"


class Bad(NamedTuple):
    """An image that cannot be used, and why."""

    image_id: str
    path: str
    reason: str


class Note(NamedTuple):
    """A finished shard, and what it was built from."""

    key: str  # hash of all that its bytes follow from
    entry: ShardEntry
    bad: list[Bad]  # images that it should have shown but could not
    hashes: list[str]  # of all its images; none were noted before manifests of schema 2


@contextlib.contextmanager
def lock(out: Path, piece: str | None = None) -> Iterator[None]:
    """Hold `out` for this build alone, or for this `piece` of it; make the folder if need be.

    Fault where another build holds it, Misuse where it is a file. The lock is the kernel's (flock)
    and ends with its process, however that ends.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = out / FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            whole = stack.enter_context((folder / "lock").open("w"))
            fcntl.flock(whole, (fcntl.LOCK_SH if piece else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if piece:
                part = stack.enter_context((folder / f"lock-{piece}").open("w"))
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _refusal(out, error) from error
        yield


@contextlib.contextmanager
def turn(out: Path) -> Iterator[None]:
    """Wait till no other piece of a build looks at the manifest of `out`, nor changes it; be short.

    So that what it lists is never being built: a partition leaves it, and a shard its note, before
    the shard is written; the partition comes back when there are notes of all its shards.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context((out / FOLDER / "turn").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise _refusal(out, error) from error
        yield


def _refusal(out: Path, error: OSError) -> Fault:
    if isinstance(error, BlockingIOError):
        return Fault(f"{out}: another build is writing here; wait for its end")
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return Misuse(f"{out}: is a file or lies below one; --out names a folder")
    return Fault(f"{out}: cannot be written: {error.strerror}")


def read(out: Path, name: str) -> Note | None:
    """What is noted of shard `name`, if it was ever finished."""
    noted = read_json(_path(out, name))
    try:
        entry, bad = ShardEntry(**noted["entry"]), [Bad(*item) for item in noted["bad"]]
        return Note(noted["key"], entry, bad, noted.get("hashes", []))
    except (KeyError, TypeError):
        return None  # never written, or damaged: then the shard is built again


def write(out: Path, note: Note) -> None:
    """Note that a shard is finished."""
    files.write_json(_path(out, note.entry.name), {**note._asdict(), "entry": note.entry.to_json()})


def forget(out: Path, name: str) -> None:
    """Take back the note of shard `name`, if there is one."""
    _path(out, name).unlink(missing_ok=True)


def sweep(out: Path) -> None:
    """Remove what interrupted builds left under temporary names; only while the lock is held."""
    folders = [out, *(out / name for name in (*SPLITS, provenance.FOLDER))]
    left = [path for folder in folders for path in folder.glob(".*.tmp")]
    for path in [*left, *(out / FOLDER).rglob(".*.tmp")]:
        path.unlink(missing_ok=True)


def present(out: Path, entry: ShardEntry) -> bool:
    """Whether a file of the shard's name and size is there."""
    try:
        status = (out / entry.name).lstat()
        return stat.S_ISREG(status.st_mode) and status.st_size == entry.bytes
    except OSError:
        return False


def intact(out: Path, entry: ShardEntry) -> bool:
    """Whether the shard's file holds the bytes that `entry` tells of."""
    try:
        if not present(out, entry):
            return False
        return files.sha256(out / entry.name) == entry.sha256
    except OSError:
        return False


def read_json(path: Path) -> Any:
    """Return the JSON value in a file; None where it is missing, unreadable or not JSON."""
    try:
        return files.read_json(path)
    except Fault:
        return None


def _path(out: Path, name: str) -> Path:
    return out / FOLDER / f"{name}.json"
