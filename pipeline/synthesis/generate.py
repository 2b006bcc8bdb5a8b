"""Synthetic fingers and impressions by address.

The same (seed, partition, finger, impression) gives the same bytes, in any order and process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Warp
from pipeline.synthesis import contact, manner, master, touch
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.frame import PPI
from pipeline.synthesis.manner import sample_manner
from pipeline.synthesis.master import Master, sample_master
from pipeline.synthesis.sensor import STYLES, Style, render_image
from pipeline.synthesis.touch import sample_touch


@dataclass(frozen=True)
class ImpressionParameters:
    """Numbers of an impression before the sensor, by subject."""

    manner: manner.MannerParameters = manner.DEFAULT
    touch: touch.TouchParameters = touch.DEFAULT
    contact: contact.ContactParameters = contact.DEFAULT


DEFAULT = ImpressionParameters()


@dataclass(frozen=True, eq=False)
class SyntheticImpression:
    """One synthetic impression with its ground truth."""

    image: NDArray[np.uint8]  # [H, W], dark ridges
    warp: Warp  # px of the image → px of the master, the map by which the image was rendered
    label: str  # pattern class of the finger
    params: dict[str, Any]  # sampled parameters of touch (px at 500 ppi) and sensor, but no noise
    ppi: int = PPI  # resolution of the image; that of the master is 500


def synthesize_master(
    seed: int,
    partition: str,
    finger: int,
    parameters: master.MasterParameters = master.DEFAULT,
) -> Master:
    """Synthesize the skin of the finger at an address."""
    return sample_master(_generator(seed, partition, finger, 0), parameters=parameters)


def synthesize_impression(
    master: Master,
    seed: int,
    partition: str,
    finger: int,
    impression: int,
    styles: Sequence[Style] = STYLES,
    parameters: ImpressionParameters = DEFAULT,
) -> SyntheticImpression:
    """Synthesize one impression of a finger.

    The address gives two generators: one for the parameters that are recorded, one for noise.

    Args:
        master: skin of the finger.
        seed: first part of the address.
        partition: second part.
        finger: third part.
        impression: fourth part, 0, 1, …
        styles: sensor types to choose from.
        parameters: numbers of the impression before the sensor.
    """
    rng, noise = _generator(seed, partition, finger, 1 + impression).spawn(2)
    style = _choose(rng, styles)
    sampled_manner = sample_manner(rng, parameters.manner)
    sampled_touch = sample_touch(rng, style.placement, sampled_manner, parameters.touch)
    sensor = style.sample(rng)
    skin, pressure = compute_contact(master, sampled_touch, noise, parameters.contact)
    image = render_image(sensor, style.ppi, skin, pressure, noise)
    params = {"style": style.name, **asdict(sampled_touch), "sensor": asdict(sensor)}
    del params["warp"]  # a field of its own
    warp = sampled_touch.warp.at_scale(style.ppi / PPI)
    return SyntheticImpression(image, warp, master.flow.label, params, style.ppi)


def sample_style(
    seed: int, partition: str, finger: int, impression: int, styles: Sequence[Style] = STYLES
) -> Style:
    """Sample the sensor type that `synthesize_impression` uses at the same address."""
    return _choose(_generator(seed, partition, finger, 1 + impression).spawn(1)[0], styles)


def _choose(rng: np.random.Generator, styles: Sequence[Style]) -> Style:
    return styles[int(rng.integers(len(styles)))]


def _generator(seed: int, partition: str, finger: int, stage: int) -> np.random.Generator:
    """Generator of an address; stage 0 is the master, 1 + k impression k."""
    return np.random.default_rng([seed, crc32(partition.encode()), finger, stage])
