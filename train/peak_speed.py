"""Peak speed of the devices, for the utilisation of a run."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

# Dense 16-bit products (bfloat16 or float16) of one device in FLOP/s, without sparsity. The first
# name that is a part of the device kind decides. Sources: TPU: the system architecture pages of
# Google Cloud TPU; GPU: NVIDIA's data sheets (SXM versions of H100, H200, A100 and V100).
PEAKS = {
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v4": 275e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "V100": 125e12,
    "L40": 181e12,
    "L4": 121e12,
    "T4": 65e12,
}


@dataclass(frozen=True)
class MeasurementParameters:
    """Size of the measurement on a device that PEAKS does not contain."""

    side: int = 512  # of the square float32 matrices; chosen: large enough for full speed on a CPU
    repetitions: int = 5  # the fastest counts


def peak_flops(device: jax.Device) -> float:
    """Return the peak speed of a device in FLOP/s.

    From PEAKS; of other devices the measured speed of a matrix product. The devices of a CPU share
    its cores, so each has its part of that speed.
    """
    peak = next((peak for name, peak in PEAKS.items() if name in device.device_kind), None)
    if peak is not None:
        return peak
    sharing = len(jax.local_devices(backend="cpu")) if device.platform == "cpu" else 1
    return _measured_flops(device) / sharing


def seconds_at_peak(flops: float, devices: Iterable[jax.Device]) -> float:
    """Return the time, in s, of `flops` operations on all devices at their peak."""
    return flops / sum(map(peak_flops, devices))


@functools.cache
def _measured_flops(
    device: jax.Device, parameters: MeasurementParameters = MeasurementParameters()
) -> float:
    """Measure the speed of a matrix product on a device, in FLOP/s."""
    with jax.default_device(device):
        matrix = jnp.ones((parameters.side, parameters.side), jnp.float32)
        product = jax.jit(jnp.matmul)
        jax.block_until_ready(product(matrix, matrix))
        seconds = []
        for _ in range(parameters.repetitions):
            start = time.perf_counter()
            jax.block_until_ready(product(matrix, matrix))
            seconds.append(time.perf_counter() - start)
    return 2.0 * parameters.side**3 / min(seconds)
