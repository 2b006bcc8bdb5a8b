"""Register one impression with another: a dense map over the whole of A, a score, matches.

The network gets a window of each impression: the crop of the training, or more where the impression
is larger (`model.registration.inference`). Its matches, in px at 500 ppi, are fitted by one smooth
deformation that brings ridges onto ridges (`model.registration.hypotheses`), which is evaluated at
the pixels of the files. The smaller of two impressions is always mapped onto the larger, and the
deformation is inverted for the other direction, so that both directions agree.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.network import weights
from model.registration.assessment import assess, describe_refusal
from model.registration.calibration import DEFAULT_CURVES, Calibration
from model.registration.deformation import Deformation, invert_deformation
from model.registration.hypotheses import (
    HypothesisParameters,
    best_hypothesis,
    is_doubtful,
)
from model.registration.impression import (
    PreparedImpression,
    WindowFeatures,
    map_in_file_pixels,
    matches_in_file_pixels,
    prepare_impression,
    resample_onto,
    sigma_in_file_pixels,
    with_dark_ridges,
    with_one_inverted,
)
from model.registration.inference import WindowNetwork, WindowParameters
from model.registration.result import Registration, empty_registration
from model.registration.ridge_alignment import refine_finely
from model.registration.similarity import rotation_angle
from pipeline.imaging import cropping, file, preprocess
from pipeline.imaging.file import ImageFile
from pipeline.imaging.header import Size
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.resolution import WORKING_PPI, ImageResolution, find_resolution
from pipeline.imaging.warp import Array, apply_affine, compose_affine, invert_affine
from shards.foundation.blas_threads import one_blas_thread
from shards.foundation.errors import Fault


@dataclass(frozen=True)
class RegistrarParameters:
    """Parameters of `Registrar`. Lengths are px at 500 ppi."""

    # Least confidence of a match that takes part in a fit, which weights it by its confidence.
    # Chosen: low, since the fit is robust.
    least_confidence: float = 0.01
    hypotheses: HypothesisParameters = field(default_factory=HypothesisParameters)
    window: WindowParameters = field(default_factory=WindowParameters)
    # Ridge correlation by which inverted ridges must be better where the polarity is undecided.
    # Measured, docs/LOG.md, 2026-12-01, "Small parts of prints".
    polarity_margin: float = 0.02


DEFAULT = RegistrarParameters()


class SearchResult(NamedTuple):
    """Result of `Registrar.find_deformation`, in px at 500 ppi.

    Attributes:
        matches: float64 [K, 5], the network's, x_a, y_a, x_b, y_b, confidence.
        deformation: from A to B; None where the matches support none.
        correlation: its ridge correlation in [0, 1].
    """

    matches: Array
    deformation: Deformation | None
    correlation: float


class Registrar:
    """A trained network and the steps from two images to their registration.

    Args:
        checkpoint: the .safetensors file of the network.
        parameters: see `RegistrarParameters`.

    Raises:
        Misuse: the checkpoint does not exist.
        Fault: it cannot be used.
    """

    def __init__(self, checkpoint: Path, parameters: RegistrarParameters = DEFAULT) -> None:
        loaded = weights.load(checkpoint)
        self.parameters = parameters
        self.network = WindowNetwork(loaded, parameters.window)
        self.calibrated = loaded.calibration is not None
        self.calibration = loaded.calibration or Calibration(DEFAULT_CURVES)
        self.config, self.geometry = self.network.config, self.network.geometry
        self._cells = functools.cache(self.network.cells)

    @one_blas_thread
    def prepare(
        self, image: NDArray[np.uint8], ppi: float, name: str = "image"
    ) -> PreparedImpression:
        """Prepare an image uint8 [H, W] for registration.

        Args:
            image: the impression, with dark or light ridges.
            ppi: its resolution.
            name: of the image in error messages.

        Raises:
            Fault: the image shows no finger.
        """
        prepared = preprocess.prepare(image, ppi, name)
        return with_dark_ridges(prepared, ImageFile(image), ImageResolution(ppi, "argument"))

    @one_blas_thread
    def prepare_file(
        self, path: Path, known: ImageResolution | None = None, raw_size: Size | None = None
    ) -> PreparedImpression:
        """Prepare the image in a file.

        Args:
            path: the file.
            known: its resolution; None for that of `find_resolution`.
            raw_size: (width, height) in px of a file without header.

        Raises:
            Fault: the file cannot be read, or shows no finger.
        """
        image = file.load(path, raw_size)
        resolution = find_resolution(path, image.stored, known)
        return self.prepare_image(image, resolution, str(path))

    @one_blas_thread
    def prepare_image(
        self, image: ImageFile, resolution: ImageResolution, name: str
    ) -> PreparedImpression:
        """Prepare the content of an image file of a resolution; Fault as `prepare`."""
        return prepare_impression(image, resolution, name)

    def register(
        self, image_a: NDArray[np.uint8], ppi_a: float, image_b: NDArray[np.uint8], ppi_b: float
    ) -> Registration:
        """Register two images uint8 [H, W] with their resolutions in ppi."""
        a = self.prepare(image_a, ppi_a, "image A")
        return self.register_impressions(a, self.prepare(image_b, ppi_b, "image B"))

    @one_blas_thread
    def register_impressions(self, a: PreparedImpression, b: PreparedImpression) -> Registration:
        """Register two prepared impressions.

        Returns:
            The registration from A to B; without a map where the ridges support none.
        """
        first, second = sorted((a, b), key=lambda impression: impression.rank)
        (matches, deformation, correlation), inverted = self._find_in_either_polarity(first, second)
        pair = with_one_inverted(first, second) if inverted else (first, second)
        ridges = pair[0].ridge_image, pair[1].ridge_image
        assessment = assess(matches, deformation, correlation, ridges, self.calibration)
        score, resolutions = assessment.score, (a.resolution, b.resolution)
        refusal = describe_refusal(assessment)
        agreement = assessment.agreement
        if deformation is None or agreement is None or refusal:
            return empty_registration(
                a.shape, score, resolutions, b.shape, self.calibrated, refusal
            )
        explained = matches[agreement.explained]
        alignment = self.parameters.hypotheses.alignment
        deformation = refine_finely(deformation, *ridges, alignment)
        if first is not a:
            shape = a.ridge_image.shape
            deformation = invert_deformation(deformation, shape, alignment.deformation)
            explained = explained[:, [2, 3, 0, 1, 4]]
        explained[:, 4] = self.calibration.explained_probability(explained[:, 4])
        map_ab, sigma = map_in_file_pixels(deformation, a, b), assessment.sigma
        if sigma is not None:
            sigma = sigma * np.float32(b.resolution.ppi / WORKING_PPI)
            sigma = sigma_in_file_pixels(sigma, map_ab, first, first is a)
        return Registration(
            map_ab,
            score,
            matches_in_file_pixels(explained, a, b),
            rotation_angle(deformation.matrix),
            resolutions,
            b.shape,
            inverted != ((a.polarity is Polarity.LIGHT) != (b.polarity is Polarity.LIGHT)),
            self.calibrated,
            sigma=sigma,
        )

    def _find_in_either_polarity(
        self, a: PreparedImpression, b: PreparedImpression
    ) -> tuple[SearchResult, bool]:
        """Find the best deformation, and whether it is that of A or B inverted.

        An impression whose polarity is undecided is tried as it is and inverted. Of two such
        impressions one is inverted: the images only show whether their polarities differ. In small
        parts of prints one of the two searches may fail, and the other find a deformation half a
        ridge beside the truth; so the worse one is repeated near the better one. Dark ridges in
        both are usual, and preferred by `polarity_margin`.
        """
        result = self.find_deformation(a, b)
        if Polarity.UNDECIDED not in (a.polarity, b.polarity):
            return result, False
        opposite = with_one_inverted(a, b)
        inverted = self.find_deformation(*opposite)
        if inverted.correlation > result.correlation:
            result = self._improve_near(inverted, result, a, b)
        else:
            inverted = self._improve_near(result, inverted, *opposite)
        is_better = inverted.correlation > result.correlation + self.parameters.polarity_margin
        return (inverted, True) if is_better else (result, False)

    def _improve_near(
        self, near: SearchResult, result: SearchResult, a: PreparedImpression, b: PreparedImpression
    ) -> SearchResult:
        """Return the better of `result`, from A to B, and of a search near another result."""
        parameters = self.parameters.hypotheses
        if near.deformation is None or near.correlation < parameters.hopeless_look:
            return result
        again = self._look_near(near.deformation, a, b, parameters)
        return max(result, again, key=operator.attrgetter("correlation"))

    @one_blas_thread
    def find_deformation(self, a: PreparedImpression, b: PreparedImpression) -> SearchResult:
        """Find the deformation from A to B whose ridges correlate best.

        While the ridge correlation leaves doubt, the network is applied again to A and to B
        resampled onto A: most of the rotation and distortion is gone then, and the network is more
        confident, so that one similarity transform is enough. It stops where the correlation does
        not rise by `least_gain`.
        """
        parameters = self.parameters.hypotheses
        with_one_candidate = replace(parameters, candidates=1)
        matches = self.match(a, b)
        first = best_hypothesis(matches, a.ridge_image, b.ridge_image, parameters)
        best = SearchResult(matches, *first)
        while best.deformation is not None and is_doubtful(best.correlation, parameters):
            new = self._look_near(best.deformation, a, b, with_one_candidate)
            if new.correlation < best.correlation + parameters.least_gain:
                break
            best = new
        return best

    def _look_near(
        self,
        deformation: Deformation,
        a: PreparedImpression,
        b: PreparedImpression,
        parameters: HypothesisParameters,
    ) -> SearchResult:
        """Match A and B resampled onto A, and find the best deformation of these matches."""
        matches = self.match(a, resample_onto(b, deformation, a))
        matches[:, 2:4] = deformation(matches[:, 2:4])
        best = best_hypothesis(matches, a.ridge_image, b.ridge_image, parameters)
        return SearchResult(matches, *best)

    @one_blas_thread
    def match(self, a: PreparedImpression, b: PreparedImpression) -> Array:
        """Return the network's mutual matches between the fingers.

        Returns:
            float64 [K, 5], x_a, y_a, x_b, y_b (px at 500 ppi), confidence.
        """
        size = self.network.window_size(max(a.extent, b.extent))
        window_a, window_b = self.window_features(a, size), self.window_features(b, size)
        correspondences = self.network.match(window_a.features, window_b.features)
        cells = self._cells(size)
        points = np.asarray(correspondences.points, np.float64)[0]
        confidence = np.asarray(correspondences.confidence, np.float64)[0]
        valid = np.asarray(correspondences.mutual)[0] & (
            confidence > self.parameters.least_confidence
        )
        valid &= cropping.on_finger(window_a.crop, cells)
        valid &= cropping.on_finger(window_b.crop, points)
        points_a = apply_affine(window_a.to_working, cells)
        points_b = apply_affine(window_b.to_working, points)
        return np.c_[points_a, points_b, confidence][valid]

    def window_features(self, impression: PreparedImpression, size: int) -> WindowFeatures:
        """Return the features of an impression in a window of `size` px, computed once."""
        if size not in impression.features_by_size:
            prepared = impression.prepared
            crop = cropping.extract_crop(prepared, round(size * self.network.scale), size)
            to_working = compose_affine(invert_affine(prepared.to_original), crop.to_original)
            features = self.network.features(crop.image)
            impression.features_by_size[size] = WindowFeatures(crop, features, to_working)
        return impression.features_by_size[size]


def require_two_files(a: Path, b: Path) -> None:
    """Check that A and B are different files; Fault otherwise.

    Registration of an image with itself is a mistake of the caller. A missing file is not an error
    here; it is reported when it is opened.
    """
    try:
        same = a.samefile(b)
    except OSError:
        return
    except ValueError as error:
        raise Fault(f"{str(a)!r} or {str(b)!r} is not a file name: {error}") from error
    if same:
        raise Fault(f"{a}: is both A and B; expected two impressions in two files")
