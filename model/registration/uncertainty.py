"""How far a map may be from the truth at each pixel, where both impressions show one finger.

The standard deviation rises where the ridges correlate less, where few matches support the map, and
where matches lie far from it or contradict it. Its logarithm is linear in these; the weights belong
to one network, `train.evaluation.calibrate` fits them to synthetic pairs with known truth, and the
checkpoint holds them. docs/RESULTS.md has the shares of true errors within it.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from model.registration.agreement import Agreement
from model.registration.calibration import UncertaintyWeights
from model.registration.ridge_image import Field
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class DoubtParameters:
    """Numbers that keep the logarithms of `measure_doubt` finite. All are chosen."""

    perfect: float = 1.05  # a correlation that no pair has
    least_correlation: float = -0.2  # lower ones count as this
    least_opposition: float = 0.2  # matches per 10⁴ px² that always may contradict
    # px at 500 ppi; an uncertainty outside of this range counts as its end
    sigma_range: tuple[float, float] = (0.05, 50.0)
    # factor of the uncertainty beyond the common area, where no ridges were compared; chosen
    # between 1.2 and 1.8, which two kinds of synthetic pairs ask for (docs/LOG.md, 2026-11-30,
    # "Where minutiae are lost")
    beyond: float = 1.5


DEFAULT = DoubtParameters()


def measure_doubt(agreement: Agreement, parameters: DoubtParameters = DEFAULT) -> Field:
    """Measure what speaks against the map around each pixel, each rising with the doubt.

    Returns:
        float32 [h, w, D] over A at 250 ppi, in the order of `UncertaintyWeights`: logarithms of the
        distance of the coarse correlation from a perfect one, of the area per supporting match, of
        the error of the matches around, and of the density of matches that contradict the map.
    """
    correlation = np.maximum(agreement.coarse, parameters.least_correlation)
    doubts = (
        np.log(parameters.perfect - correlation),
        -np.log1p(agreement.support),
        np.log(agreement.match_error),
        np.log(agreement.opposition + parameters.least_opposition),
    )
    return np.stack(doubts, -1).astype(np.float32)


def standard_deviation(
    agreement: Agreement, weights: UncertaintyWeights, parameters: DoubtParameters = DEFAULT
) -> Field:
    """Return the standard deviation of the map along each axis, px at 500 ppi.

    Returns:
        float32 [h, w] over A at 250 ppi, meaningful in the common area and near it.
    """
    doubts = measure_doubt(agreement, parameters).astype(np.float64)
    sigma = sigma_of_doubts(doubts, weights, parameters)
    sigma[~agreement.common] *= parameters.beyond
    return np.minimum(sigma, parameters.sigma_range[1]).astype(np.float32)


def sigma_of_doubts(
    doubts: Array, weights: UncertaintyWeights, parameters: DoubtParameters = DEFAULT
) -> Array:
    """Return the standard deviations [...], px at 500 ppi, of doubts float64 [..., D]."""
    low, high = np.log(parameters.sigma_range)
    logarithm = weights.offset + doubts @ np.array(astuple(weights)[1:])
    return np.asarray(np.exp(np.clip(logarithm, low, high)), np.float64)
