"""What training changes: parameters, optimiser and step; and the devices that it lies on."""

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
from model.network.net import create
from shards.foundation.errors import Misuse
from train.config import TrainConfig

EPSILON = 1e-6  # of AdamW. With 1e-8 a gradient that is all rounding moves its parameter as far as
# any other, and 1 and 8 devices are 1e-3 apart after 50 steps; with 1e-6 they stay within 1e-6.

TO_GET = {
    "tpu": "on a TPU machine run make train-tpu, which installs jax[tpu]; to stand in 8 CPU devices"
    " for the cores: make train-tpu PLATFORM=cpu",
    "gpu": "install the extra with make train EXTRAS='dev cuda' and see that nvidia-smi lists one",
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """All that a step reads and writes. No generator: nothing in the network is random."""

    params: nnx.State
    optimiser: Any  # optax's own
    step: jax.Array  # int32, steps done


def schedule(config: TrainConfig, steps: int) -> optax.Schedule:
    """Linear warm-up from 0, then a cosine that reaches 0 at the last of `steps` steps."""
    warmup = min(max(1, round(config.warmup_fraction * steps)), max(steps - 1, 0))
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else config.learning_rate, config.learning_rate, warmup, max(steps, 1)
    )


def optimiser(config: TrainConfig, steps: int) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW that decays matrices and kernels alone.

    Biases, gains and scales (fewer than two dimensions) are not decayed (Loshchilov & Hutter,
    arXiv 1711.05101, as usually practised).
    """
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            schedule(config, steps),
            eps=EPSILON,
            weight_decay=config.weight_decay,
            mask=_is_decayed,
        ),
    )


def _is_decayed(params: Any) -> Any:
    return jax.tree.map(lambda value: value.ndim >= 2, params)


def find_devices(count: int | None = None, require: str | None = None) -> list[jax.Device]:
    """The devices to train on: all, or the first `count` of each process.

    `require` is "tpu" or "gpu": Misuse at once, with the way out, where JAX sees none. On a
    machine of CPUs `count` devices are made of them, if JAX has not started yet.
    """
    if count:
        with contextlib.suppress(RuntimeError):  # too late: JAX has its devices already
            jax.config.update("jax_num_cpu_devices", count)
    try:
        found = jax.devices()
    except RuntimeError as error:
        hint = f"; {TO_GET[require]}" if require else ""
        raise Misuse(f"JAX starts on no device: {error}{hint}") from error
    seen = f"{len(found)} × {found[0].platform} ({found[0].device_kind})"
    if require and found[0].platform != require:
        raise Misuse(f"no {require.upper()} here: JAX sees {seen}; {TO_GET[require]}")
    if count and len(jax.local_devices()) < count:
        raise Misuse(f"--devices {count}: JAX sees {seen}")
    of_each = [[d for d in found if d.process_index == k] for k in range(jax.process_count())]
    return [device for some in of_each for device in some[:count]]


def make_mesh(devices: list[jax.Device]) -> jax.sharding.Mesh:
    """One axis, "data": each device holds all parameters and a part of the batch.

    Devices lie in the order of their processes, so that a process's part of a batch is one piece.
    """
    order = sorted(devices, key=lambda device: device.process_index)
    return jax.sharding.Mesh(order, ("data",), axis_types=(jax.sharding.AxisType.Auto,))


def describe(config: ModelConfig) -> tuple[nnx.GraphDef, nnx.State]:
    """The network's structure and the shapes of its parameters; nothing is computed."""
    return nnx.split(nnx.eval_shape(lambda: create(config, 0)))


def make_initialise(
    config: ModelConfig, seed: int, optimiser: optax.GradientTransformation, mesh: jax.sharding.Mesh
) -> Callable[[], State]:
    """() → a state at step 0, whole on every device of the mesh; the same for the same seed."""

    def build() -> State:
        params = nnx.split(create(config, seed))[1]
        return State(params, optimiser.init(params), jnp.zeros((), jnp.int32))

    return jax.jit(build, out_shardings=replicated(mesh))


def abstract(
    config: ModelConfig, optimiser: optax.GradientTransformation, mesh: jax.sharding.Mesh
) -> State:
    """The shapes, types and placement of a state; nothing is computed."""

    def build(params: nnx.State) -> State:
        return State(params, optimiser.init(params), jnp.zeros((), jnp.int32))

    shapes = jax.eval_shape(build, describe(config)[1])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)), shapes
    )


def replicated(mesh: jax.sharding.Mesh) -> jax.NamedSharding:
    """Whole on every device."""
    return jax.NamedSharding(mesh, jax.P())


def over_data(mesh: jax.sharding.Mesh) -> jax.NamedSharding:
    """The first dimension in equal parts over the devices."""
    return jax.NamedSharding(mesh, jax.P("data"))
