"""Training by several processes, on one machine or on many.

Every process runs the same program on its own devices and reads its own part of each batch; only
the first one writes. The run's folder and the shards are on a file system that all of them see.
"""

from __future__ import annotations

import signal

import jax
import jax.numpy as jnp
import numpy as np

from shards.foundation.errors import Misuse
from train.state import over_data, replicated
from train.stop_signals import StopCheck

AUTO = "auto"


def join(coordinator: str, process: str | None) -> None:
    """Connect to the other processes, before JAX starts.

    Args:
        coordinator: HOST:PORT of the first process, which listens there; or "auto", where JAX finds
            the processes by itself (a TPU pod, Slurm, Open MPI).
        process: Number of this process and of all processes, "i/N"; None with "auto".

    Raises:
        Misuse: `process` is malformed or goes with "auto", or the processes cannot connect.
    """
    if coordinator == AUTO and process:
        raise Misuse(
            f"--process {process}: goes with --coordinator HOST:PORT; with --coordinator {AUTO} JAX"
            " numbers the processes itself"
        )
    if coordinator != AUTO and process is None:
        raise Misuse(
            f"--coordinator {coordinator}: --process is missing; expected i/N with i from 0 to"
            " N - 1, such as 0/2"
        )
    number, _, count = (process or "").partition("/")
    is_valid = number.isdecimal() and count.isdecimal() and int(number) < int(count)
    if coordinator != AUTO and not is_valid:
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
        raise Misuse(
            f"--coordinator {coordinator}: the processes cannot connect: {error}"
        ) from error


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until every process has called this with the same name."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


class StopConsensus:
    """Tell all processes at the same step that one of them was asked to stop.

    Every process calls the object at the same points. A request that arrives before one call is
    returned by the next call, so that no call waits for the devices.
    """

    def __init__(self, stop: StopCheck, mesh: jax.sharding.Mesh) -> None:
        self._stop, self._sharding = stop, over_data(mesh)
        self._maximum = jax.jit(jnp.max, out_shardings=replicated(mesh))
        self._local_devices = sum(
            device.process_index == jax.process_index() for device in mesh.devices.flat
        )
        self._request: jax.Array | None = None

    def __call__(self) -> str | None:
        """The name of the signal that one of the processes received, or None."""
        name, previous = self._stop(), self._request
        if jax.process_count() == 1:
            return name
        number = np.full(self._local_devices, signal.Signals[name] if name else 0, np.int32)
        self._request = self._maximum(
            jax.make_array_from_process_local_data(self._sharding, number)
        )
        received = 0 if previous is None else int(jax.device_get(previous))
        return signal.Signals(received).name if received else None
