"""Lock of a folder: one process writes into it at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from shards.foundation import files
from shards.foundation.errors import Misuse

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"  # in the folder; it stays there, empty


@contextlib.contextmanager
def sole_writer(folder: Path, option: str = "--out") -> Iterator[None]:
    """Lock a folder for this process; create it where it is missing.

    The lock is the kernel's: it ends with the process, however the process ends. File systems
    without locks are accepted, and so is Windows, where no lock is taken.

    Args:
        folder: the folder.
        option: name of the option that names the folder, for the message.

    Raises:
        Misuse: another process holds the folder, or no folder can be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = files.open_to_append(folder / FILE)
    except (FileExistsError, NotADirectoryError) as error:
        raise Misuse(f"{folder}: is a file, or lies under one; {option} names a folder") from error
    except OSError as error:
        raise Misuse(f"{folder}: no files can be made here: {error.strerror}") from error
    with file:
        if fcntl is None:
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misuse(
                f"{folder}: another process writes into it; wait for its end, or name another "
                f"{option}"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
