"""OUT/quarantine.jsonl: the images that a set was built without, with reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pipeline.building.state import BadImage
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.info import QUARANTINE


def write(
    out: Path, bad: Sequence[BadImage], built: Collection[str], warn: Callable[[str], None]
) -> None:
    """Replace the listed images of the partitions `built` by `bad`; keep those of others.

    An empty list is not written; the file is deleted then.

    Args:
        out: folder of the shard set.
        bad: images of the partitions `built` that could not be used.
        built: partitions.
        warn: receives a message where lines of the old file are damaged; they are dropped.

    Raises:
        Fault: the file cannot be read or written.
    """
    path = out / QUARANTINE
    others = [image for image in _read(path, warn) if _partition_of(image) not in built]
    if bad or others:
        lines = [f"{json.dumps(image._asdict())}\n" for image in sorted([*bad, *others])]
        files.write_bytes(path, "".join(lines).encode(), durable=True)
    else:
        path.unlink(missing_ok=True)


def _partition_of(image: BadImage) -> str:
    return image.image_id.rpartition("/")[0]


def _read(path: Path, warn: Callable[[str], None]) -> list[BadImage]:
    """Read the images in the file; none where it does not exist."""
    try:
        lines = files.read_bytes(path).splitlines() if path.exists() else []
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error
    parsed = [_parse(line) for line in lines]
    images = [image for image in parsed if image is not None]
    if len(images) < len(lines):
        warn(f"{path}: {len(lines) - len(images)} damaged lines are left out")
    return images


def _parse(line: bytes) -> BadImage | None:
    """Parse one line; None where it is damaged."""
    try:
        image = BadImage(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return image if all(isinstance(field, str) for field in image) else None
