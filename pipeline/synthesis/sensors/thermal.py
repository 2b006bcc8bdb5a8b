"""Thermal sweep sensor: sharp, grainy ridges; every scan line has its own gain and offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.noise import FloatImage, SmoothNoise, blur, sample_sum


@dataclass(frozen=True)
class ThermalParameters:
    """Numbers of the thermal sweep sensor; chosen to resemble FVC2004 DB3 (512 ppi)."""

    grain_range: tuple[float, float] = (0.25, 0.6)  # half ridge heights per px, deviation
    rough_range: tuple[float, float] = (0.2, 0.5)  # half ridge heights, deviation
    rough_size: float = 1.6  # px, scale of the roughness
    steepness_range: tuple[float, float] = (3, 6)  # per half ridge height, step to contact
    # Relative gain of the lines: (deviation, px) of its smooth parts, and its independent part.
    line_drift: tuple[SmoothNoise, ...] = (SmoothNoise(0.12, 60), SmoothNoise(0.05, 5))
    line_noise: float = 0.04
    line_gain_limits: tuple[float, float] = (0.5, 1)  # of the step from ground to contact
    ground_range: tuple[float, float] = (175, 235)  # grey of a line without skin
    ground_per_line: float = 0.35  # share of a line's relative gain that its ground shows
    tone_range: tuple[float, float] = (25, 80)  # grey of skin in contact without pressure
    tone_per_pressure: float = 12  # grey levels darker per half ridge height of pressure
    tone_clouds: SmoothNoise = SmoothNoise(10, 20)  # grey levels, px
    tone_limits: tuple[float, float] = (10, 150)  # grey
    blur_range: tuple[float, float] = (0.35, 0.6)  # px, point spread
    noise_range: tuple[float, float] = (4, 9)  # grey levels per px, deviation


DEFAULT = ThermalParameters()


@dataclass(frozen=True)
class Thermal:
    """Line of cells of one image."""

    grain: float  # deviation of the skin's height per px, half ridge heights
    rough: float  # the same over `ThermalParameters.rough_size` px
    steepness: float  # of the step from no contact to contact, per half ridge height
    ground: float  # grey of a line without skin
    tone: float  # grey of skin in contact without pressure
    blur: float  # px, standard deviation of the point spread
    noise: float  # deviation of the grey per px

    def render(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: ThermalParameters = DEFAULT,
    ) -> FloatImage:
        """Compute grey levels; see `pipeline.synthesis.sensor.Sensor.render`."""
        size = skin.shape
        rough = self.grain * rng.standard_normal(size, np.float32)
        rough += SmoothNoise(self.rough, parameters.rough_size).sample(size, rng)
        contact = expit((skin + rough) * self.steepness)
        lines = _sample_lines(size[0], rng, parameters)
        ground = self.ground * (1 + parameters.ground_per_line * lines)
        tone = self.tone - parameters.tone_per_pressure * pressure
        tone = tone + parameters.tone_clouds.sample(size, rng)
        tone = np.clip(tone, *parameters.tone_limits)
        gain = np.clip(1 + lines, *parameters.line_gain_limits)
        grey = ground + (tone - ground) * contact * gain
        return blur(grey, self.blur) + self.noise * rng.standard_normal(size, np.float32)


def _sample_lines(
    count: int, rng: np.random.Generator, parameters: ThermalParameters
) -> FloatImage:
    """Sample the relative gain [H, 1] of `count` scan lines, less 1."""
    drift = sample_sum(parameters.line_drift, (count, 1), rng)
    noise = parameters.line_noise * rng.standard_normal((count, 1), np.float32)
    return np.asarray(drift + noise)


def sample_thermal(rng: np.random.Generator, parameters: ThermalParameters = DEFAULT) -> Thermal:
    """Sample the sensor of one image."""
    return Thermal(
        grain=rng.uniform(*parameters.grain_range),
        rough=rng.uniform(*parameters.rough_range),
        steepness=rng.uniform(*parameters.steepness_range),
        ground=rng.uniform(*parameters.ground_range),
        tone=rng.uniform(*parameters.tone_range),
        blur=rng.uniform(*parameters.blur_range),
        noise=rng.uniform(*parameters.noise_range),
    )
