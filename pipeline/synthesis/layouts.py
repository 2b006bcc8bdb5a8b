"""How sets of synthetic fingers lie on disk: which file shows which touch of which finger.

Everything follows from the layout's name, the numbers asked for and the seed; nothing is drawn
here. `pipeline.synthesis.nist` holds the tables of NIST's deliveries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from pipeline.synthesis import nist
from pipeline.synthesis.encode import PPI
from pipeline.synthesis.file import File, Press
from pipeline.synthesis.manner import Placement
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL, STYLES, Style
from shards.foundation.errors import Misuse

LAYOUTS = ("synthetic", "fvc2002", *nist.TABLES)
FVC_SENSORS = (  # database, ppi, size (height, width) px
    (1, 500, (374, 388), OPTICAL),
    (2, 569, (560, 296), OPTICAL),
    (3, 500, (300, 300), CAPACITIVE),
    (4, 500, (384, 288), OPTICAL),
)


@dataclass(frozen=True)
class Layout:
    """The files of a set."""

    folder: str  # below the output folder
    marker: str  # name of the file in it that says which set this is
    units: tuple[tuple[File, ...], ...]  # the files of a finger, or of a person
    remark: str = ""  # what a person should know


def choose_layout(kind: str, name: str, fingers: int, impressions: int, seed: int) -> Layout:
    """The layout of LAYOUTS called `kind`; Misuse where it cannot hold the set."""
    if kind == "synthetic":
        return _synthetic(name, fingers, impressions)
    if kind == "fvc2002":
        return _fvc2002(fingers, impressions)
    return _nist(kind, fingers, impressions, seed)


def _synthetic(name: str, fingers: int, impressions: int) -> Layout:
    """Every finger by sensors of all styles, the truth beside each image."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise Misuse(f"--name {name}: expected letters, digits, dots, dashes and underscores")
    partition = f"synthetic/{name}"
    units = tuple(
        tuple(
            File(f"{f:05d}_{k}.png", (Press((partition, f), partition, f, k),), STYLES, truth=True)
            for k in range(impressions)
        )
        for f in range(fingers)
    )
    return Layout(partition, "set.json", units)


def _fvc2002(fingers: int, impressions: int) -> Layout:
    """The four databases, each with fingers of its own."""
    if fingers > 100 or impressions > 8:
        raise Misuse(
            f"--layout fvc2002 holds at most 100 fingers and 8 impressions of each, not {fingers} "
            f"and {impressions}"
        )
    part, first = ("B", 101) if fingers <= 10 else ("A", 1)
    units = tuple(
        tuple(_fvc_files(f"DB{database}_{part}", f, first + f, impressions, ppi, size, style))
        for database, ppi, size, style in FVC_SENSORS
        for f in range(fingers)
    )
    return Layout("fvc2002", f"set_{part.lower()}.json", units)


def _fvc_files(
    folder: str,
    finger: int,
    number: int,
    impressions: int,
    ppi: int,
    size: tuple[int, int],
    style: Style,
) -> Iterator[File]:
    partition = f"fvc2002/{folder.lower()}"
    height, width = (ceil(extent * PPI / ppi) for extent in size)
    placement: Placement = replace(style.placement, size=(height, width))
    for k in range(impressions):
        press = Press((partition, finger), partition, finger, k)
        styles = (replace(style, placement=placement, ppi=ppi),)
        yield File(f"{folder}/{number}_{k + 1}.tif", (press,), styles, ppi, size)


def _nist(kind: str, fingers: int, impressions: int, seed: int) -> Layout:
    """Whole persons, each by every device; in SD301a an encounter for each impression."""
    persons, most = ceil(fingers / 10), len(nist.PERSONS[kind])
    if persons > most or impressions > nist.MOST_ENCOUNTERS:
        raise Misuse(
            f"--layout {kind} holds at most {10 * most} fingers and {nist.MOST_ENCOUNTERS} "
            f"impressions of each, not {fingers} and {impressions}"
        )
    units = tuple(
        tuple(nist.files(kind, person, impressions, seed))
        for person in nist.PERSONS[kind][:persons]
    )
    remark = f"persons: {persons}"
    if kind != "sd301a" and impressions > 1:
        remark += f"; one impression of a finger by each device, as {kind} has, not {impressions}"
    return Layout(kind, "set.json", units, remark)
