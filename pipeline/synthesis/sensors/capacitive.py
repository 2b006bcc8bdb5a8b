"""Capacitance: ridges near black, valleys little darker than the shaded, striped ground.

Every cell has its own gain, most of the ground's noise (3.9 of 4.6 grey levels in FVC2002 DB3_B),
which a ridge hides. And cells lie in pairs: all over FVC2002 DB3_B what rows and columns show is
nearer to a neighbour's than a px, in turn on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.noise import about, blur, blurred

PAIRED_ROWS, PAIRED_COLUMNS = 0.15, 0.06  # px by which a cell sees what is nearer to its partner


@dataclass(frozen=True)
class Capacitive:
    """An array of cells; greys of 0 … 255."""

    ground: float  # grey of a cell that nothing is near
    shade: float  # by how much a finger about it darkens that
    rough: float  # deviation of the skin's height from cell to cell, half ridges
    steepness: float  # of the step from touching to not, over half a ridge's height
    reach: float  # share of the step that skin gives which is near and does not touch
    tone: float  # grey of skin that touches under no pressure
    speckle: float  # deviation of that
    floor: float  # the converter's zero: no finger is darker

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`."""
        size = skin.shape
        skin = _paired(_paired(skin, 0, PAIRED_ROWS), 1, -PAIRED_COLUMNS)
        near = blur(expit(level + 3), 25)
        ground = self.ground + 6 * smooth_noise(rng, size, 130) - self.shade * near
        columns = rng.normal(0, 2.4, size[1]) + 1.7 * smooth_noise(rng, (1, size[1]), 9)[0]
        rows = rng.normal(0, 0.7, (size[0], 1)).astype(np.float32)
        cells = 5 * rng.standard_normal(size, np.float32)
        ground = ground + columns.astype(np.float32) + rows + cells
        rough = self.rough * blurred(rng, size, 0.6)
        ink = expit((skin - 0.09 + rough) * self.steepness)
        ink += self.reach * expit(0.65 * skin) * (1 - ink)  # capacitance falls gently
        tone = self.tone + 8 * np.clip(-level, -1, 3) + self.speckle * blurred(rng, size, 1.2)
        grey = ground - (ground - np.maximum(tone, self.floor)) * ink
        return grey + 1.2 * rng.standard_normal(size, np.float32)


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

    By the features of `pipeline.compare_classifier`.
    """
    return Capacitive(
        ground=rng.normal(139, 6),
        shade=rng.normal(40, 12),
        rough=min(about(rng, 0.25, 0.6), 0.8),
        steepness=about(rng, 6, 0.2),
        reach=rng.uniform(0.09, 0.27),
        tone=rng.normal(36.5, 4),
        speckle=min(about(rng, 7, 1.2), 30.0),
        floor=rng.normal(27, 1.5),
    )
