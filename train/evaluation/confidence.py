"""Precision, recall and reliability of the network's confidence in its matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.network import metrics

Rows = list[dict[str, float]]


@dataclass(frozen=True)
class ConfidenceParameters:
    """Thresholds and bins of the curves."""

    threshold_step: float = 0.02  # of the confidence, from 0 up to 1; chosen
    highest_thresholds: tuple[float, ...] = (0.99, 0.999)  # more of them close to 1; chosen
    bins: int = 15  # of the reliability curve; Guo et al., "On calibration of modern neural
    # networks", ICML 2017, section 4

    def thresholds(self) -> list[float]:
        """Return the thresholds of confidence, ascending."""
        values: list[float] = np.round(
            np.append(np.arange(0, 1, self.threshold_step), self.highest_thresholds), 3
        ).tolist()
        return values


DEFAULT = ConfidenceParameters()


def precision_recall(
    results: Mapping[str, NDArray], parameters: ConfidenceParameters = DEFAULT
) -> Rows:
    """Compute precision and recall of the matches above each threshold of confidence.

    Args:
        results: "confidence" [P, N] (0 where there is no match), "error" [P, N] (px at 500 ppi)
            and "visible" [P, N]. A match is right within `metrics.DEFAULT.tolerance`; a match of
            a cell that B does not show, or of an impostor pair, is wrong.
        parameters: the thresholds.

    Returns:
        Rows of threshold, precision and recall; none for thresholds that no match exceeds.
    """
    confidence, right = _matches(results)
    visible = int(np.asarray(results["visible"]).sum())
    rows = []
    for threshold in parameters.thresholds():
        kept = confidence > threshold
        if kept.any() and visible:
            correct = int(right[kept].sum())
            precision, recall = correct / int(kept.sum()), correct / visible
            rows.append({"threshold": threshold, "precision": precision, "recall": recall})
    return rows


def reliability(results: Mapping[str, NDArray], parameters: ConfidenceParameters = DEFAULT) -> Rows:
    """Compute the share of right matches by confidence; see `precision_recall` for `results`."""
    return by_confidence(*_matches(results), parameters)


def by_confidence(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    parameters: ConfidenceParameters = DEFAULT,
) -> Rows:
    """Compute the share of right answers by confidence.

    Args:
        confidence: float64 [K], in [0, 1].
        right: bool [K].
        parameters: number of bins.

    Returns:
        For each bin that is not empty: "matches" (their number), "confidence" (mean), "right"
        (share).
    """
    bins = np.minimum((confidence * parameters.bins).astype(int), parameters.bins - 1)
    rows = []
    for k in range(parameters.bins):
        inside = bins == k
        if inside.any():
            mean, share = float(confidence[inside].mean()), float(right[inside].mean())
            rows.append({"matches": int(inside.sum()), "confidence": mean, "right": share})
    return rows


def calibration_error(rows: Rows) -> float:
    """Compute the expected calibration error (Guo et al., 2017) of rows of `by_confidence`.

    It is the mean difference between confidence and share of right matches; NaN without rows.
    """
    count = np.array([row["matches"] for row in rows], float)
    difference = np.array([abs(row["confidence"] - row["right"]) for row in rows])
    return float(count @ difference / count.sum()) if len(rows) else float("nan")


def _matches(results: Mapping[str, NDArray]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the confidence [K] of every match, and whether it is right [K]."""
    confidence = np.asarray(results["confidence"], np.float64)
    error, visible = np.asarray(results["error"]), np.asarray(results["visible"])
    right = visible & (error <= metrics.DEFAULT.tolerance)
    matched = confidence > 0
    return confidence[matched], right[matched]
