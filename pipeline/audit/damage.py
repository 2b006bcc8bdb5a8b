"""Search for empty, truncated and unreadable files, and for files of equal content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline.impression import Impression
from shards.foundation import files
from shards.foundation.progress import Progress

PNG_END = b"IEND\xaeB`\x82"  # the last chunk of a PNG


@dataclass(frozen=True)
class DamageParameters:
    """How much of a file is read."""

    last_bytes: int = 64  # of a file; those of a PNG contain a checksum of all its pixels


DEFAULT = DamageParameters()


def find_damage(
    images: Sequence[Impression], parameters: DamageParameters = DEFAULT
) -> tuple[list[str], list[list[str]]]:
    """Read the end of every file.

    Returns:
        damaged: a line per damaged file with the reason.
        duplicates: groups of files of equal content, sorted.
    """
    damaged = []
    candidates: dict[tuple[int, bytes], list[Path]] = defaultdict(list)  # by size and last bytes
    with Progress("audit", len(images), "files") as progress:
        for path in (image.path for image in images):
            try:
                size, end = _read_end(path, parameters.last_bytes)
            except OSError as error:
                damaged.append(_describe(path, error))
            else:
                reason = _find_reason(path, size, end)
                if reason is None:
                    candidates[size, end].append(path)
                else:
                    damaged.append(f"{path}: {reason}")
            progress.advance()
    repeated = [paths for paths in candidates.values() if len(paths) > 1]
    duplicates, unreadable = _group_equal(chain.from_iterable(repeated))
    return damaged + unreadable, duplicates


def _read_end(path: Path, last_bytes: int) -> tuple[int, bytes]:
    """Return the size and the last bytes of a file."""
    with files.open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - last_bytes))
        return size, file.read()


def _find_reason(path: Path, size: int, end: bytes) -> str | None:
    """Return what is wrong with a file; None where it seems undamaged."""
    if not size:
        return "is an empty file"
    if path.suffix.lower() == ".png" and PNG_END not in end:
        return f"is truncated, a PNG without its end ({size} bytes)"
    return None


def _describe(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror})"


def _group_equal(paths: Iterable[Path]) -> tuple[list[list[str]], list[str]]:
    """Group files by sha256.

    Returns:
        The groups of two and more files, sorted; and a line per file that cannot be read.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    unreadable = []
    for path in paths:
        try:
            groups[files.sha256(path)].append(str(path))
        except OSError as error:
            unreadable.append(_describe(path, error))
    return sorted(group for group in groups.values() if len(group) > 1), unreadable
