"""Frustrated total reflection: skin that touches is dark, in speckles; the rest is white.

A video camera reads it: its band limits what is along the lines, and it amplifies the two fields,
even lines and odd ones, not quite alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import about, band, blur, skewed

BAND = 0.4  # px, deviation of the blur along the lines
SKEW = 0.35  # of the speckles: light ones, fewer, stand out farther than dark ones


@dataclass(frozen=True)
class Optical:
    """A prism and its camera; greys of 0 … 255."""

    steepness: float  # of the step from touching to not, over half a ridge's height
    tone: float  # grey of skin that touches under no pressure: below 0 it is cut off
    speckle: float  # deviation of the grey where skin touches
    white: float  # grey of the ground, beyond what the converter can tell
    blur: float  # px, deviation of the point spread
    sharpening: float  # share of what a low pass of 1.6 px takes away that is added again
    noise: float  # deviation of the grey everywhere
    field_offset: float  # by which grey 60 of even lines is lighter, and that of odd ones darker
    field_gain: float  # the same, of the grey beyond 60, as a share of it

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        ink = expit((skin - 0.045) * self.steepness)
        tone = self.tone - 15 * level + 7.2 * smooth_noise(rng, skin.shape, 3.5)
        speckle = skewed(band(rng, skin.shape, 0.757), SKEW)
        touched = np.maximum(tone, -30) + self.speckle * speckle
        grey = self.white - (self.white - touched) * ink
        grey = blur(grey, self.blur)
        grey += self.sharpening * (grey - blur(grey, 1.6))
        grey += self.noise * rng.standard_normal(skin.shape, np.float32)
        grey = cv2.GaussianBlur(grey, (0, 0), sigmaX=BAND, sigmaY=0.01)
        fields = self.field_offset + self.field_gain * (np.clip(grey, 0, 255) - 60)
        fields[1::2] *= -1
        return grey + fields


def sample_optical(rng: np.random.Generator) -> Optical:
    """The means and spreads are those that bring it nearest to FVC2002 DB1_B.

    By the features of `pipeline.realism.classifier`.
    """
    return Optical(
        steepness=about(rng, 7.45, 0.15),
        tone=min(max(rng.normal(55, 38), -20.0), 150.0),
        speckle=min(about(rng, 48, 0.9), 130.0),
        white=rng.uniform(258, 279),
        blur=about(rng, 0.91, 0.067),
        sharpening=rng.uniform(0, 0.4),
        noise=about(rng, 2.45, 0.42),
        field_offset=rng.normal(0, 0.5),
        field_gain=rng.normal(0, 0.007),
    )
