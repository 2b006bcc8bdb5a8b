"""Registration by the rigid transform that most matches of the network support.

What the network finds without any deformation: the difference to the network's own registration is
what the deformation is worth.
"""

from __future__ import annotations

import numpy as np

from model.registration.registrar import Registrar
from model.registration.similarity import fit_similarity
from pipeline.imaging.warp import Array
from train.evaluation.benchmark.map_measures import FileGridMap, correlation
from train.evaluation.file_methods import FileResult, PreparedFile, between_files
from train.evaluation.reference_minutiae import no_correspondence

VERSION = 1  # of the results: raise it with every change of code that changes them


def register(registrar: Registrar, a: PreparedFile, b: PreparedFile) -> FileResult:
    """Register by the network's matches alone; the score is the ridge correlation."""
    matches = registrar.match(a.network, b.network)
    radius = registrar.parameters.hypotheses.alignment.deformation.radius
    fit = fit_similarity(matches, radius)
    if fit is None:
        return FileResult(0.0, no_correspondence)
    point_map = between_files(nearest_rigid(matches[fit.agrees]), a, b)
    return FileResult(correlation(FileGridMap(point_map, a, b)), point_map)


def nearest_rigid(matches: Array) -> Array:
    """Return the rotation and shift [2, 3] nearest to matches [K, 4 or more] by least squares.

    Args:
        matches: x_a, y_a, x_b, y_b, and a weight where there is a fifth column.
    """
    a, b = matches[:, 0] + 1j * matches[:, 1], matches[:, 2] + 1j * matches[:, 3]
    weight = matches[:, 4] if matches.shape[1] > 4 else np.ones(len(a))
    weight = weight / weight.sum()
    mean_a, mean_b = weight @ a, weight @ b
    product = (weight * (a - mean_a).conj()) @ (b - mean_b)
    turn = product / abs(product) if product else 1.0 + 0j
    shift = mean_b - turn * mean_a
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
