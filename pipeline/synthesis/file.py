"""One file of a synthetic set: what it shows and how it is delivered, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.synthesis.sensor import Style


@dataclass(frozen=True)
class Press:
    """A finger in an image. Equal presses are one touch, whatever files show it."""

    skin: tuple[str, int] | None  # address of the master (partition, finger); None: no finger
    partition: str  # address of the touch, with the next two
    finger: int
    impression: int
    drop: int = 0  # px of the sensor from the top where several fingers are in an image


@dataclass(frozen=True)
class Listed:
    """The publisher's list of checksums that a file is in."""

    path: str  # below the set's folder
    columns: tuple[str, str]  # names of the hash and of the file name


@dataclass(frozen=True)
class File:
    """A file of a set."""

    path: str  # below the set's folder
    presses: tuple[Press, ...]  # from left to right
    styles: tuple[Style, ...]  # the sensor is one of these, of one ppi for several fingers
    ppi: int | None = None  # of its pixels; None: the sensor's own
    size: tuple[int, int] | None = None  # (height, width) px; None where it follows from the sensor
    claim: float | None = None  # ppi in the PNG's header
    truth: bool = False  # whether a sidecar with class, warp and parameters lies beside it
    listed: Listed | None = None
