"""Accuracy of registration over a set of pairs with known truth: metrics and their intervals.

The input is the concatenated output of `model.network.metrics.evaluate_batch` (or of
`train.evaluation.crop_methods.measure`), so that the metrics do not depend on the batches.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.network import metrics
from train.evaluation import bootstrap, error_rates
from train.evaluation.averages import mean, median
from train.evaluation.bootstrap import BootstrapParameters, Floats, Interval

SCORE_METRICS = ("auc", "eer")  # of `error_rates`
SHARES = (
    *(f"pck@{limit}" for limit in metrics.DEFAULT.pck_distances),
    *("precision", "recall"),
    *SCORE_METRICS,
)


def summarise(results: Mapping[str, NDArray]) -> dict[str, float]:
    """Compute the accuracy metrics of P pairs.

    Args:
        results: arrays of `evaluate_batch`: error float [P, N] (px at 500 ppi), visible and kept
            bool [P, N], rotation_error float [P] (rad), score float [P], genuine bool [P].

    Returns:
        "epe_median" and "epe_mean" (end-point error, px at 500 ppi) and "pck@2", "pck@4", "pck@8"
        over the visible cells; "precision" and "recall" of the kept matches, of which those within
        `metrics.DEFAULT.tolerance` are right; "rotation_error_deg", the median over the genuine
        pairs; "auc" and "eer" of the score. NaN where a metric is undefined.
    """
    visible, kept = np.asarray(results["visible"]), np.asarray(results["kept"])
    error = np.asarray(results["error"])
    genuine = np.asarray(results["genuine"], bool)
    visible_error = error[visible]
    right = kept & visible & (error <= metrics.DEFAULT.tolerance)
    turned = np.asarray(results["rotation_error"])[genuine & visible.any(1)]
    scores = error_rates.metrics(np.asarray(results["score"]), genuine)
    return {
        "epe_median": median(visible_error),
        "epe_mean": mean(visible_error),
        **{f"pck@{limit}": mean(visible_error <= limit) for limit in metrics.DEFAULT.pck_distances},
        "precision": mean(right[kept]),
        "recall": mean(right[visible]),
        "rotation_error_deg": float(np.degrees(median(turned))),
        **{name: scores[name] for name in SCORE_METRICS},
    }


def intervals(
    results: Mapping[str, NDArray],
    weights: Floats,
    parameters: BootstrapParameters = bootstrap.DEFAULT,
) -> dict[str, Interval]:
    """Compute a bootstrap interval of each metric of `summarise`; NaN where there is none.

    Args:
        results: as for `summarise`.
        weights: float64 [R, P], see `bootstrap.resample_weights`.
        parameters: share of the replicas within an interval.
    """
    visible, kept = np.asarray(results["visible"]), np.asarray(results["kept"])
    error = np.asarray(results["error"])
    genuine, visible_count = np.asarray(results["genuine"], bool), visible.sum(1)
    right_count = (kept & visible & (error <= metrics.DEFAULT.tolerance)).sum(1)
    ratios = {
        "epe_mean": (np.where(visible, error, 0).sum(1), visible_count),
        **{
            f"pck@{limit}": ((visible & (error <= limit)).sum(1), visible_count)
            for limit in metrics.DEFAULT.pck_distances
        },
        "precision": (right_count, kept.sum(1)),
        "recall": (right_count, visible_count),
    }
    ends = {
        name: bootstrap.ratio_interval(*sums, weights, parameters) for name, sums in ratios.items()
    }
    pair_index = np.repeat(np.arange(len(visible_count)), visible_count)
    ends["epe_median"] = bootstrap.median_interval(error[visible], pair_index, weights, parameters)
    fitted = np.flatnonzero(genuine & (visible_count > 0))
    turned = np.degrees(np.asarray(results["rotation_error"])[fitted])
    ends["rotation_error_deg"] = bootstrap.median_interval(turned, fitted, weights, parameters)
    scores = error_rates.intervals(np.asarray(results["score"]), genuine, weights, parameters)
    return ends | {name: scores[name] for name in SCORE_METRICS}
