"""Decide which resolution an image file has, in pixels per inch (ppi), and say why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pipeline.imaging import header
from pipeline.imaging.file import Image
from pipeline.imaging.header import UnknownResolution
from pipeline.imaging.ridge_period import ridge_period
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse

WORKING_PPI = 500.0  # by definition: all lengths "at 500 ppi" are px of this resolution

# Ends of the source of a resolution that the user should check
UNDECIDED, CONTRADICTED = "do not decide", "contradicts it"
STATED = ("option", "argument", "table")  # kinds of sources: the user has stated the resolution

# Measured on 320 images of FVC2002 and FVC2004: 6.3 to 10.9 px at 500 ppi (docs/LOG.md, 2026-11-29,
# "The resolution of untagged files").
USUAL_PERIODS: Mapping[float, tuple[float, float]] = MappingProxyType(
    {250.0: (2.8, 5.5), 500.0: (6.0, 11.2), 1000.0: (12.4, 22.2)}
)


@dataclass(frozen=True)
class ResolutionParameters:
    """The range of accepted resolutions, and what ridge periods say about the resolution."""

    # ppi, of a file's own tag and of a user's option alike. Chosen. Below 200 the finest ridges (a
    # period of 5 px at 500 ppi) have less than 2 px per period (Nyquist), and editors write 72, 96,
    # 144 or 150 into scans of any resolution. 4000 is twice the finest data set; half of the files
    # of SD300c state 5080 and have 2000.
    ppi_range: tuple[float, float] = (200.0, 4000.0)
    # Relative difference of x and y. Chosen: rounding of a tag makes less; 1 % moves a point at
    # 250 px from the centre by 2.5 px.
    square_tolerance: float = 0.01
    # ppi → range of the ridge period in px of the file. Between the ranges nothing is decided.
    usual_periods: Mapping[float, tuple[float, float]] = field(
        default_factory=lambda: USUAL_PERIODS
    )
    # Ridge period in px at 500 ppi, outside of which a stated resolution is doubtful. Chosen: wider
    # than the measured range of 6.3 to 10.9, since the user or the file states it, and so that
    # half and twice the right resolution are doubtful for every period of that range.
    possible_periods: tuple[float, float] = (5.5, 12.5)

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
    """Return the resolution that an image file states, in ppi; reads the header alone.

    Raises:
        UnknownResolution: the file cannot be read, states no resolution, states one outside
            `parameters.ppi_range`, or different ones along x and y.
    """
    return _stated(path, parameters)[0]


def _stated(path: Path, parameters: ResolutionParameters) -> tuple[float, str]:
    """Return the resolution that a file states, and the tag that states it; see `stated_ppi`."""
    try:
        with files.open_file(path) as file:
            x, y, tag = header.image_resolution(file)
    except OSError as error:
        raise UnknownResolution(f"cannot be read: {error.strerror}") from error
    if not parameters.accepts(x):
        raise UnknownResolution(f"its header states {x:g} × {y:g} ppi; {parameters.expected}")
    if abs(x - y) >= parameters.square_tolerance * x:
        raise UnknownResolution(f"its header states {x:g} × {y:g} ppi; expected square pixels")
    return x, tag


class ImageResolution(NamedTuple):
    """Resolution of an image, and how it is known.

    Attributes:
        ppi: px per inch.
        source: for the user: "option", "table", "tag: FIELD", "estimated: REASON" or "assumed:
            REASON"; it ends with `UNDECIDED` or `CONTRADICTED` where the user should check it.
    """

    ppi: float
    source: str

    @property
    def kind(self) -> str:
        """The first word of the source."""
        return self.source.replace(";", ":").split(":")[0]

    @property
    def is_doubtful(self) -> bool:
        """Whether the user should check it."""
        return self.source.endswith((UNDECIDED, CONTRADICTED))

    def __str__(self) -> str:
        """Return it for the user, such as "500 ppi (option)"."""
        return f"{self.ppi:g} ppi ({self.source})"


def parse_ppi(text: str, parameters: ResolutionParameters = DEFAULT) -> float | None:
    """Return the resolution that a text states; None where it is none or not accepted."""
    try:
        ppi = float(text)
    except ValueError:
        return None
    return ppi if parameters.accepts(ppi) else None


def by_option(ppi: float | None) -> ImageResolution | None:
    """Return the resolution that the user stated by an option; None without one.

    Raises:
        Misuse: it is no number.
    """
    if ppi is not None and math.isnan(ppi):
        raise Misuse("a resolution of nan ppi: expected a number")
    return None if ppi is None else ImageResolution(ppi, "option")


def find_resolution(
    path: Path,
    image: Image,
    known: ImageResolution | None = None,
    parameters: ResolutionParameters = DEFAULT,
) -> ImageResolution:
    """Find the resolution of an image: the known one, else the file's tag, else by its ridges.

    Without a usable tag the ridge period decides between `parameters.usual_periods`; where it does
    not, WORKING_PPI is assumed.

    Args:
        path: the image file; its header is read unless the resolution is known.
        image: its pixels uint8 [H, W].
        known: the resolution that the user states.
        parameters: see `ResolutionParameters`.
    """
    period = ridge_period(image)
    try:
        known = known or _tagged(path, parameters)
    except UnknownResolution as error:
        unknown = f"{error}"
        reason = unknown if unknown.startswith("its header states") else "no tag"
        return _by_ridges(period, reason, parameters)
    return _compare(known, period, parameters)


def compare_with_ridges(
    known: ImageResolution, image: Image, parameters: ResolutionParameters = DEFAULT
) -> ImageResolution:
    """Return a known resolution of pixels uint8 [H, W], doubtful where the ridges contradict it."""
    return _compare(known, ridge_period(image), parameters)


def _compare(
    known: ImageResolution, period: float | None, parameters: ResolutionParameters
) -> ImageResolution:
    """Add to the source of a resolution that the ridge period, px of the file, contradicts it."""
    if period is None or not parameters.accepts(known.ppi):  # `check_ppi` refuses it
        return known
    low, high = parameters.possible_periods
    at_working_ppi = period * WORKING_PPI / known.ppi
    if low < at_working_ppi < high:
        return known
    contradiction = f"a ridge period of {at_working_ppi:.1f} px at {WORKING_PPI:g} ppi"
    return known._replace(source=f"{known.source}; {contradiction} {CONTRADICTED}")


def _tagged(path: Path, parameters: ResolutionParameters) -> ImageResolution:
    """Return the resolution that a file states; UnknownResolution as `stated_ppi`."""
    ppi, tag = _stated(path, parameters)
    return ImageResolution(ppi, f"tag: {tag}")


def _by_ridges(
    period: float | None, reason: str, parameters: ResolutionParameters
) -> ImageResolution:
    """Decide by the ridge period, px of the file; `reason` says why no tag does."""
    for ppi, (low, high) in parameters.usual_periods.items():
        if period is not None and low <= period <= high:
            if ppi == WORKING_PPI:
                return ImageResolution(ppi, f"assumed: {reason}; the ridge period agrees")
            return ImageResolution(ppi, f"estimated: {reason}; the ridge period is {period:.1f} px")
    ridges = "the ridges" if period is None else f"ridges {period:.1f} px apart"
    return ImageResolution(WORKING_PPI, f"assumed: {reason}; {ridges} {UNDECIDED}")


def summarize(resolutions: Mapping[str, ImageResolution]) -> str:
    """Describe the resolutions of many images, {name: resolution}, by their kinds in one line."""
    counts = Counter((each.ppi, each.kind) for each in resolutions.values())
    kinds = [f"{ppi:g} ppi ({kind}): {count}" for (ppi, kind), count in sorted(counts.items())]
    return f"images by resolution: {', '.join(kinds)}"


def warn_of_doubtful(
    resolutions: Mapping[str, ImageResolution],
    options: str,
    parameters: ResolutionParameters = DEFAULT,
) -> str | None:
    """Return a warning in one line where resolutions are doubtful, with the first image's name.

    Args:
        resolutions: {name of an image: resolution}.
        options: names of the options that state a resolution.
        parameters: see `ResolutionParameters`.
    """
    doubtful = [(name, each) for name, each in resolutions.items() if each.is_doubtful]
    if not doubtful:
        return None
    name, first = doubtful[0]
    others = f" (and {len(doubtful) - 1} more images)" if len(doubtful) > 1 else ""
    low, high = parameters.possible_periods
    expected = f"expected {low:g} to {high:g} px at {WORKING_PPI:g} ppi; "
    advice = "check it" if first.kind in STATED else f"check it, or state it by {options}"
    return (
        f"warning: {name}: {first}{others}:"
        f" {expected if first.source.endswith(CONTRADICTED) else ''}{advice}"
    )


def check_ppi(ppi: float, name: str, parameters: ResolutionParameters = DEFAULT) -> None:
    """Raise a Fault that calls the image `name` where `ppi` is outside the accepted range."""
    if not parameters.accepts(ppi):
        raise Fault(f"{name}: has a resolution of {ppi:g} ppi; {parameters.expected}")
