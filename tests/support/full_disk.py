"""A full disk, as the atomic writer meets it."""

import contextlib
from pathlib import Path


@contextlib.contextmanager
def temporary_file(path, durable=False):
    """Stand for `shards.foundation.files.temporary_file`: every byte fails with ENOSPC."""
    yield Path("/dev/full")
