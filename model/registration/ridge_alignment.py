"""Refine a deformation so that ridges lie on ridges, to a fraction of a pixel.

The deformation is bent by the shifts of B that correlate best around nodes all over the overlap. In
the first stage the shifts of all nodes are chosen together (`model.registration.mrf`), over two
ridges and more; in the later ones each by itself, over ever smaller distances.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from model.registration.deformation import Deformation, DeformationParameters, add_displacement
from model.registration.mrf import MrfParameters, choose_labels
from model.registration.ridge_correlation import (
    Correlation,
    CorrelationParameters,
    correlate,
    ridge_correlation,
)
from model.registration.ridge_image import Field, RidgeImage
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class AlignmentStage:
    """One stage of the refinement; px at 500 ppi.

    Attributes:
        window: standard deviation of the Gaussian windows.
        largest_shift: of B along each axis.
        node_spacing: distance between the centres of the windows.
    """

    window: float
    largest_shift: int
    node_spacing: int


@dataclass(frozen=True)
class RidgeAlignmentParameters:
    """Parameters of `align_ridges`. Lengths are px at 500 ppi."""

    # Measured, docs/LOG.md, 2026-11-23, "The first network that shipped": wider first windows and
    # larger shifts of single nodes confirm fewer minutiae; and 2026-11-30, "Doubt ends at a
    # correlation of a half": nodes two standard deviations apart halve the time of the first stage.
    stages: tuple[AlignmentStage, ...] = (
        AlignmentStage(14.0, 16, 28),
        AlignmentStage(16.0, 4, 20),
        AlignmentStage(12.0, 4, 20),
    )
    # The stage of `refine_finely`. Measured, same entry: maps are more exact, but with it in the
    # search ridges of different fingers bend onto each other better, too.
    fine_stage: AlignmentStage = AlignmentStage(9.0, 4, 20)
    # Shortest ridge period. A stage with larger shifts chooses those of all nodes together, since
    # a single window does not tell a ridge from the next.
    ridge_period: float = 9.0
    # Least number of nodes that bend the deformation. Chosen.
    least_matches: int = 6
    # Least correlation of a shift that counts. Chosen.
    least_correlation: float = 0.15
    # Shares of a window that both impressions fill, from which and to which its influence on its
    # neighbours grows from none to full. Chosen.
    influence_range: tuple[float, float] = (0.2, 0.5)
    correlation: CorrelationParameters = field(default_factory=CorrelationParameters)
    mrf: MrfParameters = field(default_factory=MrfParameters)
    deformation: DeformationParameters = field(default_factory=DeformationParameters)


DEFAULT = RidgeAlignmentParameters()


def align_ridges(
    deformation: Deformation,
    a: RidgeImage,
    b: RidgeImage,
    parameters: RidgeAlignmentParameters = DEFAULT,
) -> tuple[Deformation, float]:
    """Refine a deformation from A to B so that the ridges of both lie on each other.

    Returns:
        The refined deformation and its ridge correlation; `deformation` itself where no refinement
        correlates better.
    """
    refined = best = deformation
    best_correlation = ridge_correlation(deformation, a, b, parameters.correlation)
    for stage in parameters.stages:
        spaced = replace(parameters.correlation, node_spacing=stage.node_spacing)
        correlation = correlate(refined, a, b, stage.window, stage.largest_shift, spaced)
        if stage.largest_shift > parameters.ridge_period:
            shifts = choose_shifts_jointly(correlation, parameters)
        else:
            shifts = choose_shifts_singly(correlation)
        matches = matches_from_shifts(refined, correlation, shifts, parameters)
        if len(matches) < parameters.least_matches:
            break
        refined = add_displacement(refined, matches, parameters.deformation)
        refined_correlation = ridge_correlation(refined, a, b, parameters.correlation)
        if refined_correlation > best_correlation:
            best, best_correlation = refined, refined_correlation
    return best, best_correlation


def refine_finely(
    deformation: Deformation,
    a: RidgeImage,
    b: RidgeImage,
    parameters: RidgeAlignmentParameters = DEFAULT,
) -> Deformation:
    """Make a refined deformation from A to B more exact, in small windows."""
    with_fine_stage = replace(parameters, stages=(parameters.fine_stage,))
    return align_ridges(deformation, a, b, with_fine_stage)[0]


def choose_shifts_singly(correlation: Correlation) -> NDArray[np.int64]:
    """Return the index (x, y) of the best shift at each node, int64 [Ny, Nx, 2]."""
    flat = correlation.by_shift.reshape(-1, *correlation.overlap.shape)
    j, i = np.divmod(flat.argmax(0), len(correlation.by_shift))
    return np.stack([i, j], -1)


def choose_shifts_jointly(
    correlation: Correlation, parameters: RidgeAlignmentParameters = DEFAULT
) -> NDArray[np.int64]:
    """Return the indices of the shifts that fit best at all nodes together, [Ny, Nx, 2] (x, y).

    Nodes off the overlap follow their neighbours.
    """
    low, high = parameters.influence_range
    influence = np.clip((correlation.overlap - low) / (high - low), 0, 1)
    cost = np.asarray(-correlation.by_shift * influence, np.float32)
    return choose_labels(cost, parameters.mrf)


def matches_from_shifts(
    deformation: Deformation,
    correlation: Correlation,
    shifts: NDArray[np.int64],
    parameters: RidgeAlignmentParameters = DEFAULT,
) -> Array:
    """Convert the shifts of nodes into matches, to a fraction of a pixel.

    Args:
        deformation: from A to B, by which the correlation was computed.
        correlation: of the nodes.
        shifts: int64 [Ny, Nx, 2], index of the chosen shift (x, y) at each node.
        parameters: see `RidgeAlignmentParameters`.

    Returns:
        float64 [K, 5], x_a, y_a, x_b, y_b and, as weight, the square of the correlation times the
        area for which a node stands, in units of the parameters' node spacing squared.
    """
    by_shift = correlation.by_shift
    no_shift = len(by_shift) // 2
    i, j = np.moveaxis(shifts, -1, 0)
    peak = _value_at(by_shift, j, i)
    left, right = _value_at(by_shift, j, i - 1), _value_at(by_shift, j, i + 1)
    above, below = _value_at(by_shift, j - 1, i), _value_at(by_shift, j + 1, i)
    x = i - no_shift + _vertex(left, peak, right)
    y = j - no_shift + _vertex(above, peak, below)
    shift = 2 * np.stack([x, y], -1)  # px at 250 ppi → px at 500 ppi
    mapped = deformation(correlation.nodes + shift)
    valid = peak > parameters.least_correlation
    valid &= correlation.overlap > parameters.correlation.least_overlap
    area = (correlation.spacing / parameters.correlation.node_spacing) ** 2
    return np.c_[correlation.nodes[valid], mapped[valid], area * peak[valid] ** 2]


def _value_at(by_shift: Field, j: NDArray, i: NDArray) -> Field:
    """Return the values [Ny, Nx] at shift indices j, i [Ny, Nx]; beyond the ends the last ones."""
    rows, columns = np.indices(j.shape)
    last = len(by_shift) - 1
    return by_shift[j.clip(0, last), i.clip(0, last), rows, columns]


def _vertex(left: Field, middle: Field, right: Field) -> Field:
    """Return the maximum of the parabola through values at -1, 0 and 1, within ±1/2."""
    curvature = np.maximum(2 * middle - left - right, 1e-6)
    return np.clip((right - left) / (2 * curvature), -0.5, 0.5)
