"""Capacitive sensor: ridges near black, mottled valleys, shaded and striped ground.

Every cell has its own gain, the main noise of the ground, which a ridge hides. Cells lie in pairs:
in every image of FVC2002 DB3_B odd and even rows, and columns, measure slightly shifted positions.
Cells also measure skin that is near without touching, and its distance varies from place to place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.noise import (
    FloatImage,
    SmoothNoise,
    add_skew,
    blur,
    blurred_noise,
    sample_lognormal,
)


@dataclass(frozen=True)
class CapacitiveParameters:
    """Numbers of the capacitive sensor, fitted to FVC2002 DB3_B.

    Source of each number without another one: the fit by the features of
    `pipeline.realism.classifier`, docs/LOG.md, 2026-11-23, "Sensors fitted by the gradient of the
    classifier".
    """

    # Ground.
    ground_normal: tuple[float, float] = (139.5, 4.3)  # grey of a cell without a finger
    ground_clouds: SmoothNoise = SmoothNoise(6, 130)  # grey levels, px
    shade_normal: tuple[float, float] = (41.8, 9.6)  # grey levels darker near a finger
    shade_pressure: float = -3  # half ridge heights: the finger's edge, for the shade
    shade_blur: float = 25  # px, softness of the shade
    column_noise: float = 2.6  # grey levels, deviation of independent columns
    column_clouds: SmoothNoise = SmoothNoise(1.7, 9)  # grey levels, px (columns)
    cell_noise: float = 2.9  # grey levels, deviation of the cells' own offsets
    # Contact.
    # Shift in px of odd cells along rows and columns, and of even cells in the other direction.
    # Measured by regression on DB3_B: docs/LOG.md, 2026-11-23, "A resolution per sensor, video
    # lines, paired cells".
    pair_shift_rows: float = 0.19
    pair_shift_columns: float = -0.075
    rough_lognormal: tuple[float, float] = (0.04, 1.04)  # half ridge heights, roughness
    # Half ridge heights; more hides the ridges (docs/LOG.md, 2026-11-23, "What the optical and the
    # capacitive sensor do").
    rough_max: float = 0.8
    rough_size: float = 0.6  # px, blur of the roughness
    contact_height: float = 0.12  # half ridge heights, middle of the step to contact
    contact_steepness: float = 8.4  # per half ridge height, slope of that step
    # Skin that is near.
    reach_range: tuple[float, float] = (0.015, 0.67)  # share of the step to contact
    reach_steepness: float = 1.16  # per half ridge height, slope of the answer to near skin
    near_pressure: float = -4  # half ridge heights: no skin beyond the finger's edge
    near_fine: tuple[float, float] = (1.64, 0.6)  # (half ridge heights, px blur) of its distance
    near_coarse: tuple[float, float] = (3.14, 1.2)  # the same, coarser part
    near_skew: float = 0.178  # share of the square: some places are much nearer
    # Tone.
    tone_normal: tuple[float, float] = (39.4, 7.4)  # grey of skin in contact without pressure
    tone_per_pressure: float = 17.5  # grey levels lighter per half ridge height less pressure
    tone_pressure_range: tuple[float, float] = (-1, 3)  # half ridge heights, limits of that
    haze: tuple[float, float] = (2.9, 2.4)  # (grey levels, px blur) of the clouds in ridges
    speckle_lognormal: tuple[float, float] = (2.5, 1.63)  # grey levels, deviation
    speckle_max: float = 30.0  # grey levels
    speckle_size: float = 1.2  # px, blur
    floor_normal: tuple[float, float] = (30.6, 0.46)  # grey, the converter's zero
    # Grey levels between skin in contact and the ground, at least: below, some images had no
    # foreground; docs/LOG.md, 2026-11-23, "Sensor stripes in the foreground".
    contrast_min: float = 30.0
    # Reader: (blur in px of the low pass, share of the high pass that is added), per stage.
    sharpening: tuple[tuple[float, float], ...] = ((0.7, 0.16), (1.6, 0.063))
    noise: float = 1.3  # grey levels per px, deviation


DEFAULT = CapacitiveParameters()


@dataclass(frozen=True)
class Capacitive:
    """Array of cells of one image."""

    ground: float  # grey of a cell without a finger
    shade: float  # grey levels by which a finger nearby darkens it
    rough: float  # deviation of the skin's height from cell to cell in contact, half ridge heights
    reach: float  # share of the step from ground to contact that near skin gives
    tone: float  # grey of skin in contact without pressure
    speckle: float  # deviation of that grey
    floor: float  # grey, the converter's zero: no ridge is darker

    def render(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: CapacitiveParameters = DEFAULT,
    ) -> FloatImage:
        """Compute grey levels; see `pipeline.synthesis.sensor.Sensor.render`."""
        skin = shift_pairs(skin, 0, parameters.pair_shift_rows)
        skin = shift_pairs(skin, 1, parameters.pair_shift_columns)
        ground = self._ground_grey(pressure, rng, parameters)
        response = self._response(skin, pressure, rng, parameters)
        tone = np.maximum(self._tone(pressure, rng, parameters), self.floor)
        contrast = np.maximum(ground - tone, parameters.contrast_min)
        grey = np.asarray(ground - contrast * response, np.float32)
        high_passes = [(grey - blur(grey, width)) * share for width, share in parameters.sharpening]
        grey = grey + sum(high_passes)
        return grey + parameters.noise * rng.standard_normal(skin.shape, np.float32)

    def _ground_grey(
        self, pressure: FloatImage, rng: np.random.Generator, parameters: CapacitiveParameters
    ) -> FloatImage:
        """Grey [H, W] of the cells without contact: clouds, shade, stripes and cell noise."""
        size = pressure.shape
        finger = blur(expit(pressure - parameters.shade_pressure), parameters.shade_blur)
        ground = self.ground + parameters.ground_clouds.sample(size, rng) - self.shade * finger
        columns = rng.normal(0, parameters.column_noise, size[1])
        columns = columns + parameters.column_clouds.sample((1, size[1]), rng)[0]
        cells = parameters.cell_noise * rng.standard_normal(size, np.float32)
        return np.asarray(ground + columns.astype(np.float32) + cells, np.float32)

    def _response(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: CapacitiveParameters,
    ) -> FloatImage:
        """Answer [H, W] of the cells to the skin: 0 without skin, 1 in contact."""
        rough = self.rough * blurred_noise(rng, skin.shape, parameters.rough_size)
        height = skin - parameters.contact_height + rough
        contact = expit(height * parameters.contact_steepness)
        inside = expit(pressure - parameters.near_pressure)
        uneven = inside * _sample_nearness(rng, skin.shape, parameters)
        remote = self.reach * expit(parameters.reach_steepness * (skin + uneven))
        return np.asarray(contact + remote * (1 - contact))

    def _tone(
        self, pressure: FloatImage, rng: np.random.Generator, parameters: CapacitiveParameters
    ) -> FloatImage:
        """Grey [H, W] of skin in contact."""
        deviation, width = parameters.haze
        haze = deviation * blurred_noise(rng, pressure.shape, width)
        speckle = blurred_noise(rng, pressure.shape, parameters.speckle_size)
        haze = haze + self.speckle * speckle
        lightness = np.clip(-pressure, *parameters.tone_pressure_range)
        return self.tone + parameters.tone_per_pressure * lightness + haze


def _sample_nearness(
    rng: np.random.Generator, size: tuple[int, ...], parameters: CapacitiveParameters
) -> FloatImage:
    """Sample the height [H, W], half ridge heights, by which skin without contact is nearer."""
    total: FloatImage = np.zeros(size, np.float32)
    for deviation, width in (parameters.near_fine, parameters.near_coarse):
        total = total + deviation * blurred_noise(rng, size, width)
    return add_skew(total, parameters.near_skew)


def shift_pairs(skin: FloatImage, axis: int, shift: float) -> FloatImage:
    """Shift odd cells by `shift` px along `axis` and even cells by as much in the other direction.

    First-order approximation by the gradient of `skin` [H, W]; the mean over a pair does not move.
    """
    slope = np.gradient(skin, axis=axis)
    even = (slice(None),) * axis + (slice(0, None, 2),)
    slope[even] *= -1
    return np.asarray(skin + np.float32(shift) * slope, np.float32)


def sample_capacitive(
    rng: np.random.Generator, parameters: CapacitiveParameters = DEFAULT
) -> Capacitive:
    """Sample the sensor of one image."""
    return Capacitive(
        ground=rng.normal(*parameters.ground_normal),
        shade=rng.normal(*parameters.shade_normal),
        rough=min(sample_lognormal(rng, *parameters.rough_lognormal), parameters.rough_max),
        reach=rng.uniform(*parameters.reach_range),
        tone=rng.normal(*parameters.tone_normal),
        speckle=min(sample_lognormal(rng, *parameters.speckle_lognormal), parameters.speckle_max),
        floor=rng.normal(*parameters.floor_normal),
    )
