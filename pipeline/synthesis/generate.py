"""Synthetic impressions by address: same (seed, partition, finger, impression), same bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.impression import contact, sample_manner, sample_touch
from pipeline.synthesis.master import Master, sample_master
from pipeline.synthesis.sensor import STYLES, Style, draw
from pipeline.warp import Warp


@dataclass(frozen=True, eq=False)
class Made:
    """One synthetic impression with its truth."""

    image: NDArray[np.uint8]  # [H, W], dark ridges
    warp: Warp  # px of the image → px of the finger's master, by which the image was rendered
    label: str  # the finger's class
    params: dict[str, Any]  # what the touch was like, plain values


def make_master(seed: int, partition: str, finger: int) -> Master:
    """The skin of a finger."""
    return sample_master(_generator(seed, partition, finger, 0))


def make_impression(
    master: Master,
    seed: int,
    partition: str,
    finger: int,
    impression: int,
    styles: Sequence[Style] = STYLES,
) -> Made:
    """One impression (0, 1, …) of `master`, by a sensor out of `styles`."""
    rng = _generator(seed, partition, finger, 1 + impression)
    style = styles[int(rng.integers(len(styles)))]
    touch = sample_touch(rng, style.placement, sample_manner(rng))
    skin, level = contact(master, touch, rng)
    params = {k: v for k, v in dataclasses.asdict(touch).items() if k != "warp"}
    image = draw(style, skin, level, rng)
    return Made(image, touch.warp, master.flow.label, {"style": style.name, **params})


def _generator(seed: int, partition: str, finger: int, stage: int) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(partition.encode()), finger, stage])
