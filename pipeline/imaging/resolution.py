"""Decide which resolution an image file has, in pixels per inch (ppi)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.imaging import header
from pipeline.imaging.header import UnknownResolution
from shards.foundation.errors import Fault

WORKING_PPI = 500.0  # by definition: all lengths "at 500 ppi" are px of this resolution


@dataclass(frozen=True)
class ResolutionParameters:
    """The one range of accepted resolutions, of a file's own tag and of a user's option alike."""

    # ppi. Chosen. Below 200 the finest ridges (a period of 5 px at 500 ppi) have less than 2 px
    # per period (Nyquist), and editors write 72, 96, 144 or 150 into scans of any resolution.
    # 4000 is twice the finest data set; half of the files of SD300c state 5080 and have 2000.
    ppi_range: tuple[float, float] = (200.0, 4000.0)
    # Relative difference of x and y. Chosen: rounding of a tag makes less; 1 % moves a point at
    # 250 px from the centre by 2.5 px.
    square_tolerance: float = 0.01

    def accepts(self, ppi: float) -> bool:
        """Return whether `ppi` is in the accepted range; False for NaN."""
        low, high = self.ppi_range
        return low <= ppi <= high

    @property
    def expected(self) -> str:
        """The range in the words of an error message."""
        low, high = self.ppi_range
        return f"expected {low:g} to {high:g}"


DEFAULT = ResolutionParameters()


def stated_ppi(path: Path, parameters: ResolutionParameters = DEFAULT) -> float:
    """Return the resolution that a PNG, TIFF or BMP file states, in ppi; reads the header alone.

    Raises:
        UnknownResolution: the file cannot be read, states no resolution, states one outside
            `parameters.ppi_range`, or different ones along x and y.
    """
    try:
        with path.open("rb") as file:
            x, y, _ = header.image_resolution(file)
    except OSError as error:
        raise UnknownResolution(f"cannot be read: {error.strerror}") from error
    if not parameters.accepts(x):
        raise UnknownResolution(f"its header states {x:g} × {y:g} ppi; {parameters.expected}")
    if abs(x - y) >= parameters.square_tolerance * x:
        raise UnknownResolution(f"its header states {x:g} × {y:g} ppi; expected square pixels")
    return x


def file_ppi(path: Path, parameters: ResolutionParameters = DEFAULT) -> float:
    """Return the resolution that an image file states, in ppi, or else WORKING_PPI.

    A damaged header counts as no statement: whether the file is an image is decided on decoding.

    Raises:
        Fault: the file cannot be read.
    """
    try:
        return stated_ppi(path, parameters)
    except UnknownResolution as error:
        if isinstance(error.__cause__, OSError):
            raise Fault(f"{path}: {error}") from error
        return WORKING_PPI


def check_ppi(ppi: float, name: str, parameters: ResolutionParameters = DEFAULT) -> None:
    """Raise a Fault that calls the image `name` where `ppi` is outside the accepted range."""
    if not parameters.accepts(ppi):
        raise Fault(f"{name}: has a resolution of {ppi:g} ppi; {parameters.expected}")
