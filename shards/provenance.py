"""The images that a partition was built from: OUT/sources/<dataset>-<partition>.jsonl.

Each line is [image id, sha256 of its file]; lines are sorted. The sha256 of the whole file is the
source hash in the manifest. The lists are apart from the manifest because there are many more
images than shards, and only a build and the deep check need them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from shards.foundation import files
from shards.foundation.errors import Fault

FOLDER = "sources"
# Of a line. An id is a path of at most 4,096 bytes (PATH_MAX of Linux), each perhaps as \uXXXX.
MAX_LINE_BYTES = 1 << 15


def flat_name(partition: str) -> str:
    """Return a partition's name as part of a file name: "sd302-U" for "sd302/U"."""
    return partition.replace("/", "-", 1)


def file_name(partition: str) -> str:
    """Return the path of a partition's list, relative to the set's folder."""
    return f"{FOLDER}/{flat_name(partition)}.jsonl"


def to_bytes(images: Mapping[str, str]) -> bytes:
    """Return the content of the list of `images` (image id → sha256 of its file)."""
    lines = (json.dumps(item, separators=(",", ":")) for item in sorted(images.items()))
    return "".join(f"{line}\n" for line in lines).encode()


def source_hash(images: Mapping[str, str]) -> str:
    """Return the sha256 of the list of `images` (image id → sha256 of its file)."""
    return hashlib.sha256(to_bytes(images)).hexdigest()


def check_file(directory: Path, partition: str, expected_hash: str, images: int) -> str | None:
    """Check the list of a partition; it is read in pieces, whatever its size.

    Args:
        directory: folder of the set.
        partition: name of the partition.
        expected_hash: the source hash in the manifest.
        images: the number of images in the manifest.

    Returns:
        A message that describes the fault, or None.
    """
    sha256, lines = hashlib.sha256(), 0
    try:
        with files.open_file(directory / file_name(partition)) as file:
            for piece in files.read_pieces(file):
                sha256.update(piece)
                lines += piece.count(b"\n")
    except FileNotFoundError:
        return "is missing" if images else None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if sha256.hexdigest() != expected_hash:
        return "was changed after it was written (sha256)"
    if lines != images:
        return f"lists {lines} images, expected {images} by the manifest"
    return None


def read(directory: Path, partition: str, expected_hash: str, images: int) -> dict[str, str]:
    """Read the list of a partition; see `check_file` for the arguments.

    Returns:
        Image id → sha256 of its file.

    Raises:
        Fault: the file is missing, unreadable or changed, or lists something else than images; the
            message is a phrase that continues the file's name.
    """
    if message := check_file(directory, partition, expected_hash, images):
        raise Fault(message)
    return parse(directory, partition, images)


def parse(directory: Path, partition: str, images: int) -> dict[str, str]:
    """Read the list of a partition that `check_file` has found right; see `read`."""
    listed: dict[str, str] = {}
    if not images:
        return listed
    try:
        with files.open_file(directory / file_name(partition)) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                image_id, sha256 = _parse_line(line, number)
                if image_id in listed:
                    raise Fault(f"lists {image_id!r:.80} again on line {number}")
                listed[image_id] = sha256
    except OSError as error:
        raise Fault(f"cannot be read: {error.strerror}") from error
    return listed


def _parse_line(line: bytes, number: int) -> tuple[str, str]:
    """Return image id and sha256 of a line; Fault where it is not a list of two texts."""
    try:
        item = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        item = None
    match item:
        case [str(image_id), str(sha256)]:
            return image_id, sha256
    raise Fault(f"has {line!r:.80} on line {number}; expected [image id, sha256]")
