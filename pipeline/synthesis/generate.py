"""Synthetic impressions by address: same (seed, partition, finger, impression), same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Warp
from pipeline.synthesis.encode import PPI
from pipeline.synthesis.impression import contact, sample_manner, sample_touch
from pipeline.synthesis.master import Master, sample_master
from pipeline.synthesis.sensor import STYLES, Style, render_image


@dataclass(frozen=True, eq=False)
class SyntheticImpression:
    """One synthetic impression with its truth."""

    image: NDArray[np.uint8]  # [H, W], dark ridges
    warp: Warp  # px of the image → px of the finger's master, by which the image was rendered
    label: str  # the finger's class
    params: dict[str, Any]  # what touch (px at 500 ppi) and sensor were like, but for noise
    ppi: int = PPI  # of the image; that of the master is 500


def synthesize_master(seed: int, partition: str, finger: int) -> Master:
    """The skin of a finger."""
    return sample_master(_generator(seed, partition, finger, 0))


def synthesize_impression(
    master: Master,
    seed: int,
    partition: str,
    finger: int,
    impression: int,
    styles: Sequence[Style] = STYLES,
) -> SyntheticImpression:
    """One impression (0, 1, …) of `master`, by a sensor out of `styles`.

    The address gives two streams: the first samples what the params record, the second draws the
    fields of noise.
    """
    rng, noise = _generator(seed, partition, finger, 1 + impression).spawn(2)
    style = _choose(rng, styles)
    touch = sample_touch(rng, style.placement, sample_manner(rng))
    sensor = style.sample(rng)
    image = render_image(sensor, style.ppi, *contact(master, touch, noise), noise)
    params = {"style": style.name, **asdict(touch), "sensor": asdict(sensor)}
    del params["warp"]  # recorded beside them
    warp = touch.warp.at_scale(style.ppi / PPI)
    return SyntheticImpression(image, warp, master.flow.label, params, style.ppi)


def sample_style(
    seed: int, partition: str, finger: int, impression: int, styles: Sequence[Style] = STYLES
) -> Style:
    """The kind of sensor by which that impression is made."""
    return _choose(_generator(seed, partition, finger, 1 + impression).spawn(1)[0], styles)


def _choose(rng: np.random.Generator, styles: Sequence[Style]) -> Style:
    return styles[int(rng.integers(len(styles)))]


def _generator(seed: int, partition: str, finger: int, stage: int) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(partition.encode()), finger, stage])
