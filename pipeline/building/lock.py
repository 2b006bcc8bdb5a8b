"""Locks on the output folder of a build, so that builds of one set do not disturb each other.

The locks are the kernel's (flock): they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path

from pipeline.building.state import FOLDER
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse


@contextlib.contextmanager
def lock_output(out: Path, piece: str | None = None) -> Iterator[None]:
    """Hold the output folder for one build, or for one piece of a build; create the folder.

    Args:
        out: folder of the shard set.
        piece: name of the piece ("0-of-4") where several pieces build at the same time.

    Raises:
        Fault: another build holds the folder, it cannot be written, or its file system has no
            locks.
        Misuse: `out` is a file.
    """
    with contextlib.ExitStack() as stack, _report_errors(out):
        folder = out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        set_lock = stack.enter_context(files.open_to_append(folder / "lock"))
        fcntl.flock(set_lock, (fcntl.LOCK_SH if piece else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        if piece:
            piece_lock = stack.enter_context(files.open_to_append(folder / f"lock-{piece}"))
            fcntl.flock(piece_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locks = stack.pop_all()
    with locks:
        yield


@contextlib.contextmanager
def lock_manifest(out: Path) -> Iterator[None]:
    """Wait for the other pieces of the build, then hold the manifest; hold it briefly.

    A shard that is being built is never in the manifest: its partition is taken out of the manifest
    and its state is deleted before the shard is written, and the partition is added again when all
    of its shards are finished. Each of these steps needs this lock.

    Raises:
        Fault: the folder cannot be written.
    """
    with contextlib.ExitStack() as stack, _report_errors(out):
        file = stack.enter_context(files.open_to_append(out / FOLDER / "turn"))
        fcntl.flock(file, fcntl.LOCK_EX)
        locks = stack.pop_all()
    with locks:
        yield


@contextlib.contextmanager
def _report_errors(out: Path) -> Iterator[None]:
    """Turn an OSError into a message for the user."""
    try:
        yield
    except BlockingIOError as error:
        raise Fault(f"{out}: another build is writing here; wait for its end") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise Misuse(f"{out}: is a file or lies below one; --out names a folder") from error
    except OSError as error:
        if error.errno == errno.ENOLCK:
            raise Fault(
                f"{out}: its file system has no locks (flock), which builds need; choose another"
                " --out (docs/SCALING.md)"
            ) from error
        raise Fault(f"{out}: cannot be written: {error.strerror}") from error
