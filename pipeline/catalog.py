"""The data sets that lie below the data roots, and the choice of partitions from them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from pipeline.impression import Impression
from pipeline.sources import fvc2002, generated, sd300, sd301a, sd302, synthetic
from pipeline.sources.listing import FORMATS, Folder, Listing, Note, collect, printable, walk
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Fault, Misuse

DEFAULT_ROOTS = (Path("data/raw"), Path("/kaggle/input"))
NIST_REQUEST = (
    "https://www.nist.gov/itl/iad/image-group/resources/biometric-special-databases-and-software"
)
FVC_REQUEST = "http://bias.csr.unibo.it/fvc2002/"
LAYOUTS = {
    "fvc2002": f"DB1_A/1_1.tif … DB4_B/110_8.tif; request at {FVC_REQUEST}",
    "sd300": f"images/500/png/roll/00001000_roll_500_01.png; request at {NIST_REQUEST}",
    "sd301a": "images/friction-ridge/dryrun-A/500/roll/png/00002223_01_dryrun-A_500_roll_01.png; "
    f"request at {NIST_REQUEST}",
    "sd302": "images/challengers/A/roll/png/00002303_A_roll_01.png (302a), "
    "images/baseline/U/500/roll/png/00002302_U_500_roll_09.png (302b), "
    "images/auxiliary/flat/M/500/plain/png/00002502_M_500_plain_04.png (302d); "
    f"request at {NIST_REQUEST}",
    "synthetic": "synthetic/NAME/00000_0.png; made by python -m pipeline synth, or nothing at all "
    "where the config says how many to draw (--set pipeline.fingers=1000)",
}
READERS = {
    "fvc2002": fvc2002.claim,
    "sd300": sd300.claim,
    "sd301a": sd301a.claim,
    "sd302": sd302.claim,
    "synthetic": synthetic.claim,
}
NAMES = (
    *fvc2002.EXPECTED,
    *sd300.EXPECTED,
    *(f"sd301a/{device}" for device in sd301a.DEVICES),
    *sd302.EXPECTED,
)
PARTITION = re.compile("|".join((*NAMES, "sd302/[A-Z]", "synthetic/.+")))
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
SHOWN = 10  # unparsed names in a message; the audit lists all


def roots(given: Sequence[Path]) -> list[Path]:
    """The folders to search: those given, else DENSEREG_DATA's, else the default ones that exist.

    DENSEREG_DATA holds folders joined as in PATH; the defaults are data/raw and /kaggle/input.
    """
    if given:
        return list(given)
    named = os.environ.get("DENSEREG_DATA", "")
    if named:
        return [Path(part) for part in named.split(os.pathsep) if part]
    return [root for root in DEFAULT_ROOTS if root.is_dir()]


@dataclass
class Catalog:
    """What was found, by data set, and where it was looked for."""

    roots: list[Path]
    listings: dict[str, Listing]
    unclaimed: dict[Path, int] = field(default_factory=dict)  # folders of unknown images, how many
    archives: list[Path] = field(default_factory=list)  # not unpacked
    dangling: list[Path] = field(default_factory=list)  # links to nowhere, perhaps to a data set

    @property
    def partitions(self) -> dict[str, list[Impression]]:
        """The usable impressions of every partition, sorted by image_id; keys sorted."""
        found: dict[str, list[Impression]] = {}
        for listing in self.listings.values():
            for impression in listing.impressions:
                found.setdefault(impression.partition, []).append(impression)
        return dict(sorted(found.items()))

    def notes(self, kind: str) -> list[Note]:
        """All notes of a kind ("excluded", "unparsed" or "errata"), sorted by path."""
        lists = (getattr(listing, kind) for listing in self.listings.values())
        return sorted(chain.from_iterable(lists), key=lambda note: note.path)

    def unparsed(self, partitions: Sequence[str]) -> list[Note]:
        """The files of these partitions that are not understood, sorted by path."""
        return [note for note in self.notes("unparsed") if note.partition in partitions]

    def require(self) -> None:
        """Fault where there is no data set at all: where it was looked for, and what to do."""
        if not any(listing.folders for listing in self.listings.values()):
            raise Fault(self._nothing_found())

    def select(
        self, partitions: Sequence[str], skip_bad: bool = False
    ) -> dict[str, list[Impression]]:
        """The impressions of these partitions, each list sorted by image_id.

        Fault that names all missing partitions at once and where they were looked for; Fault that
        names the files that are not understood, unless `skip_bad` (see `unparsed`); Misuse for a
        partition that no data set has.
        """
        _check_names(partitions)
        self.require()
        found = self.partitions
        missing = [name for name in partitions if name not in found]
        if missing:
            raise Fault(self._missing(missing, found))
        bad = self.unparsed(partitions)
        if bad and not skip_bad:
            lines = [f"  {note.path}: {note.reason}" for note in bad[:SHOWN]]
            more = [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
            raise Fault(
                f"{len(bad)} files are not understood; python -m pipeline audit lists all. Mend or "
                "remove them, or leave them out with --skip-bad (make: SKIP_BAD=1):\n"
                + printable("\n".join(lines + more))
            )
        return {name: found[name] for name in partitions}

    def _looked(self) -> str:
        places = ", ".join(map(str, self.roots)) or "no folder"
        defaults = " nor ".join(map(str, DEFAULT_ROOTS))
        none = f" (neither --data nor DENSEREG_DATA is set, and {defaults} exists not)"
        return f"looked in {places}{'' if self.roots else none}"

    def _nothing_found(self) -> str:
        layouts = "\n".join(f"  {name}: {layout}" for name, layout in LAYOUTS.items())
        return (
            f"no data set found; {self._looked()}, 3 folders deep. Expected, in one or more:\n"
            f"{layouts}\n{self._hints()}"
            "Name the folder with --data DIR (make: DATA=DIR). Without any data, make demo shows "
            "the whole way on synthetic fingers."
        )

    def _missing(self, missing: list[str], found: dict[str, list[Impression]]) -> str:
        datasets = sorted({name.partition("/")[0] for name in missing})
        layouts = "\n".join(f"  {name}: {LAYOUTS[name]}" for name in datasets)
        return (
            f"missing partitions: {', '.join(missing)}; {self._looked()} and found "
            f"{', '.join(found) or 'no usable image'}. Expected:\n{layouts}\n{self._hints()}"
            "Add the data, or narrow the choice with --partition."
        )

    def _hints(self) -> str:
        """What else lies there and may be what is missed, a line each."""
        hints = [f"  {path}: an archive, not unpacked" for path in self.archives]
        hints += [f"  {path}: a link that leads nowhere" for path in self.dangling]
        hints += [f"  {p}: {n} images in an unknown layout" for p, n in self.unclaimed.items()]
        return printable("\n".join(["Found beside:", *hints[:SHOWN]]) + "\n") if hints else ""


def discover(roots: Sequence[Path]) -> Catalog:
    """Read every data set below the roots, each real folder once.

    Misuse where a root is no folder; Fault where one data set lies in two places.
    """
    folders = list(walk(roots))
    listings = {name: collect(folders, claim) for name, claim in READERS.items()}
    claimed = {path for listing in listings.values() for path in listing.folders}
    others = [folder for folder in folders if folder.path not in claimed]
    return Catalog(
        roots=list(roots),
        listings=listings,
        unclaimed=_images(others),
        archives=[f.path / n for f in folders for n in f.files if n.lower().endswith(ARCHIVES)],
        dangling=[path for f in others for path in map(f.path.joinpath, f.files) if _dangles(path)],
    )


def choose(
    data: Sequence[Path], partitions: Sequence[str], spec: PipelineSpec, skip_bad: bool = False
) -> tuple[dict[str, list[Impression]], list[Note]]:
    """The impressions of these partitions, and their files that are not understood.

    Synthetic ones are drawn where the spec says so, and no folder is searched for them; the others
    are selected from what lies below the roots `data` (see `roots`, `Catalog.select`).
    """
    made = {
        p: generated.list_impressions(p, spec)
        for p in partitions
        if generated.is_generated(p, spec)
    }
    rest = [name for name in partitions if name not in made]
    if not rest:
        return made, []
    found = discover(roots(data))
    return {**made, **found.select(rest, skip_bad)}, found.unparsed(rest)


def _dangles(path: Path) -> bool:
    """Whether a path is a link to nowhere, as to a disk that is not mounted."""
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114  (never raise)


def _images(folders: Iterable[Folder]) -> dict[Path, int]:
    counts = {f.path: sum(n.lower().endswith(FORMATS) for n in f.files) for f in folders}
    return {path: count for path, count in counts.items() if count}


def _check_names(partitions: Sequence[str]) -> None:
    names = {name.casefold(): name for name in NAMES}
    for name in partitions:
        if not PARTITION.fullmatch(name):
            near = difflib.get_close_matches(name.casefold(), names, 1, 0.5)
            hint = f"did you mean {names[near[0]]}?" if near else f"there are {', '.join(NAMES)}"
            raise Misuse(f"{name}: no data set has such a partition; {hint}")
