"""Which images a partition was built from: OUT/sources/<dataset>-<partition>.jsonl.

A line an image, [image id, sha256 of its file], sorted; the sha256 of these lines is the source
hash that the manifest holds. Apart from the manifest, for there are many more images than shards,
and only a build and the deep check need them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from shards.foundation.errors import Fault

FOLDER = "sources"
PIECE = 1 << 20  # bytes in memory at a time


def file_name(partition: str) -> str:
    """The file of a partition, relative to the set."""
    return f"{FOLDER}/{partition.replace('/', '-', 1)}.jsonl"


def to_bytes(images: Mapping[str, str]) -> bytes:
    """The lines of image id → sha256."""
    lines = (json.dumps(item, separators=(",", ":")) for item in sorted(images.items()))
    return "".join(f"{line}\n" for line in lines).encode()


def source_hash(images: Mapping[str, str]) -> str:
    """sha256 of the lines."""
    return hashlib.sha256(to_bytes(images)).hexdigest()


def check_file(directory: Path, partition: str, expected: str, images: int) -> str | None:
    """What is wrong with the file of a partition of so many images; it is read piece by piece."""
    total, lines = hashlib.sha256(), 0
    try:
        with (directory / file_name(partition)).open("rb") as file:
            while piece := file.read(PIECE):
                total.update(piece)
                lines += piece.count(b"\n")
    except FileNotFoundError:
        return "is missing" if images else None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if total.hexdigest() != expected:
        return "holds other lines than were written (sha256)"
    return f"lists {lines} images, the manifest says {images}" if lines != images else None


def read(directory: Path, partition: str, expected: str, images: int) -> dict[str, str]:
    """Image id → sha256 of its file; Fault that says what is wrong with the partition's file."""
    if what := check_file(directory, partition, expected, images):
        raise Fault(what)
    path = directory / file_name(partition)
    return dict(map(json.loads, path.read_bytes().splitlines())) if images else {}
