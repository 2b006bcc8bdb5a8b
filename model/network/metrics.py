"""Accuracy of correspondences per pair, in px at 500 ppi, inside jit.

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

    # A correct, consistent match is at most this far off: about a ridge period.
    tolerance: float = 8.0
    # Least confidence of a mutual match that is kept. Chosen.
    least_confidence: float = 0.2
    # Distances of PCK.
    pck_distances: tuple[int, ...] = (2, 4, 8)


DEFAULT = MetricParameters()


def evaluate_batch(net: Net, batch: Mapping[str, jax.Array], scale: float) -> dict[str, jax.Array]:
    """Per-pair results of a batch, jit-able; `scale` is px at 500 ppi a px of the image.

    Returns error float32 [B, N] (px at 500 ppi, of every cell), visible, kept bool [B, N],
    rotation_error float32 [B] (rad), score float32 [B] in [0, 1], genuine bool [B].
    """
    config = net.config
    truth, visible = pool_truth(batch["map_ab"], batch["visible"], config.cells)
    found = net.correspond(net(batch["image_a"], batch["image_b"]))
    source = centres(config.cells, config.stride)
    kept = found.mutual & (found.confidence > DEFAULT.least_confidence)
    score, motion = consistency(source, found, DEFAULT.tolerance / scale)
    true_motion = fit_rigid(source, truth, visible.astype(jnp.float32))
    return {
        "error": jnp.linalg.norm(found.points - truth, axis=-1) * scale,
        "visible": visible,
        "kept": kept,
        "rotation_error": jnp.abs(jnp.angle(motion[:, 0] * jnp.conj(true_motion[:, 0]))),
        "score": score,
        "genuine": batch["genuine"],
    }


def fit_rigid(source: jax.Array, points: jax.Array, weight: jax.Array) -> jax.Array:
    """The weighted least-squares rotation and shift of `source` [N, 2] onto `points` [B, N, 2].

    As complex numbers (x + iy): points ≈ turn · source + shift; complex64 [B, 2] = (turn, shift).
    The closed form of Umeyama (1991) in the plane. With no weight at all the turn is 1.
    """
    p, q = _complex(source)[None], _complex(points)
    total = jnp.maximum(weight.sum(1, keepdims=True), 1e-9)
    mean_p = (weight * p).sum(1, keepdims=True) / total
    mean_q = (weight * q).sum(1, keepdims=True) / total
    moment = (weight * (q - mean_q) * jnp.conj(p - mean_p)).sum(1)
    size = jnp.abs(moment)
    turn = jnp.where(size > 1e-9, moment / jnp.maximum(size, 1e-9), 1.0)
    return jnp.stack([turn, mean_q[:, 0] - turn * mean_p[:, 0]], 1)


def consistency(
    source: jax.Array, found: Correspondences, tolerance: float
) -> tuple[jax.Array, jax.Array]:
    """How far the matches agree on one rigid motion: score float32 [B] in [0, 1], and the motion.

    Every match with the one half a grid further on proposes a motion; the one on which most
    probability agrees to `tolerance` px is fitted again to those that agree. The score is the
    agreeing probability over the number of cells, so that few agreeing matches score low.
    """
    weight = found.confidence * found.mutual
    p, q = _complex(source), _complex(found.points)
    step = len(p) // 2 + int(np.sqrt(len(p))) // 2
    baseline = jnp.roll(p, step) - p
    turn = (jnp.roll(q, step, 1) - q) * jnp.conj(baseline)[None]
    turn /= jnp.maximum(jnp.abs(turn), 1e-9)
    shift = q - turn * p[None]
    votes = _agreement(p, q, turn, shift, tolerance) @ weight[..., None]
    winner = votes[..., 0].argmax(1)[:, None]
    motion = jnp.stack([jnp.take_along_axis(v, winner, 1)[:, 0] for v in (turn, shift)], 1)
    for _ in range(3):
        agree = _agreement(p, q, motion[:, :1], motion[:, 1:], tolerance)[:, 0]
        motion = fit_rigid(source, found.points, weight * agree)
    agree = _agreement(p, q, motion[:, :1], motion[:, 1:], 2 * tolerance)[:, 0]
    return (weight * agree).mean(1), motion


def _complex(points: jax.Array) -> jax.Array:
    """(x, y) float32 [..., 2] → complex64 [...]."""
    return jax.lax.complex(points[..., 0], points[..., 1])


def _agreement(
    p: jax.Array, q: jax.Array, turn: jax.Array, shift: jax.Array, tolerance: float
) -> jax.Array:
    """Whether motion h (turn, shift complex [B, H]) brings p [N] to q [B, N]: float [B, H, N]."""
    off = turn[..., None] * p[None, None] + shift[..., None] - q[:, None]
    return (jnp.abs(off) <= tolerance).astype(jnp.float32)
