"""One step of training and one of evaluation, each one compiled program over the mesh."""

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
from shards.foundation.errors import Misuse
from train import state as states
from train.config import TrainConfig
from train.loader import Batch
from train.state import State, over_data, replicated

LEARNT = ("image_a", "image_b", "map_ab", "visible")  # what of a batch the loss reads

Metrics = dict[str, jax.Array]


@dataclass(frozen=True, eq=False)
class Program:
    """What a run computes on its mesh; each part is compiled when it is first called."""

    initialise: Callable[[], State]
    abstract: State  # shapes, types and placement
    train: jax.stages.Wrapped  # (State, batch) → (State, Metrics)
    evaluate: Callable[[nnx.State, dict[str, jax.Array]], Metrics]
    flops: Callable[[dict[str, jax.ShapeDtypeStruct]], float]  # of a step on such a batch


@functools.cache
def make_program(
    model: ModelConfig, config: TrainConfig, steps: int, mesh: jax.sharding.Mesh, scale: float
) -> Program:
    """The program of a run of `steps` steps; the same object, compiled once, for the same run.

    scale: px at 500 ppi a px of the image.
    """
    graph, _ = states.describe(model)
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
    """Misuse with the nearest sizes where a batch does not divide into equal parts."""
    part = accumulate * devices
    if batch_size % part:
        low, high = batch_size // part * part, -(-batch_size // part) * part
        nearest = f"{low} or {high}" if low else f"{high}"
        raise Misuse(
            f"train.batch_size={batch_size} does not divide over {devices} devices × {accumulate} "
            f"micro-batches (train.accumulate); the nearest sizes that do: {nearest}"
        )


def put(batch: Batch, mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
    """This process's part of a global batch on the mesh, split over "data"; types stay as stored.

    Images travel as uint8, a quarter of the bytes of float32, and are cast on the device.
    """
    return jax.make_array_from_process_local_data(over_data(mesh), batch)


def abstract_batch(
    model: ModelConfig, config: TrainConfig, grid: int, mesh: jax.sharding.Mesh
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes, types and placement of what is learnt from a global batch; grid: cells along a side
    of the truth."""
    size, side = config.batch_size, model.image_size
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "image_a": ((size, side, side), jnp.uint8),
        "image_b": ((size, side, side), jnp.uint8),
        "map_ab": ((size, grid, grid, 2), jnp.float32),
        "visible": ((size, grid, grid), jnp.bool_),
    }
    place = over_data(mesh)
    return {k: jax.ShapeDtypeStruct(s, d, sharding=place) for k, (s, d) in shapes.items()}


def make_train_step(
    graph: nnx.GraphDef,
    optimiser: optax.GradientTransformation,
    schedule: optax.Schedule,
    mesh: jax.sharding.Mesh,
    accumulate: int = 1,
) -> jax.stages.Wrapped:
    """(state, batch) → (next state, metrics); the old state's memory is given to the new.

    metrics: scalars float32: loss, the loss's terms, grad_norm (before clipping), learning_rate.
    Each device differentiates its own part of the batch, in `accumulate` micro-batches, and only
    the means over devices travel: exact, since the loss is a mean over pairs.
    """

    def differentiate(params: nnx.State, batch: dict[str, jax.Array]) -> tuple[Metrics, nnx.State]:
        def objective(params: nnx.State) -> tuple[jax.Array, Metrics]:
            return loss(nnx.merge(graph, params), batch)

        (value, terms), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        return {"loss": value, **terms}, gradient

    def on_a_device(params: nnx.State, batch: dict[str, jax.Array]) -> tuple[Metrics, nnx.State]:
        if accumulate == 1:
            found = differentiate(params, batch)
        else:
            parts = jax.tree.map(lambda v: v.reshape(accumulate, -1, *v.shape[1:]), batch)
            found = _mean_over(lambda part: differentiate(params, part), parts)
        return jax.lax.pmean(found, "data")

    everywhere = jax.shard_map(
        on_a_device,
        mesh=mesh,
        in_specs=(jax.P(), jax.P("data")),
        out_specs=jax.P(),
        check_vma=False,
    )

    def train_step(state: State, batch: dict[str, jax.Array]) -> tuple[State, Metrics]:
        metrics, gradient = everywhere(state.params, batch)
        metrics |= {
            "grad_norm": optax.tree.norm(gradient),
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
        }
        updates, inner = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, inner, state.step + 1), metrics

    whole = replicated(mesh)
    return jax.jit(
        train_step,
        in_shardings=(whole, over_data(mesh)),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )


def make_eval_step(
    graph: nnx.GraphDef, mesh: jax.sharding.Mesh, scale: float
) -> Callable[[nnx.State, dict[str, jax.Array]], Metrics]:
    """(params, batch) → what model.network.metrics.evaluate_batch says of every pair of the global batch.

    scale: px at 500 ppi a px of the image.
    """

    def on_a_device(params: nnx.State, batch: dict[str, jax.Array]) -> Metrics:
        return evaluate_batch(nnx.merge(graph, params), batch, scale)

    parts = jax.P("data")
    everywhere = jax.shard_map(
        on_a_device, mesh=mesh, in_specs=(jax.P(), parts), out_specs=parts, check_vma=False
    )
    whole = replicated(mesh)
    return jax.jit(everywhere, in_shardings=(whole, over_data(mesh)), out_shardings=whole)


def _mean_over(compute: Callable[[Any], Any], parts: Any) -> Any:
    """The mean of `compute` over the first dimension of `parts`, one at a time in memory."""
    shapes = jax.eval_shape(compute, jax.tree.map(lambda value: value[0], parts))
    zero = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, compute(part)), None

    total, _ = jax.lax.scan(add, zero, parts)
    count = len(jax.tree.leaves(parts)[0])
    return jax.tree.map(lambda value: value / count, total)
