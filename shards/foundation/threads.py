"""Check that a library can start its threads, before it fails in a way that no caller can catch."""

from __future__ import annotations

import functools
import threading

from shards.foundation.errors import Fault


@functools.cache
def require_threads(count: int) -> None:
    """Start `count` threads at once and end them; do it once per process.

    A C++ library that cannot start one of its threads waits for the others for ever, or ends the
    process without a message.

    Raises:
        Fault: this process may not have so many threads; the message continues a file's name.
    """
    end = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError) as error:
        raise Fault(
            f"cannot be worked on: a process here cannot start {count} threads; allow it more"
            " memory or processes (ulimit -v, ulimit -u, limits of the container)"
        ) from error
    finally:
        end.set()
        for thread in started:
            thread.join()
