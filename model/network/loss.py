"""The dense correspondence loss L_D (IFViT, arXiv 2404.08237, first module)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from model.network.grid import cell_of, centres, pool_truth
from model.network.matching import Matches, best_partners
from model.network.net import Net


@dataclass(frozen=True)
class LossParameters:
    """Weights of the terms against the match term, and the shape of the refinement term."""

    # Chosen: half of the match term each.
    unmatchable_weight: float = 0.5
    refine_weight: float = 0.5
    # Error, in cells, at which the Huber loss turns from quadratic to linear. Chosen.
    huber_delta: float = 0.25


DEFAULT = LossParameters()


def loss(
    net: Net, batch: Mapping[str, jax.Array], parameters: LossParameters = DEFAULT
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Compute the loss of a batch and its terms.

    Every term is a mean over pairs of means over a pair's own cells, so that the parts of a batch,
    on devices or as micro-batches, average to the whole. A pair without such cells adds zero.

    Args:
        net: the network.
        batch: image_a, image_b uint8 [B, H, W]; map_ab float32 [B, G, G, 2], (x, y) px in B;
            visible bool [B, G, G].
        parameters: see `LossParameters`.

    Returns:
        The loss, and its terms "match" (negative log probability of the true cells), "unmatchable"
        (cross-entropy of the cells without a partner) and "refine" (Huber error of the refined
        points); all scalar float32.
    """
    config, matches = net.config, net(batch["image_a"], batch["image_b"])
    points, visible = pool_truth(batch["map_ab"], batch["visible"], config.cells)
    target = cell_of(points, config.cells, config.stride)  # cell of B; not used where not visible
    terms = {
        "match": _mean(-matches.log_match_at(target), visible),
        "unmatchable": _unmatchable(matches, visible, target, config.cells),
        "refine": _refine(net, matches, points, visible, target, parameters.huber_delta),
    }
    total = (
        terms["match"]
        + parameters.unmatchable_weight * terms["unmatchable"]
        + parameters.refine_weight * terms["refine"]
    )
    return total, terms


def _mean(values: jax.Array, selected: jax.Array) -> jax.Array:
    """Return the mean over pairs of the mean over the selected [B, N] cells; 0 for none."""
    total = jnp.where(selected, values, 0.0).sum(1)
    return (total / jnp.maximum(selected.sum(1), 1)).mean()


def _unmatchable(matches: Matches, visible: jax.Array, target: jax.Array, cells: int) -> jax.Array:
    """Return the cross-entropy of cells without a partner: background, out of view, impostors.

    In A these are the cells that are not visible. In B these are the cells whose 3×3 neighbourhood
    contains no target of a visible cell of A; the neighbours of a target do not count, since
    rounding decides which of two adjacent cells is the target.

    Args:
        matches: of B pairs.
        visible: bool [B, N], the visible cells of A.
        target: int32 [B, N], the true cell of B of each visible cell of A.
        cells: per side (G).
    """
    rows = jnp.arange(len(target))[:, None]
    hit = jnp.zeros(visible.shape, bool).at[rows, target].max(visible)
    hit_grid = hit.reshape(-1, cells, cells, 1).astype(jnp.float32)
    near_hit = nnx.max_pool(hit_grid, (3, 3), padding="SAME").reshape(hit.shape)
    term_a = _mean(nnx.softplus(matches.matchable_a), ~visible)
    return term_a + _mean(nnx.softplus(matches.matchable_b), near_hit == 0)


def _refine(
    net: Net,
    matches: Matches,
    points: jax.Array,
    visible: jax.Array,
    target: jax.Array,
    huber_delta: float,
) -> jax.Array:
    """Return the Huber error of the refined points, in cells.

    The refinement starts at the cell that the network would choose where that is at most one cell
    from the true one, else at the true cell.

    Args:
        net: the network.
        matches: of B pairs.
        points: float32 [B, N, 2], the true positions (x, y) px in B.
        visible: bool [B, N], the visible cells of A.
        target: int32 [B, N], the true cell of B.
        huber_delta: see `LossParameters`.
    """
    config = net.config
    index, _, _ = best_partners(jax.lax.stop_gradient(matches.log_match))
    centre = centres(config.cells, config.stride)
    adjacent = jnp.abs(centre[index] - centre[target]).max(-1) <= config.stride
    start = jnp.where(adjacent, index, target)
    error = (net.refine(matches, start) - points) / config.stride
    return _mean(optax.losses.huber_loss(error, delta=huber_delta).sum(-1), visible)
