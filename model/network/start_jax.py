"""Start JAX; where that fails, name the environment variables that JAX reads."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from shards.foundation.errors import Fault, Misuse

# Device files of NVIDIA's driver: on Linux, and on the Linux of Windows
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg")


def start_jax() -> None:
    """Import JAX and find its devices, before other modules import it.

    Raises:
        Misuse: JAX does not start.
    """
    with report_start_errors():
        import jax

        jax.devices()


@contextlib.contextmanager
def report_start_errors(hint: str = "") -> Iterator[None]:
    """Turn every exception of the block, in which JAX starts, into a Misuse.

    Args:
        hint: what to do, for the end of the message.

    Raises:
        Misuse: JAX does not start; the message names the variables JAX_… that are set.
    """
    _expect_no_gpu()
    try:
        yield
    except Fault:
        raise
    except Exception as error:  # a wrong variable is a ValueError, RuntimeError or AssertionError
        names = sorted(name for name in os.environ if name.startswith("JAX_"))
        settings = ", ".join(f"{name}={os.environ[name]}" for name in names)
        reason = " ".join(str(error).split()) or "it has no such device or library"
        raise Misuse(
            f"JAX does not start{f' with {settings}' * bool(names)}: {reason}"
            f"{'; unset what does not fit this machine' * bool(names)}{hint}"
        ) from error


def _expect_no_gpu() -> None:
    """Drop JAX's traceback about its CUDA plugin where there is no NVIDIA GPU.

    The extra `cuda` may be installed on a machine whose GPU is gone; JAX then uses the CPU.
    """
    if not any(Path(file).exists() for file in GPU_FILES):
        logging.getLogger("jax._src.xla_bridge").addFilter(_is_about_more_than_plugins)


def _is_about_more_than_plugins(record: logging.LogRecord) -> bool:
    return "plugin configuration error" not in record.getMessage()
