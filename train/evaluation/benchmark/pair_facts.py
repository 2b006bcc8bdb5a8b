"""What is true of a pair whatever the method: its conditions, its mates, the matchers' scores.

The conditions are those of `strata`, measured by the witness, since real pairs have no true map:
the rigid motion nearest to the mates under the rigid oracle gives the rotation and the overlap, and
the rms distance of the mates from it the distortion. Mates lie within 8 px of the oracle, so that
this distortion is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import apply_affine
from train.evaluation import reference_minutiae, strata
from train.evaluation.benchmark import afis_minutiae
from train.evaluation.benchmark.map_measures import FileGridMap, mapped_share
from train.evaluation.benchmark.opened_set import OpenedFile
from train.evaluation.benchmark.rigid_matches import nearest_rigid
from train.evaluation.file_methods import between_files

VERSION = 2  # of the results: raise it with every change of code that changes them
Facts = dict[str, Any]


@dataclass(frozen=True)
class FactParameters:
    """Settings of the conditions."""

    least_mates: int = 4  # of a rigid motion; chosen: two define one, the others test it


DEFAULT = FactParameters()


def measure(
    a: OpenedFile, b: OpenedFile, genuine: bool, parameters: FactParameters = DEFAULT
) -> Facts:
    """Measure a pair.

    Returns:
        "conditions" by the names of `strata.CONDITIONS`, None where undefined; "mates", indices
        [K, 2] of witness minutiae that are mated under the rigid oracle, "residuals", their
        distances (px at 500 ppi) under it, and "oracle", the share that it confirms, all None
        without a witness or for an impostor pair; "matchers", the score of each of
        `afis_minutiae.MATCHERS` before registration, empty without the package.
    """
    conditions: dict[str, float | None] = dict.fromkeys(strata.CONDITIONS)
    conditions["quality"] = min(a.quality, b.quality)
    facts: Facts = {"conditions": conditions, "matchers": {}}
    facts |= dict.fromkeys(("mates", "residuals", "oracle"))
    if a.template and b.template:
        facts["matchers"] = afis_minutiae.match(a.template, b.template)
    if not genuine or a.witness is None or b.witness is None:
        return facts
    share, oracle = reference_minutiae.rigid_oracle(a.witness, b.witness)
    mates = reference_minutiae.mates(a.witness, b.witness, oracle)
    residuals = reference_minutiae.distances(a.witness, b.witness, oracle)
    if len(mates) >= parameters.least_mates:
        facts["conditions"] |= _conditions(a, b, mates)
    return facts | {
        "mates": mates.tolist(),
        "residuals": [round(residual, 3) for residual in residuals.tolist()],
        "oracle": share,
    }


def _conditions(a: OpenedFile, b: OpenedFile, mates: NDArray[np.intp]) -> dict[str, float | None]:
    """Return rotation (degrees), overlap and distortion (px at 500 ppi) by mates [K, 2]."""
    assert a.witness is not None and b.witness is not None
    matches = np.c_[a.witness[mates[:, 0], :2], b.witness[mates[:, 1], :2]]
    motion = nearest_rigid(matches)
    distances = np.hypot(*(apply_affine(motion, matches[:, :2]) - matches[:, 2:]).T)
    grid_map = FileGridMap(between_files(motion, a.prepared, b.prepared), a.prepared, b.prepared)
    return {
        "rotation": abs(float(np.degrees(np.arctan2(motion[0, 1], motion[0, 0])))),
        "overlap": mapped_share(grid_map),
        "distortion": float(np.sqrt((distances**2).mean())),
    }
