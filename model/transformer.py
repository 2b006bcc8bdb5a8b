"""Self- and cross-attention between the cells of two images (LoFTR, arXiv 2104.00680)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from model.config import ModelConfig


def position_encoding(cells: int, width: int) -> jax.Array:
    """2-D sinusoids float32 [N, width]: sin x, cos x, sin y, cos y, a quarter of the channels each.

    Wavelengths run geometrically from 2π cells to far beyond the grid (LoFTR, section 3.2).
    """
    frequency = jnp.exp(-jnp.arange(width // 4) * (jnp.log(10000.0) / (width // 4)))
    angle = jnp.arange(cells, dtype=jnp.float32)[:, None] * frequency[None]
    waves = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)  # [G, width / 2]
    shape = (cells, cells, width // 2)
    both = [jnp.broadcast_to(waves[None], shape), jnp.broadcast_to(waves[:, None], shape)]
    return jnp.concatenate(both, -1).reshape(cells * cells, width)


def softmax_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """[B, heads, N, d] each → [B, heads, N, d]; the softmax runs in float32."""
    weights = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    return nnx.softmax(weights.astype(jnp.float32), -1).astype(v.dtype) @ v


def linear_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """The same with the kernel elu + 1 (Katharopoulos et al. 2020): linear in N."""
    q, k = nnx.elu(q) + 1, nnx.elu(k) + 1
    total = q @ k.sum(-2, keepdims=True).swapaxes(-1, -2)  # [B, heads, N, 1]
    return q @ (k.swapaxes(-1, -2) @ v) / total


ATTENTION = {"softmax": softmax_attention, "linear": linear_attention}


class Layer(nnx.Module):
    """Pre-norm attention from `x` to `source`, then a two-layer perceptron, both residual."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, dtype = config.width, config.compute_dtype
        self.norm = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.query = nnx.Linear(width, width, use_bias=False, dtype=dtype, rngs=rngs)
        self.key_value = nnx.Linear(width, 2 * width, use_bias=False, dtype=dtype, rngs=rngs)
        self.merge = nnx.Linear(width, width, use_bias=False, dtype=dtype, rngs=rngs)
        self.mlp_norm = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.mlp_in = nnx.Linear(width, config.mlp, dtype=dtype, rngs=rngs)
        self.mlp_out = nnx.Linear(config.mlp, width, dtype=dtype, rngs=rngs)
        self.heads, self.attention = config.heads, config.attention

    def __call__(self, x: jax.Array, source: jax.Array) -> jax.Array:
        """[B, N, C], [B, N, C] → [B, N, C]."""
        shape = x.shape  # the linear layers run on flat tokens, whose gradients XLA's CPU likes
        x, source = (tokens.reshape(-1, shape[-1]) for tokens in (x, source))
        q = self._split(self.query(self.norm(x)), shape[0])
        key, value = jnp.split(self.key_value(self.norm(source)), 2, -1)
        k, v = self._split(key, shape[0]), self._split(value, shape[0])
        y = ATTENTION[self.attention](q, k, v).swapaxes(1, 2).reshape(x.shape)
        x = x + self.merge(y)
        return (x + self.mlp_out(nnx.gelu(self.mlp_in(self.mlp_norm(x))))).reshape(shape)

    def _split(self, x: jax.Array, batch: int) -> jax.Array:
        """[B·N, C] → [B, heads, N, C / heads], the layout that matrix products want."""
        return x.reshape(batch, -1, self.heads, x.shape[-1] // self.heads).swapaxes(1, 2)


class Transformer(nnx.Module):
    """`layers` times a self- and a cross-attention layer, the same weights for both images."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.own = nnx.List(Layer(config, rngs) for _ in range(config.layers))
        self.cross = nnx.List(Layer(config, rngs) for _ in range(config.layers))
        self.cells = config.cells

    def __call__(self, x: jax.Array) -> jax.Array:
        """[2B, N, C], the B first images' cells above their partners' → the same shape."""
        x = x + position_encoding(self.cells, x.shape[-1]).astype(x.dtype)[None]
        for own, cross in zip(self.own, self.cross, strict=True):
            x = own(x, x)
            x = cross(x, jnp.roll(x, len(x) // 2, 0))
        return x
