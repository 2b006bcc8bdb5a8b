"""Audit: comparison of the files on disk with complete deliveries and published checksums.

Each usable file is opened once to read its last bytes. This is enough to find empty and truncated
files and, by size and last bytes, candidates for equal content. `checksums` reads every file
completely.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from pipeline.audit.checksums import ChecksumReport, verify_checksums
from pipeline.audit.damage import find_damage
from pipeline.catalog import Catalog
from pipeline.impression import Impression
from pipeline.sources import fvc, published, sd300, sd301a, sd302
from pipeline.sources.listing import ExpectedCounts, FileNote
from pipeline.spec import HELD_OUT, PipelineSpec
from pipeline.split import OTHERS, split_of
from shards.foundation.printable import counted
from shards.manifest import SPLITS

EXPECTED = {
    **fvc.EXPECTED,
    **published.EXPECTED,
    **sd300.EXPECTED,
    **sd301a.EXPECTED,
    **sd302.EXPECTED,
}


@dataclass
class PartitionAudit:
    """Counts of one partition; those of a complete delivery are None where unknown.

    Attributes:
        images, expected_images: usable images.
        files, expected_files: all files.
        persons, expected_persons: persons (fingers where persons are not published).
        fingers: fingers.
        by_capture: capture → finger position ("01", or "-" where unknown) → images.
        by_ppi: resolution → images.
        persons_by_split: split → persons (fingers where persons are not published).
        images_by_split: split → images.
        excluded: reason → files.
        unparsed: files that are not understood.
        errata: files to which an erratum was applied.
    """

    images: int
    expected_images: int | None
    files: int
    expected_files: int | None
    persons: int
    expected_persons: int | None
    fingers: int
    by_capture: dict[str, dict[str, int]]
    by_ppi: dict[str, int]
    persons_by_split: dict[str, int]
    images_by_split: dict[str, int]
    excluded: dict[str, int]
    unparsed: int
    errata: int


@dataclass
class Audit:
    """Counts of all partitions, and every file with a problem.

    Attributes:
        roots: data roots.
        partitions: partition → its counts.
        deliveries: delivery of SD302 → counts; NIST publishes them for all devices together.
        missing: partitions of the config that are not on disk.
        unparsed: files that are not understood, with reasons.
        damaged: damaged files, with reasons.
        errata: files to which an erratum was applied, with reasons.
        duplicates: groups of files of equal content.
        odd_sizes: partition of FVC → images of another size than the published one.
        unknown_folders: folder of images in an unknown layout → images.
        archives: archives that are not unpacked, or were not deleted.
        dangling: symbolic links to nowhere.
        unsearched: folders that have folders too deep to be searched.
        checksums: comparison with the publisher's checksums, if it was asked for.
    """

    roots: list[str]
    partitions: dict[str, PartitionAudit]
    deliveries: dict[str, dict[str, int]]
    missing: list[str]
    unparsed: list[str]
    damaged: list[str]
    errata: list[str]
    duplicates: list[list[str]]
    odd_sizes: dict[str, int]
    unknown_folders: dict[str, int]
    archives: list[str]
    dangling: list[str]
    unsearched: list[str]
    checksums: ChecksumReport | None = None

    @property
    def sound(self) -> bool:
        """True where every file is understood, undamaged and has its published checksum.

        Missing partitions and files of equal content do not count.
        """
        return not (self.unparsed or self.damaged or (self.checksums and self.checksums.faults))

    def to_json(self) -> dict[str, Any]:
        """Return the audit as JSON values."""
        return {"sound": self.sound, **asdict(self)}


def audit(
    catalog: Catalog,
    wanted: Sequence[str] = (),
    held_out: tuple[str, ...] = HELD_OUT,
    checksums: bool = False,
) -> Audit:
    """Audit the files of a catalog.

    Args:
        catalog: the data sets on disk.
        wanted: partitions that should exist.
        held_out: groups of persons that validate and test, for the counts by split.
        checksums: read every file and compare it with the publisher's checksums.

    Raises:
        Fault: there is no data set.
    """
    catalog.require_data()
    images = catalog.partitions
    damaged, duplicates = find_damage(list(chain.from_iterable(images.values())))
    folders = [path for listing in catalog.listings.values() for path in listing.folders]
    partitions = _audit_partitions(catalog, held_out)
    return Audit(
        roots=[str(root) for root in catalog.roots],
        partitions=partitions,
        deliveries=_count_deliveries(partitions),
        missing=[name for name in wanted if name not in images],
        unparsed=_lines(catalog.notes("unparsed")),
        damaged=damaged,
        errata=_lines(catalog.notes("errata")),
        duplicates=duplicates,
        odd_sizes=_count_odd_sizes(images),
        unknown_folders={str(path): count for path, count in catalog.unknown_folders.items()},
        archives=[str(path) for path in catalog.archives],
        dangling=[str(path) for path in catalog.dangling_links],
        unsearched=[str(path) for path in catalog.unsearched],
        checksums=verify_checksums(folders, catalog.roots) if checksums else None,
    )


def incomplete_partitions(
    selection: Mapping[str, Sequence[Impression]], spec: PipelineSpec
) -> Iterator[str]:
    """Yield a message for each selected partition that seems incomplete.

    These are partitions with fewer images than a complete delivery or with fewer training images
    than the limit of the config, and partitions of FVC with images of another size.

    Args:
        selection: partition → its impressions.
        spec: limits and held-out groups.
    """
    limits = dict(spec.limits)
    for name, images in selection.items():
        expected = EXPECTED.get(name, ExpectedCounts()).images or 0
        limit = limits.get(name.partition("/")[0], 0)
        training = sum(split_of(image, spec.held_out) == "train" for image in images)
        if len(images) < expected:
            yield f"{name}: {len(images):,} images; a complete delivery has {expected:,}"
        elif training < limit:
            yield f"{name}: {training:,} training images; the config takes up to {limit:,}"
        if name.partition("/")[0] in OTHERS:
            splits = {split_of(image, spec.held_out) for image in images}
            missing = [split for split in SPLITS if split not in splits]
            if missing:
                yield (
                    f"{name}: no person or finger of {len({i.person for i in images})} is in "
                    f"{' or '.join(missing)} (docs/DATA.md, Splits)"
                )
    for name, count in _count_odd_sizes(selection).items():
        competition = name.partition("/")[0].upper()
        yield f"{name}: {counted(count, 'file')} not of {competition}'s size; of another year?"


def _lines(notes: Iterable[FileNote]) -> list[str]:
    return [f"{note.path}: {note.reason}" for note in notes]


def _audit_partitions(catalog: Catalog, held_out: tuple[str, ...]) -> dict[str, PartitionAudit]:
    """Return the counts of every partition with any file."""
    images = catalog.partitions
    excluded = _group_by_partition(catalog.notes("excluded"))
    unparsed = _group_by_partition(catalog.notes("unparsed"))
    errata = _group_by_partition(catalog.notes("errata"))
    return {
        name: _audit_partition(
            images.get(name, []),
            [note.reason for note in excluded[name]],
            len(unparsed[name]),
            len(errata[name]),
            EXPECTED.get(name, ExpectedCounts()),
            held_out,
        )
        for name in sorted({*images, *excluded, *unparsed})
    }


def _group_by_partition(notes: Iterable[FileNote]) -> dict[str, list[FileNote]]:
    groups: dict[str, list[FileNote]] = defaultdict(list)
    for note in notes:
        groups[note.partition].append(note)
    return groups


def _audit_partition(
    images: list[Impression],
    reasons: list[str],
    unparsed: int,
    errata: int,
    expected: ExpectedCounts,
    held_out: tuple[str, ...],
) -> PartitionAudit:
    """Count one partition; `reasons` are those of its excluded files."""
    splits = {image.person: split_of(image, held_out) for image in images}
    captures: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        captures[image.capture][f"{image.frgp:02d}" if image.frgp else "-"] += 1
    return PartitionAudit(
        images=len(images),
        expected_images=expected.images,
        files=len(images) + len(reasons) + unparsed,
        expected_files=expected.files,
        persons=len(splits),
        expected_persons=expected.persons,
        fingers=len({image.finger for image in images}),
        by_capture={capture: _sort(counts) for capture, counts in sorted(captures.items())},
        by_ppi=_sort(Counter(f"{image.ppi:g}" for image in images)),
        persons_by_split=_count_splits(splits.values()),
        images_by_split=_count_splits(splits[image.person] for image in images),
        excluded=_sort(Counter(reasons)),
        unparsed=unparsed,
        errata=errata,
    )


def _sort(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _count_splits(splits: Iterable[str]) -> dict[str, int]:
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS}


def _count_deliveries(partitions: dict[str, PartitionAudit]) -> dict[str, dict[str, int]]:
    """Count the files of 302a, 302b and 302d, where any of their devices is on disk."""
    deliveries = {}
    for delivery, devices in sd302.DEVICES.items():
        present = [f"sd302/{device}" for device in devices if f"sd302/{device}" in partitions]
        if present:
            deliveries[f"sd{delivery}"] = {
                "files": sum(partitions[name].files for name in present),
                "expected_files": sd302.DELIVERY_FILES[delivery],
            }
    return deliveries


def _count_odd_sizes(images: Mapping[str, Sequence[Impression]]) -> dict[str, int]:
    """Count images of FVC of another size than the published one; they may be resampled copies."""
    counts = {
        name: sum(fvc.odd_size(image.path, name) for image in impressions)
        for name, impressions in images.items()
        if name in fvc.EXPECTED
    }
    return {name: count for name, count in counts.items() if count}
