"""OUT/quarantine.jsonl: the images that a set was built without and what is wrong with each."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pipeline.building.state import Bad
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.info import QUARANTINE


def write(
    out: Path, bad: Sequence[Bad], built: Collection[str], say: Callable[[str], None]
) -> None:
    """List the images `bad` of the partitions `built`; those of others stay. No file where none is.

    Lines that cannot be read are dropped, and said. Fault where the file cannot be read or written.
    """
    path = out / QUARANTINE
    others = [b for b in _read(path, say) if b.image_id.rpartition("/")[0] not in built]
    if bad or others:
        lines = (f"{json.dumps(b._asdict())}\n" for b in sorted([*bad, *others]))
        files.write_bytes(path, "".join(lines).encode(), durable=True)
    else:
        path.unlink(missing_ok=True)


def _read(path: Path, say: Callable[[str], None]) -> list[Bad]:
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error
    found = [b for line in lines if (b := _parse(line))]
    if len(found) < len(lines):
        say(f"{path}: {len(lines) - len(found)} damaged lines are left out")
    return found


def _parse(line: bytes) -> Bad | None:
    """The image that a line tells of; None where it is damaged."""
    try:
        found = Bad(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if all(isinstance(part, str) for part in found) else None
