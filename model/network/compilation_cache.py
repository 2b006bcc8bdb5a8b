"""Reuse compiled programs from one start to the next, by JAX's persistent compilation cache.

The programs are stored in $XDG_CACHE_HOME/dense-registration, or ~/.cache/dense-registration, with
one folder per kind of processor, since a program for one may not run on another; or in the folder
named by JAX_COMPILATION_CACHE_DIR. Nothing but the time of a start depends on them.
"""

from __future__ import annotations

import os
import platform
import re
import warnings
import zlib
from pathlib import Path

import jax

from shards.foundation import files

ZSTANDARD = b"\x28\xb5\x2f\xfd"  # first bytes of a frame; RFC 8878, section 3.1.1


def enable() -> None:
    """Read compiled programs from the user's cache, and write new ones to it.

    Without a cache folder that can be written, every start compiles.
    """
    if jax.config.values["jax_compilation_cache_dir"]:
        return
    try:
        folder = _cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        _remove_damaged(folder)
    except (OSError, RuntimeError):  # RuntimeError: neither HOME nor an entry of the user
        return
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _cache_folder() -> Path:
    """Return the folder for programs of this processor."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    processor = zlib.crc32(_processor_features().encode())
    return Path(home) / "dense-registration" / f"{processor:08x}"


def _processor_features() -> str:
    """Return the instruction sets of this processor, or its name."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    flags = re.search(r"^(flags|Features)\s*:.*$", text, re.M)
    return flags[0] if flags else platform.processor() or platform.machine()


def _remove_damaged(folder: Path) -> None:
    """Remove programs that are cut off or changed: JAX would never write them again.

    Programs that JAX compressed by zstandard, where that is installed, are left as they are.
    """
    for path in folder.glob("*-cache"):
        data = files.read_bytes(path)
        if data.startswith(ZSTANDARD):
            continue
        try:
            zlib.decompress(data)
        except zlib.error:
            path.unlink(missing_ok=True)
