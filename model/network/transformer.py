"""Self- and cross-attention between the cells of two images (LoFTR, arXiv 2104.00680)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

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


def softmax_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Apply scaled dot-product attention (Vaswani et al. 2017).

    Written out, since `jax.nn.dot_product_attention` takes 1.1 to 3.3 times as long on a CPU
    (measured, docs/LOG.md, 2026-11-29, "Attention written out, or by JAX").

    Args:
        q, k, v: queries, keys and values, [B, heads, N, d].

    Returns:
        [B, heads, N, d] in the dtype of `v`; the softmax is computed in float32.
    """
    weights = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    return nnx.softmax(weights.astype(jnp.float32), -1).astype(v.dtype) @ v


def linear_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Apply attention with the kernel elu + 1 (Katharopoulos et al. 2020), linear in N.

    Arguments and result are as in `softmax_attention`.
    """
    q, k = nnx.elu(q) + 1, nnx.elu(k) + 1
    total = q @ k.sum(-2, keepdims=True).swapaxes(-1, -2)  # [B, heads, N, 1]
    return q @ (k.swapaxes(-1, -2) @ v) / total


ATTENTION = {"softmax": softmax_attention, "linear": linear_attention}


class Layer(nnx.Module):
    """Attention from `x` to `source`, then a two-layer perceptron; both pre-norm and residual.

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

    def __call__(self, x: jax.Array, source: jax.Array, position: jax.Array) -> jax.Array:
        """Apply the layer.

        Args:
            x: [B, N, C], the cells that attend.
            source: [B, N, C], the cells that they attend to.
            position: [N, C], encoding of the positions of the cells.

        Returns:
            [B, N, C].
        """
        batch, count, width = shape = x.shape

        def tokens(x: jax.Array) -> jax.Array:  # flat: XLA's CPU backend is slow with [B, N, C]
            return x.reshape(-1, width)

        def heads(x: jax.Array) -> jax.Array:  # the layout that matrix products need
            return x.reshape(batch, count, self.heads, -1).swapaxes(1, 2)

        normed_x, normed_source = self.norm(x), self.norm(source)
        q = heads(self.query(tokens(normed_x + position[None])))
        k = heads(self.key(tokens(normed_source + position[None])))
        v = heads(self.value(tokens(normed_source)))
        y = ATTENTION[self.attention](q, k, v).swapaxes(1, 2)
        z = tokens(x) + self.merge(tokens(y.reshape(shape)))
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
            x = own(x, x, position)
            x = cross(x, jnp.roll(x, len(x) // 2, 0), position)
        x = x.astype(jnp.float32)
        return self.norm(x - x.mean(1, keepdims=True))
