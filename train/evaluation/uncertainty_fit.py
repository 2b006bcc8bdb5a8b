"""Fit the weights of a map's uncertainty to the errors of maps with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from model.registration.calibration import UncertaintyWeights, logistic
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class UncertaintyFitParameters:
    """Settings of the fit."""

    # Shares of normally distributed errors within one and two standard deviations.
    shares: tuple[float, float] = (0.6827, 0.9545)
    # Width of the smooth part of the loss, in units of the logarithm of px. Chosen.
    smoothing: float = 0.1
    # px at 500 ppi added to errors, so that their logarithm is finite. Chosen.
    least_error: float = 0.02


DEFAULT = UncertaintyFitParameters()


def fit_uncertainty(
    doubts: Array, errors: Array, parameters: UncertaintyFitParameters = DEFAULT
) -> UncertaintyWeights:
    """Fit one standard deviation as the 68 %, and two as the 95 % quantile of the errors.

    Quantile regression (Koenker and Bassett, "Regression quantiles", Econometrica 1978) of the
    logarithm of the errors along each axis, with one line for both quantiles and weights that are
    not negative: a few errors of a whole ridge do not change it, as they would a mean square.

    Args:
        doubts: float64 [K, D], in the order of `UncertaintyWeights`.
        errors: float64 [K, 2], (x, y) px at 500 ppi.
        parameters: see `UncertaintyFitParameters`.

    Returns:
        The weights, rounded to four decimals.

    Raises:
        ValueError: there are no errors.
    """
    if not len(errors):
        raise ValueError("found no map of a pair with known truth")
    columns = np.c_[np.ones(len(doubts)), doubts]
    logarithm = np.log(np.abs(errors) + parameters.least_error)
    width = parameters.smoothing

    def loss(numbers: Array) -> tuple[float, Array]:
        """Return the mean loss of both quantiles and its gradient at (offset, weights)."""
        predicted, total, slope = columns @ numbers, 0.0, np.zeros(len(columns))
        for deviations, share in enumerate(parameters.shares, 1):
            residual = logarithm - predicted[:, None] - np.log(deviations)
            below = logistic(-residual / width)
            total += float((share * residual + width * np.logaddexp(0, -residual / width)).mean())
            slope += (below - share).mean(1)
        return total, slope @ columns / len(columns)

    start = np.zeros(columns.shape[1])
    bounds = [(None, None), *[(0, None)] * doubts.shape[1]]
    optimum = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return UncertaintyWeights(*np.round(optimum, 4).tolist())
