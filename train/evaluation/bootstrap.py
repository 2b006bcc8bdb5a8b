"""Bootstrap confidence intervals over fingers.

Pairs of one finger are not independent of each other, so fingers, not pairs, are resampled with
replacement (the subset bootstrap of Bolle, Ratha & Pankanti, "Error analysis of pattern
recognition systems", CVIU 93, 2004). A pair of two fingers counts as often as both were chosen:
the product of their counts (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1,
2007).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]  # low, high
UNDEFINED: Interval = (float("nan"), float("nan"))


@dataclass(frozen=True)
class BootstrapParameters:
    """Settings of the bootstrap."""

    replicas: int = 1000  # R; chosen: usual for 95 % percentile intervals
    coverage: float = 0.95  # share of the replicas within an interval; chosen: usual
    # Fewer fingers give no interval. Chosen: with so few the percentile interval of a mean covers
    # the truth in about 90 % of cases instead of 95 %, with five in about 83 %.
    min_fingers: int = 10
    zero_errors: float = 3.0  # rule of three: no error in n means at most 3 / n (95 %)
    seed: int = 0  # of the resampling


DEFAULT = BootstrapParameters()
# Raised with every change of the intervals; stored metrics of another version are not used.
INTERVAL_VERSION = 4
# Metrics of impostor pairs, too, by the end of their names: both fingers of such a pair may be what
# makes it match.
TWO_FINGER_METRICS = ("eer", "auc")


def resample_weights(
    fingers_a: Sequence[str], fingers_b: Sequence[str], parameters: BootstrapParameters = DEFAULT
) -> Floats:
    """Resample fingers with replacement and count each pair in each replica.

    Args:
        fingers_a: finger of A of each of P pairs.
        fingers_b: finger of B of each of P pairs.
        parameters: number of replicas R, seed, least number of fingers.

    Returns:
        float64 [R, P], how often each pair counts in each replica; [0, P] with too few fingers.
        The same arguments give the same weights.
    """
    fingers, index = np.unique([*fingers_a, *fingers_b], return_inverse=True)
    if len(fingers) < parameters.min_fingers:
        return np.zeros((0, len(fingers_a)))
    a, b = index.reshape(2, -1)
    rng = np.random.default_rng(parameters.seed)
    uniform = np.full(len(fingers), 1 / len(fingers))
    counts = rng.multinomial(len(fingers), uniform, parameters.replicas).astype(np.float64)
    return np.where(a == b, counts[:, a], counts[:, a] * counts[:, b])


def percentile_interval(values: Floats, parameters: BootstrapParameters = DEFAULT) -> Interval:
    """Return the middle `coverage` of the finite values [R] of replicas; NaN without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return UNDEFINED
    margin = (1 - parameters.coverage) / 2
    low, high = np.quantile(finite, [margin, (1 + parameters.coverage) / 2])
    return float(low), float(high)


def ratio_interval(
    numerator: NDArray,
    denominator: NDArray,
    weights: Floats,
    parameters: BootstrapParameters = DEFAULT,
) -> Interval:
    """Compute the interval of sum(numerator) / sum(denominator) over pairs.

    Args:
        numerator: float [P], of each pair.
        denominator: float [P], of each pair. Replicas in which it sums to 0 are left out.
        weights: float64 [R, P], see `resample_weights`.
        parameters: share of the replicas within the interval.
    """
    if not len(weights):
        return UNDEFINED
    total = weights @ denominator
    return percentile_interval((weights @ numerator)[total > 0] / total[total > 0], parameters)


def median_interval(
    values: Floats,
    pair_index: NDArray[np.int64],
    weights: Floats,
    parameters: BootstrapParameters = DEFAULT,
) -> Interval:
    """Compute the interval of the median of values, of which each pair has any number.

    The interval of the share of values up to the median is turned into values by their quantiles
    (Woodruff, "Confidence intervals for medians and other position measures", JASA 47, 1952).

    Args:
        values: float64 [V].
        pair_index: int [V], the pair in [0, P) that each value belongs to.
        weights: float64 [R, P], see `resample_weights`.
        parameters: share of the replicas within the interval.
    """
    if not len(values) or not len(weights):
        return UNDEFINED
    pairs = weights.shape[1]
    count = np.bincount(pair_index, minlength=pairs)
    below = np.bincount(pair_index, values <= np.median(values), pairs)
    low, high = ratio_interval(below, count, weights, parameters)
    ends = np.quantile(values, np.clip([1 - high, 1 - low], 0, 1))
    return float(ends[0]), float(ends[1])


def zero_error_bound(
    fingers: int, fingers_of_a_pair: int = 1, parameters: BootstrapParameters = DEFAULT
) -> float | None:
    """Return the upper end of the 95 % interval of a share of errors, where none occurred.

    The rule of three (Hanley & Lippman-Hand, "If nothing goes wrong, is everything all right?",
    JAMA 249, 1983), by fingers: the pairs of one finger are not independent. It bounds the share of
    fingers that cause errors; a pair has no error where none of its fingers does.

    Args:
        fingers: number of fingers in the pairs.
        fingers_of_a_pair: 1 of genuine pairs, 2 of impostor pairs.
        parameters: least number of fingers.

    Returns:
        A share in (0, 1]; None with too few fingers for an interval.
    """
    if fingers < parameters.min_fingers:
        return None
    return 1 - (1 - min(1.0, parameters.zero_errors / fingers)) ** fingers_of_a_pair


def complete_interval(
    value: float,
    interval: Interval,
    fingers: int,
    is_share: bool,
    fingers_of_a_pair: int = 1,
    parameters: BootstrapParameters = DEFAULT,
) -> Interval:
    """Complete an interval by what resampling cannot show.

    It contains the value. Where a share is 0 or 1 the replicas are all alike, so the far end is
    that of `zero_error_bound`.

    Args:
        value: the metric.
        interval: of its replicas.
        fingers: number of fingers in its pairs.
        is_share: whether the metric is a share in [0, 1].
        fingers_of_a_pair: see `zero_error_bound`.
        parameters: least number of fingers.

    Returns:
        (low, high), NaN where the value or the interval is undefined, or with too few fingers.
    """
    bound, (low, high) = zero_error_bound(fingers, fingers_of_a_pair, parameters), interval
    if bound is None or np.isnan([value, low, high]).any():
        return UNDEFINED
    if is_share and value == 0:
        high = max(high, bound)
    if is_share and value == 1:
        low = min(low, 1 - bound)
    return min(low, value), max(high, value)


def with_intervals(
    values: Mapping[str, float],
    intervals: Mapping[str, Interval],
    fingers: Mapping[str, int],
    shares: Collection[str],
) -> dict[str, float]:
    """Return metrics by name, each followed by "…_low" and "…_high", the ends of its interval.

    Args:
        values: the metrics.
        intervals: of their replicas.
        fingers: number of fingers in the pairs of each.
        shares: names of those that are shares in [0, 1].
    """
    metrics: dict[str, float] = {}
    for name, value in values.items():
        low, high = complete_interval(
            value,
            intervals[name],
            fingers[name],
            name in shares,
            2 if name.endswith(TWO_FINGER_METRICS) else 1,
        )
        metrics |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return metrics


def format_interval(value: float, low: float, high: float, form: str) -> str:
    """Return an interval as text, such as "2.9–9.8" or "at most 3.0 %"; empty where undefined.

    Args:
        value: the metric.
        low, high: ends of its interval, which contains it.
        form: format of a number, such as "{:.1%}".
    """
    if np.isnan([value, low, high]).any():
        return ""
    if value in (0, 1) and low < high and value in (low, high):
        return f"at most {form.format(high)}" if value == low else f"at least {form.format(low)}"
    return f"{form.format(low)}–{form.format(high)}"
