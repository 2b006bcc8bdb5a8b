"""Accuracy of the network of a run, between its epochs."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import numpy as np
from flax import nnx

from shards.batch import Batch
from train import step
from train.evaluation import accuracy
from train.stop_signals import StopCheck, check_stop


def validate(
    program: step.Program,
    params: nnx.State,
    batches: Iterable[tuple[Batch, int]],
    mesh: jax.sharding.Mesh,
    stop: StopCheck,
) -> dict[str, float] | None:
    """Measure the accuracy over batches.

    Args:
        program: Of the run.
        params: Parameters of the network, on the devices.
        batches: Batches with the numbers of their pairs that count.
        mesh: Devices of the run.
        stop: Asked before each batch.

    Returns:
        What `accuracy.summarise` returns; None without batches.

    Raises:
        StopRequested: A signal arrived.
    """
    parts = []
    for batch, count in batches:
        check_stop(stop)
        placed = step.put(batch, mesh)
        arrays = jax.device_get(program.evaluate(params, placed))
        parts.append({name: value[:count] for name, value in arrays.items()})
    if not parts:
        return None
    names = parts[0]
    return accuracy.summarise({k: np.concatenate([part[k] for part in parts]) for k in names})
