"""The files of a set, prepared for every method and measure, each once per process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from model.registration.impression import prepare_impression
from pipeline.imaging import file
from pipeline.imaging.resolution import find_resolution
from pipeline.imaging.warp import Array, apply_affine, invert_affine
from train.evaluation import reference_minutiae, strata
from train.evaluation.benchmark import afis_minutiae
from train.evaluation.benchmark.afis_minutiae import Template
from train.evaluation.file_methods import PreparedFile


@dataclass(frozen=True)
class OpenedSetParameters:
    """Limits of `OpenedSet`."""

    cached_files: int = 256  # kept prepared; chosen: a file is in many pairs


DEFAULT = OpenedSetParameters()


@dataclass(frozen=True, eq=False)
class OpenedFile:
    """An impression with its minutiae.

    Attributes:
        name: of the file.
        prepared: for the methods.
        witness: minutiae that take no part in registration, [N, 2 + 1], x, y, direction; px at
            500 ppi, upright; None without a witness.
        template: minutiae of MINDTCT for the matchers, px at 500 ppi, upright; None without the
            package `afis`.
    """

    name: str
    prepared: PreparedFile
    witness: Array | None
    template: Template | None

    @functools.cached_property
    def quality(self) -> float:
        """Ridge quality, see `strata.ridge_quality`."""
        return strata.ridge_quality(self.prepared.prepared.image, 1.0)


class OpenedSet:
    """Opens the impressions of a folder.

    Args:
        folder: the impressions.
        witness: .npz of witness minutiae, or None.
        mindtct: .npz of the minutiae of MINDTCT, or None.
        parameters: limits.
    """

    def __init__(
        self,
        folder: Path,
        witness: Path | None,
        mindtct: Path | None,
        parameters: OpenedSetParameters = DEFAULT,
    ) -> None:
        self._folder = folder
        self._witness = reference_minutiae.load(witness, []) if witness else None
        self._mindtct = reference_minutiae.load(mindtct, []) if mindtct else None
        self.open = functools.lru_cache(parameters.cached_files)(self._open)

    def _open(self, name: str) -> OpenedFile:
        """Open a file by its name; Fault where it cannot be read or shows no finger."""
        path = self._folder / name
        image = file.load(path)
        impression = prepare_impression(image, find_resolution(path, image.stored), str(path))
        to_file = impression.prepared.to_original
        witness = template = None
        if self._witness:
            witness = reference_minutiae.at_500_ppi(self._witness[name], to_file)
        if self._mindtct:
            in_file = Template(afis_minutiae.strongest(self._mindtct[name]), impression.shape[0])
            to_working = functools.partial(apply_affine, invert_affine(to_file))
            height = len(impression.prepared.image)
            template = afis_minutiae.carry(in_file, to_working, height)
        return OpenedFile(name, PreparedFile(impression), witness, template)
