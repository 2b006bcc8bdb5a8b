"""A sweep over one warm line: sharp, grainy ridges; every line has its own gain and offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import blur


@dataclass(frozen=True)
class Thermal:
    """A line of cells and the heat of the day; greys of 0 … 255."""

    grain: float  # deviation of the skin's height from px to px, half ridges, 0.25 … 0.6
    rough: float  # the same over 1.6 px, 0.2 … 0.5
    steepness: float  # of the step from touching to not, over half a ridge's height, 3 … 6
    ground: float  # grey of the line that nothing touches, 175 … 235
    tone: float  # grey of skin that touches under no pressure, 25 … 80
    blur: float  # px, deviation of the point spread, 0.35 … 0.6
    noise: float  # deviation of the grey everywhere, 4 … 9

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        size = skin.shape
        rough = self.grain * rng.standard_normal(size, np.float32)
        rough += self.rough * smooth_noise(rng, size, 1.6)
        ink = expit((skin + rough) * self.steepness)
        column = (size[0], 1)
        drift = 0.12 * smooth_noise(rng, column, 60) + 0.05 * smooth_noise(rng, column, 5)
        lines = drift + 0.04 * rng.standard_normal(column, np.float32)
        ground = self.ground * (1 + 0.35 * lines)
        tone = np.clip(self.tone - 12 * level + 10 * smooth_noise(rng, size, 20), 10, 150)
        grey = ground + (tone - ground) * ink * np.clip(1 + lines, 0.5, 1)
        return blur(grey, self.blur) + self.noise * rng.standard_normal(size, np.float32)


def sample_thermal(rng: np.random.Generator) -> Thermal:
    """In the manner of FVC2004 DB3."""
    return Thermal(
        grain=rng.uniform(0.25, 0.6),
        rough=rng.uniform(0.2, 0.5),
        steepness=rng.uniform(3, 6),
        ground=rng.uniform(175, 235),
        tone=rng.uniform(25, 80),
        blur=rng.uniform(0.35, 0.6),
        noise=rng.uniform(4, 9),
    )
