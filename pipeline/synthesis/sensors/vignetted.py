"""Optical sensor with a small lens: grey ground, darker towards the corners, low contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.noise import FloatImage, SmoothNoise, blur


@dataclass(frozen=True)
class VignettedParameters:
    """Numbers of the vignetted optical sensor; chosen to resemble FVC2004 DB2."""

    brightest_normal: tuple[float, float] = (0.5, 0.1)  # x and y, shares of the image's extent
    fall_range: tuple[float, float] = (0.3, 1.3)  # of the light, per squared share of the extent
    light_min: float = 0.3  # share of the full light, in the corners
    light_clouds: SmoothNoise = SmoothNoise(0.03, 120)  # share of the light, px
    ground_range: tuple[float, float] = (130, 215)  # grey under full light
    shade_range: tuple[float, float] = (-15, 30)  # grey levels darker near a finger
    shade_pressure: float = -3  # half ridge heights: the finger's edge, for the shade
    depth_range: tuple[float, float] = (0.3, 0.7)  # share of the light that contact takes away
    depth_per_pressure: float = 0.25  # relative change of it per half ridge height of pressure
    depth_factor_limits: tuple[float, float] = (0.45, 1.15)  # limits of that change
    steepness_range: tuple[float, float] = (2.5, 6)  # per half ridge height, step to contact
    texture: SmoothNoise = SmoothNoise(4, 3)  # grey levels, px, on the finger
    blur_range: tuple[float, float] = (0.6, 1.0)  # px, point spread
    noise_range: tuple[float, float] = (1, 3)  # grey levels per px, deviation


DEFAULT = VignettedParameters()


@dataclass(frozen=True)
class Vignetted:
    """Lens, light and camera of one image."""

    brightest: tuple[float, float]  # position (x, y) of the light, shares of the image's extent
    fall: float  # of the light, per squared share of the extent
    ground: float  # grey under full light
    shade: float  # grey levels by which the finger darkens its surroundings
    depth: float  # share of the light that skin in contact takes away
    steepness: float  # of the step from no contact to contact, per half ridge height
    blur: float  # px, standard deviation of the point spread
    noise: float  # deviation of the grey per px

    def render(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: VignettedParameters = DEFAULT,
    ) -> FloatImage:
        """Compute grey levels; see `pipeline.synthesis.sensor.Sensor.render`."""
        size = skin.shape
        light = self._light(size, parameters) * (1 + parameters.light_clouds.sample(size, rng))
        finger = expit(pressure - parameters.shade_pressure)
        ground = self.ground - self.shade * finger
        factor = 1 + parameters.depth_per_pressure * pressure
        depth = self.depth * np.clip(factor, *parameters.depth_factor_limits)
        contact = expit(skin * self.steepness)
        texture = finger * parameters.texture.sample(size, rng)
        grey = ground * light * (1 - depth * contact) + texture
        return blur(grey, self.blur) + self.noise * rng.standard_normal(size, np.float32)

    def _light(self, size: tuple[int, ...], parameters: VignettedParameters) -> FloatImage:
        """Light [H, W] on the glass: 1 at its brightest point, less towards the corners."""
        y, x = np.ogrid[: size[0], : size[1]]
        x0, y0 = self.brightest
        squared_distance = (x / size[1] - x0) ** 2 + (y / size[0] - y0) ** 2
        light = np.clip(1 - self.fall * squared_distance, parameters.light_min, 1)
        return np.asarray(light, np.float32)


def sample_vignetted(
    rng: np.random.Generator, parameters: VignettedParameters = DEFAULT
) -> Vignetted:
    """Sample the sensor of one image."""
    return Vignetted(
        brightest=(
            rng.normal(*parameters.brightest_normal),
            rng.normal(*parameters.brightest_normal),
        ),
        fall=rng.uniform(*parameters.fall_range),
        ground=rng.uniform(*parameters.ground_range),
        shade=rng.uniform(*parameters.shade_range),
        depth=rng.uniform(*parameters.depth_range),
        steepness=rng.uniform(*parameters.steepness_range),
        blur=rng.uniform(*parameters.blur_range),
        noise=rng.uniform(*parameters.noise_range),
    )
