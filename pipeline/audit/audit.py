"""What lies on the disk, against what a complete delivery holds and what the publisher vouches for.

The audit opens each used file once, for its last bytes: enough to find the empty, the truncated
and, by size and end, the candidates for equal content. Checksums read everything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.audit.checksums import Checksums, verify
from pipeline.catalog import Catalog
from pipeline.impression import Impression
from pipeline.sources import fvc2002, sd300, sd301a, sd302
from pipeline.sources.listing import Expected, Note
from pipeline.spec import HELD_OUT, PipelineSpec
from pipeline.split import SPLITS, split_of
from shards.foundation import files
from shards.foundation.progress import Progress

EXPECTED = {**fvc2002.EXPECTED, **sd300.EXPECTED, **sd301a.EXPECTED, **sd302.EXPECTED}
PNG_END = b"IEND\xaeB`\x82"
TAIL = 64  # bytes; of a PNG they hold a checksum of all its pixels


@dataclass
class PartitionAudit:
    """One partition; `images` are those that the pipeline would use, `files` all that it holds."""

    images: int
    expected_images: int | None  # of a complete delivery, where known; so the others
    files: int
    expected_files: int | None
    persons: int
    expected_persons: int | None
    fingers: int
    by_capture: dict[str, dict[str, int]]  # capture → finger position ("01", "-" unknown) → images
    by_ppi: dict[str, int]
    persons_by_split: dict[str, int]  # of FVC2002, fingers
    images_by_split: dict[str, int]
    excluded: dict[str, int]  # by reason
    unparsed: int
    errata: int


@dataclass
class Audit:
    """All partitions, and every file with which something is the matter."""

    roots: list[str]
    partitions: dict[str, PartitionAudit]
    deliveries: dict[str, dict[str, int]]  # SD302's, whose published counts join their devices
    missing: list[str]  # of the partitions asked for
    unparsed: list[str]
    damaged: list[str]
    errata: list[str]
    duplicates: list[list[str]]  # files of equal content
    odd_sizes: dict[str, int]  # by partition of FVC2002, .tif files that are not of its size
    unknown_folders: dict[str, int]  # folders of images that no reader knows
    archives: list[str]  # not unpacked, or left beside what they held
    dangling: list[str]  # links to nowhere, perhaps to a data set
    checksums: Checksums | None = None

    @property
    def sound(self) -> bool:
        """Whether every file is understood, whole and, if checked, what the publisher vouches for.

        Missing partitions and equal contents are told, and are no fault of a file.
        """
        return not (self.unparsed or self.damaged or (self.checksums and self.checksums.faults))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for scripts."""
        return {"sound": self.sound, **asdict(self)}


def audit(
    catalog: Catalog,
    wanted: Sequence[str] = (),
    held_out: tuple[str, ...] = HELD_OUT,
    checksums: bool = False,
) -> Audit:
    """Audit all that was found; `wanted` are the partitions that should be there.

    Fault where there is no data set at all. `checksums` reads every file.
    """
    catalog.require()
    found = catalog.partitions
    damaged, duplicates = _probe(list(chain.from_iterable(found.values())))
    folders = [f for listing in catalog.listings.values() for f in listing.folders]
    partitions = _partitions(catalog, held_out)
    return Audit(
        roots=[str(root) for root in catalog.roots],
        partitions=partitions,
        deliveries=_deliveries(partitions),
        missing=[name for name in wanted if name not in found],
        unparsed=[f"{n.path}: {n.reason}" for n in catalog.notes("unparsed")],
        damaged=damaged,
        errata=[f"{n.path}: {n.reason}" for n in catalog.notes("errata")],
        duplicates=duplicates,
        odd_sizes=_odd_sizes(found),
        unknown_folders={str(path): count for path, count in catalog.unclaimed.items()},
        archives=[str(path) for path in catalog.archives],
        dangling=[str(path) for path in catalog.dangling],
        checksums=verify(folders) if checksums else None,
    )


def doubts(selection: Mapping[str, Sequence[Impression]], spec: PipelineSpec) -> Iterator[str]:
    """What a build should say of partitions that it can use, a line each.

    Those that hold fewer images than a complete delivery, where that is known, or fewer to train on
    than the config would take; and FVC2002's with files that are not of its size.
    """
    limits = dict(spec.limits)
    for name, images in selection.items():
        expected = EXPECTED.get(name, Expected()).images or 0
        wanted = limits.get(name.partition("/")[0], 0)
        training = sum(split_of(i, spec.held_out) == "train" for i in images)
        if len(images) < expected:
            yield f"{name}: {len(images):,} images; a complete delivery has {expected:,}"
        elif training < wanted:
            yield f"{name}: {training:,} images train; the config would take {wanted:,}"
    for name, count in _odd_sizes(selection).items():
        yield f"{name}: {count} files are not of FVC2002's size; are they of another year?"


def _partitions(catalog: Catalog, held_out: tuple[str, ...]) -> dict[str, PartitionAudit]:
    found = catalog.partitions
    excluded, unparsed, errata = map(
        _by_partition, map(catalog.notes, ("excluded", "unparsed", "errata"))
    )
    return {
        name: _partition(
            found.get(name, []),
            [note.reason for note in excluded[name]],
            len(unparsed[name]),
            len(errata[name]),
            EXPECTED.get(name, Expected()),
            held_out,
        )
        for name in sorted({*found, *excluded, *unparsed})
    }


def _by_partition(notes: Iterable[Note]) -> dict[str, list[Note]]:
    groups: dict[str, list[Note]] = defaultdict(list)
    for note in notes:
        groups[note.partition].append(note)
    return groups


def _partition(
    images: list[Impression],
    reasons: list[str],
    unparsed: int,
    errata: int,
    expected: Expected,
    held_out: tuple[str, ...],
) -> PartitionAudit:
    sides = {i.person: split_of(i, held_out) for i in images}
    captures: dict[str, Counter[str]] = defaultdict(Counter)
    for i in images:
        captures[i.capture][f"{i.frgp:02d}" if i.frgp else "-"] += 1
    return PartitionAudit(
        images=len(images),
        expected_images=expected.images,
        files=len(images) + len(reasons) + unparsed,
        expected_files=expected.files,
        persons=len(sides),
        expected_persons=expected.persons,
        fingers=len({i.finger for i in images}),
        by_capture={capture: _sorted(counts) for capture, counts in sorted(captures.items())},
        by_ppi=_sorted(Counter(f"{i.ppi:g}" for i in images)),
        persons_by_split=_splits(sides.values()),
        images_by_split=_splits(sides[i.person] for i in images),
        excluded=_sorted(Counter(reasons)),
        unparsed=unparsed,
        errata=errata,
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _splits(sides: Iterable[str]) -> dict[str, int]:
    counts = Counter(sides)
    return {split: counts[split] for split in SPLITS}


def _deliveries(partitions: dict[str, PartitionAudit]) -> dict[str, dict[str, int]]:
    """Files found and published of 302a, 302b and 302d, where any of their devices is there."""
    found = {
        delivery: [partitions[f"sd302/{d}"].files for d in devices if f"sd302/{d}" in partitions]
        for delivery, devices in sd302.DEVICES.items()
    }
    return {
        f"sd{delivery}": {"files": sum(files), "expected_files": sd302.FILES[delivery]}
        for delivery, files in found.items()
        if files
    }


def _odd_sizes(found: Mapping[str, Sequence[Impression]]) -> dict[str, int]:
    """Files of another length than FVC2002's: another year's under the same names, perhaps."""
    odd: Counter[str] = Counter()
    for name, images in found.items():
        for path in (i.path for i in images if name in fvc2002.BYTES):
            if path.suffix.lower() in (".tif", ".tiff") and path.is_file():
                odd[name] += path.stat().st_size != fvc2002.BYTES[name]
    return dict(+odd)


def _probe(images: Sequence[Impression]) -> tuple[list[str], list[list[str]]]:
    """The damaged files with what is the matter, and the groups of files of equal content."""
    damaged = []
    alike: dict[tuple[int, bytes], list[Path]] = defaultdict(list)
    with Progress("audit", len(images), "files") as progress:
        for path in (image.path for image in images):
            size, tail = _end(path)
            if not size:
                damaged.append(f"{path}: {tail.decode()}")
            elif path.suffix.lower() == ".png" and PNG_END not in tail:
                damaged.append(f"{path}: is truncated, a PNG without its end ({size} bytes)")
            else:
                alike[size, tail].append(path)
            progress.advance()
    return damaged, _equal(chain.from_iterable(p for p in alike.values() if len(p) > 1))


def _end(path: Path) -> tuple[int, bytes]:
    """Size and last bytes of a file; 0 and what is the matter where it is empty or unreadable."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            return size, file.read() if size else b"is an empty file"
    except OSError as error:
        return 0, f"cannot be read ({error.strerror})".encode()


def _equal(paths: Iterable[Path]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[files.sha256(path)].append(str(path))
    return sorted(group for group in groups.values() if len(group) > 1)
