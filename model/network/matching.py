"""From the cell features of two images to match probabilities and positions below the cell."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.config import ModelConfig
from model.network.grid import centres


@dataclass(frozen=True)
class MatchingParameters:
    """Parameters of matching and refinement."""

    # Initial factor of the cosines before the softmax. Chosen; it is trained.
    initial_scale: float = 10.0
    # Variance of the refiner's last kernel at the start: small, so that training starts near the
    # cells' centres, but not zero, so that the gradient reaches its hidden layer. Chosen.
    initial_offset_variance: float = 1e-3
    # Largest offset of a refined point along each axis, in cells from the centre of the chosen
    # cell. Chosen: into the neighbouring cell, since the choice may be one cell off.
    largest_offset: float = 1.5


DEFAULT = MatchingParameters()


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Matches:
    """Output of the network for B pairs; all arrays are float32.

    Attributes:
        log_match: [B, N, N], log probability that cell i of A corresponds to cell j of B.
        matchable_a: [B, N], logit that the cell of A has any partner in B.
        matchable_b: [B, N], the same for B.
        similarity: [B, N, N], scaled cosines of the features.
        features_a, features_b: [B, N, C].
    """

    log_match: jax.Array
    matchable_a: jax.Array
    matchable_b: jax.Array
    similarity: jax.Array
    features_a: jax.Array
    features_b: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correspondences:
    """The best partner of every cell of A.

    Attributes:
        points: float32 [B, N, 2], (x, y) px in B, refined below the cell.
        confidence: float32 [B, N], probability of that match in [0, 1].
        mutual: bool [B, N], whether the partner's best match is this cell.
    """

    points: jax.Array
    confidence: jax.Array
    mutual: jax.Array


class Matcher(nnx.Module):
    """Dual softmax with matchability (LightGlue, arXiv 2306.13643, section 3.2).

    log P_ij = log σ(m_i) + log σ(m_j) + log softmax over j + log softmax over i: the product of the
    two softmaxes, not its root, with the matchability outside of it, so that a cell can have no
    match.
    """

    def __init__(
        self, config: ModelConfig, rngs: nnx.Rngs, parameters: MatchingParameters = DEFAULT
    ) -> None:
        self.project = nnx.Linear(config.width, config.width, rngs=rngs)
        self.matchability = nnx.Linear(config.width, 1, rngs=rngs)
        scale = jnp.full((), parameters.initial_scale, jnp.float32)
        self.log_scale = nnx.Param(jnp.log(scale))

    def __call__(self, x: jax.Array) -> Matches:
        """Match cells [2B, N, C]: those of the B images A first, then those of the images B."""
        x = x.astype(jnp.float32)
        features = self.project(x)
        features /= jnp.linalg.norm(features, axis=-1, keepdims=True) + 1e-6
        a, b = jnp.split(features, 2)
        similarity = jnp.exp(self.log_scale[...]) * (a @ b.swapaxes(1, 2))
        matchable_a, matchable_b = jnp.split(self.matchability(x)[..., 0], 2)
        log_match = (
            nnx.log_sigmoid(matchable_a)[:, :, None]
            + nnx.log_sigmoid(matchable_b)[:, None, :]
            + nnx.log_softmax(similarity, 2)
            + nnx.log_softmax(similarity, 1)
        )
        features_a, features_b = jnp.split(x, 2)
        return Matches(log_match, matchable_a, matchable_b, similarity, features_a, features_b)


class Refiner(nnx.Module):
    """Position, in or near cell j of B, that corresponds to the centre of cell i of A.

    A perceptron on the features of the two cells, as in XFeat (arXiv 2404.19174, section 3.3), and
    on the similarity of i to the 3×3 cells around j.
    """

    def __init__(
        self, config: ModelConfig, rngs: nnx.Rngs, parameters: MatchingParameters = DEFAULT
    ) -> None:
        width = config.width
        self.hidden = nnx.Linear(2 * width + 9, width, rngs=rngs)
        small = nnx.initializers.variance_scaling(
            parameters.initial_offset_variance, "fan_in", "normal"
        )
        self.offset = nnx.Linear(width, 2, rngs=rngs, kernel_init=small)
        self.stride, self.cells = config.stride, config.cells
        self.largest_offset = parameters.largest_offset * config.stride  # px

    def __call__(self, matches: Matches, index: jax.Array) -> jax.Array:
        """Return points (x, y) float32 [B, N, 2] in B, near its cells `index` int32 [B, N]."""
        around = neighbourhood(matches.similarity, index, self.cells)
        partner = jnp.take_along_axis(matches.features_b, index[..., None], 1)
        pair = jnp.concatenate([matches.features_a, partner, around], -1)
        offset = jnp.tanh(self.offset(nnx.relu(self.hidden(pair)))) * self.largest_offset
        return centres(self.cells, self.stride)[index] + offset


def neighbourhood(similarity: jax.Array, index: jax.Array, cells: int) -> jax.Array:
    """Return the similarity to the 3×3 cells around a cell, minus that to the cell itself.

    Args:
        similarity: [B, N, N], of the cells of A and B.
        index: int32 [B, N], the cell of B for each cell of A.
        cells: per side (G).

    Returns:
        [B, N, 9], row-major; beyond the border the cells of the border are repeated.
    """
    step = jnp.arange(-1, 2)
    row = jnp.clip(index[..., None] // cells + step[None, None], 0, cells - 1)
    column = jnp.clip(index[..., None] % cells + step[None, None], 0, cells - 1)
    around = (row[..., :, None] * cells + column[..., None, :]).reshape(*index.shape, 9)
    values = jnp.take_along_axis(similarity, around, 2)
    return values - values[..., 4:5]


def best_partners(log_match: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Find the most probable cell of B for every cell of A.

    Args:
        log_match: [B, N, N], log probabilities.

    Returns:
        The cell int32 [B, N], its log probability float32 [B, N], and whether that cell's most
        probable partner is this cell, bool [B, N].
    """
    index = log_match.argmax(2)
    back = jnp.take_along_axis(log_match.argmax(1), index, 1)
    mutual = back == jnp.arange(index.shape[1])[None]
    return index, log_match.max(2), mutual
