"""What earlier builds left in OUT, and what of it still stands."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.building import state
from pipeline.building.state import Note
from pipeline.building.worker import Task
from shards import manifest, provenance, store
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.manifest import SPLITS, Manifest

SPEC = Path(state.FOLDER, "spec.json")
SHOWN = 5  # images named in one message

Say = Callable[[str], None]
Images = Mapping[str, Mapping[str, str]]  # partition → image id → hash of its source


def check_folders(out: Path) -> None:
    """Fault where shards would be written through a link, out of the set."""
    for path in (out / split for split in SPLITS):
        if path.is_symlink():
            raise Fault(
                f"{path}: is a symbolic link, behind which no shard is trusted; put a folder in its"
                " place, or take another --out"
            )


def accept(out: Path, settings: dict[str, Any], rebuild: bool, say: Say) -> Manifest | None:
    """The manifest in `out`, None where there is none or it is damaged (which is said).

    Fault that names what differs where `out` was begun with other settings, unless `rebuild`,
    which takes away what was built.
    """
    old = known_manifest(out, say)
    before = state.read_json(out / SPEC) or (old.spec if old else None)
    now = json.loads(json.dumps(settings))
    if before is not None and before != now:
        if not rebuild:
            raise Fault(_difference(out, before, now))
        say(f"{out}: built with other settings; all of it is built again")
        _clear(out)
        old = None
    files.write_json(out / SPEC, now)
    return old


def known_images(out: Path, old: Manifest | None, partitions: Iterable[str], say: Say) -> Images:
    """The images that `old` partitions were built from, as far as their lists are sound."""
    found = {}
    for name in partitions:
        if old and name in old.partitions:
            part = old.partitions[name]
            try:
                found[name] = provenance.read(out, name, part.source_hash, part.images)
            except Fault as fault:
                say(f"{out / provenance.file_name(name)} {fault}: it is written anew")
    return found


def tell_changes(now: Images, before: Images, say: Say) -> None:
    """Say which source images were added, changed or removed since a partition was built."""
    for name, old in before.items():
        new = now.get(name, {})
        groups = {
            "changed": [i for i in new if i in old and new[i] != old[i]],
            "added": [i for i in new if i not in old],
            "removed": [i for i in old if i not in new],
        }
        told = [f"{len(ids)} {what} ({_some(ids)})" for what, ids in groups.items() if ids]
        if told:
            say(f"{name}: images {', '.join(told)} since it was built; it is built again")


def vouch(tasks: Sequence[Task], before: Images, old: Manifest | None) -> None:
    """Note as finished what the manifest knows and the ledger does not.

    Only of partitions of the same images, all `tasks` of which are given; and only where none was
    left out, which the manifest cannot tell of.
    """
    entries = {entry.name: entry for entry in old.shards} if old else {}
    now: dict[str, set[str]] = {}
    for task in tasks:
        now.setdefault(task.shard.partition, set()).update(i.image_id for i in task.shard.images)
    for task in tasks:
        entry, known = entries.get(task.shard.name), before.get(task.shard.partition)
        if entry is None or known is None or known.keys() != now[task.shard.partition]:
            continue
        if entry.records == task.planned and not state.read(task.out, entry.name):
            hashes = [known[image.image_id] for image in task.shard.images]
            state.write(task.out, Note(task.key(hashes), entry, [], hashes))


def withdraw(out: Path, tasks: Sequence[Task]) -> None:
    """Take what is about to be built out of the manifest and the notes, so that they never lie.

    Out of the manifest as it is now, for another piece may have changed it.
    """
    dirty, old = {task.shard.partition for task in tasks}, known_manifest(out)
    if old is None or not old.partitions.keys() - dirty:
        store.remove_manifest(out)
    elif old.partitions.keys() & dirty:
        store.write_manifest(out, without(old, dirty))
    for task in tasks:
        state.forget(out, task.shard.name)


def without(old: Manifest, partitions: Iterable[str]) -> Manifest:
    """The manifest less some partitions."""
    gone = set(partitions)
    return Manifest(
        old.spec,
        {name: item for name, item in old.partitions.items() if name not in gone},
        tuple(entry for entry in old.shards if entry.partition not in gone),
    )


def clean(out: Path, built: set[str], now: Manifest, say: Say) -> None:
    """Remove shards of the partitions `built` that are no part of the set any more; tell others.

    What only ends like a shard is set aside under another name, for it may be dear to somebody.
    """
    known, strange = {entry.name for entry in now.shards}, []
    for name in store.list_files(out):
        partition = _partition_of(name)
        if name in known:
            continue
        if partition is None:
            say(f"{out / name}: is no shard of the set; now {_set_aside(out / name).name}")
        elif partition in built:
            (out / name).unlink()
        else:
            strange.append(partition)
    for partition in sorted(set(strange)):
        count = strange.count(partition)
        say(f"{out}: {count} shards of {partition} are no part of the set; build it or remove them")


def known_manifest(out: Path, say: Say = lambda line: None) -> Manifest | None:
    """The manifest in `out`; None where there is none or it is damaged, which is said."""
    if not (out / manifest.FILE).exists():
        return None
    old, faults = store.inspect_manifest(out)
    if faults:
        say(f"{out / manifest.FILE} {'; '.join(faults[:3])}: it is written anew")
        return None
    return old


def _difference(out: Path, before: Any, now: dict[str, Any]) -> str:
    before = before if isinstance(before, dict) else {}
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    told = "; ".join(f"{k} was {before.get(k)!r:.60}, is now {now.get(k)!r:.60}" for k in keys)
    return (
        f"{out}: was built with other settings: {told}. Nothing was changed. Take another --out, "
        "or replace the set with --rebuild (make: REBUILD=1)"
    )


def _clear(out: Path) -> None:
    store.remove_manifest(out)
    for name in store.list_files(out):
        if _partition_of(name):
            (out / name).unlink()
    for path in (out / provenance.FOLDER).glob("*-*.jsonl"):
        path.unlink()


def _set_aside(path: Path) -> Path:
    """Give a file another name, that none has."""
    names = (f"{path.name}.stray{number or ''}" for number in itertools.count())
    return path.rename(next(n for n in map(path.with_name, names) if not os.path.lexists(n)))


def _partition_of(name: str) -> str | None:
    """The partition of a shard by its file's name; None where that is no shard's."""
    try:
        return manifest.parse_name(name)[0]
    except Fault:
        return None


def _some(ids: list[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
