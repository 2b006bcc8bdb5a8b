"""Generic sensor: greys, sharpness, grain, shading and stripes from wide distributions.

It resembles no real sensor, so that a network does not depend on the look of particular ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.noise import FloatImage, SmoothNoise, blur

Range = tuple[float, float]


@dataclass(frozen=True)
class GenericParameters:
    """Ranges of the generic sensor; chosen as widely as fingerprint images vary.

    "Relative" greys are shares of the ground's grey. For noise fields: deviation, then scale in px.
    """

    grain_range: Range = (0, 0.5)  # half ridge heights, deviation of the skin's height
    grain_scale_range: Range = (1, 4)  # px
    steepness_range: Range = (1.5, 6)  # per half ridge height, step to contact
    shade_range: Range = (0, 0.12)  # relative grey, deviation of the shading
    shade_scale_range: Range = (50, 200)  # px
    stripes_range: Range = (0, 0.04)  # relative grey, deviation from column to column
    stripes_scale_range: Range = (1, 12)  # px
    ground_range: Range = (90, 250)  # grey
    tone_range: Range = (0.1, 0.65)  # relative grey of skin in contact without pressure
    tone_limits: Range = (0, 0.8)  # relative grey
    pressed_range: Range = (0, 0.15)  # relative grey, darker per half ridge height of pressure
    grey_limits: Range = (0, 1.3)  # relative grey, before the grey curve
    blur_range: Range = (0.4, 1.4)  # px, point spread
    gamma_normal: Range = (0, 0.3)  # natural logarithm of the grey curve's exponent
    noise_range: Range = (0, 7)  # grey levels per px, deviation
    clouds_range: Range = (0, 6)  # grey levels, deviation
    clouds_scale_range: Range = (1.2, 3)  # px


DEFAULT = GenericParameters()


@dataclass(frozen=True)
class Generic:
    """Sensor of one image; greys are shares of the ground's grey unless another unit is noted."""

    grain: SmoothNoise  # of the skin's height, half ridge heights
    steepness: float  # of the step from no contact to contact, per half ridge height
    shade: SmoothNoise  # shading over the image
    stripes: SmoothNoise  # from column to column
    ground: float  # grey level
    tone: float  # of skin in contact without pressure
    pressed: float  # darkening per half ridge height of pressure
    blur: float  # px, standard deviation of the point spread
    gamma: float  # exponent of the grey curve
    noise: float  # grey levels per px, deviation
    clouds: SmoothNoise  # grey levels

    def render(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: GenericParameters = DEFAULT,
    ) -> FloatImage:
        """Compute grey levels; see `pipeline.synthesis.sensor.Sensor.render`."""
        size = skin.shape
        contact = expit((skin + self.grain.sample(size, rng)) * self.steepness)
        shade = self.shade.sample(size, rng) + self.stripes.sample((1, size[1]), rng)
        ridge = np.clip(self.tone - self.pressed * pressure, *parameters.tone_limits)
        grey = blur(1 - (1 - ridge) * contact + shade, self.blur)
        grey = self.ground * np.clip(grey, *parameters.grey_limits) ** self.gamma
        noise = self.noise * rng.standard_normal(size, np.float32)
        return grey + noise + self.clouds.sample(size, rng)


def sample_generic(rng: np.random.Generator, parameters: GenericParameters = DEFAULT) -> Generic:
    """Sample the sensor of one image."""

    def noise(deviation_range: Range, scale_range: Range) -> SmoothNoise:
        return SmoothNoise(rng.uniform(*deviation_range), rng.uniform(*scale_range))

    return Generic(
        grain=noise(parameters.grain_range, parameters.grain_scale_range),
        steepness=rng.uniform(*parameters.steepness_range),
        shade=noise(parameters.shade_range, parameters.shade_scale_range),
        stripes=noise(parameters.stripes_range, parameters.stripes_scale_range),
        ground=rng.uniform(*parameters.ground_range),
        tone=rng.uniform(*parameters.tone_range),
        pressed=rng.uniform(*parameters.pressed_range),
        blur=rng.uniform(*parameters.blur_range),
        gamma=float(np.exp(rng.normal(*parameters.gamma_normal))),
        noise=rng.uniform(*parameters.noise_range),
        clouds=noise(parameters.clouds_range, parameters.clouds_scale_range),
    )
