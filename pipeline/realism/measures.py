"""Measure an impression, to compare real with synthetic ones: distributions and 128-px crops.

The same code measures both kinds, so that its errors affect both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import Array
from pipeline.realism import spectra
from pipeline.realism.minutiae import detect_minutiae
from pipeline.realism.spectra import covered_squares, radial_spectrum, ridge_periods

PX_PER_MM = WORKING_PPI / 25.4

# Names of the distributions; a value belongs to the unit beside them.
MEASURES = (
    "ridge period, px",  # a block
    "orientation coherence",  # a cell
    "ridge share of ridge and valley",  # a cell
    "local contrast, grey levels",  # a cell
    "grey on the finger",  # a px
    "grey of the ground",  # a px
    "foreground, mm²",  # a print
    "turn of the ridges, degrees a mm",  # a cell
    "minutiae a cm²",  # a print
    "endings among minutiae",  # a print
)


@dataclass(frozen=True)
class MeasureParameters:
    """Sizes and limits of the measures; lengths are px at 500 ppi. All are chosen."""

    crops_max: int = 4  # crops per impression
    crop_step: int = 16  # px between the places of crops
    cell: int = 16  # px, two ridges: side of the cells of contrast and coherence
    searched_min: float = 0.2  # cm² searched for minutiae, below which their density is not taken
    grey_step: int = 37  # px between the greys that are collected; prime, so that no row aligns
    ground_margin: int = 17  # px, side of the square by which the foreground is extended
    envelope: int = 17  # px, two ridges: window of the darkest and the lightest grey
    envelope_deviation: float = 6  # px, of the Gaussian that smooths both


DEFAULT = MeasureParameters()


@dataclass(frozen=True, eq=False)
class Measurements:
    """The measures of one impression.

    Attributes:
        finger: id of the finger.
        values: by name in MEASURES, float64 [n] each; empty where the impression has no value.
        spectrum: float64 [bins] dB, mean of `radial_spectrum` over the crops; NaN without crops.
        crops: uint8 [crop, crop] each.
    """

    finger: str
    values: dict[str, Array]
    spectrum: Array
    crops: list[Image]


def measure(
    prepared: SegmentedImage,
    finger: str,
    rng: np.random.Generator,
    parameters: MeasureParameters = DEFAULT,
) -> Measurements:
    """Measure an impression.

    Args:
        prepared: the impression at 500 ppi with its foreground.
        finger: id of the finger.
        rng: generator of the places of the crops.
        parameters: sizes and limits.
    """
    image, mask = prepared.image, prepared.mask
    periods = ridge_periods(image, mask)
    values = {
        **_cell_values(image, mask, parameters),
        **_grey_values(image, mask, parameters),
        **_minutia_values(image, mask, periods, parameters),
        "ridge period, px": periods,
        "foreground, mm²": np.array([mask.sum() / PX_PER_MM**2]),
    }
    crops = sample_crops(image, mask, rng, parameters)
    power = [radial_spectrum(crop) for crop in crops]
    spectrum = np.mean(power, 0) if crops else np.full(spectra.DEFAULT.bins, np.nan)
    ordered = {name: np.asarray(values[name], np.float64) for name in MEASURES}
    return Measurements(finger, ordered, np.asarray(spectrum), crops)


def _cell_values(image: Image, mask: Mask, parameters: MeasureParameters) -> dict[str, Array]:
    """Return the values per cell of the foreground."""
    cell = parameters.cell
    orientation, coherence = _orientations(image, cell)
    dark, light = _envelope(image, parameters)
    ridge = cv2.GaussianBlur(image, (3, 3), 0) < (dark + light) / 2
    variance = _cell_means(image.astype(np.float32) ** 2, cell) - _cell_means(image, cell) ** 2
    maps = {
        "orientation coherence": coherence,
        "ridge share of ridge and valley": _cell_means(ridge, cell),
        "local contrast, grey levels": np.sqrt(np.maximum(variance, 0)),
        "turn of the ridges, degrees a mm": _turn(orientation, cell),
    }
    inside = _cell_means(mask, cell) > spectra.DEFAULT.coverage_min
    return {name: np.asarray(values[inside]) for name, values in maps.items()}


def _grey_values(image: Image, mask: Mask, parameters: MeasureParameters) -> dict[str, Array]:
    """Return greys of every `grey_step`-th px of the foreground and of the background."""
    margin = np.ones((parameters.ground_margin, parameters.ground_margin))
    ground = image[~cv2.dilate(mask.astype(np.uint8), margin).astype(bool)]
    step = parameters.grey_step
    return {"grey on the finger": image[mask][::step], "grey of the ground": ground[::step]}


def _minutia_values(
    image: Image, mask: Mask, periods: Array, parameters: MeasureParameters
) -> dict[str, Array]:
    """Return the density and the share of endings; empty where too little can be searched."""
    density, endings = np.zeros(0), np.zeros(0)
    if len(periods):
        minutiae = detect_minutiae(image, mask, float(np.median(periods)))
        count = len(minutiae.endings) + len(minutiae.bifurcations)
        area = minutiae.searched.sum() / (10 * PX_PER_MM) ** 2
        if area > parameters.searched_min:
            density = np.array([count / area])
        if count:
            endings = np.array([len(minutiae.endings) / count])
    return {"minutiae a cm²": density, "endings among minutiae": endings}


def sample_crops(
    image: Image, mask: Mask, rng: np.random.Generator, parameters: MeasureParameters = DEFAULT
) -> list[Image]:
    """Sample up to `crops_max` crops uint8 [crop, crop] that are nearly all foreground."""
    crops = covered_squares(image, mask, spectra.DEFAULT.crop, parameters.crop_step)
    return [crops[k] for k in sorted(rng.permutation(len(crops))[: parameters.crops_max])]


def _cell_means(values: NDArray[np.generic], cell: int) -> NDArray[np.float32]:
    """Return means over cells of `cell` px, float32 [H // cell, W // cell]."""
    rows, columns = values.shape[0] // cell, values.shape[1] // cell
    complete = values[: rows * cell, : columns * cell].astype(np.float32)
    return complete.reshape(rows, cell, columns, cell).mean((1, 3))


def _orientations(image: Image, cell: int) -> tuple[NDArray[np.complex64], Array]:
    """Return per cell exp(2i·angle of the gradients) and their coherence in [0, 1]."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, yy, xy = _cell_means(x * x, cell), _cell_means(y * y, cell), _cell_means(x * y, cell)
    doubled = (xx - yy) + 2j * xy
    strength = np.abs(doubled)
    coherence = np.asarray(strength / (xx + yy + 1), np.float64)
    return np.asarray(doubled / np.maximum(strength, 1e-6), np.complex64), coherence


def _turn(doubled: NDArray[np.complex64], cell: int) -> Array:
    """Return the change of orientation from each cell to the next at its right, degrees per mm."""
    difference = np.angle(doubled[:, 1:] * np.conj(doubled[:, :-1])) / 2
    return np.pad(np.degrees(np.abs(difference)), ((0, 0), (0, 1)), mode="edge") * PX_PER_MM / cell


def _envelope(
    image: Image, parameters: MeasureParameters
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the darkest and the lightest grey within two ridges, smoothed, float32 [H, W]."""
    soft = cv2.GaussianBlur(image, (3, 3), 0)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (parameters.envelope,) * 2)
    deviation = parameters.envelope_deviation
    dark = cv2.GaussianBlur(cv2.erode(soft, window).astype(np.float32), (0, 0), deviation)
    light = cv2.GaussianBlur(cv2.dilate(soft, window).astype(np.float32), (0, 0), deviation)
    return np.asarray(dark, np.float32), np.asarray(light, np.float32)
