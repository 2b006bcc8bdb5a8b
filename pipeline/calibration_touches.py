"""The synthetic fingers of a calibration, which no network is trained on.

Half of the impressions are as the generator samples them. The others are all in a hard manner, and
every second one of them is degraded as image B of a training pair, at 500 ppi: real impressions
agree less than most synthetic ones do.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline import degradation
from pipeline.imaging.file import Image
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.sources import generated
from pipeline.synthesis import generate
from pipeline.synthesis.encode import resample
from pipeline.synthesis.frame import PPI
from pipeline.synthesis.manner import (
    DISPLACED,
    DRY,
    LIGHT,
    STRAINED,
    TWISTED,
    WET,
    MannerParameters,
)
from shards.record import NOISES

# Twisted and strained skin bends the maps most.
HARD = MannerParameters(hard_share=1.0, hard=(TWISTED, STRAINED, DRY, WET, LIGHT, DISPLACED))


@dataclass(frozen=True)
class CalibrationTouchParameters:
    """Which impressions there are of each finger; all are chosen."""

    seed: int = 99  # of the fingers; configs/shipped.py has 7
    partition: str = "synthetic/calib"
    usual: int = 4  # impressions as the generator samples them
    hard: int = 4  # impressions in a hard manner, after these
    manners: MannerParameters = HARD

    def degrades(self, number: int) -> bool:
        """Return whether an impression of a finger is degraded."""
        return number >= self.usual and number % 2 == 1


DEFAULT = CalibrationTouchParameters()


def list_fingers(
    count: int, parameters: CalibrationTouchParameters = DEFAULT
) -> list[list[Impression]]:
    """Return the impressions of each finger; fingers of one pattern class follow each other."""
    seed, partition = parameters.seed, parameters.partition
    classes = [generate.sample_class(seed, partition, finger) for finger in range(count)]
    order = sorted(range(count), key=classes.__getitem__)
    numbers = range(parameters.usual + parameters.hard)
    return [
        [_describe(partition, seed, finger, number, parameters) for number in numbers]
        for finger in order
    ]


def _describe(
    partition: str, seed: int, finger: int, number: int, parameters: CalibrationTouchParameters
) -> Impression:
    """Return an impression; one that is degraded has 500 ppi, whatever its sensor has."""
    impression = generated.impression(partition, seed, finger, number)
    if not parameters.degrades(number):
        return impression
    return dataclasses.replace(impression, ppi=PPI)


def synthesize(
    impression: Impression, parameters: CalibrationTouchParameters = DEFAULT
) -> tuple[Image, Warp]:
    """Synthesize an impression; see `pipeline.sources.generated.synthesize`."""
    assert impression.generator_address is not None
    seed, finger, number = impression.generator_address
    partition = impression.partition
    hard = number >= parameters.usual
    manners = parameters.manners if hard else generate.DEFAULT.manner
    settings = generate.ImpressionParameters(manner=manners)
    master = generated.synthesize_master(seed, partition, finger)
    touch = generate.synthesize_impression(
        master, seed, partition, finger, number, parameters=settings
    )
    if not parameters.degrades(number):
        return touch.image, touch.warp
    rng = np.random.default_rng([seed, finger, number])
    noise = degradation.sample(NOISES[int(rng.integers(len(NOISES)))], rng)
    image, warp = _at_500_ppi(touch)
    return degradation.apply(image, noise), warp


def _at_500_ppi(touch: generate.SyntheticImpression) -> tuple[Image, Warp]:
    """Return the image and the warp at 500 ppi, to which the degradations are made."""
    if touch.ppi == PPI:
        return touch.image, touch.warp
    scale = touch.ppi / PPI
    # as wide as half a px at 500 ppi in all, so that no detail is folded; chosen
    smooth = cv2.GaussianBlur(touch.image, (0, 0), 0.5 * math.sqrt(scale**2 - 1))
    return resample(smooth, 1 / scale), touch.warp.at_scale(1 / scale)
