"""Sensors: from skin in contact to grey levels, in the manner of FVC's and of cards.

What a sensor is like for one image is sampled once, then applied, as a `Touch` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.encode import PPI, resample
from pipeline.synthesis.impression import Placement
from pipeline.synthesis.orientation import Image
from pipeline.synthesis.sensors.anything import sample_anything
from pipeline.synthesis.sensors.capacitive import sample_capacitive
from pipeline.synthesis.sensors.ink import sample_ink
from pipeline.synthesis.sensors.optical import sample_optical
from pipeline.synthesis.sensors.thermal import sample_thermal
from pipeline.synthesis.sensors.vignetted import sample_vignetted


class Sensor(Protocol):
    """What a sensor is like for one image: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def grey(self, skin: Image, level: Image, rng: np.random.Generator) -> Image:
        """Greys [H, W] of `skin` [H, W] under `level` [H, W], as `contact` gives them.

        All in px of the sensor. Dark ridges; `rng` draws fields of noise and nothing else.
        """


@dataclass(frozen=True)
class Style:
    """A kind of sensor and how fingers are laid on it."""

    name: str
    placement: Placement
    sample: Callable[[np.random.Generator], Sensor]
    ppi: int = PPI  # of the sensor's px


def render_image(
    sensor: Sensor, ppi: int, skin: Image, level: Image, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The image uint8 [H, W], dark ridges, of `skin` [h, w] under `level` [h, w] by a sensor.

    `skin` and `level` have 500 ppi, the image `ppi`; their upper left corners lie on each other.
    """
    skin, level = (resample(layer, ppi / PPI) for layer in (skin, level))
    return np.clip(np.rint(sensor.grey(skin, level, rng)), 1, 254).astype(np.uint8)


def synthesize_image(
    style: Style, skin: Image, level: Image, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The image by a random sensor of this style; see `render_image`."""
    return render_image(style.sample(rng), style.ppi, skin, level, rng)


OPTICAL = Style(  # as FVC2002 DB1
    "optical",
    Placement((374, 388), (127, 198), finger=5, contact=28, pressure=-0.1),
    sample_optical,
)
CAPACITIVE = Style(  # as FVC2002 DB3
    "capacitive",
    Placement((300, 300), (114, 127), finger=45, contact=0, pressure=0.05),
    sample_capacitive,
)
VIGNETTED = Style(  # as FVC2004 DB2
    "vignetted",
    Placement((364, 328), (120, 170), finger=10, contact=10, pressure=0.0),
    sample_vignetted,
)
THERMAL = Style(  # as FVC2004 DB3
    "thermal",
    Placement((469, 293), (112, 185), finger=5, contact=15, pressure=0.0),
    sample_thermal,
    ppi=512,
)
INK = Style(  # a plain print of NIST's cards
    "ink",
    Placement((440, 400), (135, 190), finger=5, contact=10, pressure=0.05),
    sample_ink,
    ppi=1000,
)
GENERIC = Style(  # of no make: so that a network leans on no sensor's looks
    "any",
    Placement((400, 360), (122, 175), finger=10, contact=10, pressure=0.0),
    sample_anything,
    ppi=569,  # as FVC2002 DB2
)
STYLES = (OPTICAL, CAPACITIVE, VIGNETTED, THERMAL, INK, GENERIC)
