"""Synthetic fingers in files, as `python -m pipeline synth` writes them.

A set is a folder synthetic/NAME with set.json, images {finger:05d}_{impression}.png and a sidecar
.json of the same stem with the exact warp from the impression to the finger's master. The
resolution is that in the PNG's header. Every finger is a person of its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.sources.folders import Folder
from pipeline.sources.listing import FolderMatch, ParsedFile, Unparsed
from shards.foundation import files
from shards.foundation.errors import Fault

SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
STEM = re.compile(r"(\d{5,})_(\d+)", re.ASCII)  # finger, impression


def match_folder(folder: Folder) -> FolderMatch | None:
    """Recognize a folder of synthetic fingers by its set.json; None for other folders."""
    if folder.path.parent.name != "synthetic" or "set.json" not in folder.files:
        return None
    partition = f"synthetic/{folder.path.name}"
    names = frozenset(folder.files)
    return FolderMatch(partition, lambda path: parse(path, partition, names))


def parse(path: Path, partition: str, names: frozenset[str]) -> ParsedFile:
    """Parse the name of an image file.

    Args:
        path: the file.
        partition: partition of its folder.
        names: names of all files of its folder.
    """
    match = STEM.fullmatch(path.stem)
    if match is None:
        return Unparsed("expected {finger}_{impression}, such as 00012_3.png")
    truth = path.with_suffix(".json")
    if truth.name not in names:
        return Unparsed(f"its {truth.name} is missing; run the same python -m pipeline synth again")
    try:
        ppi = stated_ppi(path)
    except UnknownResolution as error:
        return Unparsed(str(error))
    finger = f"{partition}/{match[1]}"
    return Impression(path, f"{partition}/{path.stem}", partition, finger, finger, ppi, truth=truth)


def load_truth(path: Path) -> Warp:
    """Read the warp from px of an impression to px of its finger's master from a sidecar.

    Raises:
        Fault: the sidecar is missing or damaged.
    """
    try:
        return Warp.from_json(json.loads(files.read_bytes(path))["warp"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Fault(
            f"{path}: is not the sidecar of a synthetic impression ({type(error).__name__}: "
            f"{error}); remove it and run the same python -m pipeline synth again"
        ) from error
