"""What a network of a config is made of: parameters, work a pair, shapes."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.config import ModelConfig
from model.network.net import Net, create


@dataclass(frozen=True)
class Summary:
    """Size of a network: parameters, by module too, and the work of a pair's forward pass."""

    parameters: int
    parts: dict[str, int]
    flops: float
    cells: int

    def __str__(self) -> str:
        """A table for the console."""
        rows = [f"{name:12s} {count:12,d}" for name, count in self.parts.items()]
        rows.append(f"{'parameters':12s} {self.parameters:12,d}")
        rows.append(f"{'forward':12s} {self.flops / 1e9:12.3f} GFLOP a pair")
        rows.append(f"{'grid':12s} {self.cells:9d} × {self.cells} cells")
        return "\n".join(rows)


def summarise(config: ModelConfig) -> Summary:
    """The figures of `config`, without computing or allocating anything."""
    graph, state = nnx.split(nnx.eval_shape(lambda: create(config, 0)))
    image = jax.ShapeDtypeStruct((1, config.image_size, config.image_size), jnp.uint8)

    def forward(state: nnx.State, a: jax.Array, b: jax.Array) -> jax.Array:
        net: Net = nnx.merge(graph, state)
        return net.correspond(net(a, b)).points

    cost = jax.jit(forward).lower(state, image, image).cost_analysis() or {}
    parts = {str(name): _count(part) for name, part in state.items()}
    return Summary(_count(state), parts, float(cost.get("flops", float("nan"))), config.cells)


def _count(tree: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
