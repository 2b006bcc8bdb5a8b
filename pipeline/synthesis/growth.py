"""Growth of a ridge pattern along a given flow, as in SFinGe.

Cappelli, Maio, Lumini and Maltoni, "Synthetic fingerprint generation" (Handbook of Fingerprint
Recognition, ch. 6): a filter tuned to the local orientation and period is applied to white noise
again and again until ridges stand out; minutiae appear where patches that are out of phase meet.
The filter is a Gabor filter in two passes, along the ridge and across it, each a weighted sum of
samples, so that angle and period are continuous. A bias in the saturation makes more ridges end
than fork, and some pairs of minutiae are inserted late, since growth alone keeps minutiae apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.frame import centred_plane
from pipeline.synthesis.noise import FloatImage
from pipeline.synthesis.orientation import Flow

Weights = NDArray[np.float64]
SampleMaps = list[tuple[FloatImage, FloatImage]]  # per sample of the filter: x and y px, [H, W]


@dataclass(frozen=True)
class GrowthParameters:
    """Numbers of the growth; lengths are px at 500 ppi.

    Source: measured on FVC2002 DB1_B and DB3_B, docs/LOG.md, 2026-11-23, "Minutiae as real fingers
    have them", unless another one is noted.
    """

    rounds: int = 20  # applications of the filter (chosen)
    saturation: float = 3  # gain before tanh (chosen)
    bias: float = 0.1  # of a ridge's height, for valleys; 0: as many endings as bifurcations
    # Filter. Chosen: the longer along the ridge, the fewer minutiae.
    steps: int = 5  # samples along the ridge in either direction
    step: float = 1.7  # px between them; near a whole number every other pixel would be left out
    along_deviation: float = 8.0  # px, Gaussian weight along the ridge
    across_steps: int = 7  # samples across the ridge in either direction
    across_samples: float = 6.0  # samples per period
    across_deviation: float = 0.55  # periods, Gaussian weight across the ridge
    # Pairs of minutiae.
    pairs: float = 20  # mean number per master
    pairs_round: int = 18  # round before which they are inserted: joined to neighbours, not healed
    pair_length_range: tuple[float, float] = (12, 30)  # px between the two
    pair_reach: int = 40  # px around the pair in which the phase is changed
    # Equalization of the final pattern (chosen).
    power_blur: float = 4  # px, scale of the local power
    power_floor: float = 0.02  # added to twice the local power

    @property
    def across(self) -> Weights:
        """Positions of the samples across the ridge, in periods."""
        return np.arange(-self.across_steps, self.across_steps + 1) / self.across_samples


DEFAULT = GrowthParameters()


def grow_ridges(
    flow: Flow, rng: np.random.Generator, parameters: GrowthParameters = DEFAULT
) -> FloatImage:
    """Grow ridges along `flow` from white noise.

    Returns:
        Ridge pattern, float32 [H, W], about a cosine across the ridges: -1 valley, 1 crest.
    """
    along, across = _follow_ridges(flow, parameters), _cross_ridges(flow, parameters)
    weights_along, weights_across = _gaussian(parameters), _gabor_even(parameters)
    field = rng.standard_normal(flow.angle.shape, np.float32)
    for number in range(parameters.rounds):
        if number == parameters.pairs_round:
            odd = _filter(field, across, _gabor_odd(parameters))
            field = insert_minutia_pairs(field, odd, flow.angle, rng, parameters)
        saturated = np.tanh(parameters.saturation * (field - parameters.bias))
        field = _filter(_filter(saturated, along, weights_along), across, weights_across)
    return _equalize(field, parameters)


def insert_minutia_pairs(
    even: FloatImage,
    odd: FloatImage,
    angle: FloatImage,
    rng: np.random.Generator,
    parameters: GrowthParameters = DEFAULT,
) -> FloatImage:
    """Insert pairs of minutiae on one ridge: short ridges, lakes and spurs.

    A minutia is a point about which the phase of the complex wave `even` + i `odd` turns once
    (Larkin and Fletcher 2007, "A coherent framework for fingerprint analysis"). A pair turns it in
    opposite senses, so that nothing changes far from the pair.

    Args:
        even: ridge pattern, float32 [H, W].
        odd: the same pattern a quarter period on, float32 [H, W].
        angle: ridge orientation, rad, float32 [H, W].
        rng: generator.
        parameters: numbers of the growth.

    Returns:
        The changed ridge pattern, float32 [H, W].
    """
    wave, plane = even + 1j * odd, centred_plane((even.shape[0], even.shape[1]))
    reach = parameters.pair_reach
    for _ in range(rng.poisson(parameters.pairs)):
        pixel = tuple(int(rng.integers(extent)) for extent in even.shape)
        window = tuple(slice(max(k - reach, 0), k + reach + 1) for k in pixel)
        offset = plane[window] - plane[pixel]
        half = rng.uniform(*parameters.pair_length_range) / 2 * np.exp(1j * angle[pixel])
        turn = np.angle(offset - half) - np.angle(offset + half)
        wave[window] *= np.exp(1j * rng.choice([-1, 1]) * turn)
    return np.asarray(wave.real, np.float32)


def _equalize(field: FloatImage, parameters: GrowthParameters) -> FloatImage:
    """Scale `field` [H, W] to crests of about 1, also at minutiae, where it is weak."""
    power = cv2.GaussianBlur(field * field, (0, 0), parameters.power_blur)
    return np.asarray(field / np.sqrt(2 * power + np.float32(parameters.power_floor)))


def _gaussian(parameters: GrowthParameters) -> Weights:
    """Weights of the samples along the ridge, of sum 1."""
    positions = np.arange(-parameters.steps, parameters.steps + 1) * parameters.step
    bell = np.exp(-((positions / parameters.along_deviation) ** 2) / 2)
    return np.asarray(bell / bell.sum())


def _gabor_even(parameters: GrowthParameters) -> Weights:
    """Weights of the samples across: answer 0 to a constant, 1 to a cosine of the period."""
    across = parameters.across
    bell = np.exp(-((across / parameters.across_deviation) ** 2) / 2)
    wave = np.cos(2 * np.pi * across)
    weights = bell * (wave - (bell * wave).sum() / bell.sum())
    return np.asarray(weights / (weights * wave).sum())


def _gabor_odd(parameters: GrowthParameters) -> Weights:
    """Weights of the samples across: answer 1 to a sine of the period."""
    across = parameters.across
    wave = np.sin(2 * np.pi * across)
    weights = np.exp(-((across / parameters.across_deviation) ** 2) / 2) * wave
    return np.asarray(weights / (weights * wave).sum())


def _cross_ridges(flow: Flow, parameters: GrowthParameters) -> SampleMaps:
    """Positions of the filter's samples across the ridge, on a straight line."""
    (y, x), (dx, dy) = _pixels(flow), _tangents(flow)
    return [
        (x - k * flow.period * dy, y + k * flow.period * dx)
        for k in parameters.across.astype(np.float32)
    ]


def _follow_ridges(flow: Flow, parameters: GrowthParameters) -> SampleMaps:
    """Positions of the filter's samples along the ridge, on the curve of the flow."""
    (y, x), (dx, dy) = _pixels(flow), _tangents(flow)
    back = _follow(x, y, -dx, -dy, parameters)
    return [*back[::-1], (x, y), *_follow(x, y, dx, dy, parameters)]


def _pixels(flow: Flow) -> FloatImage:
    """Rows and columns of all pixels, float32 [2, H, W]."""
    height, width = flow.angle.shape
    return np.asarray(np.mgrid[:height, :width], np.float32)


def _tangents(flow: Flow) -> tuple[FloatImage, FloatImage]:
    """Unit vectors (x, y) along the ridges, each [H, W], y downwards."""
    return np.cos(flow.angle), -np.sin(flow.angle)


def _follow(
    x: FloatImage, y: FloatImage, dx: FloatImage, dy: FloatImage, parameters: GrowthParameters
) -> SampleMaps:
    """Positions after each step along the ridge from (x, y) in direction (dx, dy)."""
    field_x, field_y, path = dx, dy, []
    for _ in range(parameters.steps):
        x, y = x + np.float32(parameters.step) * dx, y + np.float32(parameters.step) * dy
        path.append((x, y))
        next_x, next_y = _nearest(field_x, x, y), _nearest(field_y, x, y)
        opposite = next_x * dx + next_y * dy < 0  # orientations are directions modulo 180°
        dx = np.where(opposite, -next_x, next_x)
        dy = np.where(opposite, -next_y, next_y)
    return path


def _nearest(field: FloatImage, x: FloatImage, y: FloatImage) -> FloatImage:
    """Values [H, W] of `field` at the pixels nearest to (x, y)."""
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_NEAREST, borderMode=border))


def _filter(field: FloatImage, maps: SampleMaps, weights: Weights) -> FloatImage:
    """Weighted sum [H, W] of the samples of `field` at `maps`."""
    total = np.zeros_like(field)
    border = cv2.BORDER_REFLECT_101
    for (x, y), weight in zip(maps, weights, strict=True):
        total += np.float32(weight) * cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=border)
    return total
