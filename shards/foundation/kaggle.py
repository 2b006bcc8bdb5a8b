"""Folders of a Kaggle notebook: read-only inputs, and the output that is kept (20 GB).

Inputs are mounted at a depth that depends on where they come from, such as
/kaggle/input/datasets/OWNER/SLUG/versions/1. KAGGLE_ROOT names another folder than /kaggle, for a
try without Kaggle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("KAGGLE_ROOT", "/kaggle"))
INPUT, WORKING = ROOT / "input", ROOT / "working"


@dataclass(frozen=True)
class SearchParameters:
    """Limits of the search for an earlier session's output."""

    # Folders below the inputs. Chosen: Kaggle's own 5, and as many of the user's.
    depth: int = 10


DEFAULT = SearchParameters()


def find_files(
    name: str,
    echo: Callable[[str], None],
    root: Path = INPUT,
    parameters: SearchParameters = DEFAULT,
) -> list[Path]:
    """Find the files of a name below a folder, sorted.

    Args:
        name: a file's name, or the end of its path, such as "latest/digests.json".
        echo: receives a line about folders that are too deep to be searched.
        root: the folder; there may be none.
        parameters: depth of the search.
    """
    paths, cut = [], []
    for folder, depth in _folders(root, parameters):
        if depth == parameters.depth and any(path.is_dir() for path in folder.iterdir()):
            cut.append(folder)
        if (folder / name).is_file():
            paths.append(folder / name)
    if cut:
        more = f", and {len(cut) - 1} more" if len(cut) > 1 else ""
        echo(f"{cut[0]}{more}: deeper folders are not searched; name them instead")
    return sorted(paths)


def _folders(root: Path, parameters: SearchParameters) -> Iterator[tuple[Path, int]]:
    """Yield a folder and those below it with their depth."""
    for path, names, _ in os.walk(root):
        depth = len(Path(path).relative_to(root).parts)
        yield Path(path), depth
        if depth == parameters.depth:
            names.clear()
