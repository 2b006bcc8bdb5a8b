"""Text about anyone's own images as they were understood, for the user to check before a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.catalog import Catalog
from pipeline.sources.identity import OTHER_TAG
from pipeline.sources.listing import FileNote
from pipeline.sources.own import DATA_SET, OwnImages
from shards.foundation.printable import counted, printable_line


@dataclass(frozen=True)
class OverviewParameters:
    """Length of the overview; chosen to fit a terminal. The audit lists everything."""

    understood: int = 5  # names
    unparsed: int = 10  # names


DEFAULT = OverviewParameters()


def format_overview(
    own: OwnImages, catalog: Catalog, skip_bad: bool, parameters: OverviewParameters = DEFAULT
) -> str:
    """Return counts, the first names as understood, and with `skip_bad` the files that are not.

    Without `skip_bad` an error about these files follows, which names them.
    """
    listing = catalog.listings[DATA_SET]
    images = listing.impressions
    fingers = {image.finger for image in images}
    persons = {image.person for image in images}
    known = "persons are not stated" if persons == fingers else counted(len(persons), "person")
    lines = [
        f"{own.partition}: {counted(len(images), 'impression')} of"
        f" {counted(len(fingers), 'finger')}, {known} "
        f"({own.description})",
        *_format_notes(listing.understood, parameters.understood, " → "),
    ]
    others = sum(OTHER_TAG in note.reason for note in listing.understood)
    if others:
        lines.append(f"another resolution than the one used is stated by {counted(others, 'file')}")
    for reason, count in sorted(Counter(note.reason for note in listing.excluded).items()):
        lines.append(f"not used: {count} × {reason}")
    if listing.unparsed and skip_bad:
        lines.append(f"not understood ({len(listing.unparsed)}):")
        lines += _format_notes(listing.unparsed, parameters.unparsed, ": ")
    return "\n".join(lines)


def _format_notes(notes: list[FileNote], count: int, separator: str) -> Iterator[str]:
    for note in notes[:count]:
        yield f"  {printable_line(f'{note.path}{separator}{note.reason}')}"
    if len(notes) > count:
        yield f"  and {len(notes) - count} more"
