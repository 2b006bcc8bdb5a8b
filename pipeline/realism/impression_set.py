"""Measure all impressions below some folders: one side of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import catalog
from pipeline.imaging.file import Image, load
from pipeline.imaging.preprocess import prepare_file
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import Array
from pipeline.impression import Impression
from pipeline.realism import spectra
from pipeline.realism.classifier import texture_features
from pipeline.realism.measures import Measurements, measure
from pipeline.sources.listing import FORMATS
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress


@dataclass(frozen=True)
class SetParameters:
    """Limits of a set that is compared."""

    fingers_min: int = 4  # with crops; chosen: cross-validation needs two in each half of them


DEFAULT = SetParameters()


@dataclass(frozen=True, eq=False)
class ImpressionSet:
    """The measures of all impressions below some folders.

    Attributes:
        folders: names of the folders.
        impressions: measures of each impression.
        partitions: partition of each impression.
        rejected: error message of each image that cannot be used.
        crop_fingers: finger of each crop.
        features: `texture_features` of each crop, float64 [n, F].
    """

    folders: list[str]
    impressions: list[Measurements]
    partitions: list[str]
    rejected: list[str]
    crop_fingers: list[str]
    features: Array

    @property
    def crops(self) -> list[Image]:
        """All crops, uint8 [128, 128], in the order of `features`."""
        return [crop for one in self.impressions for crop in one.crops]

    def select(self, fingers: set[str]) -> ImpressionSet:
        """Return the set of the impressions of some fingers."""
        indices = [k for k, one in enumerate(self.impressions) if one.finger in fingers]
        rows = [k for k, finger in enumerate(self.crop_fingers) if finger in fingers]
        return ImpressionSet(
            self.folders,
            [self.impressions[k] for k in indices],
            [self.partitions[k] for k in indices],
            [],
            [self.crop_fingers[k] for k in rows],
            self.features[rows],
        )

    def values(self, measure: str) -> Array:
        """Return the values of a measure of all impressions, float64 [n]."""
        return np.concatenate([one.values[measure] for one in self.impressions])

    def mean_spectrum(self) -> Array:
        """Return the mean of the spectra, dB [bins], over the impressions with crops."""
        return np.asarray(np.nanmean([one.spectrum for one in self.impressions if one.crops], 0))


def list_impressions(folders: Sequence[Path]) -> list[Impression]:
    """Return the impressions below folders, each image once.

    A folder that contains known data sets gives their impressions. In any other folder every image
    is an impression of 500 ppi; its finger is its name up to the last underscore.
    """
    listed = [impression for folder in folders for impression in _impressions_below(folder)]
    return list({impression.path.resolve(): impression for impression in listed}.values())


def _impressions_below(folder: Path) -> list[Impression]:
    partitions = catalog.discover([folder]).partitions.values()
    of_data_sets = [impression for partition in partitions for impression in partition]
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in FORMATS]
    return of_data_sets or [_impression_by_name(path, folder) for path in paths]


def _impression_by_name(path: Path, folder: Path) -> Impression:
    name = str(path.with_suffix(""))
    finger = name.rpartition("_")[0] or name
    return Impression(path, name, str(folder), finger, finger, WORKING_PPI)


def measure_folders(folders: Sequence[Path], parameters: SetParameters = DEFAULT) -> ImpressionSet:
    """Measure every impression below the folders.

    Images that cannot be used, unreadable or without a finger, are left out and listed in
    `rejected`.

    Raises:
        Misuse: fewer than `parameters.fingers_min` fingers have a crop.
    """
    listed, names = list_impressions(folders), [str(folder) for folder in folders]
    measured, partitions, rejected = [], [], []
    with Progress(f"measure {folders[-1].name}", len(listed), "images") as progress:
        for index, impression in enumerate(listed):
            progress.advance()
            try:
                measured.append(_measure_file(impression, index))
            except Fault as fault:
                rejected.append(str(fault))
            else:
                partitions.append(impression.partition)
    fingers = [one.finger for one in measured for _ in one.crops]
    least = parameters.fingers_min
    if len(set(fingers)) < least:
        raise Misuse(
            f"{', '.join(names)}: has {len(set(fingers))} fingers with a crop of "
            f"{spectra.DEFAULT.crop} px in {len(listed)} images, expected {least} or more; "
            "a finger is a name up to its last underscore"
        )
    features = np.array([texture_features(crop) for one in measured for crop in one.crops])
    return ImpressionSet(names, measured, partitions, rejected, fingers, features)


def _measure_file(impression: Impression, index: int) -> Measurements:
    """Measure an impression; its index in the list is the seed of its crops' places."""
    prepared = prepare_file(load(impression.path), impression.ppi, str(impression.path))
    return measure(prepared, impression.finger, np.random.default_rng(index))
