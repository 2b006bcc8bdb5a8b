"""Measure the ridge period of an impression of unknown resolution, in px of its file.

The image is divided into blocks of four sizes. A block that shows little else than one wave of
three to ten periods is foreground of about that ridge period. Every ridge period fits blocks of
one or two sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image

Values = NDArray[np.float32]


@dataclass(frozen=True)
class RidgePeriodParameters:
    """Parameters of `ridge_period`, chosen on 320 images of FVC2002 and FVC2004 (docs/LOG.md,
    2026-11-29, "The resolution of untagged files").
    """

    # Blocks: the factor by which the image is reduced, and their side in px of the reduced image.
    scales: tuple[tuple[int, int], ...] = ((1, 24), (1, 48), (2, 48), (4, 48))
    # Blocks of each scale that are measured, evenly over the image: bounds the time.
    blocks_max: int = 200
    # Periods that fit a block, in sides of the block.
    period_range: tuple[float, float] = (5 / 48, 1 / 3)
    # Deviation in grey levels of a block, below which it counts as flat.
    least_deviation: float = 6.0
    # Share of a block's power in a wave of one direction and period.
    least_power_share: float = 0.45
    # Radius of that wave in the spectrum, in samples.
    wave_radius: float = 3.2
    # Waves whose logarithms of the period differ by less than this belong together.
    same_period: float = 0.35
    # Least number of blocks that agree, and the share of all blocks with a wave.
    agreeing_blocks_min: int = 8
    agreeing_share_min: float = 0.7


DEFAULT = RidgePeriodParameters()


@dataclass(frozen=True, eq=False)
class Waves:
    """Waves of the blocks that show one: float32 [K] each.

    Attributes:
        periods: px of the file.
        weights: share of the power in the wave, times the area of the block.
    """

    periods: Values
    weights: Values


def ridge_period(image: Image, parameters: RidgePeriodParameters = DEFAULT) -> float | None:
    """Return the ridge period of most of the foreground, in px of the image uint8 [H, W].

    Returns:
        The geometric mean; None where too few blocks show ridges, or these disagree.
    """
    waves = [_find_waves(image, shrink, side, parameters) for shrink, side in parameters.scales]
    logs = np.log(np.concatenate([each.periods for each in waves]))
    weights = np.concatenate([each.weights for each in waves])
    if not len(logs):
        return None
    near = np.abs(logs - logs[:, None]) < parameters.same_period / 2
    agrees = np.abs(logs - logs[np.argmax(near @ weights)]) < parameters.same_period
    if agrees.sum() < parameters.agreeing_blocks_min:
        return None
    if weights[agrees].sum() < parameters.agreeing_share_min * weights.sum():
        return None
    return float(np.exp(np.average(logs[agrees], weights=weights[agrees])))


def _find_waves(image: Image, shrink: int, side: int, parameters: RidgePeriodParameters) -> Waves:
    """Find the blocks of one scale that show a single wave."""
    height, width = image.shape[0] // shrink, image.shape[1] // shrink
    if min(height, width) < side:
        return Waves(np.zeros(0, np.float32), np.zeros(0, np.float32))
    if shrink > 1:
        whole = image[: height * shrink, : width * shrink]
        reduced = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        image = np.asarray(reduced, np.uint8)
    blocks, area = _blocks(image, side, parameters.blocks_max)
    frequency, share = _strongest_waves(blocks, parameters)
    low, high = parameters.period_range
    shown = (frequency * side > 1 / high) & (frequency * side < 1 / low)
    shown &= (share > parameters.least_power_share) & (
        blocks.std((1, 2)) > parameters.least_deviation
    )
    weights = share[shown] * np.float32(area * shrink**2)
    return Waves(np.asarray(shrink / frequency[shown], np.float32), weights)


def _blocks(image: Image, side: int, most: int) -> tuple[Values, float]:
    """Cut blocks that overlap by half out of an image without its slow changes of tone.

    Returns:
        float32 [K, side, side] of mean 0, at most `most`; the area of the image for each, px.
    """
    tone = cv2.blur(image, (2 * side // 3 + 1,) * 2)
    step = side // 2
    rows, columns = (np.arange(0, extent - side + 1, step) for extent in image.shape)
    count = len(rows) * len(columns)
    chosen = np.unique(np.linspace(0, count - 1, most).astype(np.intp))
    row, column = np.divmod(chosen, len(columns))
    along = np.arange(side)
    places = (
        rows[row][:, None, None] + along[:, None],
        columns[column][:, None, None] + along,
    )
    blocks = image[places].astype(np.float32) - np.asarray(tone, np.uint8)[places]
    return blocks - blocks.mean((1, 2), keepdims=True), image.size / len(chosen)


def _strongest_waves(blocks: Values, parameters: RidgePeriodParameters) -> tuple[Values, Values]:
    """Return the frequency of each block's strongest wave, cycles per px, and its power's share."""
    side = blocks.shape[1]
    samples = 4 * side // 3
    window = np.hanning(side + 2)[1:-1].astype(np.float32)
    transform = np.fft.rfft2(blocks * np.outer(window, window), (samples, samples))
    power = np.asarray(np.abs(transform) ** 2, np.float32)
    power[:, :, 1:-1] *= 2  # the other half of the spectrum
    y, x = np.fft.fftfreq(samples)[:, None], np.fft.rfftfreq(samples)[None]
    radius = np.hypot(y, x)
    low, high = parameters.period_range
    allowed = (radius * side > 0.9 / high) & (radius * side < 1.1 / low)
    peak = (power * allowed).reshape(len(blocks), -1).argmax(1)
    row, column = np.unravel_index(peak, radius.shape)
    peak_y, peak_x = y[row, 0][:, None, None], x[0, column][:, None, None]
    reach = (parameters.wave_radius / samples) ** 2
    near = _cyclic(y - peak_y) ** 2 + (x - peak_x) ** 2 < reach
    near |= _cyclic(y + peak_y) ** 2 + (x + peak_x) ** 2 < reach  # the wave's mirrored half
    wave = power * near
    total = np.maximum(wave.sum((1, 2)), np.float32(1e-6))
    frequency = (wave * radius).sum((1, 2)) / total
    share = total / np.maximum(power.sum((1, 2)), np.float32(1e-6))
    return np.asarray(frequency, np.float32), np.asarray(share, np.float32)


def _cyclic(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies, cycles per px, shifted by whole cycles to [-0.5, 0.5]."""
    return frequency - np.round(frequency)
