"""Reader of FVC2002 (Maio et al. 2002, "FVC2002: Second Fingerprint Verification Competition").

Folders DB1_A to DB4_B (upper or lower case) with files {finger}_{impression}.tif. A sets have
fingers 1-100, B sets have fingers 101-110, with eight impressions each. The numbers repeat in every
database, so a finger is (database, number); persons are not published. The files do not contain
their resolution; it is in the table below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.impression import Impression
from pipeline.sources.folders import Folder
from pipeline.sources.listing import ExpectedCounts, FolderMatch, ParsedFile, Unparsed


@dataclass(frozen=True)
class Database:
    """One of the four databases; resolution and size from Maio et al. 2002.

    Attributes:
        ppi: resolution.
        width, height: size of each image in px.
    """

    ppi: float
    width: int
    height: int

    @property
    def file_bytes(self) -> int:
        """Size of each .tif file: 512 bytes besides the uncompressed px."""
        return self.width * self.height + 512


DATABASES = {
    1: Database(500.0, 388, 374),
    2: Database(569.0, 296, 560),
    3: Database(500.0, 300, 300),
    4: Database(500.0, 288, 384),
}
FINGERS = {"a": range(1, 101), "b": range(101, 111)}
IMPRESSIONS = range(1, 9)

_PARTS = [(number, part) for number in DATABASES for part in FINGERS]
EXPECTED = {
    f"fvc2002/db{number}_{part}": ExpectedCounts(
        images=len(IMPRESSIONS) * len(FINGERS[part]),
        files=len(IMPRESSIONS) * len(FINGERS[part]),
        persons=len(FINGERS[part]),
    )
    for number, part in _PARTS
}
FILE_BYTES = {f"fvc2002/db{number}_{part}": DATABASES[number].file_bytes for number, part in _PARTS}

_FOLDER = re.compile(r"db([1-4])_([ab])", re.I)
_YEAR = re.compile(r"fvc[-_ ]?(20\d\d)", re.I)  # FVC2000 and FVC2004 use the same names
_STEM = re.compile(r"([1-9]\d{0,2})_([1-9])", re.ASCII)


def match_folder(folder: Folder) -> FolderMatch | None:
    """Recognize a folder of FVC2002; None for other folders.

    The last year in the path decides where the path contains "fvc" and a year.
    """
    match = _FOLDER.fullmatch(folder.path.name)
    years = [year[1] for part in folder.path.parts if (year := _YEAR.search(part))]
    if match is None or years[-1:] not in ([], ["2002"]):
        return None
    database, part = int(match[1]), match[2].lower()
    return FolderMatch(f"fvc2002/db{database}_{part}", lambda path: parse(path, database, part))


def parse(path: Path, database: int, part: str) -> ParsedFile:
    """Parse the name of a file of FVC2002 DB{database}_{part}."""
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
    return Impression(path, image_id, partition, finger, finger, DATABASES[database].ppi)
