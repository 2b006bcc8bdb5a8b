"""State of a run (parameters, optimiser, step), and the devices that hold it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from model.network.config import ModelConfig
from model.network.net import create, outline
from model.network.start_jax import report_start_errors
from shards.foundation.errors import Misuse
from train.config import TrainConfig


@dataclass(frozen=True)
class OptimiserParameters:
    """Settings of AdamW that no config changes."""

    # added to the root of the second moment. With optax's 1e-8 a gradient that consists of rounding
    # errors moves its parameter as far as any other: 1 and 8 devices are 1e-3 apart after 50 steps;
    # with 1e-6 they stay within 1e-6 (measured, tests/train/test_multidevice.py)
    epsilon: float = 1e-6


HOW_TO_GET = {
    "tpu": "on a TPU machine run make train-tpu, which installs jax[tpu]; to use 8 CPU"
    " devices instead: make train-tpu PLATFORM=cpu",
    "gpu": "install the extra with make train EXTRAS='dev cuda' and see that nvidia-smi lists one",
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Everything that a step reads and writes. No generator: nothing in the network is random."""

    params: nnx.State  # of the network
    optimiser: Any  # optax's own
    step: jax.Array  # int32, steps done


def schedule(config: TrainConfig, steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up from 0, then a cosine to 0 at the last step."""
    warmup = min(max(1, round(config.warmup_fraction * steps)), max(steps - 1, 0))
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else config.learning_rate, config.learning_rate, warmup, max(steps, 1)
    )


def optimiser(
    config: TrainConfig, steps: int, parameters: OptimiserParameters = OptimiserParameters()
) -> optax.GradientTransformation:
    """Clip by the global norm, then AdamW (Loshchilov & Hutter, arXiv 1711.05101).

    Weight decay applies to matrices and kernels only, not to biases and scales (fewer than two
    dimensions), as is usual.

    Args:
        config: Learning rate, warm-up, weight decay, clipping.
        steps: Steps of the run.
        parameters: Settings that no config changes.
    """
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            schedule(config, steps),
            eps=parameters.epsilon,
            weight_decay=config.weight_decay,
            mask=_is_decayed,
        ),
    )


def _is_decayed(params: Any) -> Any:
    return jax.tree.map(lambda value: value.ndim >= 2, params)


def find_devices(count: int | None = None, require: str | None = None) -> list[jax.Device]:
    """Find the devices to train on.

    Args:
        count: Use the first `count` devices of each process; all where None. On a CPU that
            many devices are created, if JAX has not started yet.
        require: "tpu" or "gpu": accept nothing else.

    Raises:
        Misuse: JAX finds no such devices, or fewer than `count`; the message says what to do.
    """
    if count:
        with contextlib.suppress(RuntimeError):  # too late: JAX has its devices already
            jax.config.update("jax_num_cpu_devices", count)
    with report_start_errors(f"; {HOW_TO_GET[require]}" if require else ""):
        devices = jax.devices()
    summary = f"{len(devices)} × {devices[0].platform} ({devices[0].device_kind})"
    if require and devices[0].platform != require:
        raise Misuse(f"no {require.upper()} here: JAX finds {summary}; {HOW_TO_GET[require]}")
    if count and len(jax.local_devices()) < count:
        raise Misuse(f"--devices {count}: JAX finds {summary}")
    by_process = [[d for d in devices if d.process_index == k] for k in range(jax.process_count())]
    return [device for local_devices in by_process for device in local_devices[:count]]


def make_mesh(devices: list[jax.Device]) -> jax.sharding.Mesh:
    """Make a mesh with one axis, "data": each device holds all parameters and a part of the batch.

    Devices are ordered by process, so that a process's part of a batch is contiguous.
    """
    order = sorted(devices, key=lambda device: device.process_index)
    return jax.sharding.Mesh(order, ("data",), axis_types=(jax.sharding.AxisType.Auto,))


def make_initialise(
    config: ModelConfig, seed: int, optimiser: optax.GradientTransformation, mesh: jax.sharding.Mesh
) -> Callable[[], State]:
    """Build a function that returns the state at step 0, replicated over the mesh.

    The same seed gives the same state.
    """

    def build() -> State:
        params = nnx.split(create(config, seed))[1]
        return State(params, optimiser.init(params), jnp.zeros((), jnp.int32))

    return jax.jit(build, out_shardings=replicated(mesh))


def abstract(
    config: ModelConfig, optimiser: optax.GradientTransformation, mesh: jax.sharding.Mesh
) -> State:
    """Return shapes, dtypes and sharding of a state, without computing."""

    def build(params: nnx.State) -> State:
        return State(params, optimiser.init(params), jnp.zeros((), jnp.int32))

    shapes = jax.eval_shape(build, outline(config)[1])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)), shapes
    )


def replicated(mesh: jax.sharding.Mesh) -> jax.NamedSharding:
    """Sharding of an array of which every device has a copy."""
    return jax.NamedSharding(mesh, jax.P())


def over_data(mesh: jax.sharding.Mesh) -> jax.NamedSharding:
    """Sharding that splits the first dimension into equal parts over the devices."""
    return jax.NamedSharding(mesh, jax.P("data"))
