"""Walk over the folders below the data roots."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shards.foundation.errors import Fault, Misuse
from shards.foundation.printable import printable

SYSTEM_FOLDERS = ("__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN", "@eaDir")


@dataclass(frozen=True)
class WalkParameters:
    """Limits of the walk."""

    depth: int = 10  # folders below a root: 3 to a data set, and 7 from there to its images


DEFAULT = WalkParameters()


@dataclass(frozen=True)
class Folder:
    """One folder on disk.

    Attributes:
        path: its path.
        files: names of its files, sorted.
        has_unsearched: whether it has folders that are too deep to be searched.
    """

    path: Path
    files: tuple[str, ...]
    has_unsearched: bool = False


def walk(roots: Sequence[Path], parameters: WalkParameters = DEFAULT) -> Iterator[Folder]:
    """Yield every folder below the roots once, in sorted order.

    Symbolic links are followed after the real folders, so that a folder has its own name where both
    exist, and a loop of links ends.

    Args:
        roots: data roots; they may overlap.
        parameters: depth of the walk.

    Raises:
        Misuse: a root is not a folder, or cannot be read.
        Fault: folders cannot be read; all are named, after the last folder was yielded.
    """
    state = _WalkState(parameters.depth)
    level = [(_check_root(root), 0) for root in roots]
    while level:
        state.links = []
        for path, depth in level:
            yield from _walk(path, depth, state)
        level = state.links
    if state.errors:
        advice = "mend their permissions, or move them away"
        raise Fault(printable("\n".join([*state.errors, advice])))


@dataclass
class _WalkState:
    """Progress of a walk: folders already visited, links to follow later, and errors."""

    max_depth: int
    visited: set[tuple[int, int]] = field(default_factory=set)  # (device, inode)
    links: list[tuple[Path, int]] = field(default_factory=list)  # (path, depth)
    errors: list[str] = field(default_factory=list)


def _check_root(root: Path) -> Path:
    """Return the absolute path of a root; symbolic links stay."""
    try:
        mode = root.stat().st_mode
    except FileNotFoundError as error:
        raise Misuse(
            f"{root}: no such folder; --data names a folder that holds data sets"
        ) from error
    except OSError as error:
        raise Misuse(f"{root}: cannot be read ({error.strerror}); choose another --data") from error
    if not stat.S_ISDIR(mode):
        raise Misuse(f"{root}: is not a folder; --data names the folder that holds data sets")
    return Path(os.path.abspath(root))  # noqa: PTH100  (resolve() would follow links)


def _walk(path: Path, depth: int, state: _WalkState) -> Iterator[Folder]:
    try:
        status = path.stat()
        if (status.st_dev, status.st_ino) in state.visited:
            return
        state.visited.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            listed = sorted(
                (entry.name, _is_folder(entry), entry.is_symlink()) for entry in entries
            )
    except OSError as error:
        state.errors.append(f"{path}: cannot be read ({error.strerror})")
        return
    files = tuple(name for name, is_folder, _ in listed if not is_folder)
    is_deepest = depth == state.max_depth
    yield Folder(path, files, is_deepest and any(is_folder for _, is_folder, _ in listed))
    if is_deepest:
        return
    for name, is_folder, is_link in listed:
        if not is_folder or name.startswith(".") or name in SYSTEM_FOLDERS:
            continue
        if is_link:
            state.links.append((path / name, depth + 1))
        else:
            yield from _walk(path / name, depth + 1, state)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return True for a folder or a link to one; False for a link to itself or to nowhere."""
    try:
        return entry.is_dir()
    except OSError:
        return False
