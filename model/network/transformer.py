"""Self- and cross-attention between the cells of two images (LoFTR, arXiv 2104.00680)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.attention import ATTENTION
from model.network.config import ModelConfig


def position_encoding(cells: int, width: int) -> jax.Array:
    """Return 2-D sinusoids float32 [N, width]: sin x, cos x, sin y, cos y, a quarter each.

    Wavelengths are geometric, from 2π cells to far beyond the grid (LoFTR, section 3.2).

    Args:
        cells: per side (G).
        width: number of channels, a multiple of 4.
    """
    frequency = jnp.exp(-jnp.arange(width // 4) * (jnp.log(10000.0) / (width // 4)))
    angle = jnp.arange(cells, dtype=jnp.float32)[:, None] * frequency[None]
    waves = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)  # [G, width / 2]
    shape = (cells, cells, width // 2)
    waves_x, waves_y = jnp.broadcast_to(waves[None], shape), jnp.broadcast_to(waves[:, None], shape)
    return jnp.concatenate([waves_x, waves_y], -1).reshape(cells * cells, width)


class Layer(nnx.Module):
    """Attention to the cells of an image, then a two-layer perceptron; both pre-norm and residual.

    Positions are added to queries and keys alone (Carion et al. 2020), so that values do not
    contain them. As in LoFTR no product has a bias: the network subtracts each image's mean from
    the last layer's output, so that a bias there would have no effect on the loss.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, dtype = config.width, config.compute_dtype
        linear = partial(nnx.Linear, use_bias=False, dtype=dtype, rngs=rngs)
        self.norm = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.query = linear(width, width)
        self.key = linear(width, width)
        self.value = linear(width, width)
        self.merge = linear(width, width)
        self.mlp_norm = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.mlp_in = linear(width, config.mlp)
        self.mlp_out = linear(config.mlp, width)
        self.heads, self.attention = config.heads, config.attention

    def __call__(self, x: jax.Array, position: jax.Array, shift: int) -> jax.Array:
        """Apply the layer.

        Args:
            x: [B, N, C], the cells of B images.
            position: [N, C], encoding of the positions of the cells.
            shift: the cells of image i attend to those of image (i + shift) mod B.

        Returns:
            [B, N, C].
        """
        shape = x.shape

        def tokens(x: jax.Array) -> jax.Array:  # flat: XLA's CPU backend is slow with [B, N, C]
            return x.reshape(-1, shape[-1])

        normed = self.norm(x)
        placed = tokens(normed + position[None])
        q, k, v = self.query(placed), self.key(placed), self.value(tokens(normed))
        q, k, v = (part.reshape(shape) for part in (q, k, v))
        y = ATTENTION[self.attention](q, k, v, self.heads, shift)
        z = tokens(x) + self.merge(tokens(y))
        return (z + self.mlp_out(nnx.gelu(self.mlp_in(self.mlp_norm(z))))).reshape(shape)


class Transformer(nnx.Module):
    """`layers` times a self- and a cross-attention layer, with the same weights for both images.

    The output is normalised: first the mean of each image is subtracted, then each cell is
    normalised. Without it a network needs several times as many steps to begin to learn
    (docs/LOG.md, 2026-11-22, "How the network begins to learn").
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.own = nnx.List(Layer(config, rngs) for _ in range(config.layers))
        self.cross = nnx.List(Layer(config, rngs) for _ in range(config.layers))
        self.norm = nnx.LayerNorm(config.width, rngs=rngs)
        self.cells = config.cells

    def __call__(self, x: jax.Array) -> jax.Array:
        """Transform cells [2B, N, C], those of the B images A first, to float32 [2B, N, C]."""
        position = position_encoding(self.cells, x.shape[-1]).astype(x.dtype)
        for own, cross in zip(self.own, self.cross, strict=True):
            x = own(x, position, 0)
            x = cross(x, position, len(x) // 2)
        x = x.astype(jnp.float32)
        return self.norm(x - x.mean(1, keepdims=True))
