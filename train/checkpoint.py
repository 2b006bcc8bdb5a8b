"""Checkpoints that are whole or not there: state, clock, data position and config as one unit.

A checkpoint is a folder: what orbax writes, and digests.json with the size and sha256 of every
file, because a byte that flips in an array's data is restored by orbax in silence. It is written
under another name and renamed once it is whole and on the disk.

    RUN/dense_reg_epoch_{N}   kept
    RUN/latest                the newest; RUN/latest.previous the one before it
    RUN/latest.next           whole too, for the moment in which latest is being replaced
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from train.state import State

FORMAT = 1
DIGESTS = "digests.json"
LATEST, NEXT, PREVIOUS = "latest", "latest.next", "latest.previous"
NAMES = (LATEST, NEXT, PREVIOUS, "dense_reg_epoch_*")  # of checkpoints in a run's folder
PARTIAL, GONE = ".partial", ".gone"  # endings of what is being written and being deleted

Meta = dict[str, Any]  # "format", "step", "epoch", "config", "data", …: JSON values


def epoch_path(run: Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch is kept."""
    return run / f"dense_reg_epoch_{epoch}"


def save(path: Path, state: State, meta: Meta) -> None:
    """Write a checkpoint at `path`, or nothing; what stood there is replaced at the end.

    Fault where the disk does not take it; what was there before stays.
    """
    partial, arrays = path.with_name(path.name + PARTIAL), _named(state)
    meta = {"format": FORMAT, "arrays": _shapes(arrays), **meta}
    try:
        _delete(partial)
        path.parent.mkdir(parents=True, exist_ok=True)
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(_plain(arrays)), meta=ocp.args.JsonSave(meta)
        )
        with _checkpointer() as checkpointer:
            checkpointer.save(partial.absolute(), args=arguments)
        (partial / DIGESTS).write_text(json.dumps(_digests(partial), indent=0))
        _sync(partial)
        _delete(path)
        partial.rename(path)
    except Exception as error:  # orbax and its storage raise of every kind where a disk is full
        with contextlib.suppress(OSError):
            for rest in path.parent.glob(f"{partial.name}*"):  # orbax has a name of its own
                _delete(rest)
        raise Fault(
            f"{path}: the checkpoint could not be written: {_first_line(error)}; "
            "earlier checkpoints are untouched. Free some disk space, then resume from the latest"
        ) from error


def save_latest(run: Path, state: State, meta: Meta) -> None:
    """Replace RUN/latest. At every moment at least one of the three names is a whole checkpoint,
    and `settle` brings it back to its place."""
    settle(run)
    save(run / NEXT, state, meta)
    _delete(run / PREVIOUS)
    if (run / LATEST).exists():
        (run / LATEST).rename(run / PREVIOUS)
    (run / NEXT).rename(run / LATEST)


def settle(run: Path) -> None:
    """Put right what a kill left half done: finish the switch of latest, drop partial writes.

    For the one process that writes into the run.
    """
    if not run.is_dir():
        return
    for name in NAMES:
        for rest in [*run.glob(f"{name}{PARTIAL}*"), *run.glob(f"{name}{GONE}")]:
            _delete(rest)
    if (run / NEXT).is_dir():
        if (run / LATEST).is_dir():
            _delete(run / PREVIOUS)
            (run / LATEST).rename(run / PREVIOUS)
        (run / NEXT).rename(run / LATEST)
    elif (run / PREVIOUS).is_dir() and not (run / LATEST).exists():
        (run / PREVIOUS).rename(run / LATEST)


def find(run: Path, given: str | None) -> Path | None:
    """The checkpoint that `given` names: "latest" (of the run), a run's folder or a checkpoint's.

    None where `given` is None and the run has none yet; Misuse where what was named is missing.
    """
    if given is None:
        return _newest(run)
    path = run / LATEST if given == LATEST else Path(given)
    found = _newest(path.parent if path.name == LATEST else path)
    if found is not None:
        return found
    if not (path / DIGESTS).is_file():
        there = ", ".join(p.name for p in _others(path)) or "none"
        raise Misuse(f"{path}: no checkpoint here; those beside it: {there}")
    return path


def load_meta(path: Path) -> Meta:
    """The JSON part of a checkpoint, after every file of it was checked.

    Fault that names the damaged file and the newest sound checkpoint beside it.
    """
    faults = _damage(path)
    if faults:
        sound = next((other for other in _others(path) if not _damage(other)), None)
        offer = (
            f"the one before it is sound: --resume_from {sound}"
            if sound
            else ("there is no other beside it; train again into another --checkpoint_dir")
        )
        raise Fault(f"{path}: the checkpoint is damaged: {faults[0]}; {offer}")
    with _checkpointer() as checkpointer:
        meta = checkpointer.restore(
            path.absolute(), args=ocp.args.Composite(meta=ocp.args.JsonRestore())
        ).meta
    if meta.get("format") != FORMAT:
        raise Fault(
            f"{path}: checkpoint format {meta.get('format')}, this program reads {FORMAT}; "
            "resume it with the version of the program that wrote it"
        )
    return meta


def load_state(path: Path, like: State) -> State:
    """The state of a checkpoint on the devices of `like`, whose names and shapes it must have.

    Fault where it is of another network.
    """
    wanted, stored = _named(like), load_meta(path)["arrays"]
    faults = differences(stored, _shapes(wanted), ())
    if faults:
        raise Fault(
            f"{path}: the checkpoint is of another network: {'; '.join(faults[:3])}; "
            "resume with the config that it was trained with"
        )
    found = _restore(path, stored)
    placed = [
        jax.make_array_from_process_local_data(leaf.sharding, found[name], leaf.shape)
        for name, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), placed)


def load_parameters(path: Path) -> dict[str, np.ndarray]:
    """The parameters of a checkpoint by dotted name ("backbone.stem.kernel"), whatever network it
    is of."""
    prefix = "params."
    found = _restore(path, load_meta(path)["arrays"])
    return {n.removeprefix(prefix): v for n, v in found.items() if n.startswith(prefix)}


def differences(saved: dict[str, Any], now: dict[str, Any], free: tuple[str, ...]) -> list[str]:
    """How two flat configs differ, a text a key, beside the keys that are `free` to."""
    keys = [key for key in {**saved, **now} if key not in free]
    return [
        f"{key} {saved.get(key, 'absent')!r} in the checkpoint, {now.get(key, 'absent')!r} now"
        for key in keys
        if saved.get(key) != now.get(key)
    ]


def _newest(run: Path) -> Path | None:
    """What is, or is about to become, RUN/latest; only looks, since another process may write."""
    names = (LATEST, NEXT, PREVIOUS)
    return next((run / name for name in names if (run / name).is_dir()), None)


def _plain(arrays: dict[str, Any]) -> dict[str, Any]:
    """As this process can write them alone: arrays on other processes' devices too, as numpy's."""
    if jax.process_count() == 1:
        return arrays
    return {name: np.asarray(value) for name, value in arrays.items()}


def _named(state: State) -> dict[str, Any]:
    """The arrays of a state by dotted name, in the order of its leaves."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value"): leaf
        for path, leaf in leaves
    }


def _shapes(arrays: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in arrays.items()}


def _restore(path: Path, shapes: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    """The arrays of a checked checkpoint, of these types and shapes."""
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=device)
        for name, (dtype, shape) in shapes.items()
    }
    with _checkpointer() as checkpointer:
        arguments = ocp.args.Composite(state=ocp.args.StandardRestore(like))
        found = checkpointer.restore(path.absolute(), args=arguments).state
    return {name: np.asarray(value) for name, value in found.items()}


def _checkpointer() -> ocp.Checkpointer:
    """One that works for this process alone: the first of several writes, each reads for itself."""
    if jax.process_count() == 1:
        return ocp.Checkpointer(ocp.CompositeCheckpointHandler())
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(process, {process}, f"process{process}")
    handler = ocp.CompositeCheckpointHandler(
        composite_options=ocp.CompositeOptions(multiprocessing_options=alone)
    )
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _others(path: Path) -> list[Path]:
    """Checkpoints beside `path`, the newest first."""
    found = {p for name in NAMES for p in path.parent.glob(name) if (p / DIGESTS).is_file()}
    return sorted(found - {path}, key=lambda p: (p / DIGESTS).stat().st_mtime_ns, reverse=True)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != DIGESTS:
            yield file.relative_to(path).as_posix(), file


def _digests(path: Path) -> dict[str, list[Any]]:
    """Relative name → [bytes, sha256] of every file of a checkpoint."""
    found = {}
    for name, file in _files(path):
        found[name] = [file.stat().st_size, files.sha256(file)]
    return found


def _damage(path: Path) -> list[str]:
    """What is wrong with the files of a checkpoint."""
    try:
        expected = json.loads((path / DIGESTS).read_text())
        found = _digests(path)
    except (OSError, ValueError) as error:
        return [f"{DIGESTS} cannot be used ({error})"]
    if not isinstance(expected, dict):
        return [f"{DIGESTS} holds no list of files"]
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} does not belong to it" for name in found if name not in expected]
    return faults + [f"{n} has changed" for n in found if n in expected and found[n] != expected[n]]


def _delete(path: Path) -> None:
    """Remove a folder; under its own name it is there whole or not at all."""
    if path.exists():
        gone = path.with_name(path.name + GONE) if not path.name.endswith(GONE) else path
        if gone != path:
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
        shutil.rmtree(gone)


def _sync(path: Path) -> None:
    """Bring every file and folder below `path` to the disk, before its name is given to it."""
    for each in [*path.rglob("*"), path, path.parent]:
        files.sync(each)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
