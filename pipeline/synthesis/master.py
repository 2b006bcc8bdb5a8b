"""Master fingerprint of a synthetic finger: its ridge flow, ridge pattern and skin relief."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.synthesis import growth, orientation, skin
from pipeline.synthesis.frame import MASTER_SIZE
from pipeline.synthesis.noise import FloatImage
from pipeline.synthesis.orientation import Flow


@dataclass(frozen=True)
class MasterParameters:
    """Numbers of a master, by subject."""

    orientation: orientation.OrientationParameters = orientation.DEFAULT
    growth: growth.GrowthParameters = growth.DEFAULT
    skin: skin.SkinParameters = skin.DEFAULT


DEFAULT = MasterParameters()


@dataclass(frozen=True)
class Master:
    """Skin of one finger over H × W px at 500 ppi; heights are half ridge heights."""

    flow: Flow
    ridges: FloatImage  # [H, W], about a cosine: -1 floor of a valley … 1 crest of a ridge
    relief: FloatImage  # [H, W], to be added: uneven crests, incipient ridges, pores, creases …


def sample_master(
    rng: np.random.Generator,
    size: tuple[int, int] = MASTER_SIZE,
    parameters: MasterParameters = DEFAULT,
) -> Master:
    """Sample a finger.

    Args:
        rng: generator.
        size: (height, width) px.
        parameters: numbers of flow, growth and skin.
    """
    flow = orientation.sample_flow(rng, size, parameters.orientation)
    ridges = growth.grow_ridges(flow, rng, parameters.growth)
    return Master(flow, ridges, skin.sample_relief(ridges, rng, parameters.skin))
