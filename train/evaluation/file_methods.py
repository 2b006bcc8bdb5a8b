"""Methods that register two image files, for the FVC protocol.

Each returns a score and a map of points from file A to file B. SIFT + RANSAC and phase correlation
get the whole foreground at 500 ppi, from which the network's crop is taken.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration.impression import PreparedImpression
from model.registration.method_version import METHOD_VERSION
from model.registration.registrar import Registrar
from pipeline.imaging import file
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resolution import ImageResolution, by_option, find_resolution
from pipeline.imaging.warp import Array, apply_affine, compose_affine, invert_affine
from train.evaluation import phase, reference_minutiae, sift
from train.evaluation.reference_minutiae import PointMap, no_correspondence

NETWORK, SIFT, PHASE = "network", "SIFT + RANSAC", "phase correlation"

# Of the maps between the px of the files, of the reading of files and of the measurement of maps by
# `train.evaluation.fvc`: raise it with every change of code that changes stored results.
MEASUREMENT_VERSION = 4


@dataclass(frozen=True)
class FileMethodsParameters:
    """Limits of `FileMethods`."""

    cached_files: int = 256  # files kept prepared; chosen: a file is in many pairs


@dataclass(frozen=True, eq=False)
class FileResult:
    """The registration of two files by one method.

    Attributes:
        score: higher for a more probable genuine pair.
        point_map: points (x, y) [K, 2] of A → of B, px of the files unless it is said to be
            between px at 500 ppi; NaN without correspondence.
    """

    score: float
    point_map: PointMap


@dataclass(frozen=True, eq=False)
class PreparedFile:
    """A file prepared for every method.

    Attributes:
        network: the impression.
    """

    network: PreparedImpression

    @property
    def prepared(self) -> SegmentedImage:
        """The image at 500 ppi with dark ridges, its foreground and the transform back."""
        return self.network.prepared

    @functools.cached_property
    def features(self) -> sift.Keypoints:
        """Its SIFT keypoints."""
        return sift.extract(self.prepared.image)


class FileMethods:
    """The network, SIFT + RANSAC and phase correlation on pairs of files."""

    def __init__(
        self,
        registrar: Registrar,
        ppi: float | None = None,
        minutiae: dict[str, Array] | None = None,
        parameters: FileMethodsParameters = FileMethodsParameters(),
    ) -> None:
        """Prepare to open files.

        Args:
            registrar: the network.
            ppi: resolution of all files; None for that of each file (`find_resolution`).
            minutiae: reference minutiae [N, 4] by file name, px of the file.
            parameters: number of files to keep.
        """
        self._registrar, self._known = registrar, by_option(ppi)
        self._minutiae = minutiae or {}
        self.resolutions: dict[str, ImageResolution] = {}  # of the files that were opened
        self._open = functools.lru_cache(parameters.cached_files)(self._prepare)

    def compare(self, path_a: Path, path_b: Path) -> dict[str, FileResult]:
        """Register two files with every method.

        Returns:
            {method: result}, whose maps are between px at 500 ppi.

        Raises:
            Fault: a file cannot be registered; the message names it.
        """
        a, b = self._open(path_a), self._open(path_b)
        in_files = {
            NETWORK: register_by_network(self._registrar, a, b),
            SIFT: register_by_sift(a, b),
            PHASE: register_by_phase(a, b),
        }
        to_file_a, to_file_b = a.prepared.to_original, b.prepared.to_original
        return {
            method: FileResult(result.score, at_500_ppi(result.point_map, to_file_a, to_file_b))
            for method, result in in_files.items()
        }

    def minutiae(self, path: Path) -> Array:
        """Return the reference minutiae of a file, float64 [N, 3], px at 500 ppi."""
        to_file = self._open(path).prepared.to_original
        return reference_minutiae.at_500_ppi(self._minutiae[path.name], to_file)

    def _prepare(self, path: Path) -> PreparedFile:
        image = file.load(path)
        resolution = find_resolution(path, image.stored, self._known)
        self.resolutions[str(path)] = resolution
        return PreparedFile(self._registrar.prepare_image(image, resolution, str(path)))


def versions() -> dict[str, int]:
    """Return the version of each method's results, and of their measurement."""
    return {
        "measurement": MEASUREMENT_VERSION,
        NETWORK: METHOD_VERSION,
        SIFT: sift.VERSION,
        PHASE: phase.VERSION,
        reference_minutiae.ORACLE: reference_minutiae.VERSION,
    }


def sample_map(map_ab: NDArray[np.float32], points: Array) -> Array:
    """Sample a dense map at points by bilinear interpolation.

    Args:
        map_ab: float32 [H, W, 2], (x, y) in B of the px of A, NaN without correspondence.
        points: float64 [K, 2], (x, y) px of A.

    Returns:
        float64 [K, 2], (x, y) px of B; NaN without correspondence and outside A.
    """
    if not len(points):
        return np.zeros((0, 2))
    x, y = points.astype(np.float32).T[:, None]
    undefined = (float("nan"), float("nan"))
    sampled = cv2.remap(
        map_ab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=undefined
    )
    return np.asarray(sampled[0], np.float64)


def register_by_network(registrar: Registrar, a: PreparedFile, b: PreparedFile) -> FileResult:
    """Register by a network; the score is that of the registration."""
    registration = registrar.register_impressions(a.network, b.network)
    return FileResult(registration.score, functools.partial(sample_map, registration.map_ab))


def register_by_sift(a: PreparedFile, b: PreparedFile) -> FileResult:
    """Register by SIFT + RANSAC; the score is the number of inliers, 0 without a transform."""
    fit = sift.fit(a.features, b.features)
    if fit is None:
        return FileResult(0.0, no_correspondence)
    return FileResult(float(len(fit.inliers)), between_files(fit.matrix, a, b))


def register_by_phase(a: PreparedFile, b: PreparedFile) -> FileResult:
    """Register by phase correlation; the score is the height of the peak."""
    alignment = phase.align(a.prepared.image, b.prepared.image)
    return FileResult(alignment.response, between_files(alignment.matrix, a, b))


def between_files(matrix: Array, a: PreparedFile, b: PreparedFile) -> PointMap:
    """Turn a matrix [2, 3] between px at 500 ppi into a map between px of the files."""
    from_file_a = compose_affine(matrix, invert_affine(a.prepared.to_original))
    return functools.partial(apply_affine, compose_affine(b.prepared.to_original, from_file_a))


def in_file_pixels(point_map: PointMap, a: PreparedFile, b: PreparedFile) -> PointMap:
    """Turn a map between px at 500 ppi into one between px of the files."""
    from_a, to_b = invert_affine(a.prepared.to_original), b.prepared.to_original
    return lambda points: apply_affine(to_b, point_map(apply_affine(from_a, points)))


def at_500_ppi(point_map: PointMap, to_file_a: Array, to_file_b: Array) -> PointMap:
    """Turn a map between px of files into one between px at 500 ppi, both upright.

    Args:
        point_map: px of file A → px of file B.
        to_file_a, to_file_b: float64 [2, 3], px at 500 ppi → px of the file.
    """
    from_file_b = invert_affine(to_file_b)
    return lambda points: apply_affine(from_file_b, point_map(apply_affine(to_file_a, points)))
