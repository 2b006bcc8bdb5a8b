"""FVC2002 (Maio et al. 2002, "FVC2002: Second Fingerprint Verification Competition").

Folders DB1_A … DB4_B in any case, with files {finger}_{impression}.tif: in an A set fingers
1-100, in a B set 101-110, eight impressions each. Numbers repeat across the databases, so a finger
is (database, number); persons are not known. The files carry no resolution: it is a table here.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.impression import Impression
from pipeline.sources.listing import (
    Answer,
    Claim,
    Expected,
    Folder,
    Listing,
    Unparsed,
    collect,
    walk,
)

PPI = {1: 500.0, 2: 569.0, 3: 500.0, 4: 500.0}
FINGERS = {"a": range(1, 101), "b": range(101, 111)}
IMPRESSIONS = range(1, 9)
EXPECTED = {
    f"fvc2002/db{n}_{part}": Expected(8 * len(fingers), 8 * len(fingers), len(fingers))
    for n in PPI
    for part, fingers in FINGERS.items()
}
BYTES = {  # of a file, 388 × 374, 296 × 560, 300 × 300 and 288 × 384 px
    f"fvc2002/db{n}_{part}": size
    for n, size in ((1, 145_624), (2, 166_272), (3, 90_512), (4, 111_104))
    for part in FINGERS
}

_FOLDER = re.compile(r"db([1-4])_([ab])", re.I)
_YEAR = re.compile(r"fvc[-_ ]?(20\d\d)", re.I)  # other years' sets have the very same names
_STEM = re.compile(r"([1-9]\d{0,2})_([1-9])", re.ASCII)


def find(root: Path) -> Listing:
    """The FVC2002 sets below `root`; Misuse where it is no folder, Fault at two copies."""
    return collect(walk([root]), claim)


def claim(folder: Folder) -> Claim | None:
    """FVC2002's hold on `folder`, None where it is not one of its sets."""
    match = _FOLDER.fullmatch(folder.path.name)
    years = [year[1] for part in folder.path.parts if (year := _YEAR.search(part))]
    if match is None or years[-1:] not in ([], ["2002"]):
        return None
    database, part = int(match[1]), match[2].lower()
    return Claim(f"fvc2002/db{database}_{part}", lambda path: parse(path, database, part))


def parse(path: Path, database: int, part: str) -> Answer:
    """The impression that a file of FVC2002 DB{database}_{part} is, by its name."""
    match = _STEM.fullmatch(path.stem)
    fingers = FINGERS[part]
    if match is None or int(match[1]) not in fingers or int(match[2]) not in IMPRESSIONS:
        return Unparsed(
            f"expected {{finger}}_{{impression}} with fingers {fingers[0]}-{fingers[-1]} "
            f"and impressions 1-8, such as {fingers[0]}_1.tif"
        )
    partition = f"fvc2002/db{database}_{part}"
    finger = f"fvc2002/db{database}/{int(match[1])}"
    image_id = f"{partition}/{path.stem}"
    return Impression(path, image_id, partition, finger, finger, PPI[database])
