"""Listing of a data set: from folders of files to impressions.

Each data set has a module here with a function `match_folder`: it decides whether a folder belongs
to the data set, and returns how to parse the names of the files in it. Every file of such a folder
is listed as an impression, as excluded with a reason, or as not understood.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.imaging import header
from pipeline.impression import Impression
from pipeline.sources.folders import Folder
from shards.foundation.errors import Fault

FORMATS = header.EXTENSIONS  # in order of preference for the same image
RAW_FORMATS = (".raw", ".gray", ".grey", ".dat", ".bin")  # names of files without header
OTHER_FORMATS = (
    *(".gif", ".webp", ".raw", ".heic", ".heif", ".avif", ".jxl", ".jls", ".pbm", ".pam"),
    *(".an2", ".nist", ".nst", ".eft", ".fir"),
)
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")  # after the extension of the image inside
ACCOMPANYING = re.compile(r"checksum.*\.csv|.*\.json", re.I)  # checksums, truth of synthetic images

# Reasons of exclusion; the audit counts files by them.
SLAP = "slap of several fingers"
PALM = "palm"
RESOLUTION = "same capture at another resolution"
FORMAT = "same image in another format"
HIDDEN = "hidden file"
NOT_IMAGE = "not an image"


@dataclass(frozen=True)
class ExpectedCounts:
    """Contents of a complete delivery of a partition; None where unknown.

    Attributes:
        images: usable images.
        files: files of one resolution, slaps included.
        persons: persons.
    """

    images: int | None = None
    files: int | None = None
    persons: int | None = None


@dataclass(frozen=True)
class FileNote:
    """A remark about one file: why it is not used, or which erratum was applied."""

    path: Path
    partition: str
    reason: str


@dataclass
class Listing:
    """The files of a data set.

    Attributes:
        impressions: usable images, sorted by image_id.
        excluded: files that are understood but not used.
        unparsed: files that are not understood; an error unless they are skipped.
        errata: files to which the publisher's corrections were applied.
        understood: identity and resolution of each of anyone's own images, as understood.
        folders: folders that belong to the data set.
    """

    impressions: list[Impression] = field(default_factory=list)
    excluded: list[FileNote] = field(default_factory=list)
    unparsed: list[FileNote] = field(default_factory=list)
    errata: list[FileNote] = field(default_factory=list)
    understood: list[FileNote] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Excluded:
    """Result of a parser for a file that is understood but not used."""

    reason: str


@dataclass(frozen=True)
class Unparsed:
    """Result of a parser for a file that is not understood."""

    reason: str


@dataclass(frozen=True)
class Corrected:
    """Result of a parser after it applied an erratum of the publisher."""

    result: Impression | Excluded
    erratum: str


ParsedFile = Impression | Excluded | Unparsed | Corrected


@dataclass(frozen=True)
class FolderMatch:
    """A folder of a data set.

    Attributes:
        partition: such as "fvc2002/db1_a".
        parse: returns what a file is; an Unparsed where the folder as a whole is not understood.
    """

    partition: str
    parse: Callable[[Path], ParsedFile] | Unparsed


def list_images(
    folders: Iterable[Folder], match_folder: Callable[[Folder], FolderMatch | None]
) -> Listing:
    """List the files of one data set, with one file per capture.

    Args:
        folders: folders on disk; those of other data sets are ignored.
        match_folder: recognizes the folders of the data set.

    Raises:
        Fault: two folders hold the same images.
    """
    listing = Listing()
    for folder in folders:
        match = match_folder(folder)
        if match is not None:
            listing.folders.append(folder.path)
            _parse_files(folder, match, listing)
    _keep_one_file_per_capture(listing)
    return listing


def _parse_files(folder: Folder, match: FolderMatch, listing: Listing) -> None:
    """Add the files of a folder to the listing."""
    parse = match.parse
    if isinstance(parse, Unparsed):
        listing.unparsed.append(FileNote(folder.path, match.partition, parse.reason))
        return
    for name in folder.files:
        if ACCOMPANYING.fullmatch(name):
            continue
        path = folder.path / name
        result = check_extension(name) or parse(path)
        if isinstance(result, Corrected):
            listing.errata.append(FileNote(path, match.partition, result.erratum))
            result = result.result
        if isinstance(result, Impression):
            listing.impressions.append(result)
        elif isinstance(result, Excluded):
            listing.excluded.append(FileNote(path, match.partition, result.reason))
        else:
            listing.unparsed.append(FileNote(path, match.partition, result.reason))


def check_extension(name: str, raw: bool = False) -> Excluded | Unparsed | None:
    """Return why a file is not an image that can be read; None where it may be one.

    Args:
        name: the file's name.
        raw: files of RAW_FORMATS are images.
    """
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122  (a string, 40,000 times)
    if name.startswith("."):
        return Excluded(HIDDEN)
    if raw and extension in RAW_FORMATS:
        return None
    if extension in OTHER_FORMATS:
        return Unparsed(f"{extension} is not among the formats read ({', '.join(FORMATS)})")
    inner = os.path.splitext(name.removesuffix(extension))[1].lower()  # noqa: PTH122
    if extension in COMPRESSED and inner in FORMATS:
        return Unparsed(f"is a compressed image ({inner}{extension}); unpack it first")
    return None if extension in FORMATS else Excluded(NOT_IMAGE)


def _keep_one_file_per_capture(listing: Listing) -> None:
    """Keep the preferred file of each capture (500 ppi, then FORMATS); exclude the others.

    Raises:
        Fault: two folders hold the same images.
    """
    captures: dict[str, list[Impression]] = {}
    for impression in listing.impressions:
        captures.setdefault(_capture_id(impression), []).append(impression)
    copies: dict[tuple[Path, Path], int] = {}
    preferred = []
    for candidates in captures.values():
        best, *others = sorted(candidates, key=_preference)
        preferred.append(best)
        for other in others:
            reason = _reason_of_exclusion(best, other)
            if reason is None:
                folders = (best.path.parent, other.path.parent)
                copies[folders] = copies.get(folders, 0) + 1
            else:
                listing.excluded.append(FileNote(other.path, other.partition, reason))
    if copies:
        lines = [f"  {a}\n  {b}: {n} images of the same names" for (a, b), n in copies.items()]
        raise Fault(
            "one data set was found in two places; point --data at one of them:\n"
            + "\n".join(lines)
        )
    listing.impressions = sorted(preferred, key=lambda impression: impression.image_id)


def _reason_of_exclusion(best: Impression, other: Impression) -> str | None:
    """Return why `other` is not used beside `best`; None where they are copies of one file."""
    if other.ppi != best.ppi or _stem(other) != _stem(best):
        return RESOLUTION
    return FORMAT if other.path.parent == best.path.parent else None


def _stem(impression: Impression) -> str:
    return impression.path.stem.casefold()


def _capture_id(impression: Impression) -> str:
    """Return the image_id without the resolution field of NIST's names, in lower case."""
    partition, _, stem = impression.image_id.rpartition("/")
    stem = re.sub(r"_(\d{3,4}|variable)_", "_", stem) if impression.frgp else stem
    return f"{partition}/{stem}".casefold()


def _preference(impression: Impression) -> tuple[bool, float, int, str]:
    """Return the sort key of the files of one capture, the preferred file first."""
    extension = FORMATS.index(impression.path.suffix.lower())
    return impression.ppi != 500, impression.ppi, extension, str(impression.path)
