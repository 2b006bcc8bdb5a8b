"""Capacitance: ridges near black, mottled valleys little darker than the shaded, striped ground.

Every cell has its own gain, most of the ground's noise, which a ridge hides. Cells lie in pairs:
all over FVC2002 DB3_B what rows and columns show is nearer to a neighbour's than a px, in turn on
either side. And they feel skin that does not touch, which is near in one place and far in the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import about, blur, blurred, skewed

PAIRED_ROWS, PAIRED_COLUMNS = 0.19, 0.075  # px by which a cell sees what is nearer to its partner
FAINTEST = 30.0  # grey levels by which skin that touches is darker than the cell would be, at least
SHARPENING = ((0.7, 0.16), (1.6, 0.063))  # low passes, px, and what share each takes is added again


@dataclass(frozen=True)
class Capacitive:
    """An array of cells; greys of 0 … 255."""

    ground: float  # grey of a cell that nothing is near
    shade: float  # by how much a finger about it darkens that
    rough: float  # deviation of the skin's height from cell to cell where it touches, half ridges
    reach: float  # share of the step from ground to touch that skin gives which is just near
    tone: float  # grey of skin that touches under no pressure
    speckle: float  # deviation of that
    floor: float  # the converter's zero: no finger is darker

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        size = skin.shape
        skin = _paired(_paired(skin, 0, PAIRED_ROWS), 1, -PAIRED_COLUMNS)
        near = blur(expit(level + 3), 25)
        ground = self.ground + 6 * smooth_noise(rng, size, 130) - self.shade * near
        columns = rng.normal(0, 2.6, size[1]) + 1.7 * smooth_noise(rng, (1, size[1]), 9)[0]
        ground = ground + columns.astype(np.float32) + 2.9 * rng.standard_normal(size, np.float32)
        rough = self.rough * blurred(rng, size, 0.6)
        ink = expit((skin - 0.12 + rough) * 8.4)
        uneven = expit(level + 4) * _nearness(rng, size)  # beside the finger there is no skin
        ink += self.reach * expit(1.16 * (skin + uneven)) * (1 - ink)
        haze = 2.9 * blurred(rng, size, 2.4) + self.speckle * blurred(rng, size, 1.2)
        tone = self.tone + 17.5 * np.clip(-level, -1, 3) + haze
        grey = ground - np.maximum(ground - np.maximum(tone, self.floor), FAINTEST) * ink
        grey += sum(share * (grey - blur(grey, low)) for low, share in SHARPENING)
        return grey + 1.3 * rng.standard_normal(size, np.float32)


def _nearness(rng: np.random.Generator, size: tuple[int, ...]) -> Image:
    """How much nearer skin that does not touch is [H, W], half ridges: at times by far."""
    return skewed(1.64 * blurred(rng, size, 0.6) + 3.14 * blurred(rng, size, 1.2), 0.178)


def _paired(skin: Image, axis: int, away: float) -> Image:
    """`skin` [H, W] as seen `away` px farther along `axis` by odd cells, and before by even ones.

    On average over a pair a cell sees its own place.
    """
    slope = np.gradient(skin, axis=axis)
    even = (slice(None),) * axis + (slice(0, None, 2),)
    slope[even] *= -1
    return np.asarray(skin + np.float32(away) * slope, np.float32)


def sample_capacitive(rng: np.random.Generator) -> Capacitive:
    """The means and spreads are those that bring it nearest to FVC2002 DB3_B.

    By the features of `pipeline.realism.classifier`.
    """
    return Capacitive(
        ground=rng.normal(139.5, 4.3),
        shade=rng.normal(41.8, 9.6),
        rough=min(about(rng, 0.04, 1.04), 0.8),
        reach=rng.uniform(0.015, 0.67),
        tone=rng.normal(39.4, 7.4),
        speckle=min(about(rng, 2.5, 1.63), 30.0),
        floor=rng.normal(30.6, 0.46),
    )
