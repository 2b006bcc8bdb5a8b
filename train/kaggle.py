"""What an earlier session left on Kaggle: a notebook's output, added as an input of the next.

Inputs are mounted read-only below /kaggle/input, at a depth that depends on where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shards import manifest
from shards.foundation.errors import Misuse
from train import checkpoint

INPUT = Path("/kaggle/input")
DEPTH = 6  # folders below INPUT in which something is looked for


def find_shards(given: Path, echo: Callable[[str], None], root: Path = INPUT) -> Path:
    """`given` where it holds a shard set or there is no other, else the one below `root`.

    Says so where it takes another; Misuse where there are several.
    """
    if (given / manifest.FILE).is_file():
        return given
    found = [
        path.parent for path in _below(root, manifest.FILE) if (path.parent / "train").is_dir()
    ]
    if len(found) > 1:
        raise Misuse(
            f"{given}: no shard set here, and several below {root}: "
            f"{', '.join(map(str, found))}; name one with --shards"
        )
    if found:
        echo(f"{given}: no shard set here; taking the one in {found[0]}")
    return found[0] if found else given


def find_checkpoint(run: Path, given: str | None, root: Path = INPUT) -> str | None:
    """`given`, but for the "latest" of a run that has none yet: then the newest below `root`."""
    if given != checkpoint.LATEST or checkpoint.find(run, None):
        return given
    found = [path.parent for path in _below(root, f"{checkpoint.LATEST}/{checkpoint.DIGESTS}")]
    steps = {path: checkpoint.load_meta(path)["step"] for path in found}
    return str(max(found, key=steps.__getitem__)) if found else given


def _below(root: Path, name: str) -> list[Path]:
    """Files of this name in folders below `root`; images, which may be many, are not looked at."""
    return [path for depth in range(1, DEPTH) for path in sorted(root.glob("*/" * depth + name))]
