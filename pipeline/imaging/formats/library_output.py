"""Keep the messages of C libraries away from the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def suppress_library_output() -> Iterator[None]:
    """Discard what C code writes to standard error within the context.

    libtiff and the WSQ library write there about a damaged file without its name; the caller's own
    error names it. The file descriptor belongs to the whole process: output of other threads is
    discarded too.
    """
    sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    try:
        with tempfile.TemporaryFile() as discarded:
            os.dup2(discarded.fileno(), 2)
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
