"""Where and how well two impressions agree once a deformation brings B onto A.

Fields over A at 250 ppi, from which the score (`model.registration.evidence`) and the uncertainty
of the map (`model.registration.uncertainty`) are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration.box import Box
from model.registration.deformation import Deformation
from model.registration.ridge_correlation import resample_ridges
from model.registration.ridge_image import Field, RidgeImage, blur
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class AgreementParameters:
    """Windows of the fields, and which matches a map explains. Lengths are px at 500 ppi."""

    # Standard deviation of the windows of the fine correlation. Chosen: less than a ridge period,
    # so that a ridge that ends in one impression alone is seen.
    fine_window: float = 6.0
    # Of the coarse correlation. Chosen: that of the ridge correlation.
    coarse_window: float = 16.0
    # Of the density and the errors of matches. Chosen: about twice the distance of cells.
    match_window: float = 32.0
    # Least common area, px², from which anything is measured. Chosen: 40 px squared, about four
    # ridges; the search for the deformation needs more.
    least_area: float = 40.0 * 40.0
    # Largest distance from the map of a match that it explains. Chosen: a ridge period.
    explained_distance: float = 9.0
    # Matches per 10⁴ px² that are assumed besides, as far as one can lie that is explained. Chosen:
    # they count where there is hardly any match.
    prior_density: float = 0.01


DEFAULT = AgreementParameters()


@dataclass(frozen=True, eq=False)
class Agreement:
    """Fields float32 [h, w] over A at 250 ppi, meaningful where `common` is true.

    Attributes:
        common: bool [h, w], the pixels of A on the finger in both impressions.
        ridges: [h, w], those of B resampled onto A.
        fine, coarse: correlation of the ridges of both in [-1, 1], in fine and coarse windows.
        support: matches that the map explains, per 10⁴ px² at 500 ppi, each counted by its
            probability.
        opposition: the same of matches that it does not explain.
        match_error: root mean square distance, px at 500 ppi, of the explained matches around.
        explained: bool [K], the matches that the map explains.
    """

    common: NDArray[np.bool_]
    ridges: Field
    fine: Field
    coarse: Field
    support: Field
    opposition: Field
    match_error: Field
    explained: NDArray[np.bool_]

    @property
    def area(self) -> float:
        """The common area, px² at 500 ppi."""
        return 4.0 * float(self.common.sum())


def measure_agreement(
    deformation: Deformation,
    matches: Array,
    probability: Array,
    a: RidgeImage,
    b: RidgeImage,
    parameters: AgreementParameters = DEFAULT,
) -> Agreement | None:
    """Measure how far A and B agree.

    Args:
        deformation: from A to B.
        matches: float64 [K, 5], the network's, x_a, y_a, x_b, y_b, confidence; px at 500 ppi.
        probability: float64 [K], that a match is right.
        a, b: the ridges of both.
        parameters: see `AgreementParameters`.

    Returns:
        None where the common area is too small.
    """
    ridges, mask = resample_ridges(deformation, b, Box.whole(a.mask))
    common = (a.mask > 0.5) & (mask > 0.5)
    if 4.0 * common.sum() < parameters.least_area:
        return None
    explained, distance = explained_matches(deformation, matches, parameters)
    positions = nearest_pixels(matches[:, :2], common.shape)
    window = parameters.match_window

    def density(weight: Array) -> Field:
        """Spread weights [K] of the matches over their surroundings, per 10⁴ px²."""
        field: Field = np.zeros(common.shape, np.float32)
        np.add.at(field, positions, weight)
        return np.asarray(blur(field, window) * np.float32(1e4 / 4), np.float32)

    support = density(probability * explained)
    squares = density(probability * explained * distance**2)
    return Agreement(
        common=common,
        ridges=ridges,
        fine=correlate_locally(a.ridges, ridges, parameters.fine_window),
        coarse=correlate_locally(a.ridges, ridges, parameters.coarse_window),
        support=support,
        opposition=density(np.where(explained, 0.0, probability)),
        match_error=_mean_error(squares, support, parameters),
        explained=explained,
    )


def explained_matches(
    deformation: Deformation, matches: Array, parameters: AgreementParameters = DEFAULT
) -> tuple[NDArray[np.bool_], Array]:
    """Return which matches [K, 5] a map explains, bool [K], and their distances from it [K]."""
    distance = np.hypot(*(deformation(matches[:, :2]) - matches[:, 2:4]).T)
    return distance < parameters.explained_distance, distance


def correlate_locally(a: Field, b: Field, window: float) -> Field:
    """Return the correlation of two fields at 250 ppi in Gaussian windows around each pixel."""
    power = blur(a * a, window) * blur(b * b, window)
    return np.asarray(blur(a * b, window) / np.sqrt(power + np.float32(1e-6)), np.float32)


def nearest_pixels(points: Array, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
    """Return row and column, each [K], of the pixels at 250 ppi nearest to points at 500 ppi."""
    nearest = np.floor((points - 0.5) / 2 + 0.5).astype(np.intp)
    return nearest[:, 1].clip(0, shape[0] - 1), nearest[:, 0].clip(0, shape[1] - 1)


def gradient_tensor(ridges: Field, window: float) -> tuple[NDArray[np.complex64], Field, Field]:
    """Return the direction and the fineness of ridges at 250 ppi.

    Returns:
        Structure tensor as a complex number of twice the angle, complex64 [h, w]; mean squared
        gradient and mean square of the ridges in Gaussian windows of `window` px at 500 ppi.
    """
    # by 2 px at 500 ppi, against the noise of single pixels; chosen
    smooth = np.asarray(cv2.GaussianBlur(ridges, (0, 0), 1.0), np.float32)
    x = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8))
    y = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8))
    tensor = blur(x * x - y * y, window) + 1j * blur(2 * x * y, window)
    return (
        tensor.astype(np.complex64),
        blur(x * x + y * y, window),
        blur(np.asarray(smooth**2, np.float32), window),
    )


def _mean_error(squares: Field, support: Field, parameters: AgreementParameters) -> Field:
    """Return the root of the mean squared distance of matches; that of chance where none are."""
    prior = np.float32(parameters.prior_density)
    chance = np.float32(parameters.explained_distance**2)
    return np.asarray(np.sqrt((squares + prior * chance) / (support + prior)), np.float32)
