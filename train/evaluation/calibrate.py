"""Calibrate a network on fingers that it was not trained on.

A logistic curve (Platt, "Probabilistic outputs for support vector machines and comparisons to
regularized likelihood methods", 1999) turns the network's confidence in a match into the
probability that the match is right; a logistic regression turns what speaks for one finger into the
score of a pair (`train.evaluation.score_fit`); and a quantile regression states how far a map may
be from the truth (`train.evaluation.uncertainty_fit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.network import metrics, weights
from model.registration import assessment, calibration
from model.registration.calibration import (
    Calibration,
    CalibrationCurves,
    ExplainedMatchCurve,
    ScoreWeights,
    UncertaintyWeights,
)
from model.registration.uncertainty import sigma_of_doubts
from pipeline.imaging.warp import Array
from shards.foundation.errors import Fault
from shards.store import ShardSet
from train import export
from train.evaluation import confidence, score_threshold
from train.evaluation.calibration_samples import (
    NO_MATCHES,
    RegisteredSample,
    Samples,
    Synthesize,
    T,
    match_samples,
    registered_samples,
)
from train.evaluation.score_fit import fit_score
from train.evaluation.uncertainty_fit import fit_uncertainty

UNPENALISED = 1e12  # scikit-learn's inverse strength of the penalty: none to four decimals


def calibrate(
    checkpoint: Path,
    shards: ShardSet,
    fingers: Sequence[Sequence[T]],
    synthesize: Synthesize[T],
    workers: int | None = None,
) -> str:
    """Fit the calibration of a checkpoint and write it into the file.

    Args:
        checkpoint: a .safetensors file.
        shards: the set that the network was trained on; its validation pairs give matches.
        fingers: an even number of impressions of each finger.
        synthesize: returns the image of an impression, and its warp.
        workers: number of processes; None for one per core.

    Returns:
        A text on the calibration, see `describe`.

    Raises:
        Fault: the shard set has other crops, or the network separates nothing.
    """
    loaded = weights.load(checkpoint)
    matches = match_samples(loaded, shards)
    try:
        offset, slope = logistic_regression(calibration.log_odds(matches.values), matches.labels)
        curves = replace(calibration.DEFAULT_CURVES, match_offset=offset, match_slope=slope)
        pairs = registered_samples(checkpoint, curves, fingers, synthesize, workers)
        fitted = fit_pairs(curves, pairs)
    except ValueError as error:
        raise Fault(f"{checkpoint}: cannot be calibrated, train it longer: {error}") from error
    export.add_metadata(checkpoint, weights.calibration_metadata(fitted))
    return describe(fitted, pairs, matches, len(fingers))


def fit_pairs(curves: CalibrationCurves, pairs: Sequence[RegisteredSample]) -> Calibration:
    """Fit everything but the curve of the matches, which `curves` has, to registered pairs.

    The curve of the ridge correlation alone is for programs of an earlier version.

    Raises:
        ValueError: nothing separates the pairs, or there is no map with known truth.
    """
    registered = [pair for pair in pairs if pair.evidence is not None]
    evidence = np.array([pair.evidence for pair in registered], np.float64)
    genuine = np.array([pair.genuine for pair in registered], bool)
    if not len(registered):
        raise ValueError("found no map at all")
    offset, slope = logistic_regression(evidence[:, 0], genuine)
    curves = replace(curves, score_offset=offset, score_slope=slope)
    score = fit_score(evidence, genuine)
    mapped = [pair for pair in registered if pair.genuine and is_mapped(score, pair)]
    doubts = np.concatenate([pair.doubts for pair in mapped] or [np.zeros((0, 1))])
    errors = np.concatenate([pair.errors for pair in mapped] or [np.zeros((0, 2))])
    uncertainty = fit_uncertainty(doubts, errors)
    return Calibration(curves, score, uncertainty, fit_explained_matches(score, pairs))


def explained_matches(score: ScoreWeights, pairs: Sequence[RegisteredSample]) -> Samples:
    """Return the matches near the maps that registrations would return."""
    returned = [pair.matches for pair in pairs if is_mapped(score, pair)]
    values = np.concatenate([NO_MATCHES.values, *(matches.values for matches in returned)])
    labels = np.concatenate([NO_MATCHES.labels, *(matches.labels for matches in returned)])
    return Samples(values, labels)


def fit_explained_matches(
    score: ScoreWeights, pairs: Sequence[RegisteredSample]
) -> ExplainedMatchCurve:
    """Fit the probability of matches near a returned map; ValueError where nothing tells them."""
    matches = explained_matches(score, pairs)
    return ExplainedMatchCurve(
        *logistic_regression(calibration.log_odds(matches.values), matches.labels)
    )


def is_mapped(score: ScoreWeights, pair: RegisteredSample) -> bool:
    """Return whether a registration would return the map of a pair."""
    if pair.evidence is None:
        return False
    return score.probability(pair.evidence) >= assessment.DEFAULT.least_probability


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


def describe(
    fitted: Calibration, pairs: Sequence[RegisteredSample], matches: Samples, fingers: int
) -> str:
    """Return a text with the calibration and its errors on the data of the fit.

    Args:
        fitted: the calibration, all of its parts.
        pairs: registered pairs.
        matches: confidences of matches, and which are right.
        fingers: number of fingers in the pairs.
    """
    curves, score, uncertainty = fitted.curves, fitted.score, fitted.uncertainty
    assert score is not None and uncertainty is not None and fitted.explained is not None
    explained = explained_matches(score, pairs)
    explained_error = _calibration_error(
        fitted.explained_probability(explained.values), explained.labels
    )
    probability = np.array(
        [score.floor if p.evidence is None else score.probability(p.evidence) for p in pairs]
    )
    genuine = np.array([pair.genuine for pair in pairs])
    threshold = score_threshold.recommend(probability, genuine, fingers)
    match_error = _calibration_error(curves.match_probability(matches.values), matches.labels)
    return (
        f"score: {_list(score)}; calibration error {_calibration_error(probability, genuine):.3f};"
        f" of {genuine.sum()} genuine pairs {(probability[genuine] < 0.5).sum()} below 0.5, of"
        f" {(~genuine).sum()} impostor pairs {(probability[~genuine] >= 0.5).sum()} above, the"
        f" highest {probability[~genuine].max(initial=0):.2f}\n"
        f"matches: offset {curves.match_offset:g}, slope {curves.match_slope:g}, calibration error"
        f" {match_error:.3f}, of the raw confidence"
        f" {_calibration_error(matches.values, matches.labels):.3f}; {matches.labels.mean():.0%}"
        f" of {len(matches.labels):,} are right to {metrics.DEFAULT.tolerance:g} px\n"
        f"matches near a map: offset {fitted.explained.offset:g}, slope {fitted.explained.slope:g},"
        f" calibration error {explained_error:.3f}; {explained.labels.mean():.0%} of"
        f" {len(explained.labels):,} are right\n"
        f"uncertainty: {_list(uncertainty)}; {_describe_coverage(score, uncertainty, pairs)}\n"
        f"{threshold or 'no threshold separates genuine from impostor pairs'}"
    )


def coverage(uncertainty: UncertaintyWeights, pairs: Sequence[RegisteredSample]) -> list[float]:
    """Return the shares of true errors along an axis within one and two standard deviations."""
    errors = np.abs(np.concatenate([pair.errors for pair in pairs]))
    doubts = np.concatenate([pair.doubts for pair in pairs])
    sigma = sigma_of_doubts(doubts, uncertainty)[:, None]
    return [float((errors <= deviations * sigma).mean()) for deviations in (1, 2)]


def _describe_coverage(
    score: ScoreWeights, uncertainty: UncertaintyWeights, pairs: Sequence[RegisteredSample]
) -> str:
    """Return the shares of `coverage` in the maps of genuine pairs as text."""
    mapped = [pair for pair in pairs if pair.genuine and is_mapped(score, pair)]
    one, two = coverage(uncertainty, mapped)
    return f"of the true errors {one:.1%} are within one and {two:.1%} within two of it"


def _list(weights_of: ScoreWeights | UncertaintyWeights) -> str:
    """Return weights by name."""
    return ", ".join(f"{name} {value:g}" for name, value in asdict(weights_of).items())


def _calibration_error(probability: Array, labels: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of stated probabilities."""
    return confidence.calibration_error(confidence.by_confidence(probability, labels))
