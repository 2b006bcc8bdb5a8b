"""Reader of the Fingerprint Verification Competitions FVC2000, FVC2002, FVC2004 and FVC2006.

Folders DB1_A to DB4_B (upper or lower case) with files {finger}_{impression}.tif, or .bmp in
FVC2006. The files do not contain their resolution; it is in the table below. Persons are not
published, and numbers repeat in every database: a finger is (competition, database, number).

All competitions use the same folder names. A year in the path decides ("FVC2004/DB1_B", the last
one), then the size of the images, which differs from year to year except in DB4 of 2002, 2004 and
2006: such a folder is refused until its path or the user states the year. Images of a size that no
competition has are taken for FVC2002's, and the audit and every build report them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.imaging.formats.common import DamagedFile, UnsupportedFile
from pipeline.imaging.header import image_size
from pipeline.impression import Impression
from pipeline.sources.folders import Folder
from pipeline.sources.listing import FORMATS, ExpectedCounts, FolderMatch, ParsedFile, Unparsed
from shards.foundation import files

Size = tuple[int, int]  # (width, height), px


@dataclass(frozen=True)
class Database:
    """One database of a competition; numbers from the organizers' pages (bias.csr.unibo.it).

    Attributes:
        size: (width, height) of each image in px.
        ppi: resolution.
    """

    size: Size
    ppi: float = 500.0


@dataclass(frozen=True)
class Competition:
    """One competition.

    Attributes:
        databases: number → database.
        fingers: part → numbers of its fingers; in B sets of FVC2006 either numbering occurs.
        counts: part → number of fingers.
        impressions: per finger.
    """

    databases: dict[int, Database]
    fingers: Mapping[str, tuple[range, ...]]
    counts: dict[str, int]
    impressions: int


_OF_110 = {"a": (range(1, 101),), "b": (range(101, 111),)}
_COUNTS_OF_110 = {"a": 100, "b": 10}
COMPETITIONS = {
    2000: Competition(
        {
            1: Database((300, 300)),
            2: Database((256, 364)),
            3: Database((448, 478)),
            4: Database((240, 320)),  # "about 500 dpi"
        },
        _OF_110,
        _COUNTS_OF_110,
        8,
    ),
    2002: Competition(
        {
            1: Database((388, 374)),
            2: Database((296, 560), 569.0),
            3: Database((300, 300)),
            4: Database((288, 384)),  # "about 500 dpi"
        },
        _OF_110,
        _COUNTS_OF_110,
        8,
    ),
    2004: Competition(
        {
            1: Database((640, 480)),
            2: Database((328, 364)),
            3: Database((300, 480), 512.0),
            4: Database((288, 384)),  # "about 500 dpi"
        },
        _OF_110,
        _COUNTS_OF_110,
        8,
    ),
    2006: Competition(
        {
            1: Database((96, 96), 250.0),
            2: Database((400, 560), 569.0),
            3: Database((400, 500)),
            4: Database((288, 384)),  # "about 500 dpi"
        },
        {"a": (range(1, 141),), "b": (range(141, 151), range(101, 111))},
        {"a": 140, "b": 10},
        12,
    ),
}
DEFAULT_YEAR = 2002  # of images whose size no competition has
NAMES = {f"fvc{year}": year for year in COMPETITIONS}

EXPECTED = {
    f"fvc{year}/db{number}_{part}": ExpectedCounts(
        images=competition.impressions * fingers,
        files=competition.impressions * fingers,
        persons=fingers,
    )
    for year, competition in COMPETITIONS.items()
    for number in competition.databases
    for part, fingers in competition.counts.items()
}

_FOLDER = re.compile(r"db([1-4])_([ab])", re.I)
_YEAR = re.compile(r"fvc[-_ ]?(20\d\d)", re.I)
_STEM = re.compile(r"([1-9]\d{0,2})_([1-9]\d?)", re.ASCII)


def match_folder(folder: Folder, year: int | None = None) -> FolderMatch | None:
    """Recognize a folder of a competition; None for other folders.

    Args:
        folder: the folder; the headers of all its images are read, for their sizes.
        year: year of folders whose path contains none; by default their images' size decides.
    """
    match = _FOLDER.fullmatch(folder.path.name)
    if match is None:
        return None
    number, part = int(match[1]), match[2].lower()
    stated = stated_year(folder.path) or year
    if stated is not None and stated not in COMPETITIONS:
        return None
    sizes = _read_sizes(folder)
    years = {stated} if stated else _years_of_sizes(sizes, number)
    if len(years) > 1:
        return FolderMatch(f"fvc/db{number}_{part}", Unparsed(_undecided(years, number)))
    (chosen,) = years
    return FolderMatch(
        f"fvc{chosen}/db{number}_{part}",
        lambda path: parse(path, chosen, number, part, sizes.get(path.name)),
    )


def stated_year(path: Path) -> int | None:
    """Return the last year in a path that contains "fvc" and a year, such as FVC2004/DB1_B."""
    years = [int(match[1]) for name in path.parts if (match := _YEAR.search(name))]
    return years[-1] if years else None


def parse(path: Path, year: int, number: int, part: str, size: Size | None = None) -> ParsedFile:
    """Parse the name of a file of DB{number}_{part}; `size` is that of the image, where known."""
    competition = COMPETITIONS[year]
    others = _years_of_size(size, number)
    if size and others and year not in others:
        return Unparsed(
            f"measures {_times(size)} px as DB{number} of FVC{min(others)} does; DB{number} of "
            f"FVC{year} has {_times(competition.databases[number].size)} px. Two years are never "
            "merged: put each into a folder with its year, such as FVC2004/DB1_B"
        )
    match = _STEM.fullmatch(path.stem)
    fingers = competition.fingers[part]
    finger, impression = (int(match[1]), int(match[2])) if match else (0, 0)
    if not any(finger in numbers for numbers in fingers) or impression > competition.impressions:
        numbers = " or ".join(f"{r[0]}-{r[-1]}" for r in fingers)
        return Unparsed(
            f"expected {{finger}}_{{impression}} with fingers {numbers} and impressions "
            f"1-{competition.impressions}, such as {fingers[0][0]}_1.tif"
        )
    partition = f"fvc{year}/db{number}_{part}"
    # In FVC2006 a B set may repeat numbers of the A set.
    database = partition if year == 2006 and part == "b" else f"fvc{year}/db{number}"
    name = f"{database}/{finger}"
    ppi = competition.databases[number].ppi
    return Impression(path, f"{partition}/{path.stem}", partition, name, name, ppi)


def odd_size(path: Path, partition: str) -> bool:
    """Return True where an image of a partition of FVC does not have the published size."""
    year, number = int(partition[3:7]), int(partition[10])
    size = read_size(path)
    return size is not None and size != COMPETITIONS[year].databases[number].size


def read_size(path: Path) -> Size | None:
    """Return the (width, height) in px that an image's header states; None where it is unknown."""
    try:
        with files.open_file(path) as file:
            return image_size(file)
    except (OSError, DamagedFile, UnsupportedFile):
        return None


def _read_sizes(folder: Folder) -> dict[str, Size | None]:
    """Return the size of each image of a folder, by name."""
    names = [name for name in folder.files if name.lower().endswith(FORMATS)]
    return {name: read_size(folder.path / name) for name in names if not name.startswith(".")}


def _years_of_size(size: Size | None, number: int) -> set[int]:
    return {year for year, c in COMPETITIONS.items() if c.databases[number].size == size}


def _years_of_sizes(sizes: Mapping[str, Size | None], number: int) -> set[int]:
    """Return the years that a folder's images may be of: those of the size that most have."""
    counts = Counter(size for size in sizes.values() if _years_of_size(size, number))
    if not counts:
        return {DEFAULT_YEAR}
    most = max(sorted(counts, key=str), key=lambda size: counts[size])
    return _years_of_size(most, number)


def _undecided(years: set[int], number: int) -> str:
    *others, last = sorted(years)
    size = _times(COMPETITIONS[last].databases[number].size)
    return (
        f"DB{number} of FVC{', '.join(map(str, others))} and {last} have the same names and the "
        f"same size, {size} px; state the year in the folder's path, such as "
        f"FVC{last}/DB{number}_A, or with --layout fvc{last} (make: LAYOUT=fvc{last})"
    )


def _times(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
