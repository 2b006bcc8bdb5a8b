"""The synthetic fingers of a calibration, which no network is trained on.

Half of the impressions are as the generator samples them. The others are all in a hard manner, and
every second one of them is degraded as image B of a training pair: real impressions agree less than
most synthetic ones do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline import degradation
from pipeline.imaging.file import Image
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.sources import generated
from pipeline.synthesis import generate
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
        [generated.impression(partition, seed, finger, number) for number in numbers]
        for finger in order
    ]


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
    if not hard or number % 2 == 0:
        return touch.image, touch.warp
    rng = np.random.default_rng([seed, finger, number])
    noise = degradation.sample(NOISES[int(rng.integers(len(NOISES)))], rng)
    return degradation.apply(touch.image, noise), touch.warp
