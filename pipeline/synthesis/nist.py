"""The tables of NIST's Special Databases 300, 301a and 302 for synthetic fingers.

A row is a folder: a capture of a device at a resolution. A finger's skin has the address (person,
FRGP), so that one person has the same ten fingers by all devices and in all three data sets; a
touch has the address (partition, person, labelled FRGP, encounter), so that the resolutions of a
capture, and a slap and the fingers cut from it, show one touch.

What the publishers' papers leave open is chosen here: which resolutions a device of SD301a has,
which one each challenger of SD302a has, which sensor draws, and which captures are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from pipeline.synthesis.file import File, Listed, Press
from pipeline.synthesis.manner import Placement
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL, Style

ROLL = replace(  # from nail to nail
    OPTICAL, name="roll", placement=Placement((500, 460), (172, 225), 5, contact=10, pressure=0.05)
)
CELL = replace(  # one finger of a slap
    OPTICAL, name="slap", placement=Placement((420, 300), (112, 165), 5, contact=20, pressure=-0.1)
)

FINGERS = tuple(range(1, 11))
PLAIN_BOXES = (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)  # of SD300's cards
SLAPS = (13, 14, 15)
SHOWN: dict[int, tuple[int, ...]] = {f: (f,) for f in FINGERS} | {
    # FRGP code → its fingers from left to right; of a palm, what stands in for one
    11: (1,),
    12: (6,),
    13: (2, 3, 4, 5),
    14: (10, 9, 8, 7),
    15: (6, 1),
    21: (2, 3, 4, 5),
    23: (10, 9, 8, 7),
    25: (4, 5),
    26: (2, 3),
    27: (10, 9),
    28: (8, 7),
}
DROPS = {2: 40, 4: 15, 5: 90, 7: 40, 9: 15, 10: 90}  # px by which a finger is shorter

# SD301a: device → captures, and resolutions where not 500; the variable ones have 508 ppi
CAPTURES = {
    "roll": FINGERS,
    "plain": FINGERS,
    "slap": SLAPS,
    "slap-segmented": FINGERS,
    "palm": (21, 23),
    "palm-segmented": (25, 26, 27, 28),
}
SD301A_DEVICES = {
    **dict.fromkeys("AB", ("roll",)),
    **dict.fromkeys("CFGKP", ("slap", "slap-segmented")),
    **dict.fromkeys("DEJLMN", ("plain",)),
    "H": ("palm", "palm-segmented", "slap"),
}
SD301A_RESOLUTIONS = {"A": ("500", "1000"), "B": ("1000",), "E": ("variable",), "N": ("variable",)}
VARIABLE_PPI = 508
MOST_ENCOUNTERS = 99  # two digits in the names

CHALLENGERS = {"A": 500, "B": 500, "C": 1000, "D": 500, "E": 508, "F": 600, "G": 500, "H": 1000}
# Of SD302a's captures 15 % are missing, and 1,789 of 2,000 fingers lack none of the six that the
# paper uses. So one finger in ten is missing here, by most of those six; G and H miss the rest.
INCOMPLETE, MISSING_OF_INCOMPLETE, MISSING_OF_OTHERS = 0.105, 2 / 3, 0.39
WRONG_CLAIM, WRONG_CLAIMS = 5080, 10_115 / 19_435  # ppi, and the share of SD300c's files with it

# What is shown under a label: the deliveries' wrong labels, which the publisher's errata tell.
# (partition, person) → label → finger; None where no finger is to be seen.
MISLABELLED: dict[tuple[str, int], dict[int, int | None]] = {
    ("sd302/L", 2302): {1: 6, 6: 1},
    ("sd302/V", 2361): {2: 4},
    ("sd302/R", 2420): {1: 6, 6: 1},
    ("sd302/S", 2534): {1: 6, 6: 1},
    ("sd302/S", 2561): {1: 6, 6: 1},
    ("sd302/C", 2497): {8: None},
    ("sd302/C", 2354): {4: 5, 5: 4},
}
_SHARED = (2239, 2302)  # persons of SD301a and of SD302
_WITH_ERRATA = (2354, 2361, 2420, 2497, 2534, 2561)
PERSONS = {  # in the order in which a set takes them
    "sd300": tuple(range(1000, 1888)),
    "sd301a": (*_SHARED, *(p for p in range(2223, 2246) if p not in _SHARED)),
    "sd302": tuple(  # 200 numbers, scattered over 2302 … 2645
        dict.fromkeys((*_SHARED, *_WITH_ERRATA, *(2302 + 125 * k % 344 for k in range(344))))
    )[:200],
}


@dataclass(frozen=True)
class Row:
    """The files of one capture by a device at a resolution."""

    partition: str
    path: str  # with {person:08d}, {code:02d} and, where there are several, {encounter:02d}
    codes: Sequence[int]  # FRGP
    style: Style
    ppi: int
    listed: Listed


def files(dataset: str, person: int, encounters: int, seed: int) -> Iterator[File]:
    """The files of a person in a data set; its rows decide what there is."""
    for row in TABLES[dataset]():
        for encounter in range(encounters if "{encounter" in row.path else 1):
            for code in row.codes:
                path = row.path.format(person=person, code=code, encounter=encounter + 1)
                presses = tuple(_press(row, person, label, encounter) for label in SHOWN[code])
                if not _missing(row.partition, person, code, seed):
                    claim = _claim(row.ppi, path, seed)
                    yield File(path, presses, (row.style,), row.ppi, None, claim, False, row.listed)


def _press(row: Row, person: int, label: int, encounter: int) -> Press:
    finger = MISLABELLED.get((row.partition, person), {}).get(label, label)
    skin = None if finger is None else ("nist", 100 * person + finger)
    return Press(skin, row.partition, 100 * person + label, encounter, DROPS.get(label, 0))


def _missing(partition: str, person: int, code: int, seed: int) -> bool:
    """Whether a challenger of SD302a failed to capture a finger."""
    device = partition.removeprefix("sd302/")
    if device not in CHALLENGERS or code in MISLABELLED.get((partition, person), {}):
        return False
    chance = _chance(seed, f"{partition}/{person}/{code}")
    if device in "GH":
        return chance < MISSING_OF_OTHERS
    incomplete = _chance(seed, f"sd302/{person}/{code}") < INCOMPLETE
    return incomplete and chance < MISSING_OF_INCOMPLETE


def _claim(ppi: int, path: str, seed: int) -> int:
    """The resolution in a file's header: at 2000 ppi every other one is wrong."""
    return WRONG_CLAIM if ppi == 2000 and _chance(seed, path) < WRONG_CLAIMS else ppi


def _chance(seed: int, what: str) -> float:
    return float(np.random.default_rng([seed, crc32(what.encode())]).random())


def _sd300() -> Iterator[Row]:
    """The card's rolled prints and its plain boxes, scanned at three resolutions."""
    for capture, codes, style in (("roll", FINGERS, ROLL), ("plain", PLAIN_BOXES, CELL)):
        for release, ppi, name in (
            ("a", 500, "filename"),
            ("b", 1000, "name"),
            ("c", 2000, "name"),
        ):
            top = f"sd300{release}/images/{ppi}"
            path = f"{top}/png/{capture}/{{person:08d}}_{capture}_{ppi}_{{code:02d}}.png"
            listed = Listed(f"{top}/checksum_{ppi}_png_{capture}.csv", ("sha256", name))
            yield Row(f"sd300/{capture}", path, codes, style, ppi, listed)


def _sd301a() -> Iterator[Row]:
    for device, captures in SD301A_DEVICES.items():
        for resolution in SD301A_RESOLUTIONS.get(device, ("500",)):
            for capture in captures:
                folder = f"sd301a/images/friction-ridge/dryrun-{device}/{resolution}/{capture}/png"
                name = f"{{person:08d}}_{{encounter:02d}}_dryrun-{device}_{resolution}_{capture}"
                listed = f"{folder}/checksum_dryrun-{device}_{resolution}_{capture}_png.csv"
                yield Row(
                    f"sd301a/{device}",
                    f"{folder}/{name}_{{code:02d}}.png",
                    CAPTURES[capture],
                    {"roll": ROLL, "plain": OPTICAL}.get(capture, CELL),
                    VARIABLE_PPI if resolution == "variable" else int(resolution),
                    Listed(listed, ("sha256", "filename")),
                )


def _sd302() -> Iterator[Row]:
    """The three deliveries' own folders, side by side; segments have the names of slaps."""
    for device, ppi in CHALLENGERS.items():
        folder = f"sd302a/images/challengers/{device}/roll"
        yield _row302(device, folder, "roll", ppi, ROLL, ("checksum", "filename"))
    for device, captures, style in (
        *((device, ("roll",), ROLL) for device in "UV"),
        *((device, ("slap", "slap-segmented"), CELL) for device in "RS"),
    ):
        for ppi in (500, 1000):
            for capture in captures:
                folder = f"sd302b/images/baseline/{device}/{ppi}/{capture}"
                words = f"{ppi}_{capture.removesuffix('-segmented')}"
                yield _row302(device, folder, words, ppi, style, ("sha256", "filename"))
    for device, style in (("L", OPTICAL), ("M", CAPACITIVE)):
        folder = f"sd302d/images/auxiliary/flat/{device}/500/plain"
        yield _row302(device, folder, "500_plain", 500, style, ("sha256", "name"))


def _row302(
    device: str, folder: str, words: str, ppi: int, style: Style, columns: tuple[str, str]
) -> Row:
    path = f"{folder}/png/{{person:08d}}_{device}_{words}_{{code:02d}}.png"
    listed = Listed(f"{folder}/png/checksum_{device}_{words}_png.csv", columns)
    capture = folder.rpartition("/")[2]
    return Row(f"sd302/{device}", path, CAPTURES[capture], style, ppi, listed)


TABLES: dict[str, Callable[[], Iterator[Row]]] = {
    "sd300": _sd300,
    "sd301a": _sd301a,
    "sd302": _sd302,
}
