"""A small lens over a red light: mid-grey ground that darkens to the corners, low contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import blur


@dataclass(frozen=True)
class Vignetted:
    """A lens, its light and its reader; greys of 0 … 255."""

    brightest: tuple[float, float]  # where the light is, (x, y) in shares of the image
    fall: float  # of the light, over the square of such a share
    ground: float  # grey under the whole light, 130 … 215
    shade: float  # by how much the finger about it darkens that, -15 … 30
    depth: float  # share of the light that skin takes away that touches, 0.3 … 0.7
    steepness: float  # of the step from touching to not, over half a ridge's height, 2.5 … 6
    blur: float  # px, deviation of the point spread, 0.6 … 1
    noise: float  # deviation of the grey everywhere, 1 … 3

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        size = skin.shape
        light = self._light(size) * (1 + 0.03 * smooth_noise(rng, size, 120))
        touching = expit(level + 3)
        ground = self.ground - self.shade * touching
        depth = self.depth * np.clip(1 + 0.25 * level, 0.45, 1.15)
        ink = expit(skin * self.steepness)
        grey = ground * light * (1 - depth * ink) + 4 * touching * smooth_noise(rng, size, 3)
        return blur(grey, self.blur) + self.noise * rng.standard_normal(size, np.float32)

    def _light(self, size: tuple[int, ...]) -> Image:
        """Light [H, W] on the glass, 1 at its brightest and down to 0.3 in the corners."""
        y, x = np.ogrid[: size[0], : size[1]]
        across, down = self.brightest
        far = (x / size[1] - across) ** 2 + (y / size[0] - down) ** 2
        return np.asarray(np.clip(1 - self.fall * far, 0.3, 1), np.float32)


def sample_vignetted(rng: np.random.Generator) -> Vignetted:
    """In the manner of FVC2004 DB2."""
    return Vignetted(
        brightest=(rng.normal(0.5, 0.1), rng.normal(0.5, 0.1)),
        fall=rng.uniform(0.3, 1.3),
        ground=rng.uniform(130, 215),
        shade=rng.uniform(-15, 30),
        depth=rng.uniform(0.3, 0.7),
        steepness=rng.uniform(2.5, 6),
        blur=rng.uniform(0.6, 1.0),
        noise=rng.uniform(1, 3),
    )
