"""What speaks for one finger, and against it, once two impressions are registered.

Ridges bend onto almost any others, so that the correlation of ridges alone does not tell fingers
apart. A logistic regression on all of this gives the score: its weights belong to one network,
`train.evaluation.calibrate` fits them, and the checkpoint holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model.registration.agreement import Agreement, gradient_tensor
from model.registration.bending import Bending
from model.registration.calibration import ScoreWeights
from model.registration.ridge_correlation import ridge_correlation
from model.registration.ridge_image import RidgeImage


@dataclass(frozen=True)
class EvidenceParameters:
    """Numbers of the evidence. Lengths are px at 500 ppi; all are chosen."""

    # Quantile of the fine correlation: ridges of two fingers that were bent onto each other still
    # contradict each other in a tenth of the area, where one of them ends.
    weak_quantile: float = 0.1
    # Standard deviation of the windows of direction and period of the ridges.
    texture_window: float = 12.0
    # Side of the square whose area is the unit of the coverage: that from which on a ridge
    # correlation counts in full.
    coverage_side: float = 96.0


DEFAULT = EvidenceParameters()


class Evidence(NamedTuple):
    """Numbers on a registered pair, each higher where one finger is more probable.

    Attributes:
        correlation: ridge correlation in [0, 1].
        weakest: fine correlation of the ridges that is passed in nine tenths of the common area.
        unbent: ridge correlation before bending, by the nearest affine transform.
        support: matches that the map explains, per 100 × 100 px of the common area.
        opposition: minus those that it does not explain.
        direction: mean cosine of twice the angle between the ridges.
        period: minus the root mean square difference of the logarithms of the ridge periods.
        evenness: minus the variance of the logarithm of the ratio of areas.
        stiffness: minus the square of `Bending.curvature`, px².
        coverage: logarithm of the common area.
    """

    correlation: float
    weakest: float
    unbent: float
    support: float
    opposition: float
    direction: float
    period: float
    evenness: float
    stiffness: float
    coverage: float


def measure_evidence(
    agreement: Agreement,
    bending: Bending,
    correlation: float,
    a: RidgeImage,
    b: RidgeImage,
    weights: ScoreWeights | None = None,
    parameters: EvidenceParameters = DEFAULT,
) -> Evidence:
    """Measure the evidence for one finger.

    Args:
        agreement: of A and B by a deformation.
        bending: of the deformation over the common area.
        correlation: its ridge correlation.
        a, b: the ridges of both.
        weights: of the score; what takes long and weighs nothing is not measured and is 0. None
            for measuring all.
        parameters: see `EvidenceParameters`.
    """
    common, unbent, direction, period = agreement.common, 0.0, 0.0, 0.0
    if weights is None or weights.unbent:
        unbent = ridge_correlation(bending.affine, a, b)
    if weights is None or weights.direction or weights.period:
        direction, period = _compare_texture(agreement, a, parameters)
    return Evidence(
        correlation=correlation,
        weakest=float(np.quantile(agreement.fine[common], parameters.weak_quantile)),
        unbent=unbent,
        support=float(agreement.support[common].mean()),
        opposition=-float(agreement.opposition[common].mean()),
        direction=direction,
        period=-period,
        evenness=-(bending.unevenness**2),
        stiffness=-(bending.curvature**2),
        coverage=float(np.log(agreement.area / parameters.coverage_side**2)),
    )


def _compare_texture(
    agreement: Agreement, a: RidgeImage, parameters: EvidenceParameters
) -> tuple[float, float]:
    """Compare direction and period of the ridges of A and of B on A, where both are clear.

    Returns:
        Mean cosine of twice the angle between the directions; root mean square difference of the
        logarithms of the periods.
    """
    common = agreement.common
    a_direction, a_gradient, a_power = gradient_tensor(a.ridges, parameters.texture_window)
    b_direction, b_gradient, b_power = gradient_tensor(agreement.ridges, parameters.texture_window)
    tiny = np.float32(1e-6)
    product = np.abs(a_direction) * np.abs(b_direction) + tiny**2
    weight = (product / (a_gradient * b_gradient + tiny**2))[common]
    weight = weight / max(float(weight.sum()), 1e-12)
    cosine = ((a_direction * b_direction.conj()).real / product)[common]
    finenesses = [
        np.log((gradient + tiny) / (power + tiny))[common] / 2
        for gradient, power in ((a_gradient, a_power), (b_gradient, b_power))
    ]
    period_difference = finenesses[0] - finenesses[1]
    return float(weight @ cosine), float(np.sqrt(weight @ period_difference**2))
