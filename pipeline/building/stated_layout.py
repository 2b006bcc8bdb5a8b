"""What the user stated about anyone's own images, kept beside a set in OUT/.build.

The same partition can then be built again, or compared with its images, without stating it again.
The file may be deleted: the statement is asked for then.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.building import state
from pipeline.sources.own import NAME, PREFIX, OwnImages, parse_options
from shards import provenance
from shards.foundation import files
from shards.foundation.errors import Misuse

FIELDS = ("layout", "list", "ppi", "raw")


def write(out: Path, own_images: OwnImages) -> None:
    """Keep what was stated about a partition; Fault where it cannot be written."""
    raw = own_images.raw_size
    fields = {
        "layout": own_images.pattern.text if own_images.pattern else None,
        "list": str(own_images.list.resolve()) if own_images.list else None,
        "ppi": own_images.ppi,
        "raw": f"{raw[0]}x{raw[1]}" if raw else None,
    }
    files.write_json(_path(out, own_images.partition), fields)


def read(out: Path, partition: str) -> OwnImages | None:
    """Return what was stated about a partition; None where nothing usable is kept."""
    if not (partition.startswith(PREFIX) and NAME.fullmatch(partition, len(PREFIX))):
        return None
    fields = state.read_json(_path(out, partition))
    if not isinstance(fields, dict) or fields.keys() != set(FIELDS):
        return None
    layout, list_file, ppi, raw = (fields[name] for name in FIELDS)
    texts = all(isinstance(text, str | None) for text in (layout, list_file, raw))
    if not texts or not isinstance(ppi, int | float | None):
        return None
    try:
        path = Path(list_file) if list_file is not None else None
        return parse_options(layout, path, None, ppi, raw, [partition]).own_images
    except Misuse:
        return None


def _path(out: Path, partition: str) -> Path:
    return out / state.FOLDER / "layouts" / f"{provenance.flat_name(partition)}.json"
