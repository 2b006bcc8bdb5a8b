"""Compiled programs of a run over the mesh: the training step and the evaluation of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from model.network.config import ModelConfig
from model.network.flops import count_flops
from model.network.loss import loss
from model.network.metrics import evaluate_batch
from model.network.net import outline
from shards.batch import Batch
from shards.foundation.errors import Misuse
from train import state as states
from train.config import TrainConfig
from train.state import State, over_data, replicated

LOSS_INPUTS = ("image_a", "image_b", "map_ab", "visible")  # arrays of a batch that the loss reads

Metrics = dict[str, jax.Array]


@dataclass(frozen=True, eq=False)
class Program:
    """Functions of a run on its mesh; each is compiled when it is first called."""

    initialise: Callable[[], State]
    abstract: State  # shapes, types and placement
    train: jax.stages.Wrapped  # (State, batch) → (State, Metrics)
    evaluate: Callable[[nnx.State, dict[str, jax.Array]], Metrics]
    flops: Callable[[dict[str, jax.ShapeDtypeStruct]], float]  # batch → operations of a step


@functools.cache
def make_program(
    model: ModelConfig, config: TrainConfig, steps: int, mesh: jax.sharding.Mesh, scale: float
) -> Program:
    """Build the functions of a run; the same arguments give the same, once compiled, object.

    Args:
        model: Config of the network.
        config: Settings of the run.
        steps: Steps of the run, for the schedule of the learning rate.
        mesh: Devices.
        scale: Px at 500 ppi per px of the images.
    """
    graph, _ = outline(model)
    optimiser, rate = states.optimiser(config, steps), states.schedule(config, steps)
    abstract = states.abstract(model, optimiser, mesh)
    train = make_train_step(graph, optimiser, rate, mesh, config.accumulate)
    return Program(
        states.make_initialise(model, config.seed, optimiser, mesh),
        abstract,
        train,
        make_eval_step(graph, mesh, scale),
        lambda batch: count_flops(train.trace(abstract, batch).jaxpr),
    )


def check_batch(batch_size: int, accumulate: int, devices: int) -> None:
    """Check that a global batch divides into equal parts.

    Args:
        batch_size: Pairs of the global batch.
        accumulate: Micro-batches per step.
        devices: Devices of all processes.

    Raises:
        Misuse: It does not; the message names the nearest sizes that do.
    """
    part = accumulate * devices
    if batch_size % part:
        low, high = batch_size // part * part, -(-batch_size // part) * part
        nearest = f"{low} or {high}" if low else f"{high}"
        raise Misuse(
            f"train.batch_size={batch_size} does not divide over {devices} devices × {accumulate} "
            f"micro-batches (train.accumulate); the nearest sizes that do: {nearest}"
        )


def put(batch: Batch, mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
    """Transfer this process's part of a global batch to the mesh, split over "data".

    Types stay as stored: uint8 images are a quarter of the bytes of float32; the network casts them
    on the device.
    """
    return jax.make_array_from_process_local_data(over_data(mesh), batch)


def abstract_batch(
    model: ModelConfig, config: TrainConfig, grid: int, mesh: jax.sharding.Mesh
) -> dict[str, jax.ShapeDtypeStruct]:
    """Describe the loss's inputs of a global batch: shapes, dtypes and sharding.

    Args:
        model: Config of the network.
        config: Settings of the run.
        grid: Cells per side of the ground truth.
        mesh: Devices.
    """
    size, side = config.batch_size, model.image_size
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "image_a": ((size, side, side), jnp.uint8),
        "image_b": ((size, side, side), jnp.uint8),
        "map_ab": ((size, grid, grid, 2), jnp.float32),
        "visible": ((size, grid, grid), jnp.bool_),
    }
    sharding = over_data(mesh)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
        for name, (shape, dtype) in shapes.items()
    }


def make_train_step(
    graph: nnx.GraphDef,
    optimiser: optax.GradientTransformation,
    schedule: optax.Schedule,
    mesh: jax.sharding.Mesh,
    accumulate: int = 1,
) -> jax.stages.Wrapped:
    """Build the training step.

    Each device differentiates its own part of the batch, in `accumulate` micro-batches, and only
    means are exchanged between devices. This is exact, since the loss is a mean over pairs.

    Args:
        graph: Structure of the network.
        optimiser: From `train.state.optimiser`.
        schedule: Learning rate by step.
        mesh: Devices.
        accumulate: Micro-batches per step.

    Returns:
        (state, batch) → (next state, metrics), jitted; the memory of the old state is reused.
        Metrics are float32 scalars: loss, its terms, grad_norm (before clipping), learning_rate.
    """

    def differentiate(params: nnx.State, batch: dict[str, jax.Array]) -> tuple[Metrics, nnx.State]:
        def objective(params: nnx.State) -> tuple[jax.Array, Metrics]:
            return loss(nnx.merge(graph, params), batch)

        (value, terms), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        return {"loss": value, **terms}, gradient

    def on_a_device(params: nnx.State, batch: dict[str, jax.Array]) -> tuple[Metrics, nnx.State]:
        if accumulate == 1:
            result = differentiate(params, batch)
        else:
            parts = jax.tree.map(lambda v: v.reshape(accumulate, -1, *v.shape[1:]), batch)
            result = _mean_over(lambda part: differentiate(params, part), parts)
        return jax.lax.pmean(result, "data")

    on_all_devices = jax.shard_map(
        on_a_device,
        mesh=mesh,
        in_specs=(jax.P(), jax.P("data")),
        out_specs=jax.P(),
        check_vma=False,
    )

    def train_step(state: State, batch: dict[str, jax.Array]) -> tuple[State, Metrics]:
        metrics, gradient = on_all_devices(state.params, batch)
        metrics |= {
            "grad_norm": optax.tree.norm(gradient),
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
        }
        updates, inner = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, inner, state.step + 1), metrics

    everywhere = replicated(mesh)
    return jax.jit(
        train_step,
        in_shardings=(everywhere, over_data(mesh)),
        out_shardings=(everywhere, everywhere),
        donate_argnums=0,
    )


def make_eval_step(
    graph: nnx.GraphDef, mesh: jax.sharding.Mesh, scale: float
) -> Callable[[nnx.State, dict[str, jax.Array]], Metrics]:
    """Build the evaluation of a batch.

    Args:
        graph: Structure of the network.
        mesh: Devices.
        scale: Px at 500 ppi per px of the images.

    Returns:
        (params, batch) → results of `model.network.metrics.evaluate_batch` for the global batch.
    """

    def on_a_device(params: nnx.State, batch: dict[str, jax.Array]) -> Metrics:
        return evaluate_batch(nnx.merge(graph, params), batch, scale)

    split = jax.P("data")
    on_all_devices = jax.shard_map(
        on_a_device, mesh=mesh, in_specs=(jax.P(), split), out_specs=split, check_vma=False
    )
    everywhere = replicated(mesh)
    return jax.jit(
        on_all_devices, in_shardings=(everywhere, over_data(mesh)), out_shardings=everywhere
    )


def _mean_over(compute: Callable[[Any], Any], parts: Any) -> Any:
    """Mean of `compute` over the first dimension of `parts`, with one part in memory at a time."""
    shapes = jax.eval_shape(compute, jax.tree.map(lambda value: value[0], parts))
    zero = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, compute(part)), None

    total, _ = jax.lax.scan(add, zero, parts)
    count = len(jax.tree.leaves(parts)[0])
    return jax.tree.map(lambda value: value / count, total)
