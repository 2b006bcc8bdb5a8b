"""Files of a checkpoint's folder: digests, damage, deletion.

digests.json holds the size and sha256 of every file, because orbax restores an array in which a
byte has flipped without an error.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from shards.foundation import files

DIGESTS = "digests.json"
DELETED = ".gone"  # ending of the name of a folder that is being deleted


def write_digests(folder: Path) -> None:
    """Write digests.json of a finished folder."""
    (folder / DIGESTS).write_text(json.dumps(compute_digests(folder), indent=0))


def compute_digests(folder: Path) -> dict[str, list[Any]]:
    """Return {relative name: [bytes, sha256]} of every file of a checkpoint."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != DIGESTS]
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, files.sha256(path)]
        for path in paths
    }


def find_damage(folder: Path) -> list[str]:
    """List the files of a checkpoint that are missing, surplus or changed; empty where sound."""
    try:
        expected = json.loads(files.read_bytes(folder / DIGESTS))
        actual = compute_digests(folder)
    except (OSError, ValueError) as error:
        return [f"{DIGESTS} cannot be used ({error})"]
    if not isinstance(expected, dict):
        return [f"{DIGESTS} holds no list of files"]
    missing = [f"{name} is missing" for name in expected if name not in actual]
    surplus = [f"{name} does not belong to it" for name in actual if name not in expected]
    common = [name for name in actual if name in expected]
    changed = [f"{name} has changed" for name in common if actual[name] != expected[name]]
    return missing + surplus + changed


def delete(folder: Path) -> None:
    """Delete a folder where it exists; under its own name it is complete or absent at any time."""
    if not folder.exists():
        return
    renamed = folder
    if not folder.name.endswith(DELETED):
        renamed = folder.with_name(folder.name + DELETED)
        shutil.rmtree(renamed, ignore_errors=True)
        folder.rename(renamed)
    shutil.rmtree(renamed)


def sync(folder: Path) -> None:
    """Wait until every file and folder below `folder` is on the disk."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        files.sync(path)
