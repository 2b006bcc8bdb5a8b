"""Compiled programs kept from one start to the next, by JAX's persistent compilation cache.

They lie in $XDG_CACHE_HOME/dense-registration, or ~/.cache/dense-registration, for each kind of
processor by itself, since a program for one may not run on another; where the user has named JAX a
folder (JAX_COMPILATION_CACHE_DIR), in that. Nothing depends on them but the time a start takes.
"""

from __future__ import annotations

import os
import platform
import re
import warnings
import zlib
from pathlib import Path

import jax


def enable() -> None:
    """Look for compiled programs in the user's cache, and leave there what is compiled."""
    if jax.config.values["jax_compilation_cache_dir"]:
        return
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _drop_damaged(folder)
    except OSError:  # no home, or not allowed: then every start compiles
        return
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _folder() -> Path:
    """The folder for programs of this processor."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dense-registration" / f"{zlib.crc32(_processor().encode()):08x}"


def _processor() -> str:
    """What this processor can do."""
    told = Path("/proc/cpuinfo")
    flags = (
        re.search(r"^(flags|Features)\s*:.*$", told.read_text(), re.M) if told.exists() else None
    )
    return flags[0] if flags else platform.processor() or platform.machine()


def _drop_damaged(folder: Path) -> None:
    """Remove programs that were cut off or have changed: JAX would never write them anew."""
    for path in folder.glob("*-cache"):
        try:
            zlib.decompress(path.read_bytes())
        except zlib.error:
            path.unlink(missing_ok=True)
