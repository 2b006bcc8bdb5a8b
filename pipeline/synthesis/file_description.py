"""Description of one file of a synthetic set, before its image is synthesized."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.synthesis.sensor import Style


@dataclass(frozen=True)
class TouchAddress:
    """One finger in an image; equal addresses are the same touch, whatever files show it."""

    master: tuple[str, int] | None  # address of the master (partition, finger); None: no finger
    partition: str  # address of the touch: partition, finger, impression
    finger: int
    impression: int
    offset: int = 0  # px of the sensor from the top, where several fingers are in an image


@dataclass(frozen=True)
class ChecksumList:
    """A publisher's list of checksums."""

    path: str  # relative to the set's folder
    columns: tuple[str, str]  # names of the columns for the hash and the file name


@dataclass(frozen=True)
class File:
    """A file of a set."""

    path: str  # relative to the set's folder
    touches: tuple[TouchAddress, ...]  # fingers from left to right
    styles: tuple[Style, ...]  # sensor types to choose from; of one ppi for several fingers
    ppi: int | None = None  # of its pixels; None: that of the sensor
    size: tuple[int, int] | None = None  # (height, width) px; None: that of the sensor
    header_ppi: float | None = None  # resolution in the PNG's header, which may be wrong
    sidecar: bool = False  # whether a .json with class, warp and parameters lies beside it
    checksum_list: ChecksumList | None = None  # the list that names the file
