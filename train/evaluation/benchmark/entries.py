"""What a benchmark compares: sets of impressions and methods, as the command line names them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.foundation.errors import Misuse

OURS, SIFT, PHASE, MINUTIAE, RIGID, MAPS = "ours", "sift", "phase", "minutiae-tps", "rigid", "maps"
BUILT_IN = (OURS, SIFT, PHASE, MINUTIAE, RIGID)
ALL_SETS = "all"  # the name of all sets together in the results
BEFORE = "before registration"  # the row of the matchers' scores of the minutiae as extracted
SET_NAME = re.compile(r"[\w.-]*\w[\w.-]*")


@dataclass(frozen=True)
class SetEntry:
    """A set: one sensor.

    Attributes:
        name: of the set in the results.
        folder: its impressions, see `impression_folder.find_impressions`.
        minutiae: file of witness minutiae (`reference_minutiae.load`); None where there is none.
    """

    name: str
    folder: Path
    minutiae: Path | None = None


@dataclass(frozen=True)
class MethodEntry:
    """A method.

    Attributes:
        kind: one of `BUILT_IN`, or `MAPS` for maps that another tool computed.
        folder: of these maps (`map_folder`).
    """

    kind: str
    folder: Path | None = None

    @property
    def uses_network(self) -> bool:
        """Whether its results depend on the checkpoint."""
        return self.kind in (OURS, RIGID)


def parse_sets(sets: Iterable[str], minutiae: Iterable[str]) -> list[SetEntry]:
    """Parse NAME=DIR of sets and NAME=FILE of their witness minutiae.

    Raises:
        Misuse: another form, a name twice, or minutiae of a set that is not named.
    """
    folders, files = (
        _parse_pairs(sets, "--set", "DIR"),
        _parse_pairs(minutiae, "--minutiae", "FILE"),
    )
    for name in files:
        if name not in folders:
            raise Misuse(f"--minutiae {name}: no such set; expected one of {', '.join(folders)}")
    return [SetEntry(name, folder, files.get(name)) for name, folder in folders.items()]


def parse_methods(methods: Sequence[str]) -> list[MethodEntry]:
    """Parse names of methods and maps:DIR.

    Raises:
        Misuse: an unknown method.
    """
    return [_parse_method(text) for text in methods]


def _parse_method(text: str) -> MethodEntry:
    kind, colon, folder = text.partition(":")
    if kind == MAPS and folder:
        path = Path(folder)
        if not path.is_dir():
            raise Misuse(f"--method {text}: {path}: no such folder of maps")
        return MethodEntry(MAPS, path.absolute())
    if colon or kind not in BUILT_IN:
        raise Misuse(f"--method {text}: expected one of {', '.join(BUILT_IN)}, {MAPS}:DIR")
    return MethodEntry(kind)


def _parse_pairs(texts: Iterable[str], option: str, what: str) -> dict[str, Path]:
    """Parse texts NAME=PATH; Misuse where one has another form or a name occurs twice."""
    paths: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (equals and path and SET_NAME.fullmatch(name)) or name == ALL_SETS:
            raise Misuse(
                f"{option} {text}: expected NAME={what}, where NAME is of letters, digits, '_', '.'"
                f" and '-', and not {ALL_SETS!r}"
            )
        if name in paths:
            raise Misuse(f"{option} {name}: occurs twice")
        paths[name] = Path(path)
    return paths
