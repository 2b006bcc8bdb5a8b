"""Measure the ridge period and the power spectrum of an impression at 500 ppi."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask
from pipeline.imaging.warp import Array


@dataclass(frozen=True)
class SpectrumParameters:
    """Sizes and limits; lengths are px at 500 ppi. All are chosen."""

    crop: int = 128  # px, side of the crops whose spectrum is measured
    bins: int = 32  # of the radial power spectrum, up to 0.5 cycles per px
    block: int = 64  # px, side of the blocks in which the ridge period is measured
    block_step: int = 32  # px between blocks
    period_range: tuple[float, float] = (4.0, 20.0)  # px, between ridges
    coverage_min: float = 0.95  # share of a crop, block or cell that must be foreground


DEFAULT = SpectrumParameters()


def ridge_periods(image: Image, mask: Mask, parameters: SpectrumParameters = DEFAULT) -> Array:
    """Return the ridge period of each block of the foreground: its strongest wave.

    Args:
        image: uint8 [H, W].
        mask: bool [H, W], the foreground.
        parameters: the blocks and the range of periods.

    Returns:
        float64 [n] px; blocks of a single grey are left out.
    """
    side = parameters.block
    blocks = covered_squares(image, mask, side, parameters.block_step, parameters)
    frequency = np.asarray(np.fft.fftfreq(2 * side), np.float64)
    radius = np.hypot(frequency[:, None], frequency[None])
    shortest, longest = parameters.period_range
    allowed = (radius > 1 / longest) & (radius < 1 / shortest)
    window = np.outer(np.hanning(side), np.hanning(side))
    periods = []
    for block in blocks:
        if block.min() < block.max():
            power = np.abs(np.fft.fft2((block - block.mean()) * window, radius.shape)) ** 2
            periods.append(1 / _peak_frequency(power, allowed, frequency))
    return np.array(periods, np.float64)


def _peak_frequency(power: Array, allowed: Mask, frequency: Array) -> float:
    """Return the frequency, cycles per px, of the largest allowed power, between the samples."""
    y, x = divmod(int(np.argmax(power * allowed)), len(frequency))
    column = np.log(np.take(np.take(power, [y - 1, y, y + 1], 0, mode="wrap"), x, 1) + 1)
    row = np.log(np.take(np.take(power, y, 0), [x - 1, x, x + 1], mode="wrap") + 1)
    along_y = frequency[y] + _parabola_vertex(column) * frequency[1]
    along_x = frequency[x] + _parabola_vertex(row) * frequency[1]
    return float(np.hypot(along_y, along_x))


def _parabola_vertex(values: Array) -> float:
    """Return the position of the top of the parabola through three values at -1, 0 and 1."""
    left, middle, right = values
    curvature = left - 2 * middle + right
    return float((left - right) / (2 * curvature)) if curvature < 0 else 0.0


def radial_spectrum(crop: Image, parameters: SpectrumParameters = DEFAULT) -> Array:
    """Return the mean power in dB of rings of equal frequency, float64 [bins].

    Args:
        crop: uint8 [crop, crop].
        parameters: the crop's side and the number of bins.
    """
    side, bins = parameters.crop, parameters.bins
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.rfft2((crop - crop.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    ring = np.minimum((radius * 2 * bins).astype(int), bins)  # the corners are beyond the last bin
    total = np.bincount(ring.ravel(), power.ravel(), bins + 1)[:bins]
    return np.asarray(10 * np.log10(total / np.bincount(ring.ravel(), minlength=bins)[:bins] + 1))


def covered_squares(
    image: Image, mask: Mask, side: int, step: int, parameters: SpectrumParameters = DEFAULT
) -> list[Image]:
    """Return the squares of `side` px, `step` px apart, that are nearly all foreground."""
    total = cv2.integral(mask.astype(np.uint8))
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    inside += total[:-side, :-side]
    rows, columns = np.nonzero(inside[::step, ::step] > parameters.coverage_min * side * side)
    return [
        image[y : y + side, x : x + side]
        for y, x in zip((step * rows).tolist(), (step * columns).tolist(), strict=True)
    ]
