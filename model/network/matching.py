"""Cell features of two images → match probabilities and sub-cell positions."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.config import ModelConfig
from model.network.grid import centres


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Matches:
    """What the network says of a pair, before any decision; all float32."""

    log_match: jax.Array  # [B, N, N], log probability that cell i of A lies in cell j of B
    matchable_a: jax.Array  # [B, N], logit that the cell of A has a partner in B at all
    matchable_b: jax.Array  # [B, N], the same for B
    similarity: jax.Array  # [B, N, N], scaled cosines of the features
    features_a: jax.Array  # [B, N, C]
    features_b: jax.Array  # [B, N, C]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correspondences:
    """The best partner of every cell of A."""

    points: jax.Array  # float32 [B, N, 2], (x, y) px in B, refined below the cell
    confidence: jax.Array  # float32 [B, N], probability of that match in [0, 1]
    mutual: jax.Array  # bool [B, N], the partner's best is this cell too


class Matcher(nnx.Module):
    """Dual softmax with matchability (LightGlue, arXiv 2306.13643, section 3.2).

    log P_ij = log σ(m_i) + log σ(m_j) + log softmax over j + log softmax over i. The product of the
    two softmaxes, not its root, with the matchability outside it, so that a cell can have no match.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.project = nnx.Linear(config.width, config.width, rngs=rngs)
        self.matchability = nnx.Linear(config.width, 1, rngs=rngs)
        self.log_scale = nnx.Param(jnp.log(jnp.full((), 10.0, jnp.float32)))

    def __call__(self, x: jax.Array) -> Matches:
        """[2B, N, C], the B first images' cells above their partners' → Matches."""
        x = x.astype(jnp.float32)
        features = self.project(x)
        features /= jnp.linalg.norm(features, axis=-1, keepdims=True) + 1e-6
        a, b = jnp.split(features, 2)
        similarity = jnp.exp(self.log_scale[...]) * (a @ b.swapaxes(1, 2))
        m_a, m_b = jnp.split(self.matchability(x)[..., 0], 2)
        log_match = (
            nnx.log_sigmoid(m_a)[:, :, None]
            + nnx.log_sigmoid(m_b)[:, None, :]
            + nnx.log_softmax(similarity, 2)
            + nnx.log_softmax(similarity, 1)
        )
        x_a, x_b = jnp.split(x, 2)
        return Matches(log_match, m_a, m_b, similarity, x_a, x_b)


class Refiner(nnx.Module):
    """Where inside (or just beside) cell j of B the centre of cell i of A lies.

    A perceptron on the two cells' features, as XFeat does (arXiv 2404.19174, section 3.3), and on
    the similarity of i to the 3×3 cells around j.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width = config.width
        self.hidden = nnx.Linear(2 * width + 9, width, rngs=rngs)
        # Small, so that training starts near the cells' centres; not zero, so that the gradient
        # reaches `hidden` from the first step.
        small = nnx.initializers.variance_scaling(1e-3, "fan_in", "normal")
        self.offset = nnx.Linear(width, 2, rngs=rngs, kernel_init=small)
        self.stride, self.cells = config.stride, config.cells

    def __call__(self, matches: Matches, index: jax.Array) -> jax.Array:
        """Points (x, y) float32 [B, N, 2] in B, near the cells `index` int32 [B, N] of B."""
        near = neighbourhood(matches.similarity, index, self.cells)
        partner = jnp.take_along_axis(matches.features_b, index[..., None], 1)
        pair = jnp.concatenate([matches.features_a, partner, near], -1)
        offset = jnp.tanh(self.offset(nnx.relu(self.hidden(pair)))) * (1.5 * self.stride)
        return centres(self.cells, self.stride)[index] + offset


def neighbourhood(similarity: jax.Array, index: jax.Array, cells: int) -> jax.Array:
    """Similarity [B, N, 9] to the 3×3 cells around `index` [B, N], less that of `index` itself.

    Cells beyond the border repeat the border's.
    """
    step = jnp.arange(-1, 2)
    row = jnp.clip(index[..., None] // cells + step[None, None], 0, cells - 1)
    column = jnp.clip(index[..., None] % cells + step[None, None], 0, cells - 1)
    around = (row[..., :, None] * cells + column[..., None, :]).reshape(*index.shape, 9)
    near = jnp.take_along_axis(similarity, around, 2)
    return near - near[..., 4:5]


def best(log_match: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """For every cell of A its likeliest cell of B int32 [B, N], that log probability float32
    [B, N], and whether the choice is mutual, bool [B, N]."""
    index = log_match.argmax(2)
    back = jnp.take_along_axis(log_match.argmax(1), index, 1)
    mutual = back == jnp.arange(index.shape[1])[None]
    return index, log_match.max(2), mutual
