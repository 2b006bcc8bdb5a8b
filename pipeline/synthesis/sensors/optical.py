"""Frustrated total reflection: skin that touches is dark, in speckles; the rest is white."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import about, band, blur


@dataclass(frozen=True)
class Optical:
    """A prism and its reader; greys of 0 … 255."""

    steepness: float  # of the step from touching to not, over half a ridge's height
    tone: float  # grey of skin that touches under no pressure: below 0 it is cut off
    speckle: float  # deviation of the grey where skin touches
    white: float  # grey of the ground, beyond what the converter can tell
    blur: float  # px, deviation of the point spread
    sharpening: float  # share of what a low pass of 1.6 px takes away that is added again
    noise: float  # deviation of the grey everywhere

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        ink = expit((skin - 0.05) * self.steepness)
        tone = self.tone - 15 * level + 7 * smooth_noise(rng, skin.shape, 3.5)
        speckle = self.speckle * band(rng, skin.shape, 0.76)
        grey = self.white - (self.white - np.maximum(tone, -30) - speckle) * ink
        grey = blur(grey, self.blur)
        grey += self.sharpening * (grey - blur(grey, 1.6))
        return grey + self.noise * rng.standard_normal(skin.shape, np.float32)


def sample_optical(rng: np.random.Generator) -> Optical:
    """The means and spreads are those that bring it nearest to FVC2002 DB1_B.

    By the features of `pipeline.compare_classifier`.
    """
    return Optical(
        steepness=about(rng, 7.3, 0.15),
        tone=min(max(rng.normal(58, 42), -20.0), 150.0),
        speckle=min(about(rng, 53, 0.85), 130.0),
        white=rng.uniform(258, 281),
        blur=about(rng, 0.96, 0.08),
        sharpening=rng.uniform(0, 0.46),
        noise=about(rng, 1.6, 0.4),
    )
