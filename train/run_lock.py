"""Lock of a run's folder: one process trains into it at a time."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from shards.foundation import files
from shards.foundation.errors import Misuse


@contextlib.contextmanager
def sole_owner(directory: Path) -> Iterator[None]:
    """Lock a run's folder for this process; create the folder where it is missing.

    The lock ends with the process, however the process ends. File systems without locks are
    accepted.

    Args:
        directory: The run's folder.

    Raises:
        Misuse: Another process trains into the folder, or a file is in its place.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Misuse(f"{directory}: is a file, or lies under one; a run needs a folder") from error
    with files.open_to_append(directory / ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misuse(
                f"{directory}: another process trains into it; wait for it, or choose another "
                "--checkpoint_dir"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
