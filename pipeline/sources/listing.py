"""What every reader of a data set shares: walking roots, and turning folders into impressions.

A reader (one module a data set) answers one question, `claim(folder)`: does this folder belong to
my data set, and if so, what is a file of this name in it? Nothing is dropped in silence: every
file of a claimed folder ends as an impression, an exclusion with its reason, or an unparsed name.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.impression import Impression
from shards.foundation.errors import Fault, Misuse

FORMATS = (".tif", ".tiff", ".png", ".bmp")  # in the order of preference for one and the same image
OTHER_FORMATS = (".jpg", ".jpeg", ".jp2", ".wsq", ".pgm", ".gif", ".webp", ".raw")
SYSTEM = ("__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN", "@eaDir")
DEPTH = 10  # a data set lies up to 3 folders below a root, its images up to 7 below that
BESIDE = re.compile(r"checksum.*\.csv|.*\.json", re.I)  # publishers' checksums, synthetic truth

# Reasons of exclusion; counted by the audit under these words.
SLAP = "slap of several fingers"
PALM = "palm"
RESOLUTION = "same capture at another resolution"
FORMAT = "same image in another format"
HIDDEN = "hidden file"
NOT_IMAGE = "not an image"


@dataclass(frozen=True)
class Folder:
    """One folder on disk and the names of its files, sorted."""

    path: Path
    files: tuple[str, ...]


def printable(text: str) -> str:
    """A text that may hold file names of any bytes, as can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Expected:
    """What a complete delivery of a partition holds, as far as it is known."""

    images: int | None = None  # for use
    files: int | None = None  # of one resolution, slaps included
    persons: int | None = None


@dataclass(frozen=True)
class Note:
    """What happened to one file, and why."""

    path: Path
    partition: str
    reason: str


@dataclass
class Listing:
    """A data set as found: what is used, and what is not and why."""

    impressions: list[Impression] = field(default_factory=list)  # sorted by image_id
    excluded: list[Note] = field(default_factory=list)  # known, and not for use
    unparsed: list[Note] = field(default_factory=list)  # not understood: an error unless skipped
    errata: list[Note] = field(default_factory=list)  # the publisher's corrections applied
    folders: list[Path] = field(default_factory=list)  # the folders that were recognised

    def extend(self, other: Listing) -> None:
        """Append every list of `other`."""
        for name, items in vars(other).items():
            getattr(self, name).extend(items)


@dataclass(frozen=True)
class Excluded:
    """A parser's answer for a file that the data set holds but that is no finger for use."""

    reason: str


@dataclass(frozen=True)
class Unparsed:
    """A parser's answer for a name that it does not understand."""

    reason: str


@dataclass(frozen=True)
class Corrected:
    """A parser's answer after it applied an erratum of the publisher."""

    answer: Impression | Excluded
    erratum: str


Answer = Impression | Excluded | Unparsed | Corrected


@dataclass(frozen=True)
class Claim:
    """A reader's hold on a folder: its partition, and what a file of a given path is."""

    partition: str
    parse: Callable[[Path], Answer]


def walk(roots: Sequence[Path]) -> Iterator[Folder]:
    """Every folder at most DEPTH below the roots, each real folder once, in sorted order.

    Links are followed after the real folders, so that a folder keeps its own name where it has
    one, and a loop of links ends. Misuse where a root is no folder; Fault that names all folders
    that cannot be read, at the end.
    """
    seen: set[tuple[int, int]] = set()
    closed: list[str] = []
    level = [(_root(root), 0) for root in roots]
    while level:
        links: list[tuple[Path, int]] = []
        for path, depth in level:
            yield from _walk(path, depth, seen, links, closed)
        level = links
    if closed:
        raise Fault(printable("\n".join([*closed, "mend their permissions, or move them away"])))


def _root(root: Path) -> Path:
    try:
        mode = root.stat().st_mode
    except FileNotFoundError as error:
        raise Misuse(
            f"{root}: no such folder; --data names a folder that holds data sets"
        ) from error
    except OSError as error:
        raise Misuse(f"{root}: cannot be read ({error.strerror}); choose another --data") from error
    if not stat.S_ISDIR(mode):
        raise Misuse(f"{root}: is no folder; --data names the folder that holds data sets")
    return Path(os.path.abspath(root))  # noqa: PTH100  (resolve() would follow links)


def _walk(
    path: Path,
    depth: int,
    seen: set[tuple[int, int]],
    links: list[tuple[Path, int]],
    closed: list[str],
) -> Iterator[Folder]:
    try:
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            listed = sorted((entry.name, _is_dir(entry), entry.is_symlink()) for entry in entries)
    except OSError as error:
        closed.append(f"{path}: cannot be read ({error.strerror})")
        return
    yield Folder(path, tuple(name for name, is_dir, _ in listed if not is_dir))
    for name, is_dir, is_link in listed:
        if not is_dir or depth == DEPTH or name.startswith(".") or name in SYSTEM:
            continue
        if is_link:
            links.append((path / name, depth + 1))
        else:
            yield from _walk(path / name, depth + 1, seen, links, closed)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    """Whether an entry leads to a folder; a link to itself or to nowhere does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def collect(folders: Iterable[Folder], claim: Callable[[Folder], Claim | None]) -> Listing:
    """All that one reader finds in `folders`; each capture once.

    Fault where two folders hold the same images.
    """
    listing = Listing()
    for folder in folders:
        held = claim(folder)
        if held is not None:
            listing.folders.append(folder.path)
            _read(folder, held, listing)
    return settle(listing)


def _read(folder: Folder, held: Claim, listing: Listing) -> None:
    for name in folder.files:
        if BESIDE.fullmatch(name):
            continue
        path = folder.path / name
        answer = _by_extension(name) or held.parse(path)
        if isinstance(answer, Corrected):
            listing.errata.append(Note(path, held.partition, answer.erratum))
            answer = answer.answer
        if isinstance(answer, Impression):
            listing.impressions.append(answer)
        else:
            notes = listing.excluded if isinstance(answer, Excluded) else listing.unparsed
            notes.append(Note(path, held.partition, answer.reason))


def _by_extension(name: str) -> Answer | None:
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122  (a string, 40,000 times)
    if name.startswith("."):
        return Excluded(HIDDEN)
    if extension in OTHER_FORMATS:
        return Unparsed(f"{extension} is not among the formats read ({', '.join(FORMATS)})")
    return None if extension in FORMATS else Excluded(NOT_IMAGE)


def settle(listing: Listing) -> Listing:
    """Keep one file a capture, preferring 500 ppi and then FORMATS; sort by image_id.

    The other resolutions and formats become exclusions. Fault where one image lies in two places.
    """
    captures: dict[str, list[Impression]] = {}
    for impression in listing.impressions:
        captures.setdefault(_capture(impression), []).append(impression)
    copies: dict[tuple[Path, Path], int] = {}
    kept = []
    for candidates in captures.values():
        best, *others = sorted(candidates, key=_preference)
        kept.append(best)
        for other in others:
            if other.ppi != best.ppi or _stem(other) != _stem(best):
                listing.excluded.append(Note(other.path, other.partition, RESOLUTION))
            elif other.path.parent == best.path.parent:
                listing.excluded.append(Note(other.path, other.partition, FORMAT))
            else:
                pair = (best.path.parent, other.path.parent)
                copies[pair] = copies.get(pair, 0) + 1
    if copies:
        lines = [f"  {a}\n  {b}: {n} images of the same names" for (a, b), n in copies.items()]
        raise Fault(
            "one data set was found in two places; point --data at one of them:\n"
            + "\n".join(lines)
        )
    listing.impressions = sorted(kept, key=lambda impression: impression.image_id)
    return listing


def _stem(impression: Impression) -> str:
    return impression.path.stem.casefold()


def _capture(impression: Impression) -> str:
    """The image's id without the resolution field of NIST's names, in one case."""
    partition, _, stem = impression.image_id.rpartition("/")
    stem = re.sub(r"_(\d{3,4}|variable)_", "_", stem) if impression.frgp else stem
    return f"{partition}/{stem}".casefold()


def _preference(impression: Impression) -> tuple[bool, float, int, str]:
    extension = FORMATS.index(impression.path.suffix.lower())
    return impression.ppi != 500, impression.ppi, extension, str(impression.path)
