"""No sensor in particular: greys, softness, grain, shading and stripes all drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import blur


@dataclass(frozen=True)
class Field:
    """A field of smooth noise."""

    deviation: float
    scale: float  # px


@dataclass(frozen=True)
class Anything:
    """A sensor of no make; greys as shares of the ground's but where another unit is told."""

    grain: Field  # of the skin's height, half ridges, up to 0.5 over 1 … 4 px
    steepness: float  # of the step from touching to not, over half a ridge's height, 1.5 … 6
    shade: Field  # up to 0.12 over 50 … 200 px
    stripes: Field  # from column to column, up to 0.04 over 1 … 12 px
    ground: float  # grey, 90 … 250 of 255
    tone: float  # of skin that touches under no pressure, 0.1 … 0.65
    pressed: float  # by which half a ridge's height of pressure darkens that, 0 … 0.15
    blur: float  # px, deviation of the point spread, 0.4 … 1.4
    gamma: float  # exponent of the grey curve
    noise: float  # deviation from px to px, grey levels, 0 … 7
    clouds: Field  # grey levels, up to 6 over 1.2 … 3 px

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        size = skin.shape
        ink = expit((skin + _drawn(self.grain, size, rng)) * self.steepness)
        shade = _drawn(self.shade, size, rng) + _drawn(self.stripes, (1, size[1]), rng)
        ridge = np.clip(self.tone - self.pressed * level, 0, 0.8)
        grey = blur(1 - (1 - ridge) * ink + shade, self.blur)
        grey = self.ground * np.clip(grey, 0, 1.3) ** self.gamma
        noise = self.noise * rng.standard_normal(size, np.float32)
        return grey + noise + _drawn(self.clouds, size, rng)


def _drawn(field: Field, size: tuple[int, int], rng: np.random.Generator) -> Image:
    return field.deviation * smooth_noise(rng, size, field.scale)


def sample_anything(rng: np.random.Generator) -> Anything:
    """As widely as prints may look."""
    return Anything(
        grain=Field(rng.uniform(0, 0.5), rng.uniform(1, 4)),
        steepness=rng.uniform(1.5, 6),
        shade=Field(rng.uniform(0, 0.12), rng.uniform(50, 200)),
        stripes=Field(rng.uniform(0, 0.04), rng.uniform(1, 12)),
        ground=rng.uniform(90, 250),
        tone=rng.uniform(0.1, 0.65),
        pressed=rng.uniform(0, 0.15),
        blur=rng.uniform(0.4, 1.4),
        gamma=float(np.exp(rng.normal(0, 0.3))),
        noise=rng.uniform(0, 7),
        clouds=Field(rng.uniform(0, 6), rng.uniform(1.2, 3)),
    )
