"""An audit as text: tables of counts, then lists of files with problems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.audit.audit import Audit, PartitionAudit
from shards.foundation.printable import printable
from shards.foundation.text_table import format_table
from shards.manifest import SPLITS

POSITIONS = [f"{code:02d}" for code in range(1, 11)]  # fingers, FRGP 1-10
COUNTS = ["images", "of", "files", "of", "persons", "of", "fingers", "ppi"]
LEGEND = (
    "images: usable; files: with the excluded; of: in a complete delivery, where known;\n"
    "train, val, test: persons (fingers where persons are not published)"
)


def format_audit(audit: Audit) -> str:
    """Format an audit; sections without any line are left out."""
    rows = [_row(name, counts) for name, counts in audit.partitions.items()]
    parts = [
        f"Looked in {', '.join(audit.roots)}",
        _table(["partition", *COUNTS, *SPLITS], rows),
        LEGEND,
        *_positions(audit.partitions),
        *_section("SD302, published counts are of a delivery", _deliveries(audit)),
        *_section("Excluded", _excluded(audit.partitions)),
        *_section("Errata of the publisher applied", audit.errata),
        *_section("Missing partitions of the config", audit.missing),
        *_section("Folders of images in no known layout", _counts(audit.unknown_folders)),
        *_section("Archives, not unpacked or not deleted", audit.archives),
        *_section("Links that lead nowhere", audit.dangling),
        *_section("Folders that are too deep to be searched", audit.unsearched),
        *_section("Not of FVC's size: of another year, or resampled?", _counts(audit.odd_sizes)),
        *_section("Files of equal content", ["\n    ".join(group) for group in audit.duplicates]),
        *_section("NOT UNDERSTOOD", audit.unparsed),
        *_section("DAMAGED", audit.damaged),
        *_checksums(audit),
        "sound" if audit.sound else "NOT sound: see the sections in capitals",
    ]
    return printable("\n\n".join(parts))


def _row(name: str, counts: PartitionAudit) -> list[str]:
    numbers = [
        counts.images,
        counts.expected_images,
        counts.files,
        counts.expected_files,
        counts.persons,
        counts.expected_persons,
        counts.fingers,
    ]
    splits = [str(counts.persons_by_split[split]) for split in SPLITS]
    return [name, *map(_cell, numbers), ",".join(counts.by_ppi) or "-", *splits]


def _cell(count: int | None) -> str:
    return "-" if count is None else str(count)


def _positions(partitions: dict[str, PartitionAudit]) -> list[str]:
    """Return the table of images by capture and finger position, where the positions are known."""
    rows = []
    for name, partition in partitions.items():
        for capture, counts in partition.by_capture.items():
            if "-" not in counts:
                numbers = [str(counts.get(position, 0)) for position in POSITIONS]
                rows.append([name, capture, *numbers, _cell(partition.expected_persons)])
    return [_table(["partition", "capture", *POSITIONS, "each of"], rows)] if rows else []


def _deliveries(audit: Audit) -> list[str]:
    return [
        f"{name}: {counts['files']} files of {counts['expected_files']}"
        for name, counts in audit.deliveries.items()
    ]


def _excluded(partitions: dict[str, PartitionAudit]) -> list[str]:
    lines = []
    for name, partition in partitions.items():
        if partition.excluded:
            reasons = [f"{count} × {reason}" for reason, count in partition.excluded.items()]
            lines.append(f"{name}: {', '.join(reasons)}")
    return lines


def _checksums(audit: Audit) -> list[str]:
    report = audit.checksums
    if report is None:
        return []
    summary = (
        f"Checksums: {report.matched} files match {report.lists} lists, "
        f"{report.unlisted} are in none"
    )
    return [summary, *_section("CHECKSUMS", report.faults)]


def _counts(counts: dict[str, int]) -> list[str]:
    return [f"{name}: {count}" for name, count in counts.items()]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """Return the section as one text; nothing where it has no lines."""
    indented = [f"  {line}" for line in lines]
    return ["\n".join([f"{title} ({len(indented)}):", *indented])] if indented else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns with texts to the left and columns of numbers to the right."""
    left = [k for k in range(len(head)) if any(row[k][:1].isalpha() for row in rows)]
    return format_table([head, *rows], left)
