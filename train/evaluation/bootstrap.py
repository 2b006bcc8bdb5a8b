"""Confidence intervals over fingers: the pairs of one finger rise and fall together.

Fingers, not pairs, are drawn with replacement (the subset bootstrap of Bolle, Ratha & Pankanti,
"Error analysis of pattern recognition systems", CVIU 93, 2004); a pair of two fingers counts as
often as both were drawn, the product (Owen, "The pigeonhole bootstrap", 2007).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REPLICAS = 1000
SHARE = 0.95  # of the replicas, within an interval
FEWEST_FINGERS = 2  # one finger says nothing of how fingers differ

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def draw(
    of_a: Sequence[str], of_b: Sequence[str], replicas: int = REPLICAS, seed: int = 0
) -> Floats:
    """How often each of P pairs of fingers counts in each replica, float64 [R, P].

    No replicas, [0, P], where there are fewer than FEWEST_FINGERS fingers. Deterministic by `seed`.
    """
    fingers, index = np.unique([*of_a, *of_b], return_inverse=True)
    if len(fingers) < FEWEST_FINGERS:
        return np.zeros((0, len(of_a)))
    a, b = index.reshape(2, -1)
    even = np.full(len(fingers), 1 / len(fingers))
    drawn = np.random.default_rng(seed).multinomial(len(fingers), even, replicas).astype(np.float64)
    return np.where(a == b, drawn[:, a], drawn[:, a] * drawn[:, b])


def interval(values: Floats) -> Interval:
    """The middle SHARE of the values of replicas; NaN where there are none that say something."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)


def ratio_interval(part: NDArray, whole: NDArray, weights: Floats) -> Interval:
    """The interval of sum(part) / sum(whole), of pairs [P] that count by weights [R, P]."""
    if not len(weights):
        return float("nan"), float("nan")
    total = weights @ whole
    return interval((weights @ part)[total > 0] / total[total > 0])


def median_interval(values: Floats, of_pair: NDArray[np.int64], weights: Floats) -> Interval:
    """The interval of the median of values [V], each of one of P pairs; weights [R, P].

    The interval of the share below the median, carried over to values by their quantiles
    (Woodruff, "Confidence intervals for medians", JASA 47, 1952).
    """
    if not len(values) or not len(weights):
        return float("nan"), float("nan")
    pairs = weights.shape[1]
    count = np.bincount(of_pair, minlength=pairs)
    below = np.bincount(of_pair, values <= np.median(values), pairs)
    low, high = ratio_interval(below, count, weights)
    ends = np.quantile(values, np.clip([1 - high, 1 - low], 0, 1))
    return float(ends[0]), float(ends[1])
