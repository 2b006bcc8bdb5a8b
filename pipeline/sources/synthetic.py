"""Synthetic fingers as `python -m pipeline synth` writes them, with their truth beside them.

synthetic/NAME/{finger:05d}_{impression}.png, and under the same stem a .json with the exact warp
from the impression to the finger's master. The resolution is the PNG's own (its pHYs chunk). Every
finger is a person of its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.sources.listing import Answer, Claim, Folder, Listing, Unparsed, collect, walk
from shards.foundation.errors import Fault

_STEM = re.compile(r"(\d{5,})_(\d+)", re.ASCII)


def find(root: Path) -> Listing:
    """The synthetic sets below `root`; Misuse where it is no folder."""
    return collect(walk([root]), claim)


def claim(folder: Folder) -> Claim | None:
    """The hold on `folder`, None where it is no set of synthetic fingers."""
    if folder.path.parent.name != "synthetic" or "set.json" not in folder.files:
        return None
    partition = f"synthetic/{folder.path.name}"
    names = frozenset(folder.files)
    return Claim(partition, lambda path: parse(path, partition, names))


def parse(path: Path, partition: str, names: frozenset[str]) -> Answer:
    """The impression that a file is, by its name, among the `names` of its folder."""
    match = _STEM.fullmatch(path.stem)
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
    """The warp from px of an impression to px of its finger's master; Fault where it is damaged."""
    try:
        return Warp.from_json(json.loads(path.read_text())["warp"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Fault(
            f"{path}: is no sidecar of a synthetic impression ({type(error).__name__}: {error}); "
            "remove it and run the same python -m pipeline synth again"
        ) from error
