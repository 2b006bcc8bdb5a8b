"""Comparison of an output folder with the build that is to be made there.

An output folder may hold shards of earlier builds: of the same settings or of others, of the same
images or of others, complete or interrupted. These functions decide what is kept.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.building import state
from pipeline.building.state import ShardState
from pipeline.building.worker import ShardTask
from shards import manifest, provenance, store
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.info import QUARANTINE
from shards.manifest import SPLITS, Manifest

SPEC = Path(state.FOLDER, "spec.json")

Warn = Callable[[str], None]
Images = Mapping[str, Mapping[str, str]]  # partition → image id → sha256 of its source


@dataclass(frozen=True)
class MessageParameters:
    """Lengths of messages; chosen to fit a terminal."""

    images: int = 5  # image ids in one message
    faults: int = 3  # of a damaged manifest
    value: int = 60  # characters of a setting


DEFAULT = MessageParameters()


def refuse_linked_folders(out: Path) -> None:
    """Raise a Fault where a folder of the set is a symbolic link: a build deletes files in each."""
    for path in (out / name for name in (*SPLITS, provenance.FOLDER, state.FOLDER)):
        if os.path.islink(path):  # noqa: PTH114  (never raises)
            raise Fault(
                f"{path}: is a symbolic link, behind which no file is trusted; put a folder in its"
                " place, or take another --out"
            )


def check_settings(
    out: Path, settings: dict[str, Any], rebuild: bool, warn: Warn
) -> Manifest | None:
    """Check that earlier builds in `out` used the same settings, and store the settings.

    Args:
        out: folder of the shard set.
        settings: settings of this build.
        rebuild: delete what was built with other settings.
        warn: receives messages for the user.

    Returns:
        The manifest; None where there is none, or it is damaged.

    Raises:
        Fault: `out` was built with other settings, and `rebuild` is False; it lists differences.
    """
    old = read_manifest(out, warn)
    before = state.read_json(out / SPEC) or (old.spec if old else None)
    now = json.loads(json.dumps(settings))
    if before is not None and before != now:
        if not rebuild:
            raise Fault(_describe_difference(out, before, now))
        warn(f"{out}: built with other settings; all of it is built again")
        _delete_set(out)
        old = None
    files.write_json(out / SPEC, now)
    return old


def read_manifest(out: Path, warn: Warn = lambda message: None) -> Manifest | None:
    """Read the manifest in `out`; None where there is none, or it is damaged (with a warning)."""
    if not os.path.exists(out / manifest.FILE):  # noqa: PTH110  (never raises)
        return None
    old, faults = store.inspect_manifest(out)
    if faults:
        reasons = "; ".join(faults[: DEFAULT.faults])
        warn(f"{out / manifest.FILE} {reasons}: it is written again")
        return None
    return old


def read_images(out: Path, old: Manifest | None, partitions: Iterable[str], warn: Warn) -> Images:
    """Read the source images of earlier builds of `partitions`.

    Args:
        out: folder of the shard set.
        old: manifest of the earlier builds.
        partitions: partitions of this build.
        warn: receives a message per damaged list of images.

    Returns:
        The images of the partitions that the manifest lists and whose lists are undamaged.
    """
    images = {}
    for name in partitions:
        if old and name in old.partitions:
            partition = old.partitions[name]
            try:
                images[name] = provenance.read(out, name, partition.source_hash, partition.images)
            except Fault as fault:
                warn(f"{out / provenance.file_name(name)} {fault}: it is written again")
    return images


def warn_of_changed_images(now: Images, before: Images, warn: Warn) -> None:
    """Report source images that were changed, added or removed since a partition was built."""
    for name, old in before.items():
        new = now.get(name, {})
        groups = {
            "changed": [i for i in new if i in old and new[i] != old[i]],
            "added": [i for i in new if i not in old],
            "removed": [i for i in old if i not in new],
        }
        changes = [
            f"{len(ids)} {change} ({_abbreviate(ids)})" for change, ids in groups.items() if ids
        ]
        if changes:
            warn(f"{name}: images {', '.join(changes)} since it was built; it is built again")


def restore_states(tasks: Sequence[ShardTask], before: Images, old: Manifest | None) -> None:
    """Write the states of shards that the manifest lists and that have no state.

    Only for partitions whose images have the same ids as before, and for shards with all planned
    pairs: the manifest does not record which images were left out of a shard.

    Args:
        tasks: all shards of the partitions.
        before: images of the earlier builds.
        old: manifest of the earlier builds.
    """
    entries = {entry.name: entry for entry in old.shards} if old else {}
    now: dict[str, set[str]] = {}
    for task in tasks:
        ids = {image.image_id for image in task.shard.images}
        now.setdefault(task.shard.partition, set()).update(ids)
    for task in tasks:
        entry, images = entries.get(task.shard.name), before.get(task.shard.partition)
        if entry is None or images is None or images.keys() != now[task.shard.partition]:
            continue
        if entry.records == task.planned_pairs and not state.read(task.out, entry.name):
            hashes = [images[image.image_id] for image in task.shard.images]
            libraries = old.partitions[entry.partition].libraries if old else {}
            state.write(task.out, ShardState(task.key(hashes), entry, [], hashes, libraries))


def withdraw_shards(out: Path, tasks: Sequence[ShardTask]) -> None:
    """Remove shards that are about to be built from the manifest, and delete their states.

    The manifest is read again, because another piece of the build may have changed it.
    """
    partitions = {task.shard.partition for task in tasks}
    old = read_manifest(out)
    if old is None or not old.partitions.keys() - partitions:
        store.remove_manifest(out)
    elif old.partitions.keys() & partitions:
        store.write_manifest(out, without_partitions(old, partitions))
    for task in tasks:
        state.delete(out, task.shard.name)


def without_partitions(old: Manifest, partitions: Iterable[str]) -> Manifest:
    """Return the manifest without some partitions."""
    removed = set(partitions)
    return Manifest(
        old.spec,
        {name: partition for name, partition in old.partitions.items() if name not in removed},
        tuple(entry for entry in old.shards if entry.partition not in removed),
    )


def delete_stale_shards(out: Path, built: set[str], now: Manifest, warn: Warn) -> None:
    """Delete shards of the partitions `built` that are not in the manifest; report other files.

    A file that is named *.arrayrecord but not like a shard may be somebody's own: it gets another
    name and is reported.
    """
    listed = {entry.name for entry in now.shards}
    foreign = []
    for name in store.list_files(out):
        partition = _partition_of(name)
        if name in listed:
            continue
        if partition is None:
            new_path = _rename_stray(out / name)
            warn(f"{out / name}: is not a shard of the set; renamed to {new_path.name}")
        elif partition in built:
            (out / name).unlink()
        else:
            foreign.append(partition)
    for partition in sorted(set(foreign)):
        count = foreign.count(partition)
        warn(f"{out}: {count} shards of {partition} are not in the set; build it or remove them")


def _describe_difference(out: Path, before: Any, now: dict[str, Any]) -> str:
    before = before if isinstance(before, dict) else {}
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    length = DEFAULT.value
    changes = [
        f"{key} was {before.get(key)!r:.{length}}, is now {now.get(key)!r:.{length}}"
        for key in keys
    ]
    return (
        f"{out}: was built with other settings: {'; '.join(changes)}. Nothing was changed. Take "
        "another --out, or replace the set with --rebuild (make: REBUILD=1)"
    )


def _delete_set(out: Path) -> None:
    """Delete the manifest, all shards, the lists of images and that of images left out."""
    store.remove_manifest(out)
    (out / QUARANTINE).unlink(missing_ok=True)
    for name in store.list_files(out):
        if _partition_of(name):
            (out / name).unlink()
    for path in (out / provenance.FOLDER).glob("*-*.jsonl"):
        path.unlink()


def _rename_stray(path: Path) -> Path:
    """Append ".stray" and a number to a file's name, so that the name is free."""
    for number in itertools.count():
        new_path = path.with_name(f"{path.name}.stray{number or ''}")
        if not os.path.lexists(new_path):
            return path.rename(new_path)
    raise AssertionError("unreachable")


def _partition_of(name: str) -> str | None:
    """Return the partition in a shard's name; None where it is not the name of a shard."""
    try:
        return manifest.parse_name(name)[0]
    except Fault:
        return None


def _abbreviate(ids: list[str]) -> str:
    ellipsis = ", …" if len(ids) > DEFAULT.images else ""
    return ", ".join(sorted(ids)[: DEFAULT.images]) + ellipsis
