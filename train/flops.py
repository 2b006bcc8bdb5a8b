"""Peak speed of the devices; `model.network.flops` counts the work of a program."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable

import jax
import jax.numpy as jnp

# Dense 16-bit products a second of one device by its data sheet; the first name that is a part of
# the device's own decides.
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
PRODUCT = 512  # side of the matrices by which a CPU is measured


def peak_flops(device: jax.Device) -> float:
    """What a device can compute a second at most: by its data sheet, or, where PEAKS does not have
    it (a CPU), what a product of two float32 matrices reaches on all such devices together, over
    their number."""
    kind = device.device_kind
    known = next((peak for name, peak in PEAKS.items() if name in kind), None)
    return known or _measured() / len(jax.local_devices(backend=device.platform))


def seconds_at_peak(flops: float, devices: Iterable[jax.Device]) -> float:
    """How long so much work would take if all devices did nothing but multiply."""
    return flops / sum(map(peak_flops, devices))


@functools.cache
def _measured() -> float:
    with jax.default_device(jax.local_devices()[0]):
        matrix = jnp.ones((PRODUCT, PRODUCT), jnp.float32)
        product = jax.jit(jnp.matmul)
        jax.block_until_ready(product(matrix, matrix))
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            jax.block_until_ready(product(matrix, matrix))
            seconds.append(time.perf_counter() - began)
    return 2.0 * PRODUCT**3 / min(seconds)
