"""Ink on a card, scanned: too much of it or too little, fibres of the paper, a form's print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise
from pipeline.synthesis.sensors.card import Card, sample_card
from pipeline.synthesis.sensors.noise import blur


@dataclass(frozen=True)
class Ink:
    """The ink, the paper and the scanner, of 1000 ppi; greys of 0 … 255."""

    load: float  # of ink on the finger: the height by which it widens the ridges, half ridges
    bare: float  # how much of the paper's fibres stays bare, half ridges, 0.15 … 0.7
    steepness: float  # of the step from ink to paper, over half a ridge's height, 2.5 … 5
    paper: float  # grey of the paper, 185 … 245
    fibres: float  # deviation of that by the fibres, 1 … 5
    black: float  # grey of the ink, 20 … 95
    print: float  # grey of what is printed on the card, 40 … 150
    card: Card
    blur: float  # px, deviation of the point spread, 1.2 … 2.2
    noise: float  # deviation of the grey everywhere, 2 … 8

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """See `Sensor`; what is printed takes no regard to the pressure."""
        size = skin.shape
        load = self.load + 0.25 * smooth_noise(rng, size, 120)
        fibres = 0.7 * smooth_noise(rng, size, 2.8) + 0.7 * smooth_noise(rng, size, 6.4)
        bare = self.bare * np.clip(1 - load, 0.4, 2)
        ink = expit((skin + np.clip(load, -0.8, 0.9) + bare * fibres) * self.steepness)
        paper = self.paper + self.fibres * fibres + 4 * smooth_noise(rng, size, 180)
        black = np.clip(self.black - 25 * load + 12 * fibres, 10, 170)
        grey = paper + (black - paper) * ink
        grey = np.where(self.card.printed(size), np.minimum(grey, self.print), grey)
        return blur(grey, self.blur) + self.noise * rng.standard_normal(size, np.float32)


def sample_ink(rng: np.random.Generator) -> Ink:
    """In the manner of the plain prints on NIST's cards."""
    return Ink(
        load=rng.normal(0.1, 0.45),
        bare=rng.uniform(0.15, 0.7),
        steepness=rng.uniform(2.5, 5),
        paper=rng.uniform(185, 245),
        fibres=rng.uniform(1, 5),
        black=rng.uniform(20, 95),
        print=rng.uniform(40, 150),
        card=sample_card(rng),
        blur=rng.uniform(1.2, 2.2),
        noise=rng.uniform(2, 8),
    )
