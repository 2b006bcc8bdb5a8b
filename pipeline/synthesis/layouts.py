"""Layouts of sets of synthetic fingers on disk: which file shows which touch of which finger.

A layout follows from its name, the numbers of fingers and impressions, and the seed; no image is
synthesized here. `pipeline.synthesis.nist` has the layouts of NIST's databases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from pipeline.sources.synthetic import SET_NAME
from pipeline.synthesis import nist, nist_tables
from pipeline.synthesis.file_description import File, TouchAddress
from pipeline.synthesis.frame import PPI
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL, STYLES, Style
from shards.foundation.errors import Misuse

LAYOUTS = ("synthetic", "fvc2002", *nist.TABLES)


@dataclass(frozen=True)
class FvcDatabase:
    """One database of FVC2002 (Maio et al. 2002, "FVC2002")."""

    number: int
    ppi: int
    size: tuple[int, int]  # (height, width) px
    style: Style  # the nearest sensor type


FVC_DATABASES = (
    FvcDatabase(1, 500, (374, 388), OPTICAL),
    FvcDatabase(2, 569, (560, 296), OPTICAL),
    FvcDatabase(3, 500, (300, 300), CAPACITIVE),
    FvcDatabase(4, 500, (384, 288), OPTICAL),
)
FVC_FINGERS, FVC_IMPRESSIONS = 100, 8  # of a database A (fingers 1 to 100)
FVC_FINGERS_B = 10  # of a database B (fingers 101 to 110)


@dataclass(frozen=True)
class Layout:
    """The files of a set."""

    folder: str  # below the output folder
    marker: str  # name of the file in it that identifies the set
    units: tuple[tuple[File, ...], ...]  # the files of one finger or person each
    remark: str = ""  # for the user


def choose_layout(kind: str, name: str, fingers: int, impressions: int, seed: int) -> Layout:
    """Make the layout of a set.

    Args:
        kind: one of LAYOUTS.
        name: name of the set, for "synthetic" alone.
        fingers: number of fingers.
        impressions: number of impressions of each finger.
        seed: which captures are missing in NIST's layouts.

    Raises:
        Misuse: the layout has too few fingers or impressions, or the name is not allowed.
    """
    if kind == "synthetic":
        return _synthetic(name, fingers, impressions)
    if kind == "fvc2002":
        return _fvc2002(fingers, impressions)
    return _nist(kind, fingers, impressions, seed)


def _synthetic(name: str, fingers: int, impressions: int) -> Layout:
    """Layout with sensors of all types for every finger and a sidecar per image."""
    if not SET_NAME.fullmatch(name):
        raise Misuse(f"--name {name}: expected letters, digits, dots, dashes and underscores")
    partition = f"synthetic/{name}"

    def file(finger: int, impression: int) -> File:
        touch = TouchAddress((partition, finger), partition, finger, impression)
        return File(f"{finger:05d}_{impression}.png", (touch,), STYLES, sidecar=True)

    units = tuple(
        tuple(file(finger, impression) for impression in range(impressions))
        for finger in range(fingers)
    )
    return Layout(partition, "set.json", units)


def _fvc2002(fingers: int, impressions: int) -> Layout:
    """Layout of the four databases, with different fingers each."""
    if fingers > FVC_FINGERS or impressions > FVC_IMPRESSIONS:
        raise Misuse(
            f"--layout fvc2002 holds at most {FVC_FINGERS} fingers and {FVC_IMPRESSIONS} "
            f"impressions of each, not {fingers} and {impressions}"
        )
    part, first = ("B", FVC_FINGERS + 1) if fingers <= FVC_FINGERS_B else ("A", 1)
    units = tuple(
        tuple(_fvc_files(database, part, finger, first + finger, impressions))
        for database in FVC_DATABASES
        for finger in range(fingers)
    )
    return Layout("fvc2002", f"set_{part.lower()}.json", units)


def _fvc_files(
    database: FvcDatabase, part: str, finger: int, number: int, impressions: int
) -> Iterator[File]:
    """Give the files of one finger, whose number in the file names is `number`."""
    folder = f"DB{database.number}_{part}"
    partition = f"fvc2002/{folder.lower()}"
    height, width = [ceil(extent * PPI / database.ppi) for extent in database.size]
    placement = replace(database.style.placement, size=(height, width))
    style = replace(database.style, placement=placement, ppi=database.ppi)
    for k in range(impressions):
        touch = TouchAddress((partition, finger), partition, finger, k)
        path = f"{folder}/{number}_{k + 1}.tif"
        yield File(path, (touch,), (style,), database.ppi, database.size)


def _nist(kind: str, fingers: int, impressions: int, seed: int) -> Layout:
    """Layout of persons with all devices; in SD301a an impression is an encounter."""
    all_persons = nist_tables.PERSONS[kind]
    persons, encounters_max = ceil(fingers / 10), nist_tables.ENCOUNTERS_MAX
    if persons > len(all_persons) or impressions > encounters_max:
        raise Misuse(
            f"--layout {kind} holds at most {10 * len(all_persons)} fingers and {encounters_max} "
            f"impressions of each, not {fingers} and {impressions}"
        )
    units = tuple(
        tuple(nist.list_files(kind, person, impressions, seed)) for person in all_persons[:persons]
    )
    remark = f"persons: {persons}"
    if kind != "sd301a" and impressions > 1:
        remark += f"; one impression of a finger by each device, as {kind} has, not {impressions}"
    return Layout(kind, "set.json", units, remark)
