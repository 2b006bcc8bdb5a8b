"""Size of a network: parameters, floating-point operations and cells, for a config."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.config import ModelConfig
from model.network.flops import count_flops
from model.network.net import Net, outline
from shards.foundation.text_table import format_table


@dataclass(frozen=True)
class Summary:
    """Size of a network.

    Attributes:
        parameters: number of all parameters.
        parameters_by_module: the same by module ("backbone", "transformer", "matcher", "refiner").
        flops: floating-point operations of the forward pass of one pair (`count_flops`).
        cells: cells per side of the matching grid (G).
    """

    parameters: int
    parameters_by_module: dict[str, int]
    flops: float
    cells: int

    def __str__(self) -> str:
        """Format the summary as a table for the console."""
        rows = [[name, f"{count:,d}"] for name, count in self.parameters_by_module.items()]
        rows.append(["parameters", f"{self.parameters:,d}"])
        rows.append(["forward (GFLOP per pair)", f"{self.flops / 1e9:.3f}"])
        rows.append(["grid", f"{self.cells} × {self.cells} cells"])
        return format_table(rows)


def summarise(config: ModelConfig) -> Summary:
    """Return the size of the network of `config`; nothing is computed or allocated."""
    graph, state = outline(config)
    image = jax.ShapeDtypeStruct((1, config.image_size, config.image_size), jnp.uint8)

    def forward(state: nnx.State, image_a: jax.Array, image_b: jax.Array) -> jax.Array:
        net: Net = nnx.merge(graph, state)
        return net.correspond(net(image_a, image_b)).points

    flops = count_flops(jax.make_jaxpr(forward)(state, image, image))
    by_module = {str(name): _count_parameters(part) for name, part in state.items()}
    return Summary(_count_parameters(state), by_module, flops, config.cells)


def _count_parameters(tree: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
