"""Search for the deformation whose ridges correlate best among several hypotheses.

All lengths are px at 500 ppi.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from model.registration.deformation import Deformation, bend_similarity
from model.registration.displacement import DisplacementParameters
from model.registration.ridge_alignment import RidgeAlignmentParameters, align_ridges
from model.registration.ridge_image import RidgeImage
from model.registration.similarity import fit_similarity
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class HypothesisParameters:
    """Parameters of `best_hypothesis`. Lengths are px at 500 ppi.

    Measured (docs/LOG.md, 2026-12-01, "Hopeless sooner"): after the transforms of the first look
    the ridge correlation of impostor pairs is 0.13 in the median and above 0.22 in one of ten, that
    of all but one of 1,378 genuine pairs at least 0.13.
    """

    # Similarity transforms that are tried. Measured, same entry: eight find no more pairs.
    candidates: int = 4
    # Ridge correlation above which the ridges support a deformation: no further similarity
    # transform, skin or neighbour is tried. Measured, docs/LOG.md, 2026-11-30, "Doubt ends at a
    # correlation of a half": trying them up to 0.6 gains nothing, up to 0.45 is a little worse.
    supported_correlation: float = 0.5
    # Ridge correlation above which the network does not look again. Measured, docs/LOG.md,
    # 2026-11-23, "Stretch, and second looks": looking again below 0.7 gains nothing.
    certain_correlation: float = 0.6
    # Ridge correlation below which searching further is hopeless. Measured on pairs of FVC2002 and
    # FVC2004: at 0.15 genuine pairs are lost (docs/LOG.md, 2026-11-29, "Hard pairs in half of the
    # time"), at 0.12 one more than at 0.08 (2026-11-30, "Skin that is pushed far"), at 0.10 one
    # whose second skin fits (2026-12-01, "Hopeless sooner").
    hopeless_correlation: float = 0.08
    # Ridge correlation below which the network does not look again. Measured, docs/LOG.md,
    # 2026-12-01, "Hopeless sooner": no genuine pair that gets a map has less after the first look.
    hopeless_look: float = 0.15
    # Share of the first similarity transform's matches that a further one needs. Chosen: fewer
    # agree by chance.
    least_support: float = 0.25
    # Displacements of the skin that are fitted to the matches, the second where the ridges do not
    # support the first: soft skin, which may be pushed by half a finger's width, and stiff skin,
    # which follows few wrong matches. Measured, docs/LOG.md, 2026-11-30, "Skin that is pushed far".
    skins: tuple[DisplacementParameters, ...] = (
        DisplacementParameters(deviation=30.0, length=110.0),
        DisplacementParameters(),
    )
    # Length and number of directions of the shifts by which neighbouring ridges are tried. Chosen:
    # more than one ridge period and less than two.
    shift: float = 12.0
    directions: int = 6
    # Neighbours that are refined by all stages: the best ones after the first stage. Measured,
    # docs/LOG.md, 2026-11-30, "Doubt ends at a correlation of a half": all six find no more pairs.
    refined_neighbours: int = 2
    # Times that the later stages of the refinement are repeated at most. Measured, docs/LOG.md,
    # 2026-12-01, "Refined until it settles": 2 to 8 times find as many pairs.
    repeats: int = 4
    # Least gain in ridge correlation for which a repeated refinement is repeated again, and another
    # look of the network is kept. Chosen: a gain of 0.005 finds as many pairs (docs/LOG.md,
    # 2026-12-01, "Refined until it settles").
    least_gain: float = 0.01
    alignment: RidgeAlignmentParameters = field(default_factory=RidgeAlignmentParameters)

    @property
    def later_alignment(self) -> RidgeAlignmentParameters:
        """The refinement without its first stage."""
        return replace(self.alignment, stages=self.alignment.stages[1:])


DEFAULT = HypothesisParameters()


class Hypothesis(NamedTuple):
    """One candidate for the deformation from A to B.

    Attributes:
        deformation: None where no similarity transform has enough support.
        correlation: its ridge correlation in [0, 1]; 0 without a deformation.
    """

    deformation: Deformation | None
    correlation: float


def best_hypothesis(
    matches: Array, a: RidgeImage, b: RidgeImage, parameters: HypothesisParameters = DEFAULT
) -> Hypothesis:
    """Find the refined deformation that brings the ridges of A onto those of B best.

    The similarity transform that most matches support comes first. Where the ridges do not support
    it, the next one is tried, on the remaining matches; and where they support none, the
    deformations one ridge beside the best. The best of all is refined until it settles.

    Args:
        matches: [K, 5], x_a, y_a, x_b, y_b, confidence.
        a, b: the ridges of both impressions.
        parameters: see `HypothesisParameters`.
    """
    best, least_matches = Hypothesis(None, 0.0), 0.0
    for _ in range(parameters.candidates):
        fitted, refined = _fit_with_each_skin(matches, a, b, parameters)
        if fitted is None or fitted.agrees.sum() < least_matches:
            break
        if best.deformation is None:
            least_matches = parameters.least_support * fitted.agrees.sum()
        if best.deformation is None or refined.correlation > best.correlation:
            best = refined
        if best.correlation > parameters.supported_correlation:
            break
        matches = matches[~fitted.agrees]
    return _settle(_best_neighbour(best, a, b, parameters), a, b, parameters)


def _settle(
    hypothesis: Hypothesis, a: RidgeImage, b: RidgeImage, parameters: HypothesisParameters
) -> Hypothesis:
    """Repeat the later stages of a refinement that the ridges do not support while it gains."""
    for _ in range(parameters.repeats):
        deformation, correlation = hypothesis
        if deformation is None or not _needs_support(correlation, parameters):
            break
        hypothesis = Hypothesis(*align_ridges(deformation, a, b, parameters.later_alignment))
        if hypothesis.correlation < correlation + parameters.least_gain:
            break
    return hypothesis


def _best_neighbour(
    hypothesis: Hypothesis, a: RidgeImage, b: RidgeImage, parameters: HypothesisParameters
) -> Hypothesis:
    """Return the best of a hypothesis and those one ridge beside it.

    Ridges are parallel, so a deformation may lie one ridge beside the truth. One that the ridges
    support, or whose correlation is hopeless, is returned as it is.
    """
    if hypothesis.deformation is None or not _needs_support(hypothesis.correlation, parameters):
        return hypothesis
    coarsely = replace(parameters.alignment, stages=parameters.alignment.stages[:1])
    neighbours = [
        align_ridges(shifted, a, b, coarsely)
        for shifted in _shift_to_all_sides(hypothesis.deformation, parameters)
    ]
    neighbours.sort(key=operator.itemgetter(1), reverse=True)
    refined = [
        Hypothesis(*align_ridges(neighbour, a, b, parameters.later_alignment))
        for neighbour, _ in neighbours[: parameters.refined_neighbours]
    ]
    return max([hypothesis, *refined], key=lambda candidate: candidate.correlation)


def _fit_with_each_skin(
    matches: Array, a: RidgeImage, b: RidgeImage, parameters: HypothesisParameters
) -> tuple[Deformation | None, Hypothesis]:
    """Fit and refine a deformation with each skin while the ridges do not support it.

    Returns:
        The deformation that fits the matches, None where too few of them agree, and the refined
        one: those of the skin whose ridges correlate best.
    """
    start, best = None, Hypothesis(None, 0.0)
    deformation = parameters.alignment.deformation
    similarity = fit_similarity(matches, deformation.radius, parameters=deformation.similarity)
    if similarity is None:
        return start, best
    for skin in parameters.skins:
        with_skin = replace(deformation, displacement=skin)
        fitted = bend_similarity(similarity, matches, a.shape, with_skin)
        refined = Hypothesis(*align_ridges(fitted, a, b, parameters.alignment))
        if start is None or refined.correlation > best.correlation:
            start, best = fitted, refined
        if not _needs_support(best.correlation, parameters):
            break
    return start, best


def is_doubtful(correlation: float, parameters: HypothesisParameters = DEFAULT) -> bool:
    """Return whether another look of the network may find a better deformation."""
    return parameters.hopeless_look < correlation < parameters.certain_correlation


def _needs_support(correlation: float, parameters: HypothesisParameters) -> bool:
    """Return whether a ridge correlation is neither hopeless nor supports a deformation."""
    return parameters.hopeless_correlation < correlation < parameters.supported_correlation


def _shift_to_all_sides(
    deformation: Deformation, parameters: HypothesisParameters
) -> list[Deformation]:
    """Return the deformation moved by `shift` in each of the directions."""
    angles = 2 * np.pi * np.arange(parameters.directions) / parameters.directions
    moves = parameters.shift * np.stack([np.cos(angles), np.sin(angles)], -1)
    return [
        replace(deformation, matrix=deformation.matrix + np.c_[np.zeros((2, 2)), move])
        for move in moves
    ]
