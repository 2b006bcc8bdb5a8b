"""Ink on a card, scanned at 1000 ppi: varying amounts of ink, paper fibres and printed forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.synthesis.noise import FloatImage, SmoothNoise, blur, sample_sum
from pipeline.synthesis.sensors.card import Card, sample_card


@dataclass(frozen=True)
class InkParameters:
    """Numbers of ink, paper and scanner; chosen to resemble plain prints on NIST's cards (SD300).

    Lengths are px at 1000 ppi.
    """

    load_normal: tuple[float, float] = (0.1, 0.45)  # half ridge heights, widening by the ink
    load_clouds: SmoothNoise = SmoothNoise(0.25, 120)  # half ridge heights, px
    load_limits: tuple[float, float] = (-0.8, 0.9)  # half ridge heights
    bare_range: tuple[float, float] = (0.15, 0.7)  # half ridge heights, height of bare fibres
    bare_factor_limits: tuple[float, float] = (0.4, 2)  # of that height: less ink, more bare fibres
    # Relief of the paper's fibres, deviation near 1; scales in px.
    fibre_noise: tuple[SmoothNoise, ...] = (SmoothNoise(0.7, 2.8), SmoothNoise(0.7, 6.4))
    steepness_range: tuple[float, float] = (2.5, 5)  # per half ridge height, ink to paper
    paper_range: tuple[float, float] = (185, 245)  # grey
    paper_clouds: SmoothNoise = SmoothNoise(4, 180)  # grey levels, px
    fibres_range: tuple[float, float] = (1, 5)  # grey levels, deviation by the fibres
    black_range: tuple[float, float] = (20, 95)  # grey of the ink
    black_per_load: float = 25  # grey levels darker per half ridge height of ink load
    black_fibres: float = 12  # grey levels, deviation of the ink's grey by the fibres
    black_limits: tuple[float, float] = (10, 170)  # grey
    print_range: tuple[float, float] = (40, 150)  # grey of the printed form
    blur_range: tuple[float, float] = (1.2, 2.2)  # px, point spread
    noise_range: tuple[float, float] = (2, 8)  # grey levels per px, deviation


DEFAULT = InkParameters()


@dataclass(frozen=True)
class Ink:
    """Ink, paper and scanner of one image."""

    load: float  # amount of ink: height by which it widens the ridges, half ridge heights
    bare: float  # height of paper fibres without ink, half ridge heights
    steepness: float  # of the step from ink to paper, per half ridge height
    paper: float  # grey of the paper
    fibres: float  # deviation of that grey by the fibres
    black: float  # grey of the ink
    print: float  # grey of the printed form
    card: Card  # the printed form
    blur: float  # px, standard deviation of the point spread
    noise: float  # deviation of the grey per px

    def render(
        self,
        skin: FloatImage,
        pressure: FloatImage,
        rng: np.random.Generator,
        parameters: InkParameters = DEFAULT,
    ) -> FloatImage:
        """Compute grey levels; see `pipeline.synthesis.sensor.Sensor.render`.

        The pressure has no effect beyond that on the skin's height.
        """
        size = skin.shape
        load = self.load + parameters.load_clouds.sample(size, rng)
        fibres = sample_sum(parameters.fibre_noise, size, rng)
        bare = self.bare * np.clip(1 - load, *parameters.bare_factor_limits)
        height = skin + np.clip(load, *parameters.load_limits) + bare * fibres
        ink = expit(height * self.steepness)
        paper = self.paper + self.fibres * fibres + parameters.paper_clouds.sample(size, rng)
        black = self.black - parameters.black_per_load * load + parameters.black_fibres * fibres
        grey = paper + (np.clip(black, *parameters.black_limits) - paper) * ink
        grey = np.where(self.card.print_mask(size), np.minimum(grey, self.print), grey)
        return blur(grey, self.blur) + self.noise * rng.standard_normal(size, np.float32)


def sample_ink(rng: np.random.Generator, parameters: InkParameters = DEFAULT) -> Ink:
    """Sample ink, paper and scanner of one image."""
    return Ink(
        load=rng.normal(*parameters.load_normal),
        bare=rng.uniform(*parameters.bare_range),
        steepness=rng.uniform(*parameters.steepness_range),
        paper=rng.uniform(*parameters.paper_range),
        fibres=rng.uniform(*parameters.fibres_range),
        black=rng.uniform(*parameters.black_range),
        print=rng.uniform(*parameters.print_range),
        card=sample_card(rng),
        blur=rng.uniform(*parameters.blur_range),
        noise=rng.uniform(*parameters.noise_range),
    )
