"""The network's confidence judged: precision against recall, and how far it is a probability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.network import metrics

THRESHOLDS = np.round(np.append(np.arange(0, 1, 0.02), [0.99, 0.999]), 3)
BINS = 15  # of the reliability curve (Guo et al., ICML 2017)

Rows = list[dict[str, float]]


def precision_recall(results: Mapping[str, NDArray]) -> Rows:
    """Precision and recall, to metrics.DEFAULT.tolerance px, of the matches above each threshold of confidence.

    Of results [P, N] with confidence (0 where there is no match), error and visible. A match of a
    cell that B does not show, or of two fingers, is a wrong one. No rows where nothing is kept.
    """
    confidence, right = _judged(results)
    truly = int(np.asarray(results["visible"]).sum())
    rows = []
    for threshold in THRESHOLDS.tolist():
        kept = confidence > threshold
        if kept.any() and truly:
            correct = int(right[kept].sum())
            precision, recall = correct / int(kept.sum()), correct / truly
            rows.append({"threshold": threshold, "precision": precision, "recall": recall})
    return rows


def reliability(results: Mapping[str, NDArray]) -> Rows:
    """Of matches by confidence, in BINS: number, mean confidence, and the share that is right."""
    return by_confidence(*_judged(results))


def by_confidence(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Rows:
    """The same of anything that is said [K] with a `confidence`, and is right or not."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = []
    for k in range(BINS):
        inside = bins == k
        if inside.any():
            mean, share = float(confidence[inside].mean()), float(right[inside].mean())
            rows.append({"matches": int(inside.sum()), "confidence": mean, "right": share})
    return rows


def calibration_error(rows: Rows) -> float:
    """Expected calibration error of `reliability`'s rows; NaN without any."""
    count = np.array([row["matches"] for row in rows], float)
    off = np.array([abs(row["confidence"] - row["right"]) for row in rows])
    return float(count @ off / count.sum()) if len(rows) else float("nan")


def _judged(results: Mapping[str, NDArray]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence [K] of every match, and whether it is right."""
    confidence = np.asarray(results["confidence"], np.float64)
    right = np.asarray(results["visible"]) & (
        np.asarray(results["error"]) <= metrics.DEFAULT.tolerance
    )
    matched = confidence > 0
    return confidence[matched], right[matched]
