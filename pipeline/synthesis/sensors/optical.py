"""Optical sensor: frustrated total internal reflection, read by an interlaced video camera.

Skin in contact with the prism is dark and speckled; the rest is saturated white. The camera limits
the bandwidth along its lines and amplifies its two fields (even lines, odd lines) differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import expit

from pipeline.synthesis.noise import (
    FloatImage,
    SmoothNoise,
    add_skew,
    band_noise,
    blur,
    sample_lognormal,
)


@dataclass(frozen=True)
class OpticalParameters:
    """Numbers of the optical sensor, fitted to FVC2002 DB1_B.

    Sources, all sections of docs/LOG.md of 2026-11-23, all fits by the features of
    `pipeline.realism.classifier`:
    [search] "What the optical and the capacitive sensor do";
    [camera] "A resolution per sensor, video lines, paired cells";
    [gradient] "Sensors fitted by the gradient of the classifier".
    """

    # Slope of the step from no contact to contact, per half ridge height [camera].
    steepness_lognormal: tuple[float, float] = (7.45, 0.15)
    contact_height: float = 0.045  # half ridge heights, middle of that step [camera]
    tone_normal: tuple[float, float] = (55, 38)  # grey of skin in contact without pressure [camera]
    tone_limits: tuple[float, float] = (-20.0, 150.0)  # grey, cuts that distribution [search]
    tone_per_pressure: float = 15  # grey levels darker per half ridge height of pressure [search]
    tone_clouds: SmoothNoise = SmoothNoise(7.2, 3.5)  # grey levels, px [camera]
    tone_min: float = -30  # grey, below the converter's zero; the rest is cut off [search]
    speckle_lognormal: tuple[float, float] = (48, 0.9)  # grey levels, deviation [camera]
    speckle_max: float = 130.0  # grey levels; wilder speckle hides the ridges [search]
    speckle_size: float = 0.757  # px, narrower blur of the speckle's band [camera]
    speckle_skew: float = 0.35  # share of the square: light speckles stand out [gradient]
    white_range: tuple[float, float] = (258, 279)  # grey of the ground, saturated [camera]
    blur_lognormal: tuple[float, float] = (0.91, 0.067)  # px, point spread [camera]
    sharpening_range: tuple[float, float] = (0, 0.4)  # share of the high pass added [camera]
    sharpening_low_pass: float = 1.6  # px, blur that defines the high pass [search]
    noise_lognormal: tuple[float, float] = (2.45, 0.42)  # grey levels, per px [camera]
    line_blur: float = 0.4  # px, blur along the lines (bandwidth of the camera) [camera]
    field_offset_normal: tuple[float, float] = (0, 0.5)  # grey levels, at `field_grey` [camera]
    field_gain_normal: tuple[float, float] = (0, 0.007)  # share of the grey above it [camera]
    field_grey: float = 60  # grey level of the offset [camera]


DEFAULT = OpticalParameters()


@dataclass(frozen=True)
class Optical:
    """Prism and camera of one image."""

    steepness: float  # of the step from no contact to contact, per half ridge height
    tone: float  # grey of skin in contact without pressure; below 0 it is cut off
    speckle: float  # deviation of the grey where skin is in contact
    white: float  # grey of the ground, above the converter's range
    blur: float  # px, standard deviation of the point spread
    sharpening: float  # share of the high pass that is added
    noise: float  # deviation of the grey per px
    field_offset: float  # grey levels added to even lines and subtracted from odd ones
    field_gain: float  # the same as a share of the grey above `OpticalParameters.field_grey`

    def render(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: OpticalParameters = DEFAULT,
    ) -> FloatImage:
        """Compute grey levels; see `pipeline.synthesis.sensor.Sensor.render`."""
        contact = expit((skin - parameters.contact_height) * self.steepness)
        touched = self._touched_grey(pressure, rng, parameters)
        grey = blur(self.white - (self.white - touched) * contact, self.blur)
        grey += self.sharpening * (grey - blur(grey, parameters.sharpening_low_pass))
        grey += self.noise * rng.standard_normal(skin.shape, np.float32)
        # OpenCV needs a positive deviation: 0.01 px leaves the columns as they are.
        lines = cv2.GaussianBlur(grey, (0, 0), sigmaX=parameters.line_blur, sigmaY=0.01)
        grey = np.asarray(lines, np.float32)
        return grey + self._field_difference(grey, parameters)

    def _touched_grey(
        self, pressure: FloatImage, rng: np.random.Generator, parameters: OpticalParameters
    ) -> FloatImage:
        """Grey [H, W] of skin in contact, speckled."""
        tone = self.tone - parameters.tone_per_pressure * pressure
        tone = tone + parameters.tone_clouds.sample(pressure.shape, rng)
        noise = band_noise(rng, pressure.shape, parameters.speckle_size)
        speckle = self.speckle * add_skew(noise, parameters.speckle_skew)
        return np.maximum(tone, parameters.tone_min) + speckle

    def _field_difference(self, grey: FloatImage, parameters: OpticalParameters) -> FloatImage:
        """Grey levels [H, W] that distinguish the camera's even lines from its odd ones."""
        above = np.clip(grey, 0, 255) - parameters.field_grey
        difference = self.field_offset + self.field_gain * above
        difference[1::2] *= -1
        return np.asarray(difference)


def sample_optical(rng: np.random.Generator, parameters: OpticalParameters = DEFAULT) -> Optical:
    """Sample the sensor of one image."""
    low, high = parameters.tone_limits
    return Optical(
        steepness=sample_lognormal(rng, *parameters.steepness_lognormal),
        tone=min(max(rng.normal(*parameters.tone_normal), low), high),
        speckle=min(sample_lognormal(rng, *parameters.speckle_lognormal), parameters.speckle_max),
        white=rng.uniform(*parameters.white_range),
        blur=sample_lognormal(rng, *parameters.blur_lognormal),
        sharpening=rng.uniform(*parameters.sharpening_range),
        noise=sample_lognormal(rng, *parameters.noise_lognormal),
        field_offset=rng.normal(*parameters.field_offset_normal),
        field_gain=rng.normal(*parameters.field_gain_normal),
    )
