"""Judge a found deformation: the score, the reason to refuse a map, the map's uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from model.registration.agreement import Agreement, measure_agreement
from model.registration.bending import Bending, measure_bending
from model.registration.calibration import Calibration
from model.registration.deformation import Deformation
from model.registration.evidence import Evidence, measure_evidence
from model.registration.ridge_image import Field, RidgeImage
from model.registration.uncertainty import standard_deviation
from pipeline.imaging.warp import Array
from shards.foundation.printable import percent


@dataclass(frozen=True)
class RefusalParameters:
    """Least score for which a map is returned, and limits that decide which reasons are given.

    Chosen, unless noted.
    """

    # Least probability of one finger for which a map is returned. Measured, docs/LOG.md,
    # 2026-12-01, "Hopeless sooner": of 1,516 impostor pairs two reach it, and of 1,378 genuine
    # pairs it refuses one right map that 0.15 would return.
    least_probability: float = 0.25
    # The same for a checkpoint without weights, whose score is of the ridge correlation alone.
    least_of_ridges: float = 0.05
    poor_correlation: float = 0.4  # of ridges; two impressions of one finger reach it in most pairs
    far_bending: float = 12.0  # px at 500 ppi beyond rotation, shift and scale; skin bends less


DEFAULT = RefusalParameters()


@dataclass(frozen=True, eq=False)
class Assessment:
    """A found deformation between A and B, judged. Lengths are px at 500 ppi.

    Attributes:
        score: probability of one finger.
        agreement, bending, evidence: see there; None where there is no deformation, or no common
            area.
        least_probability: score from which on a map is returned.
        sigma: float32 [h, w], standard deviation of the map along each axis over A at 250 ppi;
            None likewise, and for a network that states none.
    """

    score: float
    least_probability: float
    agreement: Agreement | None = None
    bending: Bending | None = None
    evidence: Evidence | None = None
    sigma: Field | None = None


def assess(
    matches: Array,
    deformation: Deformation | None,
    correlation: float,
    ridges: tuple[RidgeImage, RidgeImage],
    calibration: Calibration,
    parameters: RefusalParameters = DEFAULT,
) -> Assessment:
    """Judge the result of a search.

    Args:
        matches: float64 [K, 5], the network's, x_a, y_a, x_b, y_b, confidence.
        deformation: from A to B; None where none was found.
        correlation: its ridge correlation.
        ridges: of A and B.
        calibration: of the network.
        parameters: see `RefusalParameters`.
    """
    curves, weights = calibration.curves, calibration.score
    least = parameters.least_of_ridges if weights is None else parameters.least_probability
    hopeless = Assessment(curves.probability(0.0) if weights is None else weights.floor, least)
    if deformation is None:
        return hopeless
    probability = curves.match_probability(matches[:, 4])
    agreement = measure_agreement(deformation, matches, probability, *ridges)
    if agreement is None:
        return hopeless
    bending = measure_bending(deformation, agreement.common)
    evidence = measure_evidence(agreement, bending, correlation, *ridges, weights)
    score = curves.probability(correlation) if weights is None else weights.probability(evidence)
    uncertainty = calibration.uncertainty
    sigma = None if uncertainty is None else standard_deviation(agreement, uncertainty)
    return Assessment(score, least, agreement, bending, evidence, sigma)


def describe_refusal(assessment: Assessment, parameters: RefusalParameters = DEFAULT) -> str:
    """Return why no map is returned, in plain words; empty where one is."""
    agreement, bending, evidence = assessment.agreement, assessment.bending, assessment.evidence
    if agreement is None or bending is None or evidence is None:
        return "no common area found: too few matches agree on one rotation and shift"
    if assessment.score >= assessment.least_probability:
        return ""
    reasons = []
    if evidence.correlation < parameters.poor_correlation:
        reasons.append(
            "the ridges agree no better than those of different fingers (correlation"
            f" {evidence.correlation:.2f})"
        )
    if bending.distance > parameters.far_bending:
        reasons.append(f"the map would have to bend by {bending.distance:.0f} px")
    if evidence.support < -evidence.opposition:
        share = evidence.support / (evidence.support - evidence.opposition)
        reasons.append(f"only {percent(share)} of the matches fit the map")
    return "; ".join(reasons) or "taken together, the evidence favours two different fingers"
