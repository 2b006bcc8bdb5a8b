"""What the process shares with the world: signals that end it, and the run's folder."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from shards.foundation.errors import Misuse

ECHO = 2.0  # seconds in which a signal may come again that was sent once


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], str | None]]:
    """Gives a function that names the SIGTERM or SIGINT that came, or None.

    The first one only asks; a later one acts as it would have without this. What comes with the
    first is its echo: a batch system signals make and its children, and make passes it on to them.
    """
    asked: list[tuple[str, float]] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if not asked:
            asked.append((signal.Signals(number).name, time.monotonic()))
        elif time.monotonic() - asked[0][1] > ECHO:
            restore()
            signal.raise_signal(number)

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: asked[0][0] if asked else None
    finally:
        restore()


@contextlib.contextmanager
def sole_owner(directory: Path) -> Iterator[None]:
    """Hold a run's folder, made where it is missing, for this process alone.

    Misuse where another process trains into it, or where it cannot be a folder. The hold ends with
    the process, however that ends.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Misuse(f"{directory}: is a file, or lies under one; a run needs a folder") from error
    with (directory / ".lock").open("w") as file:
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
