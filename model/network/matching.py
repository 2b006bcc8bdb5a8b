"""From the cell features of two images to match probabilities and positions below the cell."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
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

    The arrays over all pairs of cells, [B, N, N], are computed from these where they are used, so
    that a compiler need not keep them in memory.

    Attributes:
        directions_a, directions_b: [B, N, C], unit vectors times the root of the scale.
        matchable_a: [B, N], logit that the cell of A has any partner in B.
        matchable_b: [B, N], the same for B.
        features_a, features_b: [B, N, C].
    """

    directions_a: jax.Array
    directions_b: jax.Array
    matchable_a: jax.Array
    matchable_b: jax.Array
    features_a: jax.Array
    features_b: jax.Array

    @property
    def similarity(self) -> jax.Array:
        """Scaled cosines of the features, [B, N, N]."""
        return self.directions_a @ self.directions_b.swapaxes(1, 2)

    def similarity_at(self, index: jax.Array) -> jax.Array:
        """Return the similarity of each cell of A to K cells of B: int32 [B, K, N] → [B, K, N].

        Computed from the features: picking values out of [B, N, N] is slow on accelerators.
        """
        batch, chosen, count = index.shape
        flat = index.reshape(batch, chosen * count, 1)
        partners = jnp.take_along_axis(self.directions_b, flat, 1)
        partners = partners.reshape(batch, chosen, count, -1)
        return jnp.einsum("bknc,bnc->bkn", partners, self.directions_a)

    @property
    def log_match(self) -> jax.Array:
        """Log probability that cell i of A corresponds to cell j of B, [B, N, N]."""
        term_a, term_b = self._terms()
        return 2 * self.similarity + term_a[:, :, None] + term_b[:, None, :]

    def log_match_at(self, index: jax.Array) -> jax.Array:
        """Return `log_match` of one cell of B for each cell of A: int32 [B, N] → [B, N]."""
        term_a, term_b = self._terms()
        chosen = self.similarity_at(index[:, None])[:, 0]
        return 2 * chosen + term_a + jnp.take_along_axis(term_b, index, 1)

    def _terms(self) -> tuple[jax.Array, jax.Array]:
        """Return the parts of `log_match` that depend on one cell, of A and of B, [B, N] each."""
        similarity = self.similarity
        term_a = nnx.log_sigmoid(self.matchable_a) - jax.nn.logsumexp(similarity, 2)
        term_b = nnx.log_sigmoid(self.matchable_b) - jax.nn.logsumexp(similarity, 1)
        return term_a, term_b


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
        features *= jnp.exp(self.log_scale[...] / 2)  # half of the scale in each of the two
        matchable = self.matchability(x)[..., 0]
        return Matches(*jnp.split(features, 2), *jnp.split(matchable, 2), *jnp.split(x, 2))


class Refiner(nnx.Module):
    """Position, in or near cell j of B, that corresponds to the centre of cell i of A.

    A perceptron on the features of the two cells, as in XFeat (arXiv 2404.19174, section 3.3), and
    on the similarity of i to the 3×3 cells around j, minus that to j.
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
        around = matches.similarity_at(neighbourhood(index, self.cells))
        around = (around - around[:, 4:5]).swapaxes(1, 2)
        partner = jnp.take_along_axis(matches.features_b, index[..., None], 1)
        inputs = matches.features_a, partner, around  # side by side, but never copied into one
        kernels = jnp.split(self.hidden.kernel[...], np.cumsum([x.shape[-1] for x in inputs[:2]]))
        hidden = sum(x @ kernel for x, kernel in zip(inputs, kernels, strict=True))
        assert self.hidden.bias is not None  # for the type checker
        hidden = nnx.relu(hidden + self.hidden.bias[None, None])
        offset = jnp.tanh(self.offset(hidden)) * self.largest_offset
        return centres(self.cells, self.stride)[index] + offset


def neighbourhood(index: jax.Array, cells: int) -> jax.Array:
    """Return the 3×3 cells around each cell, row-major; the cell itself is in the middle.

    Args:
        index: int32 [B, N], row-major cells of a grid.
        cells: per side (G).

    Returns:
        int32 [B, 9, N]; beyond the border the cells of the border are repeated.
    """
    down, right = jnp.divmod(jnp.arange(9), 3)
    row = jnp.clip(index[:, None] // cells + down[None, :, None] - 1, 0, cells - 1)
    column = jnp.clip(index[:, None] % cells + right[None, :, None] - 1, 0, cells - 1)
    return row * cells + column


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
