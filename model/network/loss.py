"""The dense correspondence loss L_D."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from model.network.grid import cell_of, centres, pool_truth
from model.network.matching import Matches, best
from model.network.net import Net

REFINE_WEIGHT = 0.5
MATCHABLE_WEIGHT = 0.5


def loss(net: Net, batch: Mapping[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Scalar float32 and its terms {"match", "unmatchable", "refine"}, each a scalar float32.

    batch: image_a, image_b uint8 [B, H, W], map_ab float32 [B, G, G, 2], visible bool [B, G, G].
    Every term is a mean over pairs of means over a pair's own cells, so that the parts of a batch,
    on devices or as micro-batches, average to the whole; a pair without such cells adds zero.
    """
    config, matches = net.config, net(batch["image_a"], batch["image_b"])
    points, visible = pool_truth(batch["map_ab"], batch["visible"], config.cells)
    target = cell_of(points, config.cells, config.stride)
    at = jnp.take_along_axis(matches.log_match, target[..., None], 2)[..., 0]
    terms = {
        "match": _mean(-at, visible),
        "unmatchable": _unmatchable(matches, visible, target, config.cells),
        "refine": _refine(net, matches, points, visible, target),
    }
    total = (
        terms["match"] + MATCHABLE_WEIGHT * terms["unmatchable"] + REFINE_WEIGHT * terms["refine"]
    )
    return total, terms


def _mean(values: jax.Array, chosen: jax.Array) -> jax.Array:
    """Mean over pairs of the mean over the chosen [B, N] cells; 0 for a pair with none."""
    total = jnp.where(chosen, values, 0.0).sum(1)
    return (total / jnp.maximum(chosen.sum(1), 1)).mean()


def _unmatchable(matches: Matches, visible: jax.Array, target: jax.Array, cells: int) -> jax.Array:
    """Cross-entropy that teaches background, out-of-view and impostor cells "no match".

    A's cells are negative where not visible; B's where no visible cell of A leads into them or
    beside them (a neighbour of a hit is neither: rounding decides which of the two is hit).
    """
    rows = jnp.arange(len(target))[:, None]
    hit = jnp.zeros(visible.shape, bool).at[rows, target].max(visible)
    around = nnx.max_pool(
        hit.reshape(-1, cells, cells, 1).astype(jnp.float32), (3, 3), padding="SAME"
    )
    free = around.reshape(hit.shape) == 0
    zero_a = _mean(nnx.softplus(matches.matchable_a), ~visible)
    return zero_a + _mean(nnx.softplus(matches.matchable_b), free)


def _refine(
    net: Net, matches: Matches, points: jax.Array, visible: jax.Array, target: jax.Array
) -> jax.Array:
    """Huber error of the refined points in cells, from the cell that would be chosen where it is
    at most one cell off, else from the true cell."""
    config = net.config
    index = best(jax.lax.stop_gradient(matches.log_match))[0]
    centre = centres(config.cells, config.stride)
    close = jnp.abs(centre[index] - centre[target]).max(-1) <= config.stride
    start = jnp.where(close, index, target)
    error = (net.refine(matches, start) - points) / config.stride
    return _mean(optax.losses.huber_loss(error, delta=0.25).sum(-1), visible)
