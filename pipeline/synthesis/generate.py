"""Synthetic fingers and impressions by address.

The same (seed, partition, finger, impression) gives the same bytes, in any order and process. An
impression without a foreground, such as that of a dry finger that hardly touches the sensor, is
sampled again from the same address with the number of the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import preprocess
from pipeline.imaging.warp import Warp
from pipeline.synthesis import contact, manner, master, orientation, touch
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.frame import PPI
from pipeline.synthesis.manner import sample_manner
from pipeline.synthesis.master import Master, sample_master
from pipeline.synthesis.sensor import STYLES, Style, render_image
from pipeline.synthesis.touch import Touch, sample_touch
from shards.foundation.errors import Fault


@dataclass(frozen=True)
class ImpressionParameters:
    """Numbers of an impression before the sensor, by subject."""

    manner: manner.MannerParameters = manner.DEFAULT
    touch: touch.TouchParameters = touch.DEFAULT
    contact: contact.ContactParameters = contact.DEFAULT
    # Attempts at an impression with a foreground. Chosen: one in 300 attempts fails (measured).
    attempts: int = 20


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


def sample_class(
    seed: int,
    partition: str,
    finger: int,
    parameters: master.MasterParameters = master.DEFAULT,
) -> str:
    """Sample the pattern class of the finger at an address, without its ridges."""
    rng = _generator(seed, partition, finger, 0)
    return orientation.sample_flow(rng, parameters=parameters.orientation).label


def synthesize_impression(
    master: Master,
    seed: int,
    partition: str,
    finger: int,
    impression: int,
    styles: Sequence[Style] = STYLES,
    parameters: ImpressionParameters = DEFAULT,
) -> SyntheticImpression:
    """Synthesize one impression of a finger; it always has a foreground.

    The address gives two generators: one for the parameters that are recorded, one for noise. The
    sensor type is the same in all attempts.

    Args:
        master: skin of the finger.
        seed: first part of the address.
        partition: second part.
        finger: third part.
        impression: fourth part, 0, 1, …
        styles: sensor types to choose from.
        parameters: numbers of the impression before the sensor.

    Raises:
        Fault: no attempt has a foreground.
    """
    address = (seed, partition, finger, 1 + impression)
    for attempt in range(parameters.attempts):
        result = _synthesize(master, _generator(*address, attempt), styles, parameters)
        if _has_foreground(result):
            if attempt:
                result.params["attempt"] = attempt
            return result
        styles = (sample_style(seed, partition, finger, impression, styles),)
    raise Fault(
        f"{partition}: impression {impression} of finger {finger} has no foreground after"
        f" {parameters.attempts} attempts; take another seed"
    )


def _synthesize(
    master: Master,
    generator: np.random.Generator,
    styles: Sequence[Style],
    parameters: ImpressionParameters,
) -> SyntheticImpression:
    """Synthesize one attempt at an impression."""
    rng, noise = generator.spawn(2)
    style, sampled_touch = _sample_style_and_touch(rng, styles, parameters)
    sensor = style.sample(rng)
    skin, pressure = compute_contact(master, sampled_touch, noise, parameters.contact)
    image = render_image(sensor, style.ppi, skin, pressure, noise)
    params = {"style": style.name, **asdict(sampled_touch), "sensor": asdict(sensor)}
    del params["warp"]  # a field of its own
    warp = sampled_touch.warp.at_scale(style.ppi / PPI)
    return SyntheticImpression(image, warp, master.flow.label, params, style.ppi)


def sample_warp(seed: int, partition: str, finger: int, impression: int, attempt: int) -> Warp:
    """Sample the warp of an attempt at an impression without its image.

    Returns:
        The warp from px of the image to px of the master that `synthesize_impression` returns
        where this attempt is the first one with a foreground.
    """
    styles: Sequence[Style] = STYLES
    if attempt:
        styles = (sample_style(seed, partition, finger, impression),)
    generator = _generator(seed, partition, finger, 1 + impression, attempt)
    style, sampled_touch = _sample_style_and_touch(generator.spawn(2)[0], styles, DEFAULT)
    return sampled_touch.warp.at_scale(style.ppi / PPI)


def _sample_style_and_touch(
    rng: np.random.Generator, styles: Sequence[Style], parameters: ImpressionParameters
) -> tuple[Style, Touch]:
    style = _choose(rng, styles)
    manner_of_touch = sample_manner(rng, parameters.manner)
    return style, sample_touch(rng, style.placement, manner_of_touch, parameters.touch)


def _has_foreground(impression: SyntheticImpression) -> bool:
    """Return whether a build can use the image."""
    try:
        preprocess.prepare(impression.image, impression.ppi)
    except Fault:
        return False
    return True


def sample_style(
    seed: int, partition: str, finger: int, impression: int, styles: Sequence[Style] = STYLES
) -> Style:
    """Sample the sensor type that `synthesize_impression` uses at the same address."""
    return _choose(_generator(seed, partition, finger, 1 + impression).spawn(1)[0], styles)


def _choose(rng: np.random.Generator, styles: Sequence[Style]) -> Style:
    return styles[int(rng.integers(len(styles)))]


def _generator(
    seed: int, partition: str, finger: int, stage: int, attempt: int = 0
) -> np.random.Generator:
    """Generator of an address; stage 0 is the master, 1 + k impression k."""
    attempts = [attempt] if attempt else []
    return np.random.default_rng([seed, crc32(partition.encode()), finger, stage, *attempts])
