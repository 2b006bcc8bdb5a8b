"""Checkpoints: state, metrics, position in the data and config, saved as one unit.

A checkpoint is a folder with orbax's files and digests.json. It is written under another name and
renamed once it is complete and on the disk, so that it is complete or absent.

    RUN/dense_reg_epoch_{N}   permanent
    RUN/latest                the newest
    RUN/latest.previous       the one before it
    RUN/latest.next           complete too; exists while latest is being replaced
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from train.checkpoint_folder import DELETED, DIGESTS, delete, find_damage, sync, write_digests
from train.state import State

FORMAT = 1
LATEST, NEXT, PREVIOUS = "latest", "latest.next", "latest.previous"
NAMES = (LATEST, NEXT, PREVIOUS, "dense_reg_epoch_*")  # of checkpoints in a run's folder
SPECIAL_CHARACTERS = frozenset("[]\\")
PARTIAL = ".partial"  # ending of the name of a folder that is being written

Meta = dict[str, Any]  # "format", "step", "epoch", "config", "data", …: JSON values


def epoch_path(run: Path, epoch: int) -> Path:
    """Return the folder of an epoch's checkpoint."""
    return run / f"dense_reg_epoch_{epoch}"


def save(path: Path, state: State, meta: Meta) -> None:
    """Write a checkpoint; an existing one at `path` is replaced at the end.

    Args:
        path: Folder of the checkpoint.
        state: State of the run.
        meta: JSON values to save with it.

    Raises:
        Fault: The checkpoint cannot be written; an existing one is unchanged.
    """
    partial, arrays = path.with_name(path.name + PARTIAL), _named(state)
    meta = {"format": FORMAT, "arrays": _shapes(arrays), **meta}
    try:
        delete(partial)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Orbax would find a full disk amid many messages.
        files.check_space(path.parent, sum(a.nbytes for a in arrays.values()), "the checkpoint")
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(_plain(arrays)), meta=ocp.args.JsonSave(meta)
        )
        with _silent_orbax(), _checkpointer() as checkpointer, _plain_path(partial) as plain:
            checkpointer.save(plain, args=arguments)
        _check_saved(partial, arrays)
        write_digests(partial)
        sync(partial)
        delete(path)
        partial.rename(path)
    except Exception as error:  # orbax and its storage raise many kinds where a disk is full
        with contextlib.suppress(OSError):
            for remainder in path.parent.glob(f"{partial.name}*"):  # orbax adds to the name
                delete(remainder)
        raise Fault(
            f"{path}: the checkpoint could not be written: {_reason(error)}; "
            "earlier checkpoints are untouched. Free some disk space, then resume from the latest"
        ) from error


def save_latest(run: Path, state: State, meta: Meta) -> None:
    """Replace RUN/latest.

    At every moment at least one of latest, latest.next and latest.previous is complete; `settle`
    restores RUN/latest from them.
    """
    settle(run)
    save(run / NEXT, state, meta)
    delete(run / PREVIOUS)
    if (run / LATEST).exists():
        (run / LATEST).rename(run / PREVIOUS)
    (run / NEXT).rename(run / LATEST)


def settle(run: Path) -> None:
    """Finish the replacement of latest and the deletion of partial files that a kill interrupted.

    Only the process that writes into the run may call it.
    """
    if not run.is_dir():
        return
    for name in NAMES:
        for remainder in [*run.glob(f"{name}{PARTIAL}*"), *run.glob(f"{name}{DELETED}")]:
            delete(remainder)
    if (run / NEXT).is_dir():
        if (run / LATEST).is_dir():
            delete(run / PREVIOUS)
            (run / LATEST).rename(run / PREVIOUS)
        (run / NEXT).rename(run / LATEST)
    elif (run / PREVIOUS).is_dir() and not (run / LATEST).exists():
        (run / PREVIOUS).rename(run / LATEST)


def find(run: Path, resume_from: str | None) -> Path | None:
    """Find the checkpoint to resume from.

    Args:
        run: The run's folder.
        resume_from: "latest" (of the run), a run's folder, a checkpoint's folder, or None for the
            run's latest where it has one.

    Returns:
        Folder of the checkpoint; None where `resume_from` is None and the run has none.

    Raises:
        Misuse: There is no checkpoint at `resume_from`.
    """
    if resume_from is None:
        return _newest(run)
    path = run / LATEST if resume_from == LATEST else Path(resume_from)
    newest = _newest(path.parent if path.name == LATEST else path)
    if newest is not None:
        return newest
    if not (path / DIGESTS).is_file():
        others = ", ".join(p.name for p in _others(path)) or "none"
        raise Misuse(f"{path}: no checkpoint here; those beside it: {others}")
    return path


def load_meta(path: Path) -> Meta:
    """Check every file of a checkpoint and read its JSON part.

    Raises:
        Fault: A file is damaged; the message names it and the newest sound checkpoint beside it. Or
            the checkpoint has another format.
    """
    faults = find_damage(path)
    if faults:
        sound = next((other for other in _others(path) if not find_damage(other)), None)
        advice = (
            f"the one before it is sound: --resume_from {sound}"
            if sound
            else "there is no other beside it; train again into another --checkpoint_dir"
        )
        raise Fault(f"{path}: the checkpoint is damaged: {faults[0]}; {advice}")
    with _checkpointer() as checkpointer, _plain_path(path) as plain:
        arguments = ocp.args.Composite(meta=ocp.args.JsonRestore())
        meta = checkpointer.restore(plain, args=arguments).meta
    if meta.get("format") != FORMAT:
        raise Fault(
            f"{path}: checkpoint format {meta.get('format')}, this program reads {FORMAT}; "
            "resume it with the version of the program that wrote it"
        )
    return meta


def load_state(path: Path, like: State) -> State:
    """Load the state of a checkpoint onto devices.

    Args:
        path: Folder of the checkpoint.
        like: Abstract state with the expected names, shapes and sharding.

    Raises:
        Fault: The checkpoint is damaged, or of another network.
    """
    expected, stored = _named(like), load_meta(path)["arrays"]
    faults = differences(stored, _shapes(expected), ())
    if faults:
        raise Fault(
            f"{path}: the checkpoint is of another network: {'; '.join(faults[:3])}; "
            "resume with the config that it was trained with"
        )
    arrays = _restore(path, stored)
    placed = [
        jax.make_array_from_process_local_data(leaf.sharding, arrays[name], leaf.shape)
        for name, leaf in expected.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), placed)


def load_parameters(path: Path) -> dict[str, np.ndarray]:
    """Load the parameters of any network's checkpoint by dotted name ("backbone.stem.kernel")."""
    prefix = "params."
    arrays = _restore(path, load_meta(path)["arrays"])
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}


def differences(
    saved: dict[str, Any], now: dict[str, Any], changeable: tuple[str, ...]
) -> list[str]:
    """List the differences of two flat configs, one text per key, except `changeable` keys."""
    keys = [key for key in {**saved, **now} if key not in changeable]
    return [
        f"{key} {saved.get(key, 'absent')!r} in the checkpoint, {now.get(key, 'absent')!r} now"
        for key in keys
        if saved.get(key) != now.get(key)
    ]


def _newest(run: Path) -> Path | None:
    """The folder that is, or will become, RUN/latest; changes nothing on the disk."""
    names = (LATEST, NEXT, PREVIOUS)
    return next((run / name for name in names if (run / name).is_dir()), None)


def _plain(arrays: dict[str, Any]) -> dict[str, Any]:
    """Arrays that this process can write alone: with several processes, as numpy arrays."""
    if jax.process_count() == 1:
        return arrays
    return {name: np.asarray(value) for name, value in arrays.items()}


def _named(state: State) -> dict[str, Any]:
    """Arrays of a state by dotted name, in the order of its leaves."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value"): leaf
        for path, leaf in leaves
    }


def _shapes(arrays: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in arrays.items()}


def _restore(path: Path, shapes: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    """Read the arrays of a checked checkpoint, with these dtypes and shapes."""
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=device)
        for name, (dtype, shape) in shapes.items()
    }
    with _checkpointer() as checkpointer, _plain_path(path) as plain:
        arguments = ocp.args.Composite(state=ocp.args.StandardRestore(like))
        arrays = checkpointer.restore(plain, args=arguments).state
    return {name: np.asarray(value) for name, value in arrays.items()}


def _check_saved(path: Path, arrays: dict[str, Any]) -> None:
    """Read a checkpoint back; OSError where it does not hold the same bytes."""
    stored = _restore(path, _shapes(arrays))
    for name, value in arrays.items():
        if np.asarray(value).tobytes() != stored[name].tobytes():
            raise OSError(f"{name} was read back with another value")


@contextlib.contextmanager
def _plain_path(path: Path) -> Iterator[Path]:
    """Give a path to a checkpoint without the characters that orbax does not take literally.

    Its storage library reads "[", "]" and "\\" in a path as parts of a pattern. A symbolic link in
    a temporary folder leads to a checkpoint in such a folder.
    """
    if not SPECIAL_CHARACTERS & set(str(path.absolute())):
        yield path.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="densereg-") as folder:
        link = Path(folder) / "link"
        if path.exists():
            link.symlink_to(path.absolute())
            yield link
        else:  # a new one: its own name is one of NAMES
            link.symlink_to(path.parent.absolute())
            yield link / path.name


def _checkpointer() -> ocp.Checkpointer:
    """A checkpointer of this process alone: with several, the first writes and each one reads."""
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
    folders = {p for name in NAMES for p in path.parent.glob(name) if (p / DIGESTS).is_file()}
    return sorted(folders - {path}, key=lambda p: (p / DIGESTS).stat().st_mtime_ns, reverse=True)


@contextlib.contextmanager
def _silent_orbax() -> Iterator[None]:
    """Let orbax log no exceptions of its threads: they are raised in this one as well."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _reason(error: BaseException) -> str:
    """Return the first line of an error, or that the disk is full, which orbax says at its end."""
    full = os.strerror(errno.ENOSPC)
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return full if full in line else line[:300]
