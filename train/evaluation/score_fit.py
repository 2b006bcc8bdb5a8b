"""Fit the weights of the score to registered pairs.

A logistic regression whose weights are not negative, with a floor: of the genuine pairs a share
cannot be registered, and look like pairs of different fingers. Without the floor these few pairs
would flatten the whole curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from model.registration.calibration import ScoreWeights, logistic
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class ScoreFitParameters:
    """Settings of the fit."""

    # Penalty of the squared weights of standardised evidence, beside the sum of the log losses of
    # all pairs. Measured by cross-validation, docs/LOG.md, 2026-11-29, "A score from more than
    # ridges".
    penalty: float = 0.03
    # Largest floor. Chosen: far above the share of genuine pairs that cannot be registered.
    largest_floor: float = 0.3
    iterations: int = 2000  # at most; chosen


DEFAULT = ScoreFitParameters()


def fit_score(
    evidence: Array, genuine: NDArray[np.bool_], parameters: ScoreFitParameters = DEFAULT
) -> ScoreWeights:
    """Fit the weights by penalised maximum likelihood, both kinds of pairs with equal weight.

    The targets are Platt's, as in `train.evaluation.calibrate.logistic_regression`.

    Args:
        evidence: float64 [P, E], in the order of `model.registration.evidence.Evidence`.
        genuine: bool [P].
        parameters: see `ScoreFitParameters`.

    Returns:
        The weights, rounded to four decimals.

    Raises:
        ValueError: one kind is missing, or nothing separates them.
    """
    positive, negative = int(genuine.sum()), int((~genuine).sum())
    if not positive or not negative:
        raise ValueError(
            f"found {positive} genuine and {negative} impostor pairs, expected some of both"
        )
    mean, deviation = evidence.mean(0), np.maximum(evidence.std(0), 1e-9)
    standard = (evidence - mean) / deviation
    target = np.where(genuine, (positive + 1) / (positive + 2), 1 / (negative + 2))
    share = np.where(genuine, 0.5 / positive, 0.5 / negative) * len(genuine)

    def loss(numbers: Array) -> tuple[float, Array]:
        """Return the loss and its gradient at (offset, weights, floor)."""
        offset, weights, floor = numbers[0], numbers[1:-1], numbers[-1]
        rising = logistic(offset + standard @ weights)
        probability = np.clip(floor + (1 - floor) * rising, 1e-12, 1 - 1e-12)
        losses = target * np.log(probability) + (1 - target) * np.log(1 - probability)
        by_probability = share * (probability - target) / (probability * (1 - probability))
        by_odds = by_probability * (1 - floor) * rising * (1 - rising)
        gradient = np.concatenate(
            [
                [by_odds.sum()],
                by_odds @ standard + parameters.penalty * weights,
                [by_probability @ (1 - rising)],
            ]
        )
        return float(parameters.penalty * (weights @ weights) / 2 - share @ losses), gradient

    count = evidence.shape[1]
    start = np.concatenate([[0.0], np.full(count, 0.5), [0.02]])
    bounds = [(None, None), *[(0, None)] * count, (0, parameters.largest_floor)]
    options = {"maxiter": parameters.iterations}
    optimum = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x
    weights = optimum[1:-1] / deviation
    offset = optimum[0] - weights @ mean
    return ScoreWeights(*np.round([optimum[-1], offset, *weights], 4).tolist())
