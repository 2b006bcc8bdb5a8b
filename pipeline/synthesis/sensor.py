"""Sensor types and rendering: from the height of the skin to an image of grey levels.

The properties of a sensor are sampled once per image and recorded; rendering samples noise only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.encode import resample
from pipeline.synthesis.frame import PPI
from pipeline.synthesis.manner import Placement
from pipeline.synthesis.noise import FloatImage
from pipeline.synthesis.sensors.capacitive import sample_capacitive
from pipeline.synthesis.sensors.generic import sample_generic
from pipeline.synthesis.sensors.ink import sample_ink
from pipeline.synthesis.sensors.optical import sample_optical
from pipeline.synthesis.sensors.thermal import sample_thermal
from pipeline.synthesis.sensors.vignetted import sample_vignetted


class Sensor(Protocol):
    """Properties of a sensor for one image: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def render(
        self, skin: FloatImage, pressure: FloatImage, rng: np.random.Generator
    ) -> FloatImage:
        """Compute the grey levels of an impression, dark ridges.

        Args:
            skin: height of the skin over the sensor's surface, float32 [H, W] in px of the sensor,
                half ridge heights; above 0 the skin is in contact.
            pressure: the part of the pressure in that height, float32 [H, W].
            rng: generator of noise fields; all other random parameters are fields of the sensor.

        Returns:
            Grey levels, float32 [H, W], not limited to 0 … 255.
        """


@dataclass(frozen=True)
class Style:
    """A type of sensor and the way in which fingers are placed on it."""

    name: str
    placement: Placement
    sample: Callable[[np.random.Generator], Sensor]
    ppi: int = PPI  # of the sensor's pixels


@dataclass(frozen=True)
class ConverterParameters:
    """Numbers of the conversion to 8 bits."""

    # Grey levels that images have. 0 and 255 are left to padding and print (chosen).
    grey_range: tuple[int, int] = (1, 254)


DEFAULT = ConverterParameters()


def render_image(
    sensor: Sensor,
    ppi: int,
    skin: FloatImage,
    pressure: FloatImage,
    rng: np.random.Generator,
    parameters: ConverterParameters = DEFAULT,
) -> NDArray[np.uint8]:
    """Render the image of an impression by `sensor`.

    Args:
        sensor: sampled properties of the sensor.
        ppi: resolution of the image.
        skin: height of the skin, float32 [h, w] at 500 ppi, half ridge heights.
        pressure: the part of the pressure in that height, float32 [h, w] at 500 ppi.
        rng: generator of noise fields.
        parameters: numbers of the conversion to 8 bits.

    Returns:
        Image, uint8 [H, W], dark ridges; its outer edges are those of `skin`.
    """
    skin, pressure = resample(skin, ppi / PPI), resample(pressure, ppi / PPI)
    grey = np.rint(sensor.render(skin, pressure, rng))
    return np.clip(grey, *parameters.grey_range).astype(np.uint8)


def synthesize_image(
    style: Style, skin: FloatImage, pressure: FloatImage, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Sample a sensor of `style` and render the image; see `render_image`."""
    return render_image(style.sample(rng), style.ppi, skin, pressure, rng)


# Sizes are those of the databases named beside; contact regions were chosen by their images.
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
INK = Style(  # as a plain print of NIST's cards
    "ink",
    Placement((440, 400), (135, 190), finger=5, contact=10, pressure=0.05),
    sample_ink,
    ppi=1000,
)
GENERIC = Style(  # resolution of FVC2002 DB2
    "any",
    Placement((400, 360), (122, 175), finger=10, contact=10, pressure=0.0),
    sample_generic,
    ppi=569,
)
STYLES = (OPTICAL, CAPACITIVE, VIGNETTED, THERMAL, INK, GENERIC)
