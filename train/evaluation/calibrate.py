"""Fit the calibration curves of a network on fingers that it was not trained on.

Two logistic curves (Platt, "Probabilistic outputs for support vector machines and comparisons to
regularized likelihood methods", 1999) turn the ridge correlation of two impressions into the
probability that they show one finger, and the network's confidence in a match into the probability
that the match is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.network import metrics, weights
from model.registration import calibration
from model.registration.calibration import CalibrationCurves
from pipeline.imaging.warp import Array
from shards.foundation.errors import Fault
from shards.store import ShardSet
from train import export
from train.evaluation import confidence, score_threshold
from train.evaluation.calibration_samples import (
    Samples,
    Synthesize,
    T,
    match_samples,
    score_samples,
)

UNPENALISED = 1e12  # scikit-learn's inverse strength of the penalty: none to four decimals


def calibrate(
    checkpoint: Path,
    shards: ShardSet,
    fingers: Sequence[Sequence[T]],
    synthesize: Synthesize[T],
    workers: int | None = None,
) -> str:
    """Fit the curves of a checkpoint and write them into it.

    Args:
        checkpoint: a .safetensors file.
        shards: the set that the network was trained on; its validation pairs give matches.
        fingers: an even number of impressions of each finger.
        synthesize: returns the image of an impression.
        workers: number of processes; None for one per core.

    Returns:
        A text on the curves, see `describe`.

    Raises:
        Fault: the shard set has other crops, or the network separates nothing.
    """
    loaded = weights.load(checkpoint)
    matches = match_samples(loaded, shards)
    scores = score_samples(checkpoint, fingers, synthesize, workers)
    try:
        curves = CalibrationCurves(
            *logistic_regression(*scores),
            *logistic_regression(calibration.log_odds(matches.values), matches.labels),
        )
    except ValueError as error:
        raise Fault(f"{checkpoint}: cannot be calibrated, train it longer: {error}") from error
    export.add_metadata(checkpoint, weights.calibration_metadata(curves))
    return describe(curves, scores, matches, len(fingers))


def logistic_regression(values: Array, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the log odds of a label as a linear function of a value, by maximum likelihood.

    The targets are not 0 and 1 but Platt's, 1 / (n0 + 2) and (n1 + 1) / (n1 + 2) for n0 false and
    n1 true labels, so that the maximum exists also where the values separate both kinds.

    Args:
        values: float64 [N].
        labels: bool [N].

    Returns:
        Offset and slope, rounded to four decimals.

    Raises:
        ValueError: one kind is missing.
    """
    from sklearn.linear_model import LogisticRegression

    positive, negative = int(labels.sum()), int((~labels).sum())
    if not positive or not negative:
        raise ValueError(
            f"found {positive} true and {negative} false labels, expected some of both"
        )
    target = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))
    # a target between 0 and 1 is one sample of each kind with weights that sum to 1
    samples, weight = np.concatenate([values, values])[:, None], np.r_[target, 1 - target]
    kind = np.repeat([True, False], len(values))
    model = LogisticRegression(C=UNPENALISED, tol=1e-8, solver="newton-cholesky")
    fit = model.fit(samples, kind, sample_weight=weight)
    return round(float(fit.intercept_[0]), 4), round(float(fit.coef_[0, 0]), 4)


def describe(curves: CalibrationCurves, scores: Samples, matches: Samples, fingers: int) -> str:
    """Return a text with the curves and their calibration errors on the data of the fit.

    Args:
        curves: the curves.
        scores: ridge correlations of pairs, and which are genuine.
        matches: confidences of matches, and which are right.
        fingers: number of fingers in the pairs.
    """
    genuine, impostor = scores.values[scores.labels], scores.values[~scores.labels]
    log_odds = curves.score_offset + curves.score_slope * scores.values
    probability = calibration.logistic(log_odds)
    threshold = score_threshold.recommend(probability, scores.labels, fingers)
    score_error = _calibration_error(probability, scores.labels)
    match_error = _calibration_error(curves.match_probability(matches.values), matches.labels)
    raw_error = _calibration_error(matches.values, matches.labels)
    return (
        f"score: offset {curves.score_offset:g}, slope {curves.score_slope:g}, calibration error"
        f" {score_error:.3f}; ridge correlation of {len(genuine)} genuine pairs:"
        f" {np.quantile(genuine, 0.01):.2f} or more in 99 %; of {len(impostor)} impostor pairs:"
        f" {impostor.max():.2f} at most\n"
        f"matches: offset {curves.match_offset:g}, slope {curves.match_slope:g}, calibration error"
        f" {match_error:.3f}, of the raw confidence {raw_error:.3f}; {matches.labels.mean():.0%}"
        f" of {len(matches.labels):,} are right to {metrics.DEFAULT.tolerance:g} px\n"
        f"{threshold or 'no threshold separates genuine from impostor pairs'}"
    )


def _calibration_error(probability: Array, labels: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of stated probabilities."""
    return confidence.calibration_error(confidence.by_confidence(probability, labels))
