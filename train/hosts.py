"""Several processes that train together, on one machine or on many: joining, and ending as one.

Every process runs the same program on its own devices and reads its own part of each batch; the
first one alone writes. The run's folder and the shards lie on a file system that all of them see.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from shards.foundation.errors import Misuse
from train.state import over_data, replicated

AUTO = "auto"


def join(coordinator: str, process: str | None) -> None:
    """Meet the other processes, before JAX starts.

    coordinator: HOST:PORT of the first process, which listens there, with `process` "i/N"; or
    "auto", where JAX knows by itself (a TPU pod, Slurm, Open MPI). Misuse where that fails.
    """
    number, separator, count = (process or "").partition("/")
    known = number.isdecimal() and count.isdecimal() and int(number) < int(count)
    if not known and (coordinator != AUTO or separator):
        raise Misuse(
            f"--process {process}: expected i/N with i from 0 to N - 1, such as 0/2, or "
            f"--coordinator {AUTO} alone on a TPU pod or under Slurm"
        )
    try:
        if coordinator == AUTO:
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(coordinator, int(count), int(number))
    except (RuntimeError, ValueError) as error:
        raise Misuse(f"--coordinator {coordinator}: the processes do not meet: {error}") from error


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Go on when every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


class Agreement:
    """Whether any of the processes was asked to stop: all learn it at the same call.

    Calls come at the same points of every process. What is asked before one call is heard at the
    next, so that nobody waits for the devices: they have long answered by then.
    """

    def __init__(self, stop: Callable[[], str | None], mesh: jax.sharding.Mesh) -> None:
        self._stop, self._place = stop, over_data(mesh)
        self._largest = jax.jit(jnp.max, out_shardings=replicated(mesh))
        self._here = sum(d.process_index == jax.process_index() for d in mesh.devices.flat)
        self._vote: jax.Array | None = None

    def __call__(self) -> str | None:
        """The name of the signal that one of the processes got, or None."""
        name, before = self._stop(), self._vote
        if jax.process_count() == 1:
            return name
        asked = np.full(self._here, signal.Signals[name] if name else 0, np.int32)
        self._vote = self._largest(jax.make_array_from_process_local_data(self._place, asked))
        heard = 0 if before is None else int(jax.device_get(before))
        return signal.Signals(heard).name if heard else None
