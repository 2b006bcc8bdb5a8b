"""An audit as text for a person: the tables, then every file with which something is the matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.audit.audit import Audit, PartitionAudit
from pipeline.sources.listing import printable
from pipeline.split import SPLITS
from shards.foundation.text_table import format_table

CODES = [f"{code:02d}" for code in range(1, 11)]


def render(audit: Audit) -> str:
    """The whole audit, sections that have nothing to tell left out."""
    parts = [
        f"Looked in {', '.join(audit.roots)}",
        _table(
            [
                "partition",
                "images",
                "of",
                "files",
                "of",
                "persons",
                "of",
                "fingers",
                "ppi",
                *SPLITS,
            ],
            [_row(name, p) for name, p in audit.partitions.items()],
        ),
        "images: for use; files: with the excluded; of: in a complete delivery, where known;\n"
        "train, val, test: persons (FVC2002: fingers, whose persons are not known)",
        *_positions(audit.partitions),
        *_section("SD302, published counts are of a delivery", _deliveries(audit)),
        *_section("Excluded", _excluded(audit.partitions)),
        *_section("Errata of the publisher applied", audit.errata),
        *_section("Missing partitions of the config", audit.missing),
        *_section("Folders of images in no known layout", _counts(audit.unknown_folders)),
        *_section("Archives, not unpacked or left", audit.archives),
        *_section("Links that lead nowhere", audit.dangling),
        *_section("Not of FVC2002's file size: of another year?", _counts(audit.odd_sizes)),
        *_section("Files of equal content", ["\n    ".join(group) for group in audit.duplicates]),
        *_section("NOT UNDERSTOOD", audit.unparsed),
        *_section("DAMAGED", audit.damaged),
        *_checksums(audit),
        "sound" if audit.sound else "NOT sound: see the sections in capitals",
    ]
    return printable("\n\n".join(parts))


def _row(name: str, p: PartitionAudit) -> list[str]:
    found = (p.images, p.expected_images, p.files, p.expected_files, p.persons, p.expected_persons)
    sides = [p.persons_by_split[side] for side in SPLITS]
    return [name, *map(_cell, (*found, p.fingers)), ",".join(p.by_ppi) or "-", *map(str, sides)]


def _cell(count: int | None) -> str:
    return "-" if count is None else str(count)


def _positions(partitions: dict[str, PartitionAudit]) -> list[str]:
    """Images by capture and finger position, where the positions are known."""
    rows = [
        [name, capture, *(str(counts.get(code, 0)) for code in CODES), _cell(p.expected_persons)]
        for name, p in partitions.items()
        for capture, counts in p.by_capture.items()
        if "-" not in counts
    ]
    return [_table(["partition", "capture", *CODES, "each of"], rows)] if rows else []


def _deliveries(audit: Audit) -> list[str]:
    return [
        f"{n}: {d['files']} files of {d['expected_files']}" for n, d in audit.deliveries.items()
    ]


def _excluded(partitions: dict[str, PartitionAudit]) -> list[str]:
    return [
        f"{name}: " + ", ".join(f"{count} × {reason}" for reason, count in p.excluded.items())
        for name, p in partitions.items()
        if p.excluded
    ]


def _checksums(audit: Audit) -> list[str]:
    sums = audit.checksums
    if sums is None:
        return []
    told = f"Checksums: {sums.matched} files match {sums.lists} lists, {sums.unlisted} are in none"
    return [told, *_section("CHECKSUMS", sums.faults)]


def _counts(counts: dict[str, int]) -> list[str]:
    return [f"{name}: {count}" for name, count in counts.items()]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    listed = [f"  {line}" for line in lines]
    return ["\n".join([f"{title} ({len(listed)}):", *listed])] if listed else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table whose columns of words are aligned to the left, of numbers to the right."""
    words = {k for k in range(len(head)) if any(row[k][:1].isalpha() for row in rows)}
    return format_table([head, *rows], left=words)
