"""Accuracy of correspondences per pair, in px at 500 ppi; runs inside jit.

The arrays of any number of batches can be concatenated; `train.evaluation.accuracy.summarise`
computes the metrics of a set of pairs from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from model.network.grid import centres, pool_truth
from model.network.matching import Correspondences
from model.network.net import Net


@dataclass(frozen=True)
class MetricParameters:
    """Thresholds of the metrics. Lengths are px at 500 ppi."""

    # Largest error of a correct match, and of a match that agrees with a rigid motion. Chosen:
    # about a ridge period.
    tolerance: float = 8.0
    # Least confidence of a match that is kept; it must be mutual too. Chosen.
    least_confidence: float = 0.2
    # Distances of PCK. Chosen: a quarter, a half and a whole ridge period.
    pck_distances: tuple[int, ...] = (2, 4, 8)
    # Rounds of refitting the rigid motion to the matches that agree. Chosen.
    refits: int = 3


DEFAULT = MetricParameters()


def evaluate_batch(
    net: Net,
    batch: Mapping[str, jax.Array],
    scale: float,
    parameters: MetricParameters = DEFAULT,
) -> dict[str, jax.Array]:
    """Compute the accuracy of the network for each pair of a batch.

    Args:
        net: the network.
        batch: image_a, image_b uint8 [B, H, W]; map_ab float32 [B, G, G, 2]; visible bool
            [B, G, G]; genuine bool [B].
        scale: px at 500 ppi per px of the images.
        parameters: see `MetricParameters`.

    Returns:
        error float32 [B, N], of every cell, px at 500 ppi; visible bool [B, N]; kept bool [B, N],
        the cells with a confident match; rotation_error float32 [B], rad; score float32 [B] in
        [0, 1], see `rigid_consistency`; genuine bool [B].
    """
    config = net.config
    truth, visible = pool_truth(batch["map_ab"], batch["visible"], config.cells)
    matches = net.correspond(net(batch["image_a"], batch["image_b"]))
    source = centres(config.cells, config.stride)
    score, motion = rigid_consistency(
        source, matches, parameters.tolerance / scale, parameters.refits
    )
    true_motion = fit_rigid(source, truth, visible.astype(jnp.float32))
    return {
        "error": jnp.linalg.norm(matches.points - truth, axis=-1) * scale,
        "visible": visible,
        "kept": matches.mutual & (matches.confidence > parameters.least_confidence),
        "rotation_error": jnp.abs(jnp.angle(motion[:, 0] * jnp.conj(true_motion[:, 0]))),
        "score": score,
        "genuine": batch["genuine"],
    }


def fit_rigid(source: jax.Array, points: jax.Array, weight: jax.Array) -> jax.Array:
    """Fit rotation and shift by weighted least squares (Umeyama, IEEE PAMI 1991, in the plane).

    Args:
        source: float32 [N, 2], (x, y).
        points: float32 [B, N, 2], the positions that they move to.
        weight: float32 [B, N].

    Returns:
        complex64 [B, 2], (turn, shift), with points ≈ turn · source + shift as complex numbers
        x + iy. Without any weight the turn is 1.
    """
    p, q = _complex(source)[None], _complex(points)
    total = jnp.maximum(weight.sum(1, keepdims=True), 1e-9)
    mean_p = (weight * p).sum(1, keepdims=True) / total
    mean_q = (weight * q).sum(1, keepdims=True) / total
    moment = (weight * (q - mean_q) * jnp.conj(p - mean_p)).sum(1)
    size = jnp.abs(moment)
    turn = jnp.where(size > 1e-9, moment / jnp.maximum(size, 1e-9), 1.0)
    return jnp.stack([turn, mean_q[:, 0] - turn * mean_p[:, 0]], 1)


def rigid_consistency(
    source: jax.Array,
    matches: Correspondences,
    tolerance: float,
    refits: int = DEFAULT.refits,
) -> tuple[jax.Array, jax.Array]:
    """Measure how far matches agree on one rigid motion.

    Every match, together with the one half a grid further on, proposes a motion. The motion with
    which most probability agrees is fitted again to the matches that agree.

    Args:
        source: float32 [N, 2], the cell centres of A.
        matches: of B pairs.
        tolerance: px of the images, of a match that agrees; twice as much after the last fit.
        refits: rounds of fitting.

    Returns:
        Score float32 [B] in [0, 1], the agreeing probability over the number of cells, so that few
        agreeing matches score low; and the motion complex64 [B, 2] as in `fit_rigid`.
    """
    weight = matches.confidence * matches.mutual
    p, q = _complex(source), _complex(matches.points)
    turn, shift = _propose_motions(p, q)
    votes = (_agreement(p, q, turn, shift, tolerance) @ weight[..., None])[..., 0]
    winner = votes.argmax(1)[:, None]
    motion = jnp.stack([jnp.take_along_axis(v, winner, 1)[:, 0] for v in (turn, shift)], 1)
    for _ in range(refits):
        agrees = _agreement(p, q, motion[:, :1], motion[:, 1:], tolerance)[:, 0]
        motion = fit_rigid(source, matches.points, weight * agrees)
    agrees = _agreement(p, q, motion[:, :1], motion[:, 1:], 2 * tolerance)[:, 0]
    return (weight * agrees).mean(1), motion


def _propose_motions(p: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return turn and shift [B, N] from each match p [N] → q [B, N] and one half a grid away."""
    step = len(p) // 2 + int(np.sqrt(len(p))) // 2
    baseline = jnp.roll(p, step) - p
    turn = (jnp.roll(q, step, 1) - q) * jnp.conj(baseline)[None]
    turn /= jnp.maximum(jnp.abs(turn), 1e-9)
    return turn, q - turn * p[None]


def _complex(points: jax.Array) -> jax.Array:
    """(x, y) float32 [..., 2] → complex64 [...]."""
    return jax.lax.complex(points[..., 0], points[..., 1])


def _agreement(
    p: jax.Array, q: jax.Array, turn: jax.Array, shift: jax.Array, tolerance: float
) -> jax.Array:
    """Return whether motion h (turn, shift complex [B, H]) maps p [N] to q [B, N], [B, H, N]."""
    off = turn[..., None] * p[None, None] + shift[..., None] - q[:, None]
    return (jnp.abs(off) <= tolerance).astype(jnp.float32)
