"""Layouts of NIST's Special Databases 300, 301a and 302 for synthetic fingers.

A row of a table is a folder: one capture of a device at a resolution. The address of a master is
(person, FRGP), so that a person has the same ten fingers in all captures of all three databases.
The address of a touch is (partition, person, labelled FRGP, encounter), so that all resolutions of
a capture, and a slap and the fingers segmented from it, show one touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from pipeline.synthesis.file_description import ChecksumList, File, TouchAddress
from pipeline.synthesis.nist_tables import (
    CAPTURES,
    CHALLENGERS,
    DEFAULT,
    FINGERS,
    MISLABELLED,
    OFFSETS,
    PLAIN_BOXES,
    ROLL,
    SD301A_DEVICES,
    SD301A_RESOLUTIONS,
    SHOWN,
    SLAP_FINGER,
    NistParameters,
)
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL, Style


@dataclass(frozen=True)
class CaptureFiles:
    """The files of one capture by a device at a resolution."""

    partition: str
    path: str  # with {person:08d}, {code:02d} and, where there are several, {encounter:02d}
    codes: Sequence[int]  # FRGP
    style: Style
    ppi: int
    checksum_list: ChecksumList


def list_files(
    database: str,
    person: int,
    encounters: int,
    seed: int,
    parameters: NistParameters = DEFAULT,
) -> Iterator[File]:
    """List the files of a person in a database.

    Args:
        database: a key of TABLES.
        person: number of the person.
        encounters: number of encounters, where the database has several.
        seed: which captures are missing and which headers are wrong.
        parameters: shares of those.
    """
    for row in TABLES[database]():
        for encounter in range(encounters if "{encounter" in row.path else 1):
            for code in row.codes:
                if not _is_missing(row.partition, person, code, seed, parameters):
                    yield _file(row, person, code, encounter, seed, parameters)


def _file(
    row: CaptureFiles,
    person: int,
    code: int,
    encounter: int,
    seed: int,
    parameters: NistParameters,
) -> File:
    path = row.path.format(person=person, code=code, encounter=encounter + 1)
    touches = tuple(_touch_address(row, person, label, encounter) for label in SHOWN[code])
    return File(
        path,
        touches,
        (row.style,),
        row.ppi,
        header_ppi=_header_ppi(row.ppi, path, seed, parameters),
        checksum_list=row.checksum_list,
    )


def _touch_address(row: CaptureFiles, person: int, label: int, encounter: int) -> TouchAddress:
    finger = MISLABELLED.get((row.partition, person), {}).get(label, label)
    master = None if finger is None else ("nist", 100 * person + finger)
    number = 100 * person + label
    return TouchAddress(master, row.partition, number, encounter, OFFSETS.get(label, 0))


def _is_missing(
    partition: str, person: int, code: int, seed: int, parameters: NistParameters
) -> bool:
    """Whether a challenger of SD302a has no capture of a finger."""
    device = partition.removeprefix("sd302/")
    if device not in CHALLENGERS or code in MISLABELLED.get((partition, person), {}):
        return False
    chance = _uniform(seed, f"{partition}/{person}/{code}")
    if device in "GH":
        return chance < parameters.missing_of_others
    incomplete = _uniform(seed, f"sd302/{person}/{code}") < parameters.incomplete_share
    return incomplete and chance < parameters.missing_of_incomplete


def _header_ppi(ppi: int, path: str, seed: int, parameters: NistParameters) -> int:
    """Resolution in a file's header: wrong in half of the files at 2000 ppi."""
    if ppi == 2000 and _uniform(seed, path) < parameters.wrong_header_share:
        return parameters.wrong_header_ppi
    return ppi


def _uniform(seed: int, address: str) -> float:
    """Sample a number in [0, 1) from the generator of an address."""
    return float(np.random.default_rng([seed, crc32(address.encode())]).random())


def _sd300() -> Iterator[CaptureFiles]:
    """Rolled impressions and plain boxes of the cards, scanned at three resolutions."""
    for capture, codes, style in (("roll", FINGERS, ROLL), ("plain", PLAIN_BOXES, SLAP_FINGER)):
        for release, ppi, column in (
            ("a", 500, "filename"),
            ("b", 1000, "name"),
            ("c", 2000, "name"),
        ):
            folder = f"sd300{release}/images/{ppi}"
            path = f"{folder}/png/{capture}/{{person:08d}}_{capture}_{ppi}_{{code:02d}}.png"
            checksums = f"{folder}/checksum_{ppi}_png_{capture}.csv"
            checksum_list = ChecksumList(checksums, ("sha256", column))
            yield CaptureFiles(f"sd300/{capture}", path, codes, style, ppi, checksum_list)


def _sd301a() -> Iterator[CaptureFiles]:
    """Every capture of every device of the dry run."""
    for device, captures in SD301A_DEVICES.items():
        for resolution in SD301A_RESOLUTIONS.get(device, ("500",)):
            for capture in captures:
                yield _sd301a_capture(device, resolution, capture)


def _sd301a_capture(device: str, resolution: str, capture: str) -> CaptureFiles:
    folder = f"sd301a/images/friction-ridge/dryrun-{device}/{resolution}/{capture}/png"
    words = f"dryrun-{device}_{resolution}_{capture}"
    return CaptureFiles(
        f"sd301a/{device}",
        f"{folder}/{{person:08d}}_{{encounter:02d}}_{words}_{{code:02d}}.png",
        CAPTURES[capture],
        {"roll": ROLL, "plain": OPTICAL}.get(capture, SLAP_FINGER),
        DEFAULT.variable_ppi if resolution == "variable" else int(resolution),
        ChecksumList(f"{folder}/checksum_{words}_png.csv", ("sha256", "filename")),
    )


def _sd302() -> Iterator[CaptureFiles]:
    """Folders of the three deliveries side by side; segmented fingers are named like slaps."""
    for device, ppi in CHALLENGERS.items():
        folder = f"sd302a/images/challengers/{device}/roll"
        yield _sd302_capture(device, folder, "roll", ppi, ROLL, ("checksum", "filename"))
    for device, captures, style in (
        *((device, ("roll",), ROLL) for device in "UV"),
        *((device, ("slap", "slap-segmented"), SLAP_FINGER) for device in "RS"),
    ):
        for ppi in (500, 1000):
            for capture in captures:
                folder = f"sd302b/images/baseline/{device}/{ppi}/{capture}"
                words = f"{ppi}_{capture.removesuffix('-segmented')}"
                yield _sd302_capture(device, folder, words, ppi, style, ("sha256", "filename"))
    for device, style in (("L", OPTICAL), ("M", CAPACITIVE)):
        folder = f"sd302d/images/auxiliary/flat/{device}/500/plain"
        yield _sd302_capture(device, folder, "500_plain", 500, style, ("sha256", "name"))


def _sd302_capture(
    device: str, folder: str, words: str, ppi: int, style: Style, columns: tuple[str, str]
) -> CaptureFiles:
    path = f"{folder}/png/{{person:08d}}_{device}_{words}_{{code:02d}}.png"
    checksum_list = ChecksumList(f"{folder}/png/checksum_{device}_{words}_png.csv", columns)
    capture = folder.rpartition("/")[2]
    return CaptureFiles(f"sd302/{device}", path, CAPTURES[capture], style, ppi, checksum_list)


TABLES: dict[str, Callable[[], Iterator[CaptureFiles]]] = {
    "sd300": _sd300,
    "sd301a": _sd301a,
    "sd302": _sd302,
}
