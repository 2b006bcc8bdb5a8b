"""Catalog of the data sets below the data roots, and selection of partitions from it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from pipeline import catalog_messages as messages
from pipeline import partition_choice
from pipeline.impression import Impression
from pipeline.sources import fvc, generated, own, published, sd300, sd301a, sd302, synthetic
from pipeline.sources.folders import Folder, walk
from pipeline.sources.listing import FORMATS, FileNote, Listing, list_images
from pipeline.sources.own import NOTHING_STATED, StatedLayout
from pipeline.spec import PipelineSpec
from shards.foundation import kaggle
from shards.foundation.errors import Fault, Misuse
from shards.foundation.printable import counted

DEFAULT_ROOTS = (Path("data/raw"), kaggle.INPUT)
READERS = {
    "fvc": fvc.match_folder,
    "published": published.match_folder,
    "sd300": sd300.match_folder,
    "sd301a": sd301a.match_folder,
    "sd302": sd302.match_folder,
    "synthetic": synthetic.match_folder,
}
PARTITIONS = (
    *fvc.EXPECTED,
    *sd300.EXPECTED,
    *(f"sd301a/{device}" for device in sd301a.DEVICES),
    *sd302.EXPECTED,
    *published.PARTITIONS,
)
PARTITION_PATTERN = re.compile("|".join((*PARTITIONS, "sd302/[A-Z]", "synthetic/.+", "folder/.+")))
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")


@dataclass
class Catalog:
    """The data sets below the data roots.

    Attributes:
        roots: data roots that were searched.
        listings: data set → its files.
        unknown_folders: folder of images in an unknown layout → number of images.
        archives: archives that are not unpacked.
        dangling_links: symbolic links to nowhere, perhaps to a data set.
        unsearched: folders that have folders too deep to be searched.
    """

    roots: list[Path]
    listings: dict[str, Listing]
    unknown_folders: dict[Path, int] = field(default_factory=dict)
    archives: list[Path] = field(default_factory=list)
    dangling_links: list[Path] = field(default_factory=list)
    unsearched: list[Path] = field(default_factory=list)

    @property
    def folders(self) -> set[Path]:
        """Return the folders that belong to a data set."""
        return {path for listing in self.listings.values() for path in listing.folders}

    @property
    def partitions(self) -> dict[str, list[Impression]]:
        """Return partition → its usable impressions, both sorted."""
        partitions: dict[str, list[Impression]] = {}
        for listing in self.listings.values():
            for impression in listing.impressions:
                partitions.setdefault(impression.partition, []).append(impression)
        return dict(sorted(partitions.items()))

    def notes(self, kind: str) -> list[FileNote]:
        """Return all notes of a kind ("excluded", "unparsed" or "errata"), sorted by path."""
        lists = [getattr(listing, kind) for listing in self.listings.values()]
        return sorted(chain.from_iterable(lists), key=lambda note: note.path)

    def unparsed(self, partitions: Sequence[str]) -> list[FileNote]:
        """Return the files of these partitions that are not understood, sorted by path."""
        return [note for note in self.notes("unparsed") if note.partition in partitions]

    def require_data(self) -> None:
        """Raise a Fault where there is no data set; it names the roots and what to do."""
        if not any(listing.folders for listing in self.listings.values()):
            raise Fault(messages.no_data_set(self.roots, DEFAULT_ROOTS, self._hints()))

    def select(
        self, partitions: Sequence[str], skip_bad: bool = False
    ) -> dict[str, list[Impression]]:
        """Return partition → its impressions, sorted by image_id.

        Args:
            partitions: names of partitions.
            skip_bad: leave out files that are not understood (see `unparsed`).

        Raises:
            Misuse: no data set has a partition of that name.
            Fault: partitions are missing (all are named), or files are not understood.
        """
        _check_names(partitions)
        if own.DATA_SET not in self.listings:
            own.refuse_partitions(partitions)
        self.require_data()
        unparsed = [] if skip_bad else self.unparsed(partitions)
        if unparsed and own.DATA_SET in self.listings:
            raise Fault(messages.unparsed_files(unparsed))
        available = self.partitions
        missing = [name for name in partitions if name not in available]
        if missing:
            raise Fault(
                messages.missing_partitions(
                    missing, list(available), self.roots, DEFAULT_ROOTS, self._hints()
                )
            )
        if unparsed:
            raise Fault(messages.unparsed_files(unparsed))
        return {name: available[name] for name in partitions}

    def _hints(self) -> list[str]:
        """Return a line for everything else below the roots that may be the missing data."""
        hints = [
            f"  {note.path}: {note.reason}"
            for note in self.notes("unparsed")
            if note.path in self.folders
        ]
        hints += [f"  {path}: an archive, not unpacked" for path in self.archives]
        hints += [f"  {path}: a link that leads nowhere" for path in self.dangling_links]
        hints += [f"  {path}: its folders are too deep to be searched" for path in self.unsearched]
        hints += [
            f"  {path}: {counted(count, 'image')} in an unknown layout"
            for path, count in self.unknown_folders.items()
        ]
        return hints


def data_roots(options: Sequence[Path], layout: StatedLayout = NOTHING_STATED) -> list[Path]:
    """Return the folders to search for data sets.

    Args:
        options: folders of the option --data.
        layout: what the user states; a list of images has its own folder.

    Returns:
        `options`; if empty, the folders in the environment variable DENSEREG_DATA (joined as in
        PATH); if that is empty too, those of DEFAULT_ROOTS that exist.

    Raises:
        Misuse: there are both a list of images and --data.
    """
    if layout.own_images and layout.own_images.list:
        if options:
            raise Misuse("--list and --data: the paths in a list are relative to the list itself")
        return [layout.own_images.list.parent]
    if options:
        return list(options)
    variable = os.environ.get("DENSEREG_DATA", "")
    if variable:
        return [Path(part) for part in variable.split(os.pathsep) if part]
    return [root for root in DEFAULT_ROOTS if root.is_dir()]


def discover(roots: Sequence[Path], layout: StatedLayout = NOTHING_STATED) -> Catalog:
    """List the files of every data set below the roots; each folder is read once.

    Args:
        roots: data roots.
        layout: what the user states; of anyone's own images, no other data set is listed.

    Raises:
        Misuse: a root is not a folder, or a list of images is not one.
        Fault: one data set lies in two places, or folders cannot be read.
    """
    if layout.own_images:
        return Catalog(list(roots), {own.DATA_SET: own.list_images(layout.own_images, roots)})
    folders = list(walk(roots))
    readers = READERS | {"fvc": partial(fvc.match_folder, year=layout.fvc_year)}
    listings = {name: list_images(folders, reader) for name, reader in readers.items()}
    recognized = Catalog([], listings).folders
    others = [folder for folder in folders if folder.path not in recognized]
    return Catalog(
        roots=list(roots),
        listings=listings,
        unknown_folders=_count_images(others),
        archives=[path for path in _paths(folders) if path.name.lower().endswith(ARCHIVES)],
        dangling_links=[path for path in _paths(others) if _is_dangling_link(path)],
        unsearched=[folder.path for folder in folders if folder.has_unsearched],
    )


def select_impressions(
    data: Sequence[Path],
    partitions: Sequence[str],
    spec: PipelineSpec,
    skip_bad: bool = False,
    layout: StatedLayout = NOTHING_STATED,
    show: Callable[[Catalog], None] = lambda catalog: None,
) -> tuple[dict[str, list[Impression]], list[FileNote]]:
    """Return the impressions of partitions, from files or to be synthesized.

    Args:
        data: folders of the option --data; they are not searched where all partitions are
            synthesized.
        partitions: names of partitions, or of several (`partition_choice.expand`).
        spec: decides which synthetic partitions are synthesized.
        skip_bad: leave out files that are not understood.
        layout: what the user states about the layout of the files.
        show: receives the catalog before anything of it is refused.

    Returns:
        Partition → its impressions, and the files that were left out.

    Raises:
        Misuse, Fault: see `discover` and `Catalog.select`.
    """
    selection = {
        name: generated.list_impressions(name, spec)
        for name in partitions
        if generated.is_generated(name, spec)
    }
    from_files = [name for name in partitions if name not in selection]
    if not from_files:
        return selection, []
    catalog = discover(data_roots(data, layout), layout)
    show(catalog)
    if any(map(partition_choice.is_choice, from_files)):
        catalog.require_data()
        from_files = partition_choice.expand(from_files, catalog.partitions)
    selection |= catalog.select(from_files, skip_bad)
    return selection, catalog.unparsed(from_files)


def _paths(folders: Iterable[Folder]) -> list[Path]:
    return [folder.path / name for folder in folders for name in folder.files]


def _is_dangling_link(path: Path) -> bool:
    """Return True for a link to nowhere, such as to a disk that is not mounted."""
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114  (never raise)


def _count_images(folders: Iterable[Folder]) -> dict[Path, int]:
    """Return folder → number of images, for folders that have any."""
    counts = {
        folder.path: sum(name.lower().endswith(FORMATS) for name in folder.files)
        for folder in folders
    }
    return {path: count for path, count in counts.items() if count}


def _check_names(partitions: Sequence[str]) -> None:
    """Raise Misuse for a name that no data set has."""
    for name in partitions:
        if not PARTITION_PATTERN.fullmatch(name):
            raise Misuse(messages.unknown_partition(name, PARTITIONS))
