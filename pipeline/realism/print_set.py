"""The prints of some folders, measured: one side of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import catalog
from pipeline.imaging.file import load
from pipeline.imaging.foreground import Image
from pipeline.imaging.preprocess import prepare
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import Array
from pipeline.impression import Impression
from pipeline.realism.classifier import features
from pipeline.realism.measures import Measured, measure
from pipeline.sources.listing import FORMATS
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress

FINGERS_MIN = 4  # of a side: two for each half


@dataclass(frozen=True, eq=False)
class Side:
    """The prints of some folders, measured."""

    folders: list[str]
    prints: list[Measured]
    partitions: list[str]  # of the prints
    refused: list[str]  # images without a finger, and why
    fingers: list[str]  # of the crops
    features: Array  # of the crops, [n, F]

    @property
    def crops(self) -> list[Image]:
        """All crops, uint8 [128, 128], in the order of `features`."""
        return [crop for one in self.prints for crop in one.crops]

    def of(self, fingers: set[str]) -> Side:
        """Only these fingers."""
        kept = [k for k, one in enumerate(self.prints) if one.finger in fingers]
        rows = [k for k, finger in enumerate(self.fingers) if finger in fingers]
        return Side(
            self.folders,
            [self.prints[k] for k in kept],
            [self.partitions[k] for k in kept],
            [],
            [self.fingers[k] for k in rows],
            self.features[rows],
        )


def gather(folders: Sequence[Path]) -> list[Impression]:
    """The images below the folders, each once: of each those of the data sets there, else all.

    Where the layout is of no data set, an image has 500 ppi, and its name up to the last underscore
    is a finger.
    """
    found = (impression for folder in folders for impression in _below(folder))
    return list({impression.path.resolve(): impression for impression in found}.values())


def _below(folder: Path) -> list[Impression]:
    known = [i for found in catalog.discover([folder]).partitions.values() for i in found]
    paths = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in FORMATS]
    return known or [_unknown(path, folder) for path in paths]


def _unknown(path: Path, folder: Path) -> Impression:
    name = str(path.with_suffix(""))
    finger = name.rpartition("_")[0] or name
    return Impression(path, name, str(folder), finger, finger, WORKING_PPI)


def measure_folders(folders: Sequence[Path]) -> Side:
    """Measure every print below the folders; images without a finger are named in `refused`.

    Misuse where they show too few fingers.
    """
    found, names = gather(folders), [str(folder) for folder in folders]
    prints, partitions, refused = [], [], []
    with Progress(f"measure {folders[-1].name}", len(found), "images") as progress:
        for index, impression in enumerate(found):
            progress.advance()
            try:
                prepared = prepare(load(impression.path), impression.ppi, str(impression.path))
            except Fault as fault:
                refused.append(str(fault))
                continue
            rng = np.random.default_rng(index)
            prints.append(measure(prepared, impression.finger, rng))
            partitions.append(impression.partition)
    fingers = [one.finger for one in prints for _ in one.crops]
    if len(set(fingers)) < FINGERS_MIN:
        raise Misuse(
            f"{', '.join(names)}: shows {len(set(fingers))} fingers with a crop of 128 px in "
            f"{len(found)} images, expected {FINGERS_MIN} or more; a finger is a name up to its "
            "last underscore"
        )
    seen = np.array([features(crop) for one in prints for crop in one.crops])
    return Side(names, prints, partitions, refused, fingers, seen)


def pooled(side: Side, name: str) -> Array:
    """All values of a measure."""
    return np.concatenate([one.values[name] for one in side.prints])


def mean_spectrum(side: Side) -> Array:
    """Mean radial power dB over the prints that have crops."""
    return np.asarray(np.nanmean([one.spectrum for one in side.prints if one.crops], 0))
